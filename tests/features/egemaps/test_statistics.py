"""The 47 statistics of an utterance."""

from __future__ import annotations

import numpy as np
import pytest

from affectstream.features.egemaps.front_end import EGEMAPS_DESCRIPTORS
from affectstream.features.egemaps.statistics import UTTERANCE_STATISTICS, utterance_statistics


def rows(count: int) -> np.ndarray:
    values = np.random.default_rng(0).normal(3, 2, (count, 24)).astype(np.float32)
    values[:, -1] = np.linspace(0.01, 1, count)
    return values


def named(statistics: np.ndarray) -> dict[str, float]:
    return dict(zip(UTTERANCE_STATISTICS, statistics.tolist(), strict=True))


def test_there_are_means_deviations_and_silence() -> None:
    given = rows(50)
    found = utterance_statistics(given)
    assert found.shape == (47,)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:23], given[:, :23].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found[23:46], given[:, :23].std(axis=0, ddof=1), rtol=1e-5)
    assert UTTERANCE_STATISTICS[7] == f"{EGEMAPS_DESCRIPTORS[7]}_mean"
    assert UTTERANCE_STATISTICS[23 + 7] == f"{EGEMAPS_DESCRIPTORS[7]}_sd"


def test_a_row_at_most_at_three_tenths_of_the_mean_level_is_silent() -> None:
    given = np.zeros((4, 24), np.float32)
    given[:, -1] = [0.1, 0.1, 1.0, 2.8]  # mean 1
    assert named(utterance_statistics(given))["silence"] == 0.5
    given[:, -1] = 0
    assert named(utterance_statistics(given))["silence"] == 1.0


def test_what_is_not_defined_is_nan() -> None:
    assert np.isnan(utterance_statistics(rows(0))).all()
    one = utterance_statistics(rows(1))
    assert np.isfinite(one[:23]).all()
    assert np.isnan(one[23:46]).all()
    assert one[46] == 0


def test_rows_of_another_front_end_are_refused() -> None:
    with pytest.raises(ValueError, match="24"):
        utterance_statistics(np.zeros((5, 34), np.float32))
