"""Hidden Markov models with Gaussian states, for many sequences at once.

Knows: hmmlearn's model and its Baum-Welch training, and how many sequences are stepped together.
Refuses to know: what the frames are, and classes.

hmmlearn goes through one sequence after the other, which takes some 0.3 ms for each, however short.
Here the frames of many sequences are stepped together. The results are the same but for rounding.
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
"""Sequences that are stepped together. They are sorted by length, so there is little padding."""

_ENOUGH_FRAMES = 10_000
"""The most frames of a class that are given to k-means, which finds the states' first means."""


class BatchedGaussianHmm(GaussianHMM):  # type: ignore[misc]
    """hmmlearn's ``GaussianHMM``, with many sequences stepped together."""

    @classmethod
    def of(cls, parameters: Mapping[str, _Floats]) -> BatchedGaussianHmm:
        """Return the model with these parameters, as ``parameters`` returns them."""
        states, columns = parameters["means"].shape
        model = cls(states, covariance_type="diag", init_params="")
        model.n_features = columns
        model.startprob_, model.transmat_ = parameters["start_chances"], parameters["transitions"]
        model.means_, model.covars_ = parameters["means"], parameters["variances"]
        return model

    def parameters(self) -> dict[str, _Floats]:
        """Return ``start_chances`` (S,), ``transitions`` (S, S), means and variances (S, D)."""
        return {
            "start_chances": self.startprob_,
            "transitions": self.transmat_,
            "means": self.means_,
            "variances": np.diagonal(self.covars_, axis1=1, axis2=2).copy(),
        }

    def log_likelihoods(self, frames: _Floats, lengths: Sequence[int]) -> _Floats:
        """Return the log likelihoods (N,) of N sequences; one without frames has 0.

        Args:
            frames: (sum of lengths, D), of all sequences one after the other.
            lengths: of the N sequences.
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
    """Sequences that are stepped together, the longest first.

    Attributes:
        sequences: (B,), their numbers.
        frames: (B, T), the rows of their frames; 0 where a sequence has ended.
        known: (B, T), False where a sequence has ended.
        going: (T,), how many sequences have a frame at each time; they are the first rows.
    """

    sequences: NDArray[np.intp]
    frames: NDArray[np.intp]
    known: NDArray[np.bool_]
    going: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class _Passed:
    """The results of the forward pass.

    Attributes:
        emission: (B, T, S), likelihoods of a frame in each state, divided by the largest of them.
        forward: (B, T, S), probabilities of the states given the frames so far; 0 where a sequence
            has ended.
        scale: (B, T), likelihood of a frame given those before it, divided by the same number; 1
            where a sequence has ended.
        log_likelihoods: (B,), of the whole sequences.
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
    """Return factors (B, T, S): ``forward`` times them is the states given all frames."""
    behind = np.ones_like(passed.emission)
    for time in range(len(block.going) - 2, -1, -1):
        going = block.going[time + 1]
        later = passed.emission[:going, time + 1] * behind[:going, time + 1]
        behind[:going, time] = later @ model.transmat_.T / passed.scale[:going, time + 1, None]
    return behind


def _transitions(model: Any, block: _Block, passed: _Passed, behind: _Floats) -> _Floats:
    """Return how often each state (column) is expected to follow each state (row), (S, S)."""
    arrived = passed.emission * behind / passed.scale[..., None] * block.known[..., None]
    pairs: _Floats = np.einsum("bti,btj->ij", passed.forward[:, :-1], arrived[:, 1:], optimize=True)
    counts: _Floats = model.transmat_ * pairs
    return counts


def middles_of(frames: _Floats, count: int, seed: int) -> _Floats:
    """Return ``count`` means of frames (n, D), found by k-means.

    Of more than ``_ENOUGH_FRAMES``, k-means is given a random part, as long as enough of these
    differ.

    Args:
        seed: of the random part and of k-means.
    """
    if len(frames) > _ENOUGH_FRAMES:
        chosen = np.random.default_rng(seed).choice(len(frames), _ENOUGH_FRAMES, replace=False)
        some = frames[np.sort(chosen)]
        frames = some if distinct_count(some, count) == count else frames
    middles: _Floats = KMeans(count, n_init=3, random_state=seed).fit(frames).cluster_centers_
    return middles


def distinct_count(frames: _Floats, enough: int) -> int:
    """Return how many different frames there are, counted up to ``enough``."""
    count = 0
    while len(frames) and count < enough:
        frames = frames[(frames != frames[0]).any(axis=1)]
        count += 1
    return count
