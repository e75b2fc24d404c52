"""Frames are the same however the stream was cut, and bad samples count as silence."""

from __future__ import annotations

import numpy as np
import pytest

from affectstream.features.framing import Framer, as_signal

SHAPES = [(320, 160, 10, 0), (960, 160, 3, 0), (1703, 160, 10, 743), (5, 1, 1, 2), (4, 9, 2, 0)]


def expected(signal: np.ndarray, frame: int, hop: int, lead: int) -> np.ndarray:
    padded = np.concatenate((np.zeros(lead, np.float32), signal))
    count = max(0, (len(padded) - frame) // hop + 1)
    return np.array([padded[i * hop : i * hop + frame] for i in range(count)]).reshape(-1, frame)


def fed(framer: Framer, chunks: list[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    blocks = [np.array(block) for chunk in chunks for block in framer.push(chunk)]
    return blocks, np.array(framer.finish())


def random_chunks(signal: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    return np.split(signal, np.sort(rng.integers(0, len(signal) + 1, size=9)))


@pytest.mark.parametrize(("frame", "hop", "block", "lead"), SHAPES)
def test_frames_are_the_same_however_the_stream_was_cut(
    frame: int, hop: int, block: int, lead: int
) -> None:
    rng = np.random.default_rng(0)
    signal = rng.uniform(-1, 1, 9_000).astype(np.float32)
    want = expected(signal, frame, hop, lead)
    splits = [
        [signal],
        list(signal[:, np.newaxis]),
        *(random_chunks(signal, rng) for _ in range(9)),
    ]
    for chunks in splits:
        blocks, rest = fed(Framer(frame, hop, block, lead), chunks)
        assert len(rest) < block
        assert {b.shape for b in blocks} == {(block, frame)}
        np.testing.assert_array_equal(np.concatenate([*blocks, rest]), want)


def test_a_block_comes_with_the_sample_that_completes_it() -> None:
    framer = Framer(320, 160, 2)
    assert framer.push(np.zeros(479)) == []
    assert [block.shape for block in framer.push(np.zeros(1))] == [(2, 320)]
    assert framer.push(np.zeros(319)) == []
    assert len(framer.push(np.zeros(1))) == 1


def test_what_is_held_is_bounded() -> None:
    framer = Framer(960, 160, 10)
    for _ in range(50):
        framer.push(np.zeros(333))
        assert len(framer._held) < 9 * 160 + 960


def test_less_than_a_frame_is_no_frame() -> None:
    framer = Framer(320, 160, 10)
    assert framer.push(np.zeros(319)) == []
    assert framer.finish().shape == (0, 320)
    assert Framer(320, 160, 10).finish().shape == (0, 320)


def test_samples_become_floats_between_minus_one_and_one() -> None:
    np.testing.assert_array_equal(as_signal(np.array([-32768, 0, 16384], np.int16)), [-1, 0, 0.5])
    bad = np.array([np.nan, np.inf, -np.inf, 2.0, -3.0, 0.25])
    np.testing.assert_array_equal(as_signal(bad), [0, 0, 0, 1, -1, 0.25])
    np.testing.assert_array_equal(as_signal(bad[1:].astype(np.float32)), [0, 0, 1, -1, 0.25])
    assert as_signal(bad).dtype == np.float32


def test_what_is_not_one_channel_of_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="one channel"):
        as_signal(np.zeros((10, 2)))
    with pytest.raises(TypeError, match="int16"):
        as_signal(np.zeros(10, np.int32))
    with pytest.raises(ValueError, match="at least"):
        Framer(320, 0, 10)
