"""The forward LSTM of many dialogues, carried on over new utterances as one batch.

Knows: how chains of utterances turn a state into the states after each of them.
Refuses to know: the backward LSTM, and estimates.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from affectstream_models.context.chains import PackedChains, maskable, relations_to
from affectstream_models.context.steps import StackedMembers
from affectstream_models.context.values import Encoded, ForwardState


def advance_chains(
    members: StackedMembers, states: Sequence[ForwardState], chains: Sequence[Sequence[Encoded]]
) -> list[list[ForwardState]]:
    """Return the state after each utterance of each chain; chain ``i`` starts at ``states[i]``."""
    if not any(chains):
        return [[] for _ in chains]
    m, packed = members, PackedChains([len(chain) for chain in chains])
    steps = [chains[chain][step] for chain, step in packed.order]
    before = [
        chains[chain][step - 1].speaker if step else states[chain].speaker
        for chain, step in packed.order
    ]
    fused, gates, _ = m.split(torch.stack([one.fused for one in steps]))  # (M, S, 4 H)
    shared = m.relation(relations_to(before, steps), forward=True)
    first_states = [states[chain] for chain in packed.chains]
    after, shared, cells = _run_forward(m, packed, first_states, gates, shared)
    left_out = _left_out_states(m, steps, shared, cells)
    vectors = fused.transpose(0, 1).flatten(1)  # (S, M F)
    results: list[list[ForwardState]] = [[] for _ in chains]
    for place, (chain, step) in enumerate(packed.order):
        speaker = steps[place].speaker
        memory = (results[chain][step - 1] if step else states[chain]).memory
        if len(m.fading):
            memory = memory.after(speaker, vectors[place], m.fading)
        own = after[place].clone()  # so that a state does not keep the whole batch in memory
        state = ForwardState(own[0], own[1], speaker, left_out[place], memory)
        results[chain].append(state)
    return results


def _run_forward(
    m: StackedMembers,
    packed: PackedChains,
    states: Sequence[ForwardState],
    gates: Tensor,
    shared: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the LSTM over all steps.

    Args:
        states: of the chains in ``packed.chains``, before their first steps.
        gates: (M, S, 4 H), the utterances' share of the gates.
        shared: (M, S, 4 H), the relations' share.

    Returns:
        Hidden and cell states after the steps, (S, 2, M H); the share of the gates that masking a
        modality does not change, (M, S, 4 H); cell states before the steps, (M, S, H).
    """
    hidden = m.by_member(torch.stack([state.hidden for state in states]))  # (M, C, H)
    cell = m.by_member(torch.stack([state.cell for state in states]))
    drives, cells, after = [], [], []
    for first, count in packed.steps:
        drives.append(shared[:, first : first + count] + m.recur(hidden[:, :count], forward=True))
        cells.append(cell[:, :count])
        hidden, cell = m.cell(gates[:, first : first + count] + drives[-1], cells[-1])
        after.append(torch.stack((hidden, cell)))
    both = m.by_row(torch.cat(after, dim=2))
    return both, torch.cat(drives, dim=1), torch.cat(cells, dim=1)


def _left_out_states(
    m: StackedMembers, steps: Sequence[Encoded], shared: Tensor, cells: Tensor
) -> list[dict[str, Tensor]]:
    """Return, for each step, modality -> the hidden state (M H,) had it been masked there.

    Args:
        shared: (M, S, 4 H), the share of the gates that masking does not change.
        cells: (M, S, H), cell states before the steps.
    """
    masked = maskable(steps)
    left_out: list[dict[str, Tensor]] = [{} for _ in steps]
    if masked:
        where = torch.tensor([place for place, _ in masked])
        _, gates, _ = m.split(torch.stack([steps[p].without[name] for p, name in masked]))
        hidden, _ = m.cell(gates + shared[:, where], cells[:, where])
        for (place, name), row in zip(masked, m.by_row(hidden[None]), strict=True):
            left_out[place][name] = row[0].clone()
    return left_out
