"""One step of the context model's LSTMs, for all members and many dialogues as one batch.

Knows: the members' weights, stacked, and the arithmetic of encoding, a step and the heads.
Refuses to know: dialogues, windows, speakers' names, and how the weights were trained.

An *utterance vector* has E = M (F + 8 H) numbers: for each of M members, the fused vector (F) and
its projections to the gates of the forward and the backward LSTM (4 H each). They are computed
once, although the backward LSTM reads an utterance of the open window many times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from affectstream_models.context.memory import Memory
from affectstream_models.context.network import ContextMember, ContextNetwork, UtteranceBatch
from affectstream_models.context.scores import StepScores, mean_step_scores

NO_ACOUSTIC, NO_TEXT = 1, 2
"""Variants of an utterance vector: with one modality masked. Variant 0 is as it is."""

_HAS_ACOUSTIC = torch.tensor([1.0, 0.0, 1.0])[:, None, None]  # (3, 1, 1), by variant
_HAS_TEXT = torch.tensor([1.0, 1.0, 0.0])[:, None, None]


class StackedMembers:
    """The weights of a network's members as stacks of matrices (M, in, out).

    Attributes:
        members: M.
        fused: F, length of a fused vector.
        hidden: H, cells of an LSTM.
        width: E, length of an utterance vector.
        fading: (C,), constants of the memory.
    """

    def __init__(self, network: ContextNetwork) -> None:
        members = network.networks()
        self.members = len(members)
        self.fading = torch.tensor(network.config.memory)  # (C,)
        self.fused = network.config.fused_dim
        self.hidden = network.config.hidden_dim
        self.width = self.members * (self.fused + 8 * self.hidden)
        self._temperature, self._clusters = float(network.temperature), network.config.clusters
        self._table = torch.cat([m.ngram_table.weight for m in members], dim=1).detach()
        self._acoustic = _Affine(members, lambda m: _layer(m.acoustic_encoder, 1))
        rows = range(1, len(members[0].text_encoder), 3)  # the linear one of every three layers
        self._text = [_Affine(members, partial(_text_layer, row)) for row in rows]
        self._fusion = _Affine(members, lambda m: _layer(m.fusion, 1))
        self._presence = _Affine(members, lambda m: m.presence)
        self._hidden_layer = _Affine(members, lambda m: _layer(m.head, 0))
        self._output_layer = _Affine(members, lambda m: _layer(m.head, 3))
        ways = [[m.forward_lstm for m in members], [m.backward_lstm for m in members]]
        projections = [_stack([_gates(lstm, "weight_ih").t() for lstm in way]) for way in ways]
        self._projection = torch.cat(projections, dim=2)  # (M, F, 8 H)
        biases = [
            _stack([_gates(lstm, "bias_ih") + _gates(lstm, "bias_hh") for lstm in way])
            for way in ways
        ]
        self._bias = torch.cat(biases, dim=1)[:, None]  # (M, 1, 8 H)
        self._recurrent = [_stack([_gates(lstm, "weight_hh").t() for lstm in way]) for way in ways]
        tables = [[m.relation for m in members], [m.backward_relation for m in members]]
        self._relations = [
            torch.bmm(_stack([table.weight for table in way]), projection)  # (M, 3, 4 H)
            for way, projection in zip(tables, projections, strict=True)
        ]

    def encode(self, batch: UtteranceBatch) -> Tensor:
        """Return the utterance vectors (B, 3, E) of B utterances, in three variants."""
        count, m = len(batch.offsets), self.members
        bag = F.embedding_bag(
            batch.ngrams, self._table, batch.offsets, mode="sum", per_sample_weights=batch.weights
        ).view(count, m, -1)  # (B, M, D)
        words = batch.words[:, None].expand(-1, m, -1)
        sentences = batch.sentences[:, None].expand(-1, m, -1)
        text = torch.cat((bag, words, sentences), dim=2).transpose(0, 1)
        for layer in self._text:
            text = torch.relu(layer(text))  # after the last one: (M, B, V)
        acoustic = torch.relu(self._acoustic(batch.acoustic.expand(m, -1, -1)))
        has_acoustic = batch.has_acoustic * _HAS_ACOUSTIC  # (3, B, 1)
        has_text = batch.has_text * _HAS_TEXT
        sides = (acoustic[:, None] * has_acoustic, text[:, None] * has_text)  # (M, 3, B, E or V)
        joined = torch.cat(sides, dim=3).view(m, 3 * count, -1)
        present = torch.cat((has_acoustic, has_text), dim=2).view(3 * count, 2)
        fused = torch.relu(self._fusion(joined) + self._presence(present.expand(m, -1, -1)))
        gates = torch.baddbmm(self._bias, fused, self._projection)  # (M, 3 B, 8 H)
        vectors = torch.cat((fused, gates), dim=2).transpose(0, 1)  # (3 B, M, F + 8 H)
        return vectors.reshape(3, count, self.width).transpose(0, 1)

    def split(self, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Split utterance vectors (B, E) into their parts.

        Returns:
            Fused vectors (M, B, F), forward gates and backward gates (M, B, 4 H).
        """
        by_member = vectors.view(len(vectors), self.members, -1).transpose(0, 1)
        sizes = [self.fused, 4 * self.hidden, 4 * self.hidden]
        fused, forward, backward = torch.split(by_member, sizes, dim=2)
        return fused, forward, backward

    def by_member(self, states: Tensor) -> Tensor:
        """Return states (B, M H) as (M, B, H)."""
        return states.view(len(states), self.members, self.hidden).transpose(0, 1)

    def by_row(self, states: Tensor) -> Tensor:
        """Return K kinds of states (K, M, B, H) as (B, K, M H)."""
        return states.permute(2, 0, 1, 3).reshape(states.shape[2], len(states), -1)

    def remembered(self, memory: Memory, speaker: str) -> Tensor:
        """Return the means (2 C, M F) of a memory of one side, as they concern ``speaker``."""
        return memory.of(speaker, self.fading, self.members * self.fused)

    def memories(self, before: Sequence[Tensor], after: Sequence[Tensor]) -> Tensor:
        """Return the memories (M, B, 4 C F) of B utterances.

        Args:
            before, after: B tensors (2 C, M F) each, from ``remembered``.
        """
        sides = torch.cat((torch.stack(list(before)), torch.stack(list(after))), dim=1)
        by_member = sides.view(len(sides), -1, self.members, self.fused)  # (B, 4 C, M, F)
        return by_member.permute(2, 0, 1, 3).flatten(2)

    def relation(self, relations: Tensor, *, forward: bool) -> Tensor:
        """Return what the relations (B,) to the steps before add to the gates, (M, B, 4 H)."""
        return self._relations[0 if forward else 1][:, relations]

    def recur(self, hidden: Tensor, *, forward: bool) -> Tensor:
        """Return what hidden states (M, B, H) before the step add to the gates, (M, B, 4 H)."""
        return torch.bmm(hidden, self._recurrent[0 if forward else 1])

    def cell(self, gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return hidden and cell states (M, B, H) after a step of the LSTM.

        Args:
            gates: (M, B, 4 H), the sum of all that adds to them.
            cell: (M, B, H), cell states before the step.
        """
        enter, keep, value, show = torch.sigmoid(gates).chunk(4, dim=2)
        # ``_gates`` doubled the weights of the value gate: tanh(x) = 2 sigmoid(2 x) - 1.
        after = torch.addcmul(keep * cell - enter, enter, value, value=2)
        return show * torch.tanh(after), after

    def outputs(self, forward: Tensor, backward: Tensor, fused: Tensor, memory: Tensor) -> Tensor:
        """Return raw outputs (M, B, O).

        Args:
            forward, backward: (M, B, H), hidden states.
            fused: (M, B, F).
            memory: (M, B, 4 C F).
        """
        joined = torch.cat((forward, backward, fused, memory), dim=2)
        return self._output_layer(torch.relu(self._hidden_layer(joined)))

    def scores(self, outputs: Tensor, count: int) -> StepScores:
        """Return the members' mean scores, as ``mean_step_scores`` does."""
        return mean_step_scores(outputs, self._temperature, count, self._clusters)


class _Affine:
    """One linear layer of every member: (M, B, in) -> (M, B, out)."""

    def __init__(
        self, members: Sequence[ContextMember], choose: Callable[[ContextMember], nn.Linear]
    ) -> None:
        layers = [choose(member) for member in members]
        self._weight = _stack([layer.weight.t() for layer in layers])  # (M, in, out)
        self._bias = _stack([layer.bias for layer in layers])[:, None]  # (M, 1, out)

    def __call__(self, inputs: Tensor) -> Tensor:
        return torch.baddbmm(self._bias, inputs, self._weight)


def _text_layer(row: int, member: ContextMember) -> nn.Linear:
    return _layer(member.text_encoder, row)


def _layer(block: nn.Sequential, index: int) -> nn.Linear:
    layer = block[index]
    if not isinstance(layer, nn.Linear):
        raise TypeError(f"layer {index} is a {type(layer).__name__}, expected Linear")
    return layer


def _gates(lstm: nn.LSTM, name: str) -> Tensor:
    """Return an LSTM's parameter, the value gate doubled so that one sigmoid serves all gates."""
    parameter = lstm.get_parameter(f"{name}_l0").detach().clone()
    size = lstm.hidden_size
    parameter[2 * size : 3 * size] *= 2
    return parameter


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(tensors)).detach().contiguous()
