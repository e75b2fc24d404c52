"""Chains of utterances of different lengths, stepped together as one batch.

Knows: in which order the steps of all chains are computed, and the speakers of neighbours.
Refuses to know: weights, and what is computed in a step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from affectstream_models.context.network import CHAIN_START, OTHER_SPEAKER, SAME_SPEAKER
from affectstream_models.context.values import Encoded


class PackedChains:
    """The order in which the steps of several chains are computed.

    The first step of every chain comes first, then the second of those that have one, and so on.
    Within a step the longest chains come first, so that the chains that go on are the first rows of
    the step before.

    Args:
        lengths: of the chains; some may be 0, but not all.

    Attributes:
        chains: numbers of the chains that are not empty, longest first.
        steps: for each step, its first place in the order, and how many chains take it.
        order: for each place, its chain and its step.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        present = [chain for chain, length in enumerate(lengths) if length]
        self.chains = sorted(present, key=lambda chain: -lengths[chain])
        self.steps: list[tuple[int, int]] = []
        self.order: list[tuple[int, int]] = []
        for step in range(max(lengths)):
            going = [chain for chain in self.chains if lengths[chain] > step]
            self.steps.append((len(self.order), len(going)))
            self.order += [(chain, step) for chain in going]


def maskable(utterances: Sequence[Encoded]) -> list[tuple[int, str]]:
    """Return (place, modality) of every modality that is present."""
    return [(place, name) for place, one in enumerate(utterances) for name in one.without]


def relations_to(neighbours: Sequence[str | None], utterances: Sequence[Encoded]) -> Tensor:
    """Return the relations (S,) of utterances to the ones before them in their chains.

    Args:
        neighbours: speaker of the one before; None at the start of a chain.
    """
    return torch.tensor(
        [_relation(other, one.speaker) for other, one in zip(neighbours, utterances, strict=True)]
    )


def _relation(neighbour: str | None, speaker: str) -> int:
    if neighbour is None:
        return CHAIN_START
    return SAME_SPEAKER if neighbour == speaker else OTHER_SPEAKER
