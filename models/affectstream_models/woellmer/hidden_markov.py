"""Hidden Markov models with Gaussian states, many sequences at once.

Knows: hmmlearn's model and its Baum-Welch, and how the step of all sequences is taken together.
Refuses to know: what the frames are, and classes.

hmmlearn goes through one sequence after another, some 0.3 ms for each however short it is. Here a
frame of many sequences is stepped as one row of numbers; what comes out is the same but for the
last digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hmmlearn.hmm import GaussianHMM
from numpy.typing import NDArray
from sklearn.cluster import KMeans

_Floats = NDArray[np.float64]

_BLOCK = 512
"""Sequences that are stepped together; the longest come first, so that few rows are filled up."""

ENOUGH_FRAMES = 10_000
"""The k-means that the states start from sees no more of a class, drawn by the seed."""


class BatchedGaussianHmm(GaussianHMM):  # type: ignore[misc]
    """hmmlearn's ``GaussianHMM``, which goes through blocks of sequences, not one by one."""

    @classmethod
    def of(cls, parameters: Mapping[str, _Floats]) -> BatchedGaussianHmm:
        """A model of these ``parameters``, which need no training."""
        states, columns = parameters["means"].shape
        model = cls(states, covariance_type="diag", init_params="")
        model.n_features = columns
        model.startprob_, model.transmat_ = parameters["start_chances"], parameters["transitions"]
        model.means_, model.covars_ = parameters["means"], parameters["variances"]
        return model

    def parameters(self) -> dict[str, _Floats]:
        """Chances (S,) and (S, S), means and variances (S, D)."""
        return {
            "start_chances": self.startprob_,
            "transitions": self.transmat_,
            "means": self.means_,
            "variances": np.diagonal(self.covars_, axis1=1, axis2=2).copy(),
        }

    def log_likelihoods(self, frames: _Floats, lengths: Sequence[int]) -> _Floats:
        """Log likelihood (N,) of each sequence; one without frames has 0.

        Args:
            frames: of all sequences, one after the other.
            lengths: N, of each.
        """
        emitted = self._compute_log_likelihood(frames)
        found = np.zeros(len(lengths))
        for block in _blocks(lengths):
            found[block.sequences] = _forward(self, block, emitted).log_likelihoods
        return found

    def _do_estep(self, X: _Floats, lengths: Sequence[int]) -> tuple[dict[str, Any], float]:
        stats = self._initialize_sufficient_statistics()
        emitted = self._compute_log_likelihood(X)
        shares, total = np.zeros_like(emitted), 0.0
        for block in _blocks(lengths):
            passed = _forward(self, block, emitted)
            behind = _backward(self, block, passed)
            occupied = passed.forward * behind  # (B, T, S)
            shares[block.frames[block.known]] = occupied[block.known]
            stats["nobs"] += len(block.sequences)
            stats["start"] += occupied[:, 0].sum(axis=0)
            stats["trans"] += _transitions(self, block, passed, behind)
            total += float(passed.log_likelihoods.sum())
        stats["post"] += shares.sum(axis=0)
        stats["obs"] += shares.T @ X
        stats["obs**2"] += shares.T @ X**2
        return stats, total


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Some sequences, the longest first.

    Attributes:
        sequences: (B,) their numbers.
        frames: (B, T) rows of their frames; 0 where a sequence has ended.
        known: (B, T) where it has not.
        going: (T,) how many still go on at each time; these are the first.
    """

    sequences: NDArray[np.intp]
    frames: NDArray[np.intp]
    known: NDArray[np.bool_]
    going: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class _Passed:
    """What the forward pass leaves.

    Attributes:
        emission: (B, T, S) likelihoods, over the frame's largest.
        forward: (B, T, S) states given the frames so far; zero where a sequence has ended.
        scale: (B, T) likelihood of the frame given those before it, over the same; 1 there.
    """

    emission: _Floats
    forward: _Floats
    scale: _Floats
    log_likelihoods: _Floats


def _blocks(lengths: Sequence[int]) -> Iterator[_Block]:
    counts = np.asarray(lengths, dtype=np.intp)
    first = np.concatenate(([0], np.cumsum(counts)[:-1])) if len(counts) else counts
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    for start in range(0, len(order), _BLOCK):
        chosen = order[start : start + _BLOCK]
        time = np.arange(counts[chosen[0]])
        known = time < counts[chosen][:, None]
        frames = np.where(known, first[chosen][:, None] + time, 0)
        yield _Block(chosen, frames, known, known.sum(axis=0))


def _forward(model: Any, block: _Block, emitted: _Floats) -> _Passed:
    logs = emitted[block.frames]  # (B, T, S)
    peak = logs.max(axis=2)
    emission = np.exp(logs - peak[..., None])
    forward, scale = np.zeros_like(emission), np.ones_like(peak)
    for time, going in enumerate(block.going):
        before = forward[:going, time - 1] @ model.transmat_ if time else model.startprob_
        here = before * emission[:going, time]
        scale[:going, time] = here.sum(axis=1)
        forward[:going, time] = here / scale[:going, time, None]
    logs_of_frames = np.where(block.known, np.log(scale) + peak, 0.0)
    return _Passed(emission, forward, scale, logs_of_frames.sum(axis=1))


def _backward(model: Any, block: _Block, passed: _Passed) -> _Floats:
    """(B, T, S), by which the forward pass becomes the states given all frames."""
    behind = np.ones_like(passed.emission)
    for time in range(len(block.going) - 2, -1, -1):
        going = block.going[time + 1]
        later = passed.emission[:going, time + 1] * behind[:going, time + 1]
        behind[:going, time] = later @ model.transmat_.T / passed.scale[:going, time + 1, None]
    return behind


def _transitions(model: Any, block: _Block, passed: _Passed, behind: _Floats) -> _Floats:
    """(S, S), how often each state followed each other."""
    arrived = passed.emission * behind / passed.scale[..., None] * block.known[..., None]
    pairs: _Floats = np.einsum("bti,btj->ij", passed.forward[:, :-1], arrived[:, 1:], optimize=True)
    counts: _Floats = model.transmat_ * pairs
    return counts


def middles_of(frames: _Floats, count: int, seed: int) -> _Floats:
    """Return where k-means finds the middles of the frames, of not more than it needs to see."""
    if len(frames) > ENOUGH_FRAMES:
        chosen = np.random.default_rng(seed).choice(len(frames), ENOUGH_FRAMES, replace=False)
        some = frames[np.sort(chosen)]
        frames = some if distinct_count(some, count) == count else frames
    middles: _Floats = KMeans(count, n_init=3, random_state=seed).fit(frames).cluster_centers_
    return middles


def distinct_count(frames: _Floats, enough: int) -> int:
    """How many frames differ, counted up to ``enough``."""
    count = 0
    while len(frames) and count < enough:
        frames = frames[(frames != frames[0]).any(axis=1)]
        count += 1
    return count
