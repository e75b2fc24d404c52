"""The scores of Woellmer et al. (2010), from counts, and their mean over folds.

Accuracy is the share of utterances that are right; recall and precision are unweighted means over
the classes. F1 is the harmonic mean of these two, of each fold, not the mean of the classes' F1;
the paper's own definition was not at hand. A class that a fold never estimates has precision 0; a
class that does not occur in a fold counts for nothing in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectstream.corpus.scoring import Confusion

_METRICS = ("accuracy", "uar", "precision", "f1")


def scores_of_counts(counts: ArrayLike) -> dict[str, float]:
    """Return scores by name of counts (C, C): true class by row, estimated class by column.

    Raises:
        ValueError: nothing was counted.
    """
    table = np.asarray(counts, dtype=np.int64)
    if not table.sum():
        raise ValueError("there is nothing to score")
    counted = Confusion(table)
    occurs = table.sum(axis=1) > 0
    precisions = np.diag(table) / np.maximum(1, table.sum(axis=0))
    recall, precision = counted.uar, float(precisions[occurs].mean())
    both = recall + precision
    return {
        "accuracy": counted.weighted_accuracy,
        "uar": recall,
        "precision": precision,
        "f1": 2 * recall * precision / both if both else 0.0,
    }


def mean_fold_scores(folds: Sequence[ArrayLike]) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation over the folds of each score, by name.

    Raises:
        ValueError: there is no fold, or nothing was counted in one.
    """
    if not folds:
        raise ValueError("there is no fold to score")
    each = [scores_of_counts(counts) for counts in folds]
    found: dict[str, tuple[float, float]] = {}
    for metric in _METRICS:
        values = np.array([scores[metric] for scores in each])
        found[metric] = (float(values.mean()), float(values.std(ddof=1)) if len(each) > 1 else 0.0)
    return found


def chance_of(metric: str, counts: Sequence[NDArray[np.int64]]) -> float:
    """Return the mean score over the folds of who always answers the commonest class."""
    tables = []
    for table in counts:
        true = np.asarray(table).sum(axis=1)
        guessed = np.zeros_like(table)
        guessed[:, true.argmax()] = true
        tables.append(guessed)
    return mean_fold_scores(tables)[metric][0]
