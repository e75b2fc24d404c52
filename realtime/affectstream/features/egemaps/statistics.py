"""The 47 statistics of an utterance's ``egemaps`` rows, which the models read.

Knows: means, standard deviations and the share of silence, as in the derived IEMOCAP set.
Refuses to know: how the rows are computed, and how the statistics are normalised.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from affectstream.features.egemaps.front_end import EGEMAPS_COLUMNS, EGEMAPS_DESCRIPTORS

SILENCE_SHARE = 0.3
"""A frame is silent at up to this share of the utterance's mean level (Atmaja & Akagi 2020)."""

UTTERANCE_STATISTICS = (
    *(f"{name}_mean" for name in EGEMAPS_DESCRIPTORS),
    *(f"{name}_sd" for name in EGEMAPS_DESCRIPTORS),
    "silence",
)


def utterance_statistics(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the statistics, (47,), in the order of ``UTTERANCE_STATISTICS``.

    Without any row all are NaN; with a single row the standard deviations are.

    Args:
        rows: (n, 24), of one utterance.

    Raises:
        ValueError: the rows do not have the 24 columns of ``egemaps``.
    """
    if rows.ndim != 2 or rows.shape[1] != len(EGEMAPS_COLUMNS):
        raise ValueError(f"rows must be (n, {len(EGEMAPS_COLUMNS)}), not {rows.shape}")
    statistics = np.full(len(UTTERANCE_STATISTICS), np.nan, dtype=np.float32)
    if not len(rows):
        return statistics
    descriptors = rows[:, :-1].astype(np.float64)
    level = rows[:, -1].astype(np.float64)
    count = len(EGEMAPS_DESCRIPTORS)
    statistics[:count] = descriptors.mean(axis=0)
    if len(rows) > 1:
        statistics[count : 2 * count] = descriptors.std(axis=0, ddof=1)
    statistics[-1] = np.mean(level <= SILENCE_SHARE * level.mean())
    return statistics
