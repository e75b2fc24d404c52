"""Functionals are what numpy and scipy say they are, of few rows and of rows with holes too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.features.functionals import FUNCTIONALS, functionals


def table(rows: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
    """The functionals by name, each (d,)."""
    found = functionals(rows).reshape(rows.shape[1], len(FUNCTIONALS))
    return dict(zip(FUNCTIONALS, found.T, strict=True))


def expected(time: NDArray[np.float64], column: NDArray[np.float64]) -> dict[str, float]:
    """The functionals of one column without holes, by other programs."""
    stats = pytest.importorskip("scipy.stats")
    line, curve = np.polyfit(time, column, 1), np.polyfit(time, column, 2)
    p1, q1, median, q3, p99 = np.percentile(column, [1, 25, 50, 75, 99])
    return {
        "mean": column.mean(),
        "sd": column.std(),
        "skewness": stats.skew(column),
        "kurtosis": stats.kurtosis(column),
        "linear_slope": line[0],
        "linear_offset": line[1],
        "linear_error": np.square(column - np.polyval(line, time)).mean(),
        "quadratic_curve": curve[0],
        "quadratic_slope": curve[1],
        "quadratic_offset": curve[2],
        "quadratic_error": np.square(column - np.polyval(curve, time)).mean(),
        "max_position": time[column.argmax()],
        "min_position": time[column.argmin()],
        "percentile_1": p1,
        "quartile_1": q1,
        "median": median,
        "quartile_3": q3,
        "percentile_99": p99,
        "iqr_1_2": median - q1,
        "iqr_2_3": q3 - median,
        "iqr_1_3": q3 - q1,
        "percentile_range": p99 - p1,
    }


@pytest.mark.parametrize("count", [4, 5, 50, 777])
def test_functionals_are_those_of_numpy_and_scipy(count: int) -> None:
    random = np.random.default_rng(count)
    rows = random.gamma(2.0, 3.0, (count, 4)) + np.linspace(0, 5, count)[:, None] ** 2
    found = table(rows)
    for number in range(4):
        wanted = expected(np.linspace(0, 1, count), rows[:, number])
        assert wanted.keys() == found.keys()
        for name, value in wanted.items():
            assert found[name][number] == pytest.approx(value, rel=1e-4, abs=1e-4), name


def test_missing_values_are_left_out() -> None:
    random = np.random.default_rng(2)
    rows = random.normal(5.0, 2.0, (60, 3))
    rows[random.uniform(size=rows.shape) < 0.4] = np.nan
    rows[3, 0] = np.inf
    found = table(rows)
    time = np.linspace(0, 1, 60)
    for number in range(3):
        known = np.isfinite(rows[:, number])
        wanted = expected(time[known], rows[known, number])
        for name, value in wanted.items():
            assert found[name][number] == pytest.approx(value, rel=1e-3, abs=1e-4), name


def test_one_row_is_its_own_mean_and_has_no_slope() -> None:
    found = table(np.array([[3.0, -2.0]]))
    for name in ("mean", "linear_offset", "quadratic_offset", "median", "percentile_99"):
        np.testing.assert_array_equal(found[name], [3.0, -2.0])
    for name in ("sd", "skewness", "kurtosis", "linear_slope", "quadratic_curve", "iqr_1_3"):
        np.testing.assert_array_equal(found[name], [0.0, 0.0])


def test_two_rows_have_a_slope_and_no_curve() -> None:
    found = table(np.array([[1.0], [4.0]]))
    assert found["linear_slope"] == found["quadratic_slope"] == 3.0
    assert found["linear_offset"] == found["quadratic_offset"] == 1.0
    assert found["quadratic_curve"] == found["linear_error"] == 0.0
    assert (found["max_position"], found["min_position"]) == (1.0, 0.0)


def test_a_constant_has_no_shape() -> None:
    found = table(np.full((40, 1), 0.1))
    assert found["mean"] == np.float32(0.1)
    for name in ("sd", "skewness", "kurtosis", "linear_slope", "linear_error", "iqr_1_3"):
        assert found[name] == pytest.approx(0.0, abs=1e-12), name


def test_a_column_without_values_is_unknown_and_its_neighbour_is_not() -> None:
    rows = np.column_stack((np.full(5, np.nan), np.arange(5.0)))
    found = functionals(rows).reshape(2, -1)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()
    assert np.isnan(functionals(np.empty((0, 3)))).all()
    assert functionals(np.empty((0, 3))).shape == (3 * len(FUNCTIONALS),)


def test_names_are_in_the_order_of_the_numbers() -> None:
    names = [f"{column}.{name}" for column in ("pitch", "energy") for name in FUNCTIONALS]
    found = functionals(np.array([[1.0, 10.0], [2.0, 20.0]]))
    assert len(names) == len(set(names)) == len(found)
    assert found[names.index("pitch.mean")] == 1.5
    assert found[names.index("energy.mean")] == 15.0


def test_rows_that_are_no_matrix_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(n, d\)"):
        functionals(np.zeros(3))
