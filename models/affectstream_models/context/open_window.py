"""Estimates of the utterances in open windows, those of many dialogues as one batch.

Knows: how the backward LSTM runs over a window, and what is joined for an estimate.
Refuses to know: how the states at the window's start came about, and when a window moves.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from affectstream_models.context.chains import PackedChains, maskable, relations_to
from affectstream_models.context.memory import Memory
from affectstream_models.context.scores import estimates_of
from affectstream_models.context.steps import StackedMembers
from affectstream_models.context.values import UtteranceEstimate, WindowEntry

_WINDOWS_AT_ONCE = 12
"""With more windows in a batch, the data of a step no longer fit the processor's caches."""


def estimate_windows(
    members: StackedMembers, windows: Sequence[Sequence[WindowEntry]]
) -> list[list[UtteranceEstimate]]:
    """Return an estimate of every utterance of every window, in the windows' order.

    The backward LSTM starts from zeros behind the last utterance of each window.
    """
    results: list[list[UtteranceEstimate]] = []
    for first in range(0, len(windows), _WINDOWS_AT_ONCE):
        results += _estimate_some(members, windows[first : first + _WINDOWS_AT_ONCE])
    return results


def _estimate_some(
    m: StackedMembers, windows: Sequence[Sequence[WindowEntry]]
) -> list[list[UtteranceEstimate]]:
    if not any(windows):
        return [[] for _ in windows]
    packed = PackedChains([len(window) for window in windows])
    # Step s of the backward chain is the window's utterance s from the end.
    slots = [windows[window][-1 - step] for window, step in packed.order]
    later = [windows[w][-step][1].speaker if step else None for w, step in packed.order]
    utterances = [one for _, one, _ in slots]
    fused, _, gates = m.split(torch.stack([one.fused for one in utterances]))
    shared = m.relation(relations_to(later, utterances), forward=False)  # (M, S, 4 H)
    backward, cells = _run_backward(m, packed, gates, shared)
    forward = m.by_member(torch.stack([after.hidden for _, _, after in slots]))
    masked = maskable(utterances)
    memory = _memories(m, packed, slots, fused)
    states = [forward, backward, fused, memory]
    if masked:
        # A masked modality is not taken out of the memories, which are of other utterances.
        places = torch.tensor([place for place, _ in masked])
        left_out = (*_leave_out(m, slots, masked, shared, cells), memory[:, places])
        states = [torch.cat(pair, dim=1) for pair in zip(states, left_out, strict=True)]
    results = estimates_of(m.scores(m.outputs(*states), len(slots)), len(slots), masked)
    by_window: list[list[UtteranceEstimate]] = [[] for _ in windows]
    for (window, _), result in zip(reversed(packed.order), reversed(results), strict=True):
        by_window[window].append(result)
    return by_window


def _memories(
    m: StackedMembers, packed: PackedChains, slots: Sequence[WindowEntry], fused: Tensor
) -> Tensor:
    """Return the memories (M, S, 4 C F) of all utterances, in the packed order."""
    if not len(m.fading):
        return fused.new_zeros(m.members, len(slots), 0)
    vectors = fused.transpose(0, 1).flatten(1)  # (S, M F)
    later: dict[int, Memory] = {}
    before, after = [], []
    for (window, _), (state, one, _), vector in zip(packed.order, slots, vectors, strict=True):
        memory = later.get(window, Memory())
        before.append(m.remembered(state.memory, one.speaker))
        after.append(m.remembered(memory, one.speaker))
        later[window] = memory.after(one.speaker, vector, m.fading)
    return m.memories(before, after)


def _run_backward(
    m: StackedMembers, packed: PackedChains, gates: Tensor, shared: Tensor
) -> tuple[Tensor, Tensor]:
    """Return hidden states (M, S, H) after all steps, and cell states (M, S, H) before them.

    Adds the recurrent share of the gates to ``shared`` (M, S, 4 H), in place.
    """
    hidden = torch.zeros(m.members, len(packed.chains), m.hidden)
    cell, hiddens, cells = hidden, [], []
    for first, count in packed.steps:
        part = shared[:, first : first + count]
        if first:
            part += m.recur(hidden[:, :count], forward=False)
        cells.append(cell[:, :count])
        hidden, cell = m.cell(gates[:, first : first + count] + part, cells[-1])
        hiddens.append(hidden)
    return torch.cat(hiddens, dim=1), torch.cat(cells, dim=1)


def _leave_out(
    m: StackedMembers,
    slots: Sequence[WindowEntry],
    masked: Sequence[tuple[int, str]],
    shared: Tensor,
    cells: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return states and fused vectors (M, P, .) of utterances with one modality masked.

    The step at the utterance itself is taken anew, from the same states before it.
    """
    where = torch.tensor([place for place, _ in masked])
    vectors = torch.stack([slots[place][1].without[name] for place, name in masked])
    fused, _, gates = m.split(vectors)
    backward, _ = m.cell(gates + shared[:, where], cells[:, where])
    forward = torch.stack([slots[place][2].without[name] for place, name in masked])
    return m.by_member(forward), backward, fused
