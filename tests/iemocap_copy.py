"""Writes a small corpus in IEMOCAP's raw layout; nothing in it comes from the corpus."""

from __future__ import annotations

import re
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RATE_HZ = 16_000
FRAME_RATE_HZ = 120
FACE_MARKERS = (
    *("CH1", "CH2", "CH3", "FH1", "FH2", "FH3"),
    *(f"LC{n}" for n in range(1, 9)),
    *(f"RC{n}" for n in range(1, 9)),
    *("LLID", "RLID", "MH", "MNOSE", "LNSTRL", "TNOSE", "RNSTRL"),
    *(f"{side}BM{n}" for side in "LR" for n in range(4)),
    *(f"{side}BRO{n}" for side in "LR" for n in range(1, 5)),
    *(f"Mou{n}" for n in range(1, 9)),
    *("LHD", "RHD"),
)
HAND_MARKERS = ("LH1", "LH2", "LH3", "RH1", "RH2", "RH3")
HEAD_CHANNELS = ("pitch", "roll", "yaw", "tra_x", "tra_y", "tra_z")


@dataclass(frozen=True)
class Line:
    """One utterance of the copy."""

    name: str  # such as F000
    start_s: float
    end_s: float
    emotion: str
    scales: tuple[float, float, float]  # valence, activation, dominance
    text: str

    @property
    def votes(self) -> tuple[str, ...]:
        """What E2, E3 and E4 chose; they agree by majority where there is an emotion."""
        if self.emotion == "xxx":
            return ("Anger", "Frustration; Sadness", "Neutral state")
        return (VOTES[self.emotion], VOTES[self.emotion], "Frustration")


VOTES = {"neu": "Neutral", "ang": "Anger", "exc": "Excited", "sad": "Sadness", "hap": "Happiness"}


@dataclass(frozen=True)
class Dialogue:
    name: str
    lines: tuple[Line, ...]
    woman_left: bool = True  # on which channel she is

    @property
    def session(self) -> int:
        return int(self.name[3:5])

    @property
    def duration_s(self) -> float:
        return max(line.end_s for line in self.lines) + 0.5


DIALOGUES = (
    Dialogue(
        "Ses01F_impro01",
        (
            Line("F000", 0.5, 1.2, "neu", (2.5, 2.5, 2.5), "Excuse me."),
            Line("M000", 1.5, 2.4, "ang", (1.5, 4.0, 4.5), "Do you have your forms?"),
            Line("F001", 2.2, 3.0, "xxx", (2.0, 3.0, 3.0), "Yeah."),
            Line("M001", 3.4, 4.0, "exc", (4.5, 4.0, 5.5), "Let me see them. [LAUGHTER]"),
        ),
    ),
    Dialogue(
        "Ses01M_script01_1b",
        (
            Line("M000", 0.4, 1.1, "sad", (1.5, 2.0, 2.0), "I know you better."),
            Line("F000", 1.4, 2.1, "hap", (4.5, 3.0, 3.0), "Then why should you mind?"),
        ),
        woman_left=False,
    ),
)


def write_copy(root: Path, dialogues: Sequence[Dialogue] = DIALOGUES, seed: int = 3) -> Path:
    """Write the dialogues below ``root`` and return it."""
    for dialogue in dialogues:
        folder = root / f"Session{dialogue.session}" / "dialog"
        name = dialogue.name
        _write(folder / "EmoEvaluation" / f"{name}.txt", _evaluation(dialogue))
        _write(folder / "transcriptions" / f"{name}.txt", _transcription(dialogue))
        _write_wav(folder / "wav" / f"{name}.wav", dialogue, np.random.default_rng(seed))
        for kind, names, width in (
            ("rotated", FACE_MARKERS, 165),
            ("hand", HAND_MARKERS, 18),
            ("head", HEAD_CHANNELS, 6),
        ):
            lines = mocap_lines(names, width, round(dialogue.duration_s * FRAME_RATE_HZ))
            _write(folder / f"MOCAP_{kind}" / f"{name}.txt", "".join(lines))
        aligned = root / f"Session{dialogue.session}" / "sentences" / "ForcedAlignment" / name
        for line in dialogue.lines:
            _write(aligned / f"{name}_{line.name}.wdseg", alignment(line))
    return root


def write_sentences(root: Path, dialogues: Sequence[Dialogue] = DIALOGUES) -> None:
    """Cut each utterance's sound and motion out of the dialogues', into ``sentences``."""
    for dialogue in dialogues:
        whole = root / f"Session{dialogue.session}" / "dialog"
        alone = root / f"Session{dialogue.session}" / "sentences"
        with wave.open(str(whole / "wav" / f"{dialogue.name}.wav")) as wav:
            pcm = wav.readframes(wav.getnframes())
        samples = np.frombuffer(pcm, "<i2").reshape(-1, 2)
        for line in dialogue.lines:
            name = f"{dialogue.name}/{dialogue.name}_{line.name}"
            own = 0 if line.name.startswith("F") == dialogue.woman_left else 1
            part = samples[round(line.start_s * RATE_HZ) : round(line.end_s * RATE_HZ), own]
            write_wav(alone / "wav" / f"{name}.wav", part[:, None])
            for kind in ("rotated", "hand", "head"):
                rows = (whole / f"MOCAP_{kind}" / f"{dialogue.name}.txt").read_text().splitlines()
                times = [float(row.split()[1]) for row in rows[2:]]
                within = [line.start_s <= time < line.end_s for time in times]
                kept = [row for row, wanted in zip(rows[2:], within, strict=True) if wanted]
                _write(alone / f"MOCAP_{kind}" / f"{name}.txt", "\n".join([*rows[:2], *kept]))


def alignment(line: Line) -> str:
    """Return the words evenly spread over the utterance, as Sphinx writes them."""
    words = ["<s>", *re.findall(r"[A-Z']+", re.sub(r"\[.*?\]", "", line.text.upper())), "</s>"]
    words[1] += "(2)"  # as if spoken in the second of its dictionary's ways
    if "[" in line.text:
        words.insert(-1, "++LAUGHTER++")
    edges = np.linspace(0, (line.end_s - line.start_s) * 100, len(words) + 1).astype(int)
    rows = [
        f"\t{first:5d} {after - 1:5d} {-1000 * (after - first):10d} {word}"
        for word, first, after in zip(words, edges[:-1], edges[1:], strict=True)
    ]
    return "\n".join(["\t SFrm  EFrm    SegAScr Word", *rows, " Total score:   -99000", ""])


def mocap_lines(
    names: Sequence[str], width: int, frames: int, lost: Sequence[int] = (10, 11)
) -> Iterator[str]:
    """Yield the lines of a file: frame k's column c is k + c / 1000; ``lost`` frames are NaN."""
    yield "Frame# Time " + " ".join(names) + "\n"
    yield "  " + " ".join(["X Y Z"] * (width // 3) if width > 6 else ["deg"] * width) + "\n"
    for frame in range(1, frames + 1):
        yield mocap_line(frame, width, nan=frame in lost)


def mocap_line(frame: int, width: int, *, time_s: float | None = None, nan: bool = False) -> str:
    time_s = (frame - 1) / FRAME_RATE_HZ if time_s is None else time_s
    values = ["NaN" if nan else f"{frame + column / 1000:.5f}" for column in range(width)]
    return f"{frame} {time_s:.5f} {' '.join(values)}\n"


def _evaluation(dialogue: Dialogue) -> str:
    lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n", "\n"]
    for line in dialogue.lines:
        scales = ", ".join(f"{scale:.4f}" for scale in line.scales)
        lines += [
            f"[{line.start_s:.4f} - {line.end_s:.4f}]\t{dialogue.name}_{line.name}\t"
            f"{line.emotion}\t[{scales}]\n",
            *(f"C-E{n}:\t{vote};\t(a; b)\n" for n, vote in enumerate(line.votes, 2)),
            "C-F1:\tSurprise;\t()\n",
            "A-E3:\tval 3; act 2; dom  ;\t()\n",
            "\n",
        ]
    return "".join(lines)


def _transcription(dialogue: Dialogue) -> str:
    return "".join(
        f"{dialogue.name}_{line.name} [{line.start_s:08.4f}-{line.end_s:08.4f}]: {line.text}\n"
        for line in dialogue.lines
    )


def _write_wav(path: Path, dialogue: Dialogue, generator: np.random.Generator) -> None:
    """Each speaker is a tone, 14 dB quieter on the other one's channel."""
    count = round(dialogue.duration_s * RATE_HZ)
    samples = generator.normal(0, 20, (count, 2))
    for line in dialogue.lines:
        start, end = round(line.start_s * RATE_HZ), round(line.end_s * RATE_HZ)
        woman = line.name.startswith("F")
        tone = 6000 * np.sin(2 * np.pi * (220 if woman else 120) * np.arange(end - start) / RATE_HZ)
        own = 0 if woman == dialogue.woman_left else 1
        samples[start:end, own] += tone
        samples[start:end, 1 - own] += 0.2 * tone
    write_wav(path, np.clip(samples, -32768, 32767))


def write_wav(path: Path, samples: np.ndarray) -> None:
    """Write samples, shape (n, channels)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(samples.shape[1])
        wav.setsampwidth(2)
        wav.setframerate(RATE_HZ)
        wav.writeframes(samples.astype("<i2").tobytes())


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
