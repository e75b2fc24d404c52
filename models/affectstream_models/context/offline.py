"""Whole dialogues at once, by library LSTMs: what a stream's estimates must equal.

Knows: every utterance of a dialogue. Refuses to know: states, windows, one step at a time. It
shares no arithmetic with the stepwise form, so that each checks the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from affectstream_models.context.network import (
    ContextMember,
    ContextNetwork,
    UtteranceBatch,
    relations_of,
)


def dialogue_outputs(
    network: ContextNetwork,
    batches: Sequence[UtteranceBatch],
    speakers: Sequence[str],
    look_ahead: int | None,
    replaced: Sequence[tuple[int, int]] = (),
) -> Tensor:
    """Raw outputs (M, N + P, O) for a dialogue of N utterances, then for P replacements.

    Args:
        batches: the dialogue, and variants of it (a modality masked, say).
        look_ahead: later utterances the backward chain starts from; None is all.
        replaced: (utterance t, variant v) pairs: the output of t when t alone is taken from
            batch v.
    """
    count = len(speakers)
    wanted = [(t, t) for t in range(count)]
    wanted += [(t, variant * count + t) for t, variant in replaced]
    outputs = [
        _member_outputs(member, batches, speakers, wanted, look_ahead)
        for member in network.networks()
    ]
    return torch.stack(outputs)


def _member_outputs(
    member: ContextMember,
    batches: Sequence[UtteranceBatch],
    speakers: Sequence[str],
    wanted: Sequence[tuple[int, int]],
    look_ahead: int | None,
) -> Tensor:
    """Outputs (P, O): for each wanted (utterance, its vector's row), both chains to it afresh."""
    count = len(speakers)
    fused = torch.cat([member.fuse(batch) for batch in batches])  # (V N, F)
    reach = count if look_ahead is None else look_ahead
    lasts = [min(t + reach, count - 1) for t in range(count)]
    states = []
    for forward in (True, False):
        chains, relations = [], []
        for t, row in wanted:
            path = list(range(t + 1)) if forward else list(range(lasts[t], t - 1, -1))
            relations += relations_of([speakers[place] for place in path])
            chains.append(torch.tensor([*path[:-1], row]))
        steps = member.run_chain(fused, torch.tensor(relations), chains, forward=forward)
        ends = torch.tensor([len(chain) for chain in chains]).cumsum(dim=0) - 1
        states.append(steps[ends])  # (P, H)
    rows = torch.tensor([row for _, row in wanted])
    memory = member.remember(fused[:count], speakers, lasts)  # (N, 4 C F)
    own = torch.tensor([t for t, _ in wanted])
    return member.score(states[0], states[1], fused[rows], memory[own])
