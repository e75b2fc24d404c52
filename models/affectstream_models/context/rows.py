"""Ragged chains of utterances as packed rows, and the relations of neighbours.

Knows: lengths, places and speakers. Refuses to know: weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from affectstream_models.context.network import OTHER, SAME, START
from affectstream_models.context.values import Encoded


class PackedRows:
    """Ragged chains as packed rows: longest first, so that every step is a leading part.

    Attributes:
        chains: which chain is in which row.
        steps: per step, its first place in the packed order and how many chains take it.
        order: (chain, step) by place.
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


def maskable(steps: Sequence[Encoded]) -> list[tuple[int, str]]:
    """(place, modality) of every present modality."""
    return [(place, name) for place, one in enumerate(steps) for name in one.without]


def relations_to(neighbours: Sequence[str | None], steps: Sequence[Encoded]) -> Tensor:
    """Relation (S,) of each step to the speaker of the step before it in its chain."""
    return torch.tensor(
        [
            START if other is None else SAME if other == one.speaker else OTHER
            for other, one in zip(neighbours, steps, strict=True)
        ]
    )
