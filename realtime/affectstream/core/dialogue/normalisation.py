"""Normalisation by speaker: an utterance's statistics relative to its speaker's, as they come.

Knows: vectors of statistics, their mean and spread over a population, and a running estimate of
both for every speaker.
Refuses to know: what a column means, dialogues, networks.

A speaker's mean and variance are estimated from the utterances so far and from
``prior_utterances`` more that are spread as the population is (the posterior of a normal
distribution under its conjugate prior; Murphy 2007, *Conjugate Bayesian analysis of the Gaussian
distribution*, section 4). A voice or a room far from the population therefore first widens the
spread and then moves the mean. Every state is an immutable value: a dialogue can go back to any
utterance and carry on from there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

MAX_SPEAKERS = 256
"""Speakers of one dialogue that are remembered; the one who spoke least recently goes first."""

FAR = 100.0
"""A value so many standard deviations from the population is left out of its speaker's statistics.

It is no measurement of a voice, and would spoil the speaker's for hundreds of utterances. Real
voices, of other corpora and rooms too, were seen to lie within 60.
"""

_CLIP = 4.0
"""Values are clipped at so many standard deviations."""


@dataclass(frozen=True, slots=True, eq=False)
class SpeakerStatistics:
    """What is known of one speaker, by column: each array has shape (d,).

    Attributes:
        count: utterances in which the column was known.
        mean: their mean.
        m2: the sum of their squared distances from it.
    """

    count: NDArray[np.float64]
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]


Speakers = Mapping[str, SpeakerStatistics]
"""The speakers of a dialogue; a value, never changed."""

NOBODY: Speakers = MappingProxyType({})


class SpeakerNormaliser:
    """Turns an utterance's statistics into standard deviations from its speaker's mean.

    Args:
        population_mean, population_sd: shape (d,).
        prior_utterances: how many utterances of a speaker weigh as much as the population;
            infinite takes everybody for the population, 0 knows none.

    Raises:
        ValueError: the shapes differ, or the prior is negative or no number.
    """

    def __init__(
        self,
        population_mean: NDArray[np.floating],
        population_sd: NDArray[np.floating],
        prior_utterances: float,
    ) -> None:
        if population_mean.ndim != 1 or population_mean.shape != population_sd.shape:
            raise ValueError(
                f"means of shape {population_mean.shape} and deviations of {population_sd.shape}"
            )
        if not prior_utterances >= 0:
            raise ValueError(f"a prior of {prior_utterances} utterances is none; give 0 or more")
        self._mean = population_mean.astype(np.float64)
        self._sd = population_sd.astype(np.float64)
        self._prior = float(prior_utterances)

    @property
    def columns(self) -> int:
        """How many statistics an utterance has, d."""
        return len(self._mean)

    def unknown(self) -> SpeakerStatistics:
        """Return the statistics of somebody who has said nothing."""
        zeros = np.zeros(self.columns)
        return SpeakerStatistics(zeros, zeros, zeros)

    def include(
        self, statistics: SpeakerStatistics, observation: NDArray[np.floating]
    ) -> SpeakerStatistics:
        """Return the statistics with one more utterance (d,).

        What is not finite, or lies too far out (``FAR``), is left out.
        """
        self._check(observation)
        near = np.abs(observation - self._mean) <= FAR * self._sd  # false for what is not finite
        known = near | (self._sd == 0) & np.isfinite(observation)
        value = np.where(known, observation, 0.0).astype(np.float64)
        count = statistics.count + known
        step = np.where(known, value - statistics.mean, 0.0)
        mean = statistics.mean + step / np.maximum(count, 1.0)
        return SpeakerStatistics(count, mean, statistics.m2 + step * (value - mean))

    def normalise(
        self, observation: NDArray[np.floating], statistics: SpeakerStatistics
    ) -> NDArray[np.float32]:
        """Return an utterance's (d,) statistics in the speaker's standard deviations, clipped.

        What is not finite, or cannot be told, becomes 0: the mean.
        """
        self._check(observation)
        mean, sd = self._mean, self._sd
        with np.errstate(divide="ignore", invalid="ignore"):
            if not math.isinf(self._prior):
                total = self._prior + statistics.count
                moved = statistics.mean - mean
                between = self._prior * statistics.count / total * moved**2
                sd = np.sqrt((self._prior * sd**2 + statistics.m2 + between) / total)
                mean = mean + statistics.count / total * moved
            scaled = (observation - mean) / sd
        finite = np.where(np.isfinite(scaled), scaled, 0.0)
        return finite.clip(-_CLIP, _CLIP).astype(np.float32)

    def carry(
        self, speakers: Speakers, speaker: str, observation: NDArray[np.floating]
    ) -> tuple[NDArray[np.float32], Speakers]:
        """Return the utterance normalised, it included, and who is known after it."""
        after = self.include(speakers.get(speaker) or self.unknown(), observation)
        others = {name: known for name, known in speakers.items() if name != speaker}
        while len(others) >= MAX_SPEAKERS:
            del others[next(iter(others))]
        return self.normalise(observation, after), MappingProxyType(others | {speaker: after})

    def _check(self, observation: NDArray[np.floating]) -> None:
        if observation.shape != self._mean.shape:
            raise ValueError(
                f"statistics of shape {observation.shape}, but the population's have "
                f"{self._mean.shape}"
            )
