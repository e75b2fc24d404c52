"""The context model: one emotion estimate per utterance, from all that came before it and the
few utterances that came after it.

Knows: utterances' features, the forward state that a dialogue carries, its open window.
Refuses to know: time, streams, revisions, and how it was trained. It holds weights only: the
state of every dialogue is a value that its caller passes in and gets back.

The score of utterance t, with k later utterances known, uses the forward LSTM over 0..t and the
backward LSTM over t+k down to t, both from zero states.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from affectstream_models.context.batches import collate
from affectstream_models.context.memory import Memory
from affectstream_models.context.network import (
    SCALES,
    ContextNetwork,
    UtteranceBatch,
)
from affectstream_models.context.offline import dialogue_outputs
from affectstream_models.context.rows import PackedRows, maskable, relations_to
from affectstream_models.context.steps import (
    NO_ACOUSTIC,
    NO_TEXT,
    StackedMembers,
    StepScores,
    mean_step_scores,
)
from affectstream_models.context.values import (
    CONTEXT_CLASSES,
    CONTEXT_MODALITIES,
    Encoded,
    ForwardState,
    UtteranceEstimate,
    UtteranceInputs,
    _Slot,
)
from affectstream_models.text.sentence_encoder import SentenceEncoder, sentence_encoder
from affectstream_models.text.word_encoder import TextEncoder

__all__ = [
    "CONTEXT_CLASSES",
    "CONTEXT_MODALITIES",
    "Encoded",
    "ForwardState",
    "StreamingContextModel",
    "UtteranceEstimate",
    "UtteranceInputs",
]

_WINDOWS_AT_ONCE = 12
"""More at a time is slower, for what a step reads and writes no longer fits the caches."""

_VARIANT = {"acoustic": NO_ACOUSTIC, "text": NO_TEXT}


class StreamingContextModel:
    """Weights, and the four things that can be done with them.

    Attributes:
        id: the name under which estimates are published.
        sha256: of the checkpoint file, in hexadecimal.
        look_ahead: later utterances the model was made to wait for.
        acoustic_mean, acoustic_sd: (47,) float32, the training population's statistics.
        speaker_prior: how many utterances of a speaker weigh as much as the population does
            when statistics are normalised; infinite where only the population's are used.
        sure_above: a top class of less probability than this is "unsure".
        trained_speakers: who was learned from, such as ``iemocap/Ses01F``.

    Raises:
        ValueError: the network reads a sentence encoder's vectors, and its package is missing.
    """

    modalities: tuple[str, ...] = CONTEXT_MODALITIES

    def __init__(
        self,
        network: ContextNetwork,
        *,
        id: str,
        sha256: str,
        look_ahead: int = 8,
        speaker_prior: float = math.inf,
        sure_above: float = 0.0,
        trained_speakers: Sequence[str] = (),
        sentences: SentenceEncoder | None = None,
    ) -> None:
        self.id = id
        self.sha256 = sha256
        self.look_ahead = look_ahead
        self.speaker_prior = speaker_prior
        self.sure_above = sure_above
        self.trained_speakers = tuple(trained_speakers)
        self._network = network.eval()
        self._members = StackedMembers(network)
        if sentences is None and network.config.sentence_encoder:
            sentences = sentence_encoder(network.config.sentence_encoder)
        self._text = TextEncoder(
            network.ngram_hashes.numpy(),
            network.word_hashes.numpy(),
            network.word_vectors.numpy(),
            sentences,
        )
        self.acoustic_mean = network.acoustic_mean.numpy()
        self.acoustic_sd = network.acoustic_sd.numpy()

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
                for name, flag in zip(CONTEXT_MODALITIES, there, strict=True)
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
        m, rows = self._members, PackedRows([len(chain) for chain in chains])
        steps = [chains[chain][step] for chain, step in rows.order]
        before = [
            chains[chain][step - 1].speaker if step else states[chain].speaker
            for chain, step in rows.order
        ]
        fused, gates, _ = m.split(torch.stack([one.fused for one in steps]))  # (M, S, 4 H)
        shared = m.relation(relations_to(before, steps), forward=True)
        ordered = [states[chain] for chain in rows.chains]
        hidden = m.by_member(torch.stack([state.hidden for state in ordered]))  # (M, C, H)
        cell = m.by_member(torch.stack([state.cell for state in ordered]))
        drives, cells, hiddens = [], [], []
        for first, count in rows.steps:
            drives.append(
                shared[:, first : first + count] + m.recur(hidden[:, :count], forward=True)
            )
            cells.append(cell[:, :count])
            hidden, cell = m.cell(gates[:, first : first + count] + drives[-1], cells[-1])
            hiddens.append(torch.stack((hidden, cell)))
        left_out = self._left_out_states(steps, torch.cat(drives, dim=1), torch.cat(cells, dim=1))
        both = m.by_row(torch.cat(hiddens, dim=2))  # (S, 2, M H)
        vectors = fused.transpose(0, 1).flatten(1)  # (S, M F)
        results: list[list[ForwardState]] = [[] for _ in chains]
        for place, (chain, step) in enumerate(rows.order):
            speaker = steps[place].speaker
            memory = (results[chain][step - 1] if step else states[chain]).memory
            if len(m.fading):
                memory = memory.after(speaker, vectors[place], m.fading)
            own = both[place].clone()  # so that a state does not keep the whole batch in memory
            state = ForwardState(own[0], own[1], speaker, left_out[place], memory)
            results[chain].append(state)
        return results

    def _left_out_states(
        self, steps: Sequence[Encoded], shared: Tensor, cells: Tensor
    ) -> list[dict[str, Tensor]]:
        """Hidden states (M H,) of steps taken with one modality masked.

        Args:
            shared: (M, S, 4 H) what masking leaves alone. cells: (M, S, H) before the step.
        """
        m = self._members
        masked = maskable(steps)
        left_out: list[dict[str, Tensor]] = [{} for _ in steps]
        if masked:
            where = torch.tensor([place for place, _ in masked])
            _, gates, _ = m.split(torch.stack([steps[p].without[name] for p, name in masked]))
            hidden, _ = m.cell(gates + shared[:, where], cells[:, where])
            for (place, name), row in zip(masked, m.by_row(hidden[None]), strict=True):
                left_out[place][name] = row[0].clone()
        return left_out

    @torch.inference_mode()
    def estimate(self, windows: Sequence[Sequence[_Slot]]) -> list[list[UtteranceEstimate]]:
        """Estimate every utterance of many dialogues' open windows.

        Args:
            windows: per dialogue its open utterances, oldest first. The backward LSTM starts
                anew behind the last one.

        Returns:
            One estimate per utterance, in the windows' order.
        """
        results: list[list[UtteranceEstimate]] = []
        for first in range(0, len(windows), _WINDOWS_AT_ONCE):
            results += self._estimate_some(windows[first : first + _WINDOWS_AT_ONCE])
        return results

    def _estimate_some(self, windows: Sequence[Sequence[_Slot]]) -> list[list[UtteranceEstimate]]:
        if not any(windows):
            return [[] for _ in windows]
        m, rows = self._members, PackedRows([len(window) for window in windows])
        # Step s of the backward chain is the window's utterance s from the end.
        slots = [windows[window][-1 - step] for window, step in rows.order]
        later = [windows[w][-step][1].speaker if step else None for w, step in rows.order]
        fused, _, gates = m.split(torch.stack([one.fused for _, one, _ in slots]))
        relations = relations_to(later, [one for _, one, _ in slots])
        shared = m.relation(relations, forward=False)  # (M, S, 4 H), what masking leaves alone
        backward, cells = self._run_backward(rows, gates, shared)
        forward = m.by_member(torch.stack([after.hidden for _, _, after in slots]))
        masked = [(place, name) for place, (_, one, _) in enumerate(slots) for name in one.without]
        memory = self._memories(rows, slots, fused)
        states = [forward, backward, fused, memory]
        if masked:
            left_out = (*self._leave_out(slots, masked, shared, cells), _rows(memory, masked))
            states = [torch.cat(pair, dim=1) for pair in zip(states, left_out, strict=True)]
        results = _estimates(m.scores(m.outputs(*states), len(slots)), len(slots), masked)
        by_window: list[list[UtteranceEstimate]] = [[] for _ in windows]
        for (window, _), result in zip(reversed(rows.order), reversed(results), strict=True):
            by_window[window].append(result)
        return by_window

    def _memories(self, rows: PackedRows, slots: Sequence[_Slot], fused: Tensor) -> Tensor:
        """Memories (M, S, 4 C F) of all slots, by the packed order."""
        m = self._members
        if not len(m.fading):
            return fused.new_zeros(m.members, len(slots), 0)
        vectors = fused.transpose(0, 1).flatten(1)  # (S, M F)
        later: dict[int, Memory] = {}
        before, after = [], []
        for (window, _), (state, one, _), vector in zip(rows.order, slots, vectors, strict=True):
            memory = later.get(window, Memory())
            before.append(m.remembered(state.memory, one.speaker))
            after.append(m.remembered(memory, one.speaker))
            later[window] = memory.after(one.speaker, vector, m.fading)
        return m.memories(before, after)

    def _run_backward(
        self, rows: PackedRows, gates: Tensor, shared: Tensor
    ) -> tuple[Tensor, Tensor]:
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
        slots: Sequence[_Slot],
        masked: Sequence[tuple[int, str]],
        shared: Tensor,
        cells: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """States and fused vectors (M, P, .) of slots with one modality masked, one step each."""
        m = self._members
        where = torch.tensor([place for place, _ in masked])
        vectors = torch.stack([slots[place][1].without[name] for place, name in masked])
        fused, _, gates = m.split(vectors)
        backward, _ = m.cell(gates + shared[:, where], cells[:, where])
        forward = torch.stack([slots[place][2].without[name] for place, name in masked])
        return m.by_member(forward), backward, fused

    @torch.inference_mode()
    def offline(
        self,
        dialogue: Sequence[UtteranceInputs],
        look_ahead: int | None,
        *,
        influence: bool = True,
    ) -> list[UtteranceEstimate]:
        """A whole dialogue at once, by library LSTMs: what the stream's finals must equal.

        Args:
            look_ahead: later utterances that each estimate may use; None is all of them.
            influence: whether to work out the modalities' influence too (slower).
        """
        if not dialogue:
            return []
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
        outputs = dialogue_outputs(
            self._network,
            batches,
            [one.speaker for one in dialogue],
            look_ahead,
            [(place, _VARIANT[name]) for place, name in masked],
        )
        temperature = float(self._network.temperature)
        scores = mean_step_scores(
            outputs, temperature, len(dialogue), self._network.config.clusters
        )
        return _estimates(scores, len(dialogue), masked)

    def _batch(self, inputs: Sequence[UtteranceInputs]) -> UtteranceBatch:
        return collate(
            [one.acoustic for one in inputs],
            [self._text.features(one.text) for one in inputs],
        )


def _rows(memory: Tensor, masked: Sequence[tuple[int, str]]) -> Tensor:
    """The memories of the places that are estimated again; what is masked there is not in them."""
    return memory[:, torch.tensor([place for place, _ in masked])]


def _estimates(
    scores: StepScores, count: int, masked: Sequence[tuple[int, str]]
) -> list[UtteranceEstimate]:
    """Estimates of the first ``count`` rows; row ``count + i`` is ``masked[i]`` left out."""
    classes, means, levels, clusters = scores
    influence: list[dict[str, float]] = [{} for _ in range(count)]
    if masked:
        places = torch.tensor([place for place, _ in masked])
        moved = (classes[places] - classes[count:]).abs().sum(dim=1).mul(0.5).tolist()
        for (place, name), distance in zip(masked, moved, strict=True):
            influence[place][name] = distance
    rows = zip(classes[:count].numpy(), means.tolist(), levels.numpy(), influence, strict=False)
    return [
        UtteranceEstimate(
            categorical,
            {name: (mean[i], level[i]) for i, name in enumerate(SCALES)},
            {name: found[row].numpy() for name, found in clusters.items()},
            moves,
        )
        for row, (categorical, mean, level, moves) in enumerate(rows)
    ]
