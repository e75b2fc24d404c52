"""Feature selection: principal feature analysis, and correlation-based feature selection.

Knows: Lu, Cohen, Zhou, Tian (2007), "Feature selection using principal feature analysis"; Hall
(1999), "Correlation-based feature selection for machine learning", and Hall (2000) for numeric
columns.
Refuses to know: what the columns are, and which rows are for training; it is given only those.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans

_Floats = NDArray[np.float64]

_IMPROVEMENT = 1e-5
"""By how much a better set's merit must exceed the best one's, so that rounding adds no column."""

_DIGITS = 10
"""Decimals to which numbers are compared, so that of two equal columns the first one is kept."""


@dataclass(frozen=True, slots=True)
class SelectedColumns:
    """The columns that a selection kept.

    Attributes:
        indices: K numbers of 0..D-1, ascending.
        width: D, columns of the rows that the selection was fitted on.
    """

    indices: tuple[int, ...]
    width: int

    def apply(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the kept columns (..., K) of rows (..., D), as a copy.

        Raises:
            ValueError: the rows have another number of columns.
        """
        if rows.ndim == 0 or rows.shape[-1] != self.width:
            raise ValueError(f"fitted on {self.width} columns, not on rows of shape {rows.shape}")
        return rows[..., list(self.indices)]


@dataclass(frozen=True, slots=True)
class PrincipalFeatureAnalysis:
    """Keeps columns that represent the others; needs no labels (Lu et al. 2007).

    The columns' absolute loadings on the first principal components are clustered by k-means. Of
    each cluster, the column nearest to the mean is kept. The components are those of the
    covariance, so columns in different units should be normalised first.

    Args:
        count: K, columns to keep; Wöllmer et al. (2010) keep 30 of the face.
        variance: share of the variance that the components must explain; there are never more than
            K of them.
        seed: of k-means.

    Raises:
        ValueError: ``count`` is below 1, or ``variance`` is not within (0, 1].
    """

    count: int
    variance: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"cannot keep {self.count} columns")
        if not 0 < self.variance <= 1:
            raise ValueError(f"a share of the variance lies within (0, 1], not {self.variance}")

    def fit(self, features: ArrayLike) -> SelectedColumns:
        """Choose columns from training rows.

        Args:
            features: (N, D), N >= 2. Constant columns are never kept.

        Raises:
            ValueError: the shape is wrong, a number is not finite, or fewer than K columns are not
                constant.
        """
        rows = _matrix(features)
        changing = np.flatnonzero(_changes(rows))
        if len(changing) < self.count:
            raise ValueError(f"{len(changing)} columns change, {self.count} are to be kept")
        loadings = np.abs(self._loadings(rows[:, changing]))  # (D', Q)
        if len(changing) == self.count:
            kept = changing
        else:
            means = KMeans(self.count, n_init=10, random_state=self.seed).fit(loadings)
            kept = changing[_nearest(loadings, means.labels_, means.cluster_centers_)]
        return SelectedColumns(tuple(sorted(int(index) for index in kept)), rows.shape[1])

    def _loadings(self, rows: _Floats) -> _Floats:
        """Return the weights of each column in the first Q components, (D', Q)."""
        values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(rows, rowvar=False)))
        explained = np.cumsum(np.maximum(values[::-1], 0))
        needed = int(np.searchsorted(explained / explained[-1], self.variance - 1e-12)) + 1
        loadings: _Floats = vectors[:, ::-1][:, : min(needed, self.count)]
        return loadings


@dataclass(frozen=True, slots=True)
class CorrelationFeatureSelection:
    """Keeps columns that correlate with the class and not with one another (Hall 1999).

    The merit of k columns is k r_cf / sqrt(k + k (k - 1) r_ff), where r_cf is their mean
    correlation with the class and r_ff their mean correlation with one another. A best-first search
    adds columns to an empty set. For numeric columns the correlations are absolute values of
    Pearson's; that with the class is the mean, weighted by the classes' shares, of the correlations
    with "is of this class" (Hall 2000). Relations that are not linear are not found. The result is
    not random.

    Args:
        patience: how many sets in turn may be extended without finding a better one.

    Raises:
        ValueError: ``patience`` is below 1.
    """

    patience: int = 5

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise ValueError(f"patience must be at least 1, not {self.patience}")

    def fit(self, features: ArrayLike, labels: ArrayLike) -> SelectedColumns:
        """Choose columns from training rows.

        Args:
            features: (N, D), N >= 2.
            labels: (N,), class of each row.

        Raises:
            ValueError: the shape is wrong, a number is not finite, there is a single class, or no
                column correlates with the class.
        """
        rows = _matrix(features)
        classes = np.asarray(labels)
        if classes.shape != (len(rows),):
            raise ValueError(f"{len(rows)} rows with labels of shape {classes.shape}")
        with_class, among = _correlations(rows, classes)
        kept = _best_first(with_class, among, self.patience)
        if not kept:
            raise ValueError("no column goes with the class")
        return SelectedColumns(kept, rows.shape[1])


def _matrix(features: ArrayLike) -> _Floats:
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] < 1:
        raise ValueError(f"needs at least two rows of columns, not an array of shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("features hold numbers that are not finite")
    return rows


def _changes(rows: _Floats) -> NDArray[np.bool_]:
    """Return, (D,), which columns are not constant; exact, unlike a deviation of 0."""
    changes: NDArray[np.bool_] = rows.max(axis=0) != rows.min(axis=0)
    return changes


def _nearest(points: _Floats, clusters: NDArray[np.int32], means: _Floats) -> NDArray[np.intp]:
    """Return the index of the point nearest to the mean of each cluster.

    Raises:
        ValueError: a cluster has no point, because points coincide.
    """
    distances = np.round(np.linalg.norm(points - means[clusters], axis=1), _DIGITS)
    nearest = []
    for cluster in range(len(means)):
        members = np.flatnonzero(clusters == cluster)
        if not len(members):
            raise ValueError(f"fewer than {len(means)} columns differ in their loadings")
        nearest.append(members[np.argmin(distances[members])])
    return np.array(nearest)


def _correlations(rows: _Floats, labels: NDArray[Any]) -> tuple[_Floats, _Floats]:
    """Return the correlations with the class, (D,), and among columns, (D, D); 0 for constants."""
    names, shares = np.unique(labels, return_counts=True)
    if len(names) < 2:
        raise ValueError("all rows are of one class")
    columns = _standardised(rows)  # (N, D)
    members = _standardised((labels[:, None] == names).astype(np.float64))  # (N, C)
    count = len(rows)
    with_class: _Floats = np.abs(columns.T @ members / count) @ (shares / count)
    among: _Floats = np.abs(columns.T @ columns / count)
    np.fill_diagonal(among, 1.0)
    return with_class, among


def _standardised(rows: _Floats) -> _Floats:
    centred = np.where(_changes(rows), rows - rows.mean(axis=0), 0.0)
    deviations = centred.std(axis=0)
    standardised: _Floats = centred / np.where(deviations > 0, deviations, 1.0)
    return standardised


def _best_first(with_class: _Floats, among: _Floats, patience: int) -> tuple[int, ...]:
    """Return the columns of highest merit that the search finds, ascending; () if none has any."""
    best: tuple[int, ...] = ()
    best_merit, stale = 0.0, 0
    extended: list[tuple[int, ...]] = []
    seen: set[tuple[int, ...]] = {()}
    waiting: list[tuple[float, int, int]] = []  # (-merit, place in extended, column to add)
    chosen: tuple[int, ...] | None = ()
    while chosen is not None and stale < patience:
        extended.append(chosen)
        merits = _merits_with_one_more(chosen, with_class, among)
        candidates = np.flatnonzero(merits > 0)
        for column in candidates:
            heapq.heappush(waiting, (-float(merits[column]), len(extended) - 1, int(column)))
        stale += 1
        if len(candidates) and merits.max() > best_merit + _IMPROVEMENT:
            best_merit, stale = float(merits.max()), 0
            best = tuple(sorted((*chosen, int(np.argmax(merits)))))
        chosen = _next_unseen(waiting, extended, seen)
    return best


def _merits_with_one_more(chosen: tuple[int, ...], with_class: _Floats, among: _Floats) -> _Floats:
    """Return the merits, (D,), of ``chosen`` with each other column; 0 for those already in it."""
    members = list(chosen)
    # k r_cf is a sum over columns, and k + k (k - 1) r_ff a sum over all pairs and the diagonal.
    total = among[np.ix_(members, members)].sum() + 2 * among[members].sum(axis=0) + 1
    merits: _Floats = np.round((with_class[members].sum() + with_class) / np.sqrt(total), _DIGITS)
    merits[members] = 0.0
    merits[with_class == 0] = 0.0
    return merits


def _next_unseen(
    waiting: list[tuple[float, int, int]],
    extended: list[tuple[int, ...]],
    seen: set[tuple[int, ...]],
) -> tuple[int, ...] | None:
    while waiting:
        _, place, column = heapq.heappop(waiting)
        columns = tuple(sorted((*extended[place], column)))
        if columns not in seen:
            seen.add(columns)
            return columns
    return None
