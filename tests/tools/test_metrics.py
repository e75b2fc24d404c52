from __future__ import annotations

import numpy as np
import pytest

from affectstream_tools.metrics import calibration_error, concordance, confusion, score_labels

LABELS = np.array([0, 0, 0, 1, 2, 2])
PREDICTED = np.array([0, 0, 1, 1, 2, 0])


def one_hot(predicted: np.ndarray, classes: int = 4, confidence: float = 1.0) -> np.ndarray:
    rest = (1 - confidence) / (classes - 1)
    table = np.full((len(predicted), classes), rest, dtype=np.float32)
    table[np.arange(len(predicted)), predicted] = confidence
    return table


def test_scores_equal_those_counted_by_hand() -> None:
    found = score_labels(LABELS, one_hot(PREDICTED))
    # Recalls 2/3, 1/1, 1/2; class 3 does not occur. F1: 2/3, 2/3, 2/3.
    assert found.utterances == 6
    assert found.uar == pytest.approx((2 / 3 + 1 + 1 / 2) / 3)
    assert found.wa == pytest.approx(4 / 6)
    assert found.f1 == pytest.approx(2 / 3)
    assert found.ece == pytest.approx(2 / 6)


def test_confusion_has_the_true_class_by_row() -> None:
    assert confusion(LABELS, PREDICTED, 3).tolist() == [[2, 1, 0], [0, 1, 0], [1, 0, 1]]


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    assert calibration_error(LABELS, one_hot(PREDICTED, confidence=0.7)) == pytest.approx(
        0.7 - 4 / 6, abs=1e-6
    )


def test_concordance_falls_with_a_shift_that_correlation_would_not_see() -> None:
    truth = np.array([1.0, 2.0, 3.0])
    assert concordance(truth, truth) == pytest.approx(1.0)
    # Variances 2/3 each, covariance 2/3, means one apart: (4/3) / (4/3 + 1).
    assert concordance(truth, truth + 1) == pytest.approx((4 / 3) / (4 / 3 + 1))
    assert concordance(np.ones(3), np.ones(3)) == 0.0


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        score_labels(np.array([], dtype=np.int64), np.zeros((0, 4), dtype=np.float32))
