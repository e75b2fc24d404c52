"""The context model: one emotion estimate per utterance, from all that came before it and the
few utterances that came after it.

Knows: utterances' features, the forward state that a dialogue carries, its open window.
Refuses to know: time, streams, revisions, and how it was trained. It holds weights only: the
state of every dialogue is a value that its caller passes in and gets back.

The score of utterance t, with k later utterances known, uses the forward LSTM over 0..t and the
backward LSTM over t+k down to t, both from zero states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affectstream_models.context_features import collate, normalise
from affectstream_models.context_network import (
    OTHER,
    SAME,
    SCALES,
    START,
    ContextNetwork,
    UtteranceBatch,
    relations_of,
)
from affectstream_models.context_steps import NO_ACOUSTIC, NO_TEXT, StackedMembers, mean_scores
from affectstream_models.text_encoder import TextEncoder

CLASSES = ("anger", "happiness", "neutral", "sadness")
MODALITIES = ("acoustic", "text")
_VARIANT = {"acoustic": NO_ACOUSTIC, "text": NO_TEXT}


@dataclass(frozen=True, slots=True)
class UtteranceInputs:
    """What the model may know of one utterance; None is a masked modality.

    Attributes:
        speaker: who spoke; only equality with the neighbours' speakers is used.
        acoustic: (47,) float32 raw eGeMAPS statistics, not normalised.
        text: the raw transcript; "" is masked too.
    """

    speaker: str
    acoustic: NDArray[np.float32] | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """One encoded utterance: a value without autograd, of use to this model only.

    Attributes:
        fused: (E,) vector of the utterance.
        without: for each present modality, the (E,) vector with that modality masked.
    """

    speaker: str
    fused: Tensor
    without: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class ForwardState:
    """The forward LSTM after some utterance.

    Attributes:
        hidden, cell: (M H,) of all M members in a row.
        speaker: who spoke that utterance; None before the first.
    """

    hidden: Tensor
    cell: Tensor
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the model says of one utterance.

    Attributes:
        categorical: (4,) calibrated probabilities in the order of ``CLASSES``.
        dimensional: scale -> (mean on 1..5, (3,) probabilities of low, mid, high). A mean below
            2.25 is low, below 3.75 mid: for one annotator's ratings these are the levels
            {1, 1.5, 2}, {2.5, 3, 3.5}, {4, 4.5, 5} of Wöllmer et al. 2010.
        clusters: empty, for this model.
        influence: present modality -> total variation distance (0..1) between ``categorical``
            and what it is when this utterance's share of that modality is masked.
    """

    categorical: NDArray[np.float32]
    dimensional: Mapping[str, tuple[float, NDArray[np.float32]]]
    clusters: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    influence: Mapping[str, float] = field(default_factory=dict)


Slot = tuple[ForwardState, Encoded, ForwardState]
"""An utterance of an open window: the state before it, the utterance, the state after it."""


class ContextModel:
    """Weights, and the four things that can be done with them.

    Attributes:
        id: the name under which estimates are published.
        sha256: of the checkpoint file, in hexadecimal.
        look_ahead: later utterances the model was made to wait for.
    """

    modalities: tuple[str, ...] = MODALITIES

    def __init__(
        self, network: ContextNetwork, *, id: str, sha256: str, look_ahead: int = 8
    ) -> None:
        self.id = id
        self.sha256 = sha256
        self.look_ahead = look_ahead
        self._network = network.eval()
        self._members = StackedMembers(network)
        self._text = TextEncoder(
            network.ngram_hashes.numpy(), network.word_hashes.numpy(), network.word_vectors.numpy()
        )
        self._mean, self._sd = network.acoustic_mean.numpy(), network.acoustic_sd.numpy()

    def initial_state(self) -> ForwardState:
        """The state before a dialogue's first utterance."""
        zeros = torch.zeros(self._members.members * self._members.hidden)
        return ForwardState(zeros, zeros)

    @torch.inference_mode()
    def encode(self, inputs: Sequence[UtteranceInputs]) -> list[Encoded]:
        """Encode utterances, of any dialogues, as one batch.

        Raises:
            ValueError: acoustic statistics have another shape than (47,).
        """
        if not inputs:
            return []
        batch = self._batch(inputs)
        vectors = self._members.encode(batch)  # (B, 3, E)
        present = torch.cat((batch.has_acoustic, batch.has_text), dim=1).tolist()
        encoded = []
        for one, row, there in zip(inputs, vectors, present, strict=True):
            own = row.clone()  # so that one utterance does not keep the whole batch in memory
            without = {
                name: own[_VARIANT[name]]
                for name, flag in zip(MODALITIES, there, strict=True)
                if flag
            }
            encoded.append(Encoded(one.speaker, own[0], without))
        return encoded

    @torch.inference_mode()
    def advance(
        self, states: Sequence[ForwardState], chains: Sequence[Sequence[Encoded]]
    ) -> list[list[ForwardState]]:
        """Carry many dialogues on at once, each from its state over its chain of utterances.

        Returns:
            The state after each utterance of each chain.
        """
        if not any(chains):
            return [[] for _ in chains]
        m, rows = self._members, _Rows([len(chain) for chain in chains])
        steps = [chains[chain][step] for chain, step in rows.order]
        before = [
            chains[chain][step - 1].speaker if step else states[chain].speaker
            for chain, step in rows.order
        ]
        _, gates, _ = m.split(torch.stack([one.fused for one in steps]))  # (M, S, 4 H)
        gates = gates + m.relation(_relations(before, steps), forward=True)
        ordered = [states[chain] for chain in rows.chains]
        hidden = m.by_member(torch.stack([state.hidden for state in ordered]))  # (M, C, H)
        cell = m.by_member(torch.stack([state.cell for state in ordered]))
        results: list[list[ForwardState]] = [[] for _ in chains]
        for first, count in rows.steps:
            drive = gates[:, first : first + count]
            drive = drive + m.recur(hidden[:, :count], forward=True)
            hidden, cell = m.cell(drive, cell[:, :count])
            both = torch.stack((hidden, cell)).permute(2, 0, 1, 3).reshape(count, 2, -1)
            for chain, pair, one in zip(rows.chains, both, steps[first:], strict=False):
                own = pair.clone()
                results[chain].append(ForwardState(own[0], own[1], one.speaker))
        return results

    @torch.inference_mode()
    def estimate(self, windows: Sequence[Sequence[Slot]]) -> list[list[Estimate]]:
        """Estimate every utterance of many dialogues' open windows.

        Args:
            windows: per dialogue its open utterances, oldest first. The backward LSTM starts
                anew behind the last one.

        Returns:
            One estimate per utterance, in the windows' order.
        """
        if not any(windows):
            return [[] for _ in windows]
        m, rows = self._members, _Rows([len(window) for window in windows])
        # Step s of the backward chain is the window's utterance s from the end.
        slots = [windows[window][-1 - step] for window, step in rows.order]
        later = [windows[w][-step][1].speaker if step else None for w, step in rows.order]
        fused, _, gates = m.split(torch.stack([one.fused for _, one, _ in slots]))
        relations = _relations(later, [one for _, one, _ in slots])
        shared = m.relation(relations, forward=False)  # (M, S, 4 H), what masking leaves alone
        backward, cells = self._run_backward(rows, gates, shared)
        forward = m.by_member(torch.stack([after.hidden for _, _, after in slots]))
        masked = [(place, name) for place, (_, one, _) in enumerate(slots) for name in one.without]
        states = [forward, backward, fused]
        if masked:
            left_out = self._leave_out(slots, masked, shared, cells)
            states = [torch.cat(pair, dim=1) for pair in zip(states, left_out, strict=True)]
        results = _estimates(m.scores(m.outputs(*states)), len(slots), masked)
        by_window: list[list[Estimate]] = [[] for _ in windows]
        for (window, _), result in zip(reversed(rows.order), reversed(results), strict=True):
            by_window[window].append(result)
        return by_window

    def _run_backward(self, rows: _Rows, gates: Tensor, shared: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (M, S, H) of all slots, and the cell states that each started from.

        Adds the recurrent share of the gates to ``shared`` (M, S, 4 H), in place.
        """
        m = self._members
        hidden = torch.zeros(m.members, len(rows.chains), m.hidden)
        cell, hiddens, cells = hidden, [], []
        for first, count in rows.steps:
            part = shared[:, first : first + count]
            if first:
                part += m.recur(hidden[:, :count], forward=False)
            cells.append(cell[:, :count])
            hidden, cell = m.cell(gates[:, first : first + count] + part, cells[-1])
            hiddens.append(hidden)
        return torch.cat(hiddens, dim=1), torch.cat(cells, dim=1)

    def _leave_out(
        self,
        slots: Sequence[Slot],
        masked: Sequence[tuple[int, str]],
        shared: Tensor,
        cells: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """States and fused vectors (M, P, .) of slots with one modality masked, one step each."""
        m = self._members
        where = torch.tensor([place for place, _ in masked])
        vectors = torch.stack([slots[place][1].without[name] for place, name in masked])
        fused, forward_gates, backward_gates = m.split(vectors)
        backward, _ = m.cell(backward_gates + shared[:, where], cells[:, where])
        relations = _relations([b.speaker for b, _, _ in slots], [one for _, one, _ in slots])
        before = m.by_member(torch.stack([state.hidden for state, _, _ in slots]))
        drive = m.recur(before, forward=True) + m.relation(relations, forward=True)
        cell = m.by_member(torch.stack([state.cell for state, _, _ in slots]))
        forward, _ = m.cell(forward_gates + drive[:, where], cell[:, where])
        return forward, backward, fused

    @torch.inference_mode()
    def offline(
        self,
        dialogue: Sequence[UtteranceInputs],
        look_ahead: int | None,
        *,
        influence: bool = True,
    ) -> list[Estimate]:
        """A whole dialogue at once, by library LSTMs: what the stream's finals must equal.

        Args:
            look_ahead: later utterances that each estimate may use; None is all of them.
            influence: whether to work out the modalities' influence too (slower).
        """
        if not dialogue:
            return []
        count = len(dialogue)
        batch = self._batch(dialogue)
        batches, masked = [batch], []
        if influence:
            masked = [
                (place, name)
                for name, there in (("acoustic", batch.has_acoustic), ("text", batch.has_text))
                for place in torch.nonzero(there[:, 0])[:, 0].tolist()
            ]
            nothing = torch.zeros_like(batch.has_text)
            batches += [batch.masked(acoustic=nothing), batch.masked(text=nothing)]
        # Rows of the vectors: as it is, then by masked modality; see the variants.
        wanted = [(t, t) for t in range(count)]
        wanted += [(t, _VARIANT[name] * count + t) for t, name in masked]
        outputs = [
            _whole_dialogue(member, batches, [u.speaker for u in dialogue], wanted, look_ahead)
            for member in self._network.networks()
        ]
        scores = mean_scores(torch.stack(outputs), float(self._network.temperature))
        return _estimates(scores, count, masked)

    def _batch(self, inputs: Sequence[UtteranceInputs]) -> UtteranceBatch:
        return collate(
            [normalise(one.acoustic, self._mean, self._sd) for one in inputs],
            [self._text.features(one.text) for one in inputs],
        )


class _Rows:
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


def _relations(neighbours: Sequence[str | None], steps: Sequence[Encoded]) -> Tensor:
    """Relation (S,) of each step to the speaker of the step before it in its chain."""
    return torch.tensor(
        [
            START if other is None else SAME if other == one.speaker else OTHER
            for other, one in zip(neighbours, steps, strict=True)
        ]
    )


def _whole_dialogue(
    member: Any,
    batches: Sequence[UtteranceBatch],
    speakers: Sequence[str],
    wanted: Sequence[tuple[int, int]],
    look_ahead: int | None,
) -> Tensor:
    """Outputs (P, O): for each wanted (utterance, its vector's row), both chains to it afresh."""
    count = len(speakers)
    fused = torch.cat([member.fuse(batch) for batch in batches])  # (V N, F)
    states = []
    for forward in (True, False):
        chains, relations = [], []
        for t, row in wanted:
            last = count - 1 if look_ahead is None else min(t + look_ahead, count - 1)
            path = list(range(t + 1)) if forward else list(range(last, t - 1, -1))
            relations += relations_of([speakers[place] for place in path])
            chains.append(torch.tensor([*path[:-1], row]))
        steps = member.run_chain(fused, torch.tensor(relations), chains, forward=forward)
        ends = torch.tensor([len(chain) for chain in chains]).cumsum(dim=0) - 1
        states.append(steps[ends])  # (P, H)
    rows = torch.tensor([row for _, row in wanted])
    outputs: Tensor = member.score(states[0], states[1], fused[rows])
    return outputs


def _estimates(
    scores: tuple[Tensor, Tensor, Tensor], count: int, masked: Sequence[tuple[int, str]]
) -> list[Estimate]:
    """Estimates of the first ``count`` rows; row ``count + i`` is ``masked[i]`` left out."""
    classes, means, levels = scores
    influence: list[dict[str, float]] = [{} for _ in range(count)]
    if masked:
        places = torch.tensor([place for place, _ in masked])
        moved = (classes[places] - classes[count:]).abs().sum(dim=1).mul(0.5).tolist()
        for (place, name), distance in zip(masked, moved, strict=True):
            influence[place][name] = distance
    categorical, level_rows = classes[:count].numpy(), levels[:count].numpy()
    return [
        Estimate(
            categorical[place].copy(),
            {name: (mean[i], level_rows[place, i].copy()) for i, name in enumerate(SCALES)},
            {},
            influence[place],
        )
        for place, mean in enumerate(means[:count].tolist())
    ]
