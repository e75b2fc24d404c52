"""IEMOCAP's derived set: one table of utterances and one of acoustic statistics.

Knows: the two files, ``utterances.csv`` and ``egemaps47.npy``, and what makes a row unusable.
Refuses to know: recordings (the set has none), models, and what is done with the labels.
"""

from __future__ import annotations

import csv
import math
import re
from collections import defaultdict
from pathlib import Path
from tokenize import TokenError
from warnings import catch_warnings

import numpy as np
from numpy.typing import NDArray

from affectstream.corpus.dialogues import (
    CorpusDialogue,
    CorpusError,
    CorpusUtterance,
    dialogue_order,
)
from affectstream.errors import brief
from affectstream.sources.text_files import table_number, table_rows
from affectstream.timebase import seconds_to_ns

_LONGEST_DIALOGUE_S = 86_400.0
_UNREADABLE = (  # what numpy raises for files that hold no array
    SyntaxError,
    OSError,
    ValueError,
    EOFError,
    TokenError,
    OverflowError,
    MemoryError,
    UserWarning,
)


def is_derived(path: Path) -> bool:
    """Return whether a folder holds either file of a derived set."""
    return any((path / name).is_file() for name in ("utterances.csv", "egemaps47.npy"))


def read_derived(path: Path) -> list[CorpusDialogue]:
    """Read ``utterances.csv`` and ``egemaps47.npy`` in the folder ``path``.

    Raises:
        CorpusError: a file is missing or unreadable, the two files differ in their numbers of
            rows, or a row is not a usable utterance.
    """
    table_path, statistics_path = path / "utterances.csv", path / "egemaps47.npy"
    for needed in (table_path, statistics_path):
        if not needed.is_file():
            raise CorpusError(
                f"{needed} is missing; a derived set has utterances.csv and egemaps47.npy"
            )
    statistics, rows = _statistics(statistics_path), _table(table_path)
    if len(rows) != len(statistics):
        raise CorpusError(
            f"{table_path.name} has {len(rows)} rows but {statistics_path.name} has "
            f"{len(statistics)}; copy both files again from the same source"
        )
    dialogues: dict[str, list[CorpusUtterance]] = defaultdict(list)
    sessions: dict[str, int] = {}
    for line, row in enumerate(rows, 2):
        try:
            utterance = _derived_utterance(row, statistics)
            sessions[utterance.dialogue] = int(row["session"])
        except (KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
            raise CorpusError(
                f"{table_path}, line {line} is no utterance ({brief(error)}); copy both files "
                "again from the same source"
            ) from error
        dialogues[utterance.dialogue].append(utterance)
    return [
        CorpusDialogue(name, sessions[name], tuple(sorted(utterances, key=dialogue_order)))
        for name, utterances in sorted(dialogues.items())
    ]


def _statistics(path: Path) -> NDArray[np.float32]:
    """Return the statistics, (n, 47).

    The file is mapped, not read into memory at the size that its header claims.
    """
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)  # np.load would also take an archive of arrays
        with catch_warnings(action="error"):  # numpy warns of headers that it no longer writes
            found = np.load(path, mmap_mode="r", allow_pickle=False)
        if found.ndim != 2 or found.dtype.kind != "f":
            raise ValueError("no table of numbers")
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite: refused below
            statistics = np.array(found, np.float32)
        if not (finite := np.isfinite(statistics).all(axis=1)).all():
            raise ValueError(f"row {int(np.argmin(finite))} is not finite")
        return statistics
    except _UNREADABLE as error:
        raise CorpusError(
            f"{path} holds no statistics ({brief(error)}); copy it again from the same source"
        ) from error


def _table(path: Path) -> list[dict[str, str]]:
    try:
        return table_rows(path)
    except (OSError, ValueError, csv.Error) as error:
        raise CorpusError(
            f"{path} is no table of utterances ({brief(error)}); copy it again from the same source"
        ) from error


def _derived_utterance(row: dict[str, str], statistics: NDArray[np.float32]) -> CorpusUtterance:
    def scale(name: str) -> float:
        value = table_number(row[name])
        return value if math.isnan(value) else min(5.0, max(1.0, value))

    _check_row(row, len(statistics))
    return CorpusUtterance(
        id=row["id"],
        dialogue=row["dialog"],
        speaker=row["speaker"],
        start_ns=seconds_to_ns(table_number(row["start"])),
        end_ns=seconds_to_ns(table_number(row["end"])),
        emotion=row["emotion"],
        valence=scale("valence"),
        activation=scale("activation"),
        dominance=scale("dominance"),
        text=row["text"],
        acoustic=statistics[int(row["row"])],
    )


def _check_row(row: dict[str, str], statistics: int) -> None:
    """Refuse a row that the wire format cannot carry, or that points at no statistics.

    Raises:
        ValueError: what is wrong with the row.
    """
    for name in ("id", "dialog", "speaker"):
        if not re.match(r"[^/\s]{1,120}\Z", row[name]):
            raise ValueError(f"{brief(row[name], 60)!r} is no {name}")
    if len(row["text"]) > 16_384:
        raise ValueError(f"{len(row['text'])} characters of text")
    if not 0 <= int(row["row"]) < statistics:
        raise ValueError(f"there is no row {brief(row['row'], 60)} of statistics")
    start_s, end_s = table_number(row["start"]), table_number(row["end"])
    if not 0 <= start_s <= end_s <= _LONGEST_DIALOGUE_S:
        raise ValueError(f"it lasts from {start_s} s to {end_s} s")
