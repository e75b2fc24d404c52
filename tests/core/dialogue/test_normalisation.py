"""Speakers' statistics as they come: the batch formula, causality, bounds."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectstream.core.dialogue.normalisation import (
    MAX_SPEAKERS,
    NOBODY,
    SpeakerNormaliser,
    Speakers,
)

MEAN, SD = np.array([1.0, -2.0, 30.0]), np.array([0.5, 2.0, 10.0])


def normaliser(prior: float = 3.0) -> SpeakerNormaliser:
    return SpeakerNormaliser(MEAN, SD, prior)


def utterances(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(MEAN + 1, SD, (count, 3)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    return values


@given(seed=st.integers(0, 2**32), count=st.integers(1, 30))
def test_the_statistics_after_n_utterances_are_those_of_the_batch(seed: int, count: int) -> None:
    values = utterances(seed, count)
    one_by_one = normaliser()
    statistics = one_by_one.unknown()
    for value in values:
        statistics = one_by_one.include(statistics, value)
    known = np.isfinite(values)
    np.testing.assert_array_equal(statistics.count, known.sum(0))
    for column in range(3):
        mine = values[known[:, column], column].astype(np.float64)
        if len(mine):
            assert statistics.mean[column] == pytest.approx(mine.mean(), rel=1e-9)
            spread = ((mine - mine.mean()) ** 2).sum()
            assert statistics.m2[column] == pytest.approx(spread, rel=1e-6, abs=1e-9)


@given(seed=st.integers(0, 2**32), prior=st.sampled_from([0.0, 0.5, 3.0, 20.0]))
def test_normalisation_is_the_shrunk_mean_and_variance(seed: int, prior: float) -> None:
    values = utterances(seed, 9)[~np.isnan(utterances(seed, 9)).any(1)]
    machine, speakers = normaliser(prior), NOBODY
    for n, value in enumerate(values, start=1):
        got, speakers = machine.carry(speakers, "anna", value)
        seen = values[:n].astype(np.float64)
        mean = (prior * MEAN + n * seen.mean(0)) / (prior + n)
        squares = prior * ((MEAN - mean) ** 2 + SD**2) + ((seen - mean) ** 2).sum(0)
        variance = squares / (prior + n)
        if prior == 0 and n == 1:
            np.testing.assert_array_equal(got, 0)  # one utterance says nothing of a spread
            continue
        expected = ((value - mean) / np.sqrt(variance)).clip(-4, 4)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
        assert got.dtype == np.float32


def test_an_infinite_prior_is_the_population_alone() -> None:
    machine = normaliser(math.inf)
    value = np.array([2.0, np.nan, 1e9], dtype=np.float32)
    got, speakers = machine.carry(NOBODY, "anna", value)
    again, _ = machine.carry(speakers, "anna", value)
    np.testing.assert_array_equal(got, np.array([2.0, 0.0, 4.0], np.float32))
    np.testing.assert_array_equal(got, again)


def test_it_moves_from_the_population_to_the_speaker() -> None:
    machine, speakers = normaliser(3.0), NOBODY
    value = (MEAN + 2 * SD).astype(np.float32)
    sizes = []
    for _ in range(30):
        got, speakers = machine.carry(speakers, "anna", value)
        sizes.append(float(np.abs(got).max()))
    assert sizes[0] > 1.2
    assert sizes[-1] < 0.7


def test_the_past_is_a_value() -> None:
    """Carrying on twice from the same utterance gives the same: nothing is changed in place."""
    machine, rng = normaliser(), random.Random(3)
    speakers: Speakers = NOBODY
    for value in utterances(1, 5):
        _, speakers = machine.carry(speakers, rng.choice("ab"), value)
    last = utterances(2, 1)[0]
    first, _ = machine.carry(speakers, "a", last)
    machine.carry(speakers, "a", last * 100)
    second, _ = machine.carry(speakers, "a", last)
    np.testing.assert_array_equal(first, second)


def test_speakers_do_not_mix() -> None:
    machine = normaliser()
    value = utterances(4, 1)[0]
    alone, _ = machine.carry(NOBODY, "anna", value)
    _, speakers = machine.carry(NOBODY, "bert", value * 7)
    beside, _ = machine.carry(speakers, "anna", value)
    np.testing.assert_array_equal(alone, beside)


def test_who_spoke_least_recently_is_forgotten() -> None:
    machine, speakers = normaliser(), NOBODY
    value = MEAN.astype(np.float32)
    for number in range(MAX_SPEAKERS):
        _, speakers = machine.carry(speakers, f"s{number}", value)
    _, speakers = machine.carry(speakers, "s0", value)
    _, speakers = machine.carry(speakers, "new", value)
    assert len(speakers) == MAX_SPEAKERS
    assert "s0" in speakers
    assert "s1" not in speakers


@pytest.mark.parametrize("bad", [np.full(3, np.nan), np.full(3, np.inf), np.full(3, 3e38)])
def test_bad_values_stay_finite_and_do_not_last(bad: np.ndarray) -> None:
    machine = normaliser()
    got, speakers = machine.carry(NOBODY, "anna", bad.astype(np.float32))
    assert np.isfinite(got).all()
    later, _ = machine.carry(speakers, "anna", MEAN.astype(np.float32))
    assert np.isfinite(later).all()


@pytest.mark.parametrize(
    ("mean", "sd", "prior"),
    [(MEAN, SD[:2], 1.0), (MEAN, SD, -1.0), (MEAN, SD, math.nan), (MEAN[None], SD[None], 1.0)],
)
def test_what_makes_no_sense_is_refused(mean: np.ndarray, sd: np.ndarray, prior: float) -> None:
    with pytest.raises(ValueError, match=r"shape|prior"):
        SpeakerNormaliser(mean, sd, prior)


def test_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        normaliser().carry(NOBODY, "anna", np.zeros(4, np.float32))
