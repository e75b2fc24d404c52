"""Whole dialogues at once, by torch's own LSTMs: the reference for what a stream must give.

Knows: all utterances of a dialogue.
Refuses to know: states, open windows, and single steps. It shares no arithmetic with ``steps``, so
that each can check the other.
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
    """Return raw outputs (M, N + P, O) for a dialogue's N utterances, then for P replacements.

    Args:
        batches: the dialogue, then variants of it, such as one with a modality masked.
        speakers: of the N utterances.
        look_ahead: how many utterances later the backward LSTM starts; None starts at the end.
        replaced: P pairs of an utterance and the number of a variant: the utterance's output when
            it alone is taken from that variant.
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
    """Return outputs (P, O) of one member.

    Args:
        wanted: P pairs of an utterance and the row of its vector among all batches' utterances.
            Both LSTMs are run over a chain of its own for each.
    """
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
