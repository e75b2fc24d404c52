"""Columns are chosen from training rows alone, the same each time, without copies."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from affectstream_models.woellmer.selection import (
    CorrelationFeatureSelection,
    PrincipalFeatureAnalysis,
    SelectedColumns,
)


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def groups(seed: int = 0) -> tuple[np.ndarray, list[int]]:
    """Five hidden numbers, each in several columns, of either sign."""
    random = draw(seed)
    of_column = [0, 1, 0, 2, 3, 3, 1, 4, 2, 0, 4, 3]
    hidden = random.normal(size=(400, 5)) * [1.0, 1.5, 2.0, 1.2, 0.8]
    signs = random.choice([-1, 1], size=len(of_column))
    rows = hidden[:, of_column] * signs + 0.01 * random.normal(size=(400, len(of_column)))
    return rows, of_column


def labelled(seed: int = 0, rows: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Ten columns: 2 and 7 go with the class each in its own way, 5 is a copy of 2, 9 constant."""
    random = draw(seed)
    labels = random.integers(3, size=rows)
    features = random.normal(size=(rows, 10))
    features[:, 2] += 2.0 * (labels == 0)
    features[:, 7] += 2.0 * (labels == 2)
    features[:, 5] = features[:, 2]
    features[:, 9] = 0.1
    return features, labels


def test_apply_keeps_the_columns_and_refuses_others() -> None:
    columns = SelectedColumns((1, 3), 4)
    rows = np.arange(8, dtype=np.float32).reshape(2, 4)
    np.testing.assert_array_equal(columns.apply(rows), rows[:, [1, 3]])
    assert columns.apply(rows).dtype == np.float32
    assert columns.apply(rows[None]).shape == (1, 2, 2)
    assert columns.apply(rows[:0]).shape == (0, 2)
    with pytest.raises(ValueError, match="fitted on 4 columns"):
        columns.apply(rows[:, :3])


@pytest.mark.parametrize("seed", range(5))
def test_pfa_keeps_one_of_each_group_of_copies(seed: int) -> None:
    rows, of_column = groups(seed)
    columns = PrincipalFeatureAnalysis(5, variance=0.99, seed=seed).fit(rows)
    assert sorted(of_column[index] for index in columns.indices) == [0, 1, 2, 3, 4]
    assert columns.width == 12
    assert list(columns.indices) == sorted(columns.indices)


def test_pfa_is_the_same_each_time() -> None:
    rows = draw().normal(size=(100, 20)) @ draw(1).normal(size=(20, 20))
    selection = PrincipalFeatureAnalysis(8, seed=3)
    assert selection.fit(rows) == selection.fit(rows)
    assert len(selection.fit(rows).indices) == 8


def test_pfa_never_keeps_a_column_that_does_not_change() -> None:
    rows, _ = groups()
    with_constant = np.insert(rows, 0, 0.1, axis=1)
    kept = PrincipalFeatureAnalysis(12).fit(with_constant)
    assert kept.indices == tuple(range(1, 13))
    with pytest.raises(ValueError, match="12 columns change, 13"):
        PrincipalFeatureAnalysis(13).fit(with_constant)


def test_cfs_finds_the_informative_columns_and_drops_the_copy() -> None:
    features, labels = labelled()
    columns = CorrelationFeatureSelection().fit(features, labels)
    assert {2, 7} <= set(columns.indices)
    assert 5 not in columns.indices
    assert 9 not in columns.indices


def test_cfs_maximises_the_stated_merit() -> None:
    features, labels = labelled(1)
    kept = CorrelationFeatureSelection().fit(features[:, :9], labels).indices
    among = np.abs(np.corrcoef(features[:, :9], rowvar=False))
    with_class = np.zeros(9)
    for label in range(3):
        member = (labels == label).astype(float)
        for column in range(9):
            r = np.corrcoef(features[:, column], member)[0, 1]
            with_class[column] += member.mean() * abs(r)

    def merit(subset: list[int]) -> float:
        k = len(subset)
        r_cf = with_class[subset].mean()
        pairs = [among[i, j] for i in subset for j in subset if i < j]
        return float(k * r_cf / np.sqrt(k + k * (k - 1) * (np.mean(pairs) if pairs else 0.0)))

    subsets = [[i for i in range(9) if bits >> i & 1] for bits in range(1, 2**9)]
    assert merit(list(kept)) == pytest.approx(max(map(merit, subsets)), abs=2e-5)


def test_cfs_is_the_same_each_time_and_in_any_order_of_rows() -> None:
    features, labels = labelled(2)
    selection = CorrelationFeatureSelection()
    order = draw(4).permutation(len(labels))
    assert selection.fit(features, labels) == selection.fit(features, labels)
    assert selection.fit(features, labels) == selection.fit(features[order], labels[order])
    assert selection.fit(features, labels) == selection.fit(features * 1000 + 5, labels)


@pytest.mark.parametrize(
    "bad", [np.zeros(3), np.zeros((1, 3)), np.zeros((4, 0)), np.full((4, 2), np.nan)]
)
def test_features_that_are_none_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"shape|finite"):
        PrincipalFeatureAnalysis(1).fit(bad)
    with pytest.raises(ValueError, match=r"shape|finite"):
        CorrelationFeatureSelection().fit(bad, np.arange(len(bad)))


def test_cfs_refuses_labels_that_say_nothing() -> None:
    features = draw().normal(size=(6, 2))
    with pytest.raises(ValueError, match="one class"):
        CorrelationFeatureSelection().fit(features, np.zeros(6))
    with pytest.raises(ValueError, match="6 rows with labels"):
        CorrelationFeatureSelection().fit(features, np.zeros(5))
    with pytest.raises(ValueError, match="no column"):
        CorrelationFeatureSelection().fit(np.ones((6, 2)), np.arange(6) % 2)


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="keep 0"):
        PrincipalFeatureAnalysis(0)
    with pytest.raises(ValueError, match="variance"):
        PrincipalFeatureAnalysis(2, variance=0.0)
    with pytest.raises(ValueError, match="patience"):
        CorrelationFeatureSelection(0)
