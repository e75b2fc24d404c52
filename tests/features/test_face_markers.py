"""A face's expression is the same however the head is held and moved."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.features.face_markers import EXPRESSIVE, RIGID, FaceMarkers
from iemocap_copy import FACE_MARKERS

CHANNELS = tuple(f"{marker}.{axis}" for marker in FACE_MARKERS for axis in "xyz")
MOVES = [FACE_MARKERS.index(name) for name in ("Mou1", "Mou3", "LBRO2", "CH2")]
Floats = NDArray[np.float64]


def turns(angles: Floats) -> Floats:
    """Rotations (n, 3, 3) about x, y and z by angles (n, 3)."""
    made = np.repeat(np.eye(3)[None], len(angles), axis=0)
    for axis in range(3):
        one, other = [(1, 2), (2, 0), (0, 1)][axis]
        turn = np.repeat(np.eye(3)[None], len(angles), axis=0)
        cosine, sine = np.cos(angles[:, axis]), np.sin(angles[:, axis])
        turn[:, one, one] = turn[:, other, other] = cosine
        turn[:, one, other], turn[:, other, one] = -sine, sine
        made = made @ turn
    return made


def face(count: int, seed: int = 0) -> Floats:
    """Frames (n, 55, 3) of a still head whose mouth, chin and brow move."""
    random = np.random.default_rng(seed)
    made = np.repeat(random.normal(0, 50, (1, 55, 3)), count, axis=0)
    time = np.arange(count)[:, None, None] / 30
    made[:, MOVES] += 5 * np.sin(time + np.arange(4)[:, None])
    return made


def moved(still: Floats, seed: int = 1) -> Floats:
    """The same with the head turning and wandering."""
    random = np.random.default_rng(seed)
    time = np.arange(len(still))[:, None] / 50
    angles = 0.6 * np.sin(time * random.uniform(0.5, 1.5, 3) + random.uniform(0, 6, 3))
    shifts = 100 * np.sin(time + random.uniform(0, 6, 3))
    return np.einsum("nmx,nyx->nmy", still, turns(angles)) + shifts[:, None]


def rows(frames: Floats, cuts: list[int] | NDArray[np.int64] | None = None) -> Floats:
    markers = FaceMarkers(CHANNELS)
    pieces = np.split(frames.reshape(len(frames), -1), [] if cuts is None else cuts)
    return np.concatenate([*(markers.push(piece) for piece in pieces), markers.finish()])


def test_46_of_the_55_markers_show_expression() -> None:
    assert len(EXPRESSIVE) == 46
    left = {name.upper() for name in FACE_MARKERS} - set(EXPRESSIVE) - set(RIGID)
    assert left == {"LLID", "RLID"}
    assert len(FaceMarkers.names) == 2 * 46 * 3


def test_the_heads_motion_is_taken_out() -> None:
    still = face(120)
    np.testing.assert_allclose(rows(moved(still)), rows(still), atol=1e-3)


def test_how_the_head_was_held_first_does_not_matter() -> None:
    still = face(40)
    np.testing.assert_allclose(rows(moved(still, 2)), rows(moved(still, 3)), atol=1e-3)


def test_the_tip_of_the_nose_is_the_origin_and_x_points_left() -> None:
    made = face(3)
    tip, left, right = (FACE_MARKERS.index(name) for name in ("TNOSE", "LHD", "RHD"))
    across = (made[0, left] - made[0, right]) / np.linalg.norm(made[0, left] - made[0, right])
    chin = FACE_MARKERS.index("CH1")
    found = rows(moved(made))[0]
    distance = np.linalg.norm(made[0, chin] - made[0, tip])
    assert np.linalg.norm(found[:3]) == pytest.approx(distance, rel=1e-4)
    assert found[0] == pytest.approx((made[0, chin] - made[0, tip]) @ across, abs=1e-3)


def test_a_slope_is_half_the_difference_of_its_neighbours() -> None:
    found = rows(moved(face(50)))
    positions = np.concatenate((found[:1], found, found[-1:]))[:, :138]
    np.testing.assert_allclose(found[:, 138:], (positions[2:] - positions[:-2]) / 2, atol=1e-4)
    assert np.abs(found[:, 138:]).max() > 0.1


def test_rows_do_not_depend_on_how_the_stream_was_cut() -> None:
    frames = moved(face(60))
    frames[:4, FACE_MARKERS.index("LHD")] = np.nan
    frames[20:23, FACE_MARKERS.index("TNOSE")] = np.nan
    whole = rows(frames)
    assert whole.shape == (60, 276)
    for cuts in (np.arange(1, 60), [3, 4, 17, 21, 59], [30, 30]):
        np.testing.assert_allclose(rows(frames, cuts), whole, rtol=1e-6, atol=1e-6)


def test_a_lost_marker_is_missing_and_nothing_else_is() -> None:
    frames = moved(face(30))
    frames[10, FACE_MARKERS.index("CH2")] = np.nan
    missing = np.isnan(rows(frames))
    marker = EXPRESSIVE.index("CH2") * 3 + np.arange(3)
    assert missing[10, marker].all()
    assert missing[[9, 11]][:, 138 + marker].all()
    assert missing.sum() == 9


def test_a_lost_nose_is_found_by_the_rest_of_the_skull() -> None:
    frames = moved(face(40))
    whole = rows(frames)
    frames[15:20, FACE_MARKERS.index("TNOSE")] = np.nan
    frames[17, FACE_MARKERS.index("RHD")] = np.nan
    np.testing.assert_allclose(rows(frames), whole, atol=1e-3)


def test_a_skull_that_is_lost_keeps_its_last_turn() -> None:
    frames = face(20)
    whole = rows(frames)
    for name in RIGID[1:]:
        frames[8:10, [m.upper() for m in FACE_MARKERS].index(name)] = np.nan
    np.testing.assert_allclose(rows(frames), whole, atol=1e-3)
    frames[8:10] = np.nan
    found = rows(frames)
    assert np.isnan(found[8:10]).all()
    np.testing.assert_allclose(found[11:], whole[11:], atol=1e-3)


def test_a_known_reference_counts_from_the_first_frame() -> None:
    still = face(5)
    names = [name.upper() for name in FACE_MARKERS]
    reference = still[0, [names.index(name) for name in RIGID]]
    markers = FaceMarkers(CHANNELS, reference)
    frames = moved(still)
    frames[0, names.index("LHD")] = np.nan
    found = np.concatenate((markers.push(frames.reshape(5, -1)), markers.finish()))
    np.testing.assert_allclose(found[:, :138], rows(still)[:, :138], atol=1e-3)


def test_frames_without_the_markers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"lack CH1\.X"):
        FaceMarkers(["AU01_r"])
    assert FaceMarkers(CHANNELS).push(np.empty((0, 165))).shape == (0, 276)
    assert FaceMarkers(CHANNELS).finish().shape == (0, 276)
