"""Memories: means of what each speaker, and everybody else, has expressed lately.

Knows: vectors of utterances, who spoke them, and how their weights fade with distance.
Refuses to know: the network's weights, LSTMs, and time; distance is counted in utterances.

For utterance t and a fading constant c, the memory of what came before it is

    sum over u < t of exp(-(t - u) / c) v_u   divided by   sum of the same weights + ``SHRINK``,

once over the utterances u of t's own speaker and once over everybody else's. The same is computed
over the known utterances after t. An LSTM could learn such a mean, but only from more dialogues
than a corpus has. There are two forms, which must agree: weights over a whole dialogue for training
and the offline reference, and a ``Memory`` that is carried from utterance to utterance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

SHRINK = 0.3
"""Added to the sum of weights, so that a memory of little is small."""

_SIDES = 4
"""Parts of a memory for each fading constant: own and others' utterances, before and after."""

_FORGOTTEN = 1e-8
"""Speakers with a smaller weight are removed, so that a memory's size is bounded."""


def memory_weights(speakers: Sequence[str], last: Sequence[int], fading: Sequence[float]) -> Tensor:
    """Return the weights (4 C, N, N) of a dialogue's N utterances in one another's memories.

    Row t of a matrix times the utterances' vectors is a part of utterance t's memory. The matrices
    are: what came before, for each constant own and others'; then what comes after, likewise.

    Args:
        speakers: of the N utterances.
        last: for each utterance, the last one that it may know of.
        fading: C constants, in utterances.
    """
    place = torch.arange(len(speakers))
    names = {name: number for number, name in enumerate(dict.fromkeys(speakers))}
    who = torch.tensor([names[name] for name in speakers], dtype=torch.int64)
    own = who[:, None] == who[None]  # (N, N)
    before = place[None] < place[:, None]
    after = (place[None] > place[:, None]) & (place[None] <= torch.tensor(list(last))[:, None])
    distance = (place[:, None] - place[None]).abs()
    faded = [torch.exp(-distance / constant) for constant in fading]
    sides = (before & own, before & ~own), (after & own, after & ~own)
    weights = torch.stack([one * part for pair in sides for one in faded for part in pair])
    normalised: Tensor = weights / (weights.sum(dim=2, keepdim=True) + SHRINK)
    return normalised


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of all utterances on one side, as the next utterance sees it.

    Attributes:
        sums: speaker -> (C, W) faded sum of vectors.
        weights: speaker -> (C,) faded sum of weights.
    """

    sums: Mapping[str, Tensor] = field(default_factory=dict)
    weights: Mapping[str, Tensor] = field(default_factory=dict)

    def of(self, speaker: str, fading: Tensor, width: int) -> Tensor:
        """Return means (2 C, W): for each constant ``speaker``'s own, then everybody else's."""
        nothing, none = torch.zeros(len(fading), width), torch.zeros(len(fading))
        others = [name for name in self.sums if name != speaker]
        sums = [self.sums.get(speaker, nothing), sum((self.sums[n] for n in others), nothing)]
        weights = [self.weights.get(speaker, none), sum((self.weights[n] for n in others), none)]
        means = torch.stack(sums, dim=1) / (torch.stack(weights, dim=1) + SHRINK)[..., None]
        return means.flatten(0, 1)

    def after(self, speaker: str, vector: Tensor, fading: Tensor) -> Memory:
        """Return the memory one utterance further: all has faded, and ``vector`` (W,) is added."""
        kept = torch.exp(-1.0 / fading)  # (C,)
        sums, weights = dict(self.sums), dict(self.weights)
        sums[speaker] = sums.get(speaker, torch.zeros(len(fading), len(vector))) + vector
        weights[speaker] = weights.get(speaker, torch.zeros(len(fading))) + 1.0
        faded = {name: weight * kept for name, weight in weights.items()}
        remembered = [name for name, weight in faded.items() if weight.max() > _FORGOTTEN]
        return Memory(
            {name: sums[name] * kept[:, None] for name in remembered},
            {name: faded[name] for name in remembered},
        )


def memory_width(fused: int, fading: Sequence[float]) -> int:
    """Return how many numbers an utterance's memories of both sides have."""
    return _SIDES * len(fading) * fused
