"""Temperature and doubt."""

from __future__ import annotations

import numpy as np
import pytest

from affectstream_tools.train.calibration import fit_doubt, fit_temperature, probabilities


def test_doubt_is_where_answers_begin_to_be_right_often_enough() -> None:
    rng = np.random.default_rng(3)
    top = rng.uniform(0.25, 1.0, 4000)
    right = rng.random(4000) < top  # calibrated
    found = np.zeros((4000, 4), dtype=np.float32)
    found[:, 0] = top
    found[:, 1:] = ((1 - top) / 3)[:, None]
    labels = np.where(right, 0, 1)
    threshold, share = fit_doubt(found, labels, 0.8)
    assert threshold == pytest.approx(0.6, abs=0.05)
    assert share == pytest.approx((top >= threshold).mean())
    assert fit_doubt(found, labels, 2.0)[1] == pytest.approx(0.1, abs=0.02)


def test_temperature_cools_a_doubter_and_heats_a_boaster() -> None:
    labels = np.array([0, 0, 0, 1])
    outputs = np.tile(np.array([1.0, 0, 0, 0], dtype=np.float32), (1, 4, 1))
    hot = fit_temperature(outputs * 5, labels)
    cold = fit_temperature(outputs * 0.5, labels)
    assert cold < 1 < hot
    assert probabilities(outputs * 5, hot)[0, 0] == pytest.approx(0.75, abs=0.03)
