"""A temperature for probabilities, and the probability above which an answer is called sure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def probabilities(outputs: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float32]:
    """Return the mean probabilities (S, 4) of M networks' raw class outputs (M, S, 4)."""
    scaled = outputs / temperature
    powers = np.exp(scaled - scaled.max(axis=2, keepdims=True))
    return np.asarray((powers / powers.sum(axis=2, keepdims=True)).mean(axis=0), dtype=np.float32)


def fit_temperature(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the temperature of least negative log-likelihood, 0.2 to 5 (Guo et al. 2017)."""
    rows = np.arange(len(labels))
    candidates = np.geomspace(0.2, 5.0, 161)
    costs = [-np.log(probabilities(outputs, t)[rows, labels] + 1e-9).mean() for t in candidates]
    return float(candidates[int(np.argmin(costs))])


def fit_doubt(
    found: NDArray[np.float32], labels: NDArray[np.int64], accuracy: float
) -> tuple[float, float]:
    """Return a threshold of the highest probability, and the share of answers (S, 4) above it.

    It is the least threshold above which answers are right as often as ``accuracy``; at least a
    tenth of the answers are above it.
    """
    top, right = found.max(axis=1), found.argmax(axis=1) == labels
    for threshold in np.arange(0.25, 1.0, 0.01):
        sure = top >= threshold
        if sure.mean() < 0.1:
            break
        if right[sure].mean() >= accuracy:
            return round(float(threshold), 2), float(sure.mean())
    threshold = round(float(np.quantile(top, 0.9)), 2)
    return threshold, float((top >= threshold).mean())
