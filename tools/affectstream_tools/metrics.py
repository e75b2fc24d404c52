"""Scores of a recognizer's answers against labels, from arrays."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from affectstream.corpus.scoring import Confusion

_BINS = 10


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of N labelled utterances.

    Attributes:
        uar: unweighted average recall over the classes that occur (chance: 1 / classes).
        wa: accuracy ("weighted accuracy" in the field's papers).
        f1: F1 weighted by the classes' counts.
        ece: expected calibration error, ten equal bins of confidence.
    """

    utterances: int
    uar: float
    wa: float
    f1: float
    ece: float

    def to_dict(self) -> dict[str, float]:
        """Plain values, for JSON."""
        return asdict(self)


def score_labels(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> Scores:
    """Scores of ``probabilities`` (N, C) against ``labels`` (N,) in 0..C-1.

    Raises:
        ValueError: there is nothing to score, or the lengths differ.
    """
    if len(labels) == 0 or len(labels) != len(probabilities):
        raise ValueError(
            f"{len(labels)} labels and {len(probabilities)} predictions; "
            "both need the same number, at least one"
        )
    counted = Confusion(confusion(labels, probabilities.argmax(axis=1), probabilities.shape[1]))
    return Scores(
        utterances=len(labels),
        uar=counted.uar,
        wa=counted.weighted_accuracy,
        f1=counted.weighted_f1,
        ece=calibration_error(labels, probabilities),
    )


def confusion(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Counts (C, C): true class by row, predicted class by column."""
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (labels, predicted), 1)
    return table


def calibration_error(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    """Mean gap between confidence and accuracy over ten bins of confidence (Guo et al. 2017)."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    gap = 0.0
    for each in range(_BINS):
        inside = place == each
        if inside.any():
            gap += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
    return float(gap)


def concordance(truth: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """Concordance correlation coefficient of two (N,) arrays (Lin 1989); 0 if both are constant."""
    spread = truth.var() + found.var() + (truth.mean() - found.mean()) ** 2
    if spread == 0:
        return 0.0
    shared = ((truth - truth.mean()) * (found - found.mean())).mean()
    return float(2 * shared / spread)


def pearson(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Correlation of what is finite in both; NaN where one of them does not vary."""
    known = np.isfinite(one) & np.isfinite(other)
    one, other = one[known], other[known]
    if len(one) < 2 or not one.std() or not other.std():
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])
