"""Functionals: statistics of an utterance's rows, equally many for any length of speech.

Knows: moments, regressions, positions of extremes, quartiles and percentiles of columns, after
Wöllmer et al. (2010).
Refuses to know: what the columns are, and how long a row lasts.

Values that are not finite count as missing; a column without any value has NaN functionals. Time
runs from 0 at the first row to 1 at the last, so slopes are per utterance and positions are shares
of it. Moments divide by n; kurtosis is 0 for a normal distribution; a regression's error is its
mean squared residual. Too few values for a slope or a curve make it 0. Skewness and kurtosis of a
constant are 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

_PERCENTILES = (1.0, 25.0, 50.0, 75.0, 99.0)

FUNCTIONALS = (
    *("mean", "sd", "skewness", "kurtosis"),
    *("linear_slope", "linear_offset", "linear_error"),
    *("quadratic_curve", "quadratic_slope", "quadratic_offset", "quadratic_error"),
    *("max_position", "min_position"),
    *("percentile_1", "quartile_1", "median", "quartile_3", "percentile_99"),
    *("iqr_1_2", "iqr_2_3", "iqr_1_3", "percentile_range"),
)
"""Names of the k functionals of a column, in the order of ``functionals``."""


def functionals(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Return the functionals (d * k,) of rows (n, d): all k of the first column, then the next's.

    Raises:
        ValueError: the rows are not (n, d).
    """
    if rows.ndim != 2:
        raise ValueError(f"rows must be (n, d), not {rows.shape}")
    values = rows.astype(np.float64)
    known = np.isfinite(values)
    count = known.sum(axis=0)  # (d,)
    table = np.full((rows.shape[1], len(FUNCTIONALS)), np.nan)
    there = count > 0
    if there.any():
        table[there] = _of_columns(values[:, there], known[:, there], count[there])
    return table.reshape(-1).astype(np.float32)


def _of_columns(values: _Floats, known: NDArray[np.bool_], count: NDArray[np.intp]) -> _Floats:
    """Return the functionals (d, k) of columns that have at least one value each.

    Args:
        values, known: (n, d); ``known`` is False where a value is missing.
        count: (d,), known values of each column.
    """
    zeroed = np.where(known, values, 0.0)
    mean = zeroed.sum(axis=0) / count
    centred = np.where(known, values - mean, 0.0)
    columns = [
        *_moments(mean, centred, count),
        *_regressions(mean, centred, known, count),
        *_extremes(values, known),
        *_order_statistics(values, known, count),
    ]
    return np.stack(columns, axis=1)


def _moments(mean: _Floats, centred: _Floats, count: NDArray[np.intp]) -> list[_Floats]:
    squares = centred * centred
    variance = squares.sum(axis=0) / count
    third = (squares * centred).sum(axis=0) / count
    fourth = (squares * squares).sum(axis=0) / count
    # Rounding leaves a constant a variance of some 1e-32 of its square.
    varies = variance > 1e-24 * np.square(mean)
    return [
        mean,
        np.sqrt(variance),
        _ratio(third, variance**1.5, varies),
        _ratio(fourth, variance**2, varies) - 3.0 * varies,
    ]


def _regressions(
    mean: _Floats, centred: _Floats, known: NDArray[np.bool_], count: NDArray[np.intp]
) -> list[_Floats]:
    """Return slope, offset and error of a line, and curve, slope, offset and error of a parabola.

    They are fitted as polynomials that are orthogonal over the times at which each column is known.
    """
    time = _time(len(centred))[:, None]
    middle = np.where(known, time, 0.0).sum(axis=0) / count
    first = np.where(known, time - middle, 0.0)  # (n, d)
    spread = np.square(first).sum(axis=0)
    slope = _ratio((first * centred).sum(axis=0), spread, count > 1)
    residual = centred - slope * first
    lean = _ratio((first**3).sum(axis=0), spread, count > 1)
    width = spread / count
    second = np.where(known, first * first - lean * first - width, 0.0)
    curve = _ratio((second * residual).sum(axis=0), np.square(second).sum(axis=0), count > 2)
    bent = residual - curve * second
    return [
        slope,
        mean - slope * middle,
        np.square(residual).sum(axis=0) / count,
        curve,
        slope - curve * (lean + 2 * middle),
        mean - slope * middle + curve * (middle * (middle + lean) - width),
        np.square(bent).sum(axis=0) / count,
    ]


def _extremes(values: _Floats, known: NDArray[np.bool_]) -> list[_Floats]:
    time = _time(len(values))
    return [
        time[np.where(known, values, -np.inf).argmax(axis=0)],
        time[np.where(known, values, np.inf).argmin(axis=0)],
    ]


def _order_statistics(
    values: _Floats, known: NDArray[np.bool_], count: NDArray[np.intp]
) -> list[_Floats]:
    ordered = np.sort(np.where(known, values, np.inf), axis=0)  # what is missing comes last
    numbers = np.arange(values.shape[1])
    found = []
    for percent in _PERCENTILES:
        place = percent / 100 * (count - 1)
        below = np.floor(place).astype(np.intp)
        above = np.minimum(below + 1, count - 1)
        low, high = ordered[below, numbers], ordered[above, numbers]
        found.append(low + (high - low) * (place - below))
    p1, q1, median, q3, p99 = found
    return [*found, median - q1, q3 - median, q3 - q1, p99 - p1]


def _time(rows: int) -> _Floats:
    return np.arange(rows) / max(1, rows - 1)


def _ratio(top: _Floats, bottom: _Floats, defined: NDArray[np.bool_]) -> _Floats:
    """Return ``top / bottom``, 0 where it is not defined."""
    return np.divide(top, bottom, out=np.zeros_like(top), where=defined & (bottom > 0))
