"""What a live stream does to utterances, done to a corpus."""

from __future__ import annotations

import numpy as np
import pytest

from affectstream.core.dialogue.normalisation import NOBODY, SpeakerNormaliser
from affectstream_tools.train.augmentation import (
    as_recognised,
    heard_before,
    in_another_room,
    normalised,
)

WORDS = ["house", "tree"]


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_a_recogniser_writes_no_case_punctuation_or_marks() -> None:
    said = "Oh, GOD! [LAUGHTER] I don't -- know?"
    assert as_recognised(said, WORDS, rng(), drop=0, substitute=0) == "oh god i don't know"


def test_words_are_lost_and_mistaken_as_often_as_asked() -> None:
    said = " ".join(["word"] * 4000)
    heard = as_recognised(said, WORDS, rng(), drop=0.1, substitute=0.2).split()
    assert len(heard) == pytest.approx(3600, abs=80)
    assert sum(word in WORDS for word in heard) == pytest.approx(800, abs=80)
    assert set(heard) == {"word", *WORDS}


def statistics(count: int, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).normal(2, 3, (count, 47)).astype(np.float32))


def normaliser() -> SpeakerNormaliser:
    return SpeakerNormaliser(np.full(47, 2.0), np.full(47, 3.0), 5.0)


def test_a_dialogue_is_normalised_as_the_stream_does_it() -> None:
    said: list[np.ndarray | None] = [*statistics(4), None]
    speakers = ["a", "b", "a", "b", "a"]
    rows = normalised(said, speakers, normaliser())
    known = NOBODY
    for row, one, speaker in zip(rows, said, speakers, strict=True):
        if one is None:
            assert row is None
            continue
        expected, known = normaliser().carry(known, speaker, one)
        np.testing.assert_array_equal(row, expected)


def test_a_room_shifts_everybody_and_each_speaker_a_little_more() -> None:
    said: list[np.ndarray | None] = [*statistics(3), None]
    moved = in_another_room(said, ["a", "b", "a", "b"], np.full(47, 3.0, np.float32), rng(), 1.0)
    assert moved[3] is None
    pairs = zip(moved[:3], said[:3], strict=True)
    first, second, third = (after - before for after, before in pairs)
    np.testing.assert_allclose(first, third, atol=1e-4)
    assert np.abs(first - second).max() > 0.5
    assert np.corrcoef(first, second)[0, 1] > 0.5


def test_a_speaker_who_was_heard_before_is_further_from_the_population() -> None:
    loud = [one + 30 for one in statistics(50)]
    known = heard_before(["a", "b"], {"a": loud, "b": loud[:1]}, normaliser(), rng())
    assert set(known) == {"a", "b"}
    assert known["a"].count.max() <= 60
    fresh = normalised([loud[0]], ["a"], normaliser())[0]
    familiar = normalised([loud[0]], ["a"], normaliser(), known)[0]
    assert fresh is not None
    assert familiar is not None
    assert np.abs(familiar).mean() < np.abs(fresh).mean()
