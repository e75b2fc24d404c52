"""Writes a small corpus in the derived set's layout; nothing in it comes from the corpus."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

TEXT = "i you we are not sure what why happy sad angry fine no yes really well then go on"
WORDS = TEXT.split(" ")
COLUMNS = (
    *("row", "id", "session", "dialog", "speaker", "start", "end"),
    *("emotion", "valence", "activation", "dominance", "text"),
)


def write_derived(
    root: Path,
    dialogues: tuple[str, ...] = ("Ses01F_impro01", "Ses02M_script01_1"),
    utterances: int = 6,
    seed: int = 5,
) -> Path:
    """Write dialogues of two speakers who sometimes talk at once; return ``root``."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    for name in dialogues:
        at_s = 0.5
        for number in range(utterances):
            length_s = float(rng.uniform(0.8, 2.5))
            woman = number % 2 == 0
            row = {
                "row": len(rows),
                "id": f"{name}_{'F' if woman else 'M'}{number:03d}",
                "session": int(name[3:5]),
                "dialog": name,
                "speaker": f"{name[:5]}{'F' if woman else 'M'}",
                "start": round(at_s, 3),
                "end": round(at_s + length_s, 3),
                "emotion": str(rng.choice(["neu", "ang", "sad", "exc", "hap", "xxx"])),
                "text": " ".join(rng.choice(WORDS, rng.integers(1, 9))),
            }
            scales = ("valence", "activation", "dominance")
            row |= {scale: round(float(rng.uniform(1, 5)), 2) for scale in scales}
            rows.append(row)
            at_s += length_s + float(rng.uniform(-0.4, 0.6))  # below 0 they talk at once
    with (root / "utterances.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    np.save(root / "egemaps47.npy", rng.normal(size=(len(rows), 47)).astype(np.float32))
    return root
