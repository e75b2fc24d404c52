"""Utterances of any length become 200 rows, at once or frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.features.mocap import IEMOCAP_COLUMNS, ChronologicalMeans, chronological_means


def frames(count: int, columns: int = 5, seed: int = 0, lost: float = 0.0) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    made = random.normal(size=(count, columns)).cumsum(axis=0).astype(np.float32)
    made[random.uniform(size=made.shape) < lost] = np.nan
    return made


@pytest.mark.parametrize("count", [200, 201, 399, 400, 1_234])
def test_each_row_is_the_mean_of_its_share(count: int) -> None:
    made = frames(count, IEMOCAP_COLUMNS)
    wanted = [share.mean(axis=0) for share in np.array_split(made.astype(float), 200)]
    found = chronological_means(made)
    assert found.shape == (200, 189)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_of_few_frames_the_last_fills_what_is_left() -> None:
    made = frames(7)
    found = chronological_means(made)
    np.testing.assert_array_equal(found[:7], made)
    np.testing.assert_array_equal(found[7:], np.repeat(made[-1:], 193, axis=0))


def test_lost_coordinates_are_left_out_of_the_mean() -> None:
    made = frames(1_000, lost=0.3)
    wanted = [np.nanmean(share, axis=0) for share in np.array_split(made.astype(float), 200)]
    found = chronological_means(made)
    known = np.isfinite(wanted)
    assert known.mean() > 0.95
    np.testing.assert_allclose(found[known], np.array(wanted)[known], rtol=1e-5, atol=1e-6)
    assert np.isfinite(found).all()


def test_a_share_without_a_value_repeats_the_one_before_it() -> None:
    made = frames(200, 4)
    made[:10, 1] = np.nan
    made[50:60, 2] = np.nan
    made[:, 3] = np.nan
    found = chronological_means(made)
    np.testing.assert_array_equal(found[:11, 1], np.repeat(made[10, 1], 11))
    np.testing.assert_array_equal(found[49:60, 2], np.repeat(made[49, 2], 11))
    np.testing.assert_array_equal(found[60:, 2], made[60:, 2])
    assert not found[:, 3].any()


def test_an_utterance_without_frames_is_zero() -> None:
    assert not chronological_means(np.empty((0, 3))).any()
    assert ChronologicalMeans(3).matrix().shape == (200, 3)


@pytest.mark.parametrize("pieces", [1, 7, 900])
def test_frame_by_frame_is_the_same_as_at_once(pieces: int) -> None:
    made = frames(900, lost=0.2)
    means = ChronologicalMeans(5)
    for piece in np.array_split(made, pieces):
        means.push(piece)
    np.testing.assert_allclose(means.matrix(), chronological_means(made), rtol=1e-5, atol=1e-6)


def test_the_rows_so_far_can_be_had_at_any_time() -> None:
    made = frames(500)
    means = ChronologicalMeans(5)
    means.push(made[:230])
    early = means.matrix()
    means.push(made[230:])
    np.testing.assert_array_equal(early, chronological_means(made[:230]))
    np.testing.assert_array_equal(means.matrix(), chronological_means(made))


@pytest.mark.parametrize("pieces", [1, 11, 3_000])
def test_a_long_utterance_is_kept_in_bounds(pieces: int) -> None:
    count = 3_000
    ramp = np.linspace(0, 1, count, dtype=np.float32)[:, None]
    means = ChronologicalMeans(1, capacity=1_024)
    for piece in np.array_split(ramp, pieces):
        means.push(piece)
    assert means.frames == count
    assert len(means._sums) == 1_024
    np.testing.assert_allclose(means.matrix(), chronological_means(ramp), atol=2 / 1_024)


def test_a_long_utterance_does_not_depend_on_its_chunks() -> None:
    made = frames(2_500, lost=0.1)
    whole, single = (ChronologicalMeans(5, capacity=512) for _ in range(2))
    whole.push(made)
    for frame in made:
        single.push(frame[None])
    np.testing.assert_array_equal(whole.matrix(), single.matrix())


def test_frames_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="must be"):
        ChronologicalMeans(5).push(frames(3, 4))
    with pytest.raises(ValueError, match="capacity"):
        ChronologicalMeans(5, capacity=200)
