"""Checks of what the HMM and SVM classifiers are given: rows of numbers and labels.

Knows: what may be wrong with them.
Refuses to know: what is learned from them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

UNLABELLED = -1
"""Label of an utterance without a class. It is not learned from, and is in no pair of a bigram."""


def checked_count(classes: int) -> int:
    """Return ``classes``.

    Raises:
        ValueError: there are fewer than two.
    """
    if classes < 2:
        raise ValueError(f"needs at least two classes, not {classes}")
    return classes


def checked_rows(utterance: ArrayLike) -> Floats:
    """Return an utterance as float64 rows (n, D).

    Raises:
        ValueError: it has another shape, or numbers that are not finite.
    """
    frames = np.asarray(utterance, dtype=np.float64)
    if frames.ndim != 2 or frames.shape[1] < 1:
        raise ValueError(f"needs rows of columns, not an array of shape {frames.shape}")
    if not np.isfinite(frames).all():
        raise ValueError("there are numbers that are not finite")
    return frames


def width_of(tables: Sequence[Floats]) -> int:
    """Return D, the number of columns of all tables (n, D).

    Raises:
        ValueError: they differ, or there is no table.
    """
    widths = {int(table.shape[1]) for table in tables}
    if len(widths) != 1:
        raise ValueError(f"all utterances must have the same columns, not {sorted(widths)}")
    return widths.pop()


def checked_labels(labels: Sequence[ArrayLike], lengths: list[int], classes: int) -> list[Labels]:
    """Return each dialogue's labels (U,).

    Args:
        labels: one array per dialogue, of 0..C-1 or ``UNLABELLED``.
        lengths: numbers of utterances of the dialogues.
        classes: C.

    Raises:
        ValueError: they do not fit the dialogues, are not classes, or a class has no utterance.
    """
    if len(labels) != len(lengths) or not lengths:
        raise ValueError(f"{len(lengths)} dialogues with {len(labels)} lists of labels")
    checked = []
    for place, (own, length) in enumerate(zip(labels, lengths, strict=True)):
        given = np.asarray(own)
        if given.shape != (length,):
            raise ValueError(
                f"dialogue {place}: {length} utterances with labels of shape {given.shape}"
            )
        whole = given.astype(np.int64)
        if (whole != given).any() or ((whole < UNLABELLED) | (whole >= classes)).any():
            raise ValueError(f"dialogue {place}: labels are 0..{classes - 1} or {UNLABELLED}")
        checked.append(whole)
    missing = sorted(set(range(classes)) - set(np.concatenate(checked).tolist()))
    if missing:
        raise ValueError(f"no utterance of class {', '.join(map(str, missing))}")
    return checked


def softmax(scores: Floats) -> Floats:
    """Return the softmax of each row (U, C)."""
    if not len(scores):
        return scores
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares
