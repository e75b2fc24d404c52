"""The context model's arithmetic one step at a time, all members and dialogues as one batch.

Knows: the members' weights, stacked, and how one step of each chain is computed.
Refuses to know: dialogues, windows, speakers' names, and how the weights were found.

The last axis of an *utterance vector* (E = M (F + 8 H)) holds, for each of M members, the fused
vector and its projections to the gates of the forward and the backward LSTM, so that a window
that is read again and again projects each utterance once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from affectstream_models.context.memory import Memory
from affectstream_models.context.network import (
    CONTEXT_CLASS_COUNT,
    LEVEL_COUNT,
    OUTPUTS,
    SCALES,
    ContextMember,
    ContextNetwork,
    UtteranceBatch,
)

FULL, NO_ACOUSTIC, NO_TEXT = 0, 1, 2
"""Variants of an utterance vector: as it is, and with one modality masked."""

_HAS_ACOUSTIC = torch.tensor([1.0, 0.0, 1.0])[:, None, None]  # (3, 1, 1), by variant
_HAS_TEXT = torch.tensor([1.0, 1.0, 0.0])[:, None, None]


class StackedMembers:
    """The members of a network as one stack of matrices (M, in, out).

    Attributes:
        fused: F. hidden: H. members: M. width: E, the length of an utterance vector.
        fading: (C,) constants of the memory.
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
        rows = range(1, len(members[0].text_encoder), 3)  # of dropout, linear, rectified
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
        """Utterance vectors (B, 3, E) of B utterances, by variant."""
        count, m = len(batch.offsets), self.members
        bag = F.embedding_bag(
            batch.ngrams, self._table, batch.offsets, mode="sum", per_sample_weights=batch.weights
        ).view(count, m, -1)  # (B, M, D)
        words = batch.words[:, None].expand(-1, m, -1)
        sentences = batch.sentences[:, None].expand(-1, m, -1)
        text = torch.cat((bag, words, sentences), dim=2).transpose(0, 1)
        for layer in self._text:
            text = torch.relu(layer(text))  # (M, B, V) in the end
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
        """Fused (M, B, F), forward and backward gates (M, B, 4 H) of vectors (B, E)."""
        by_member = vectors.view(len(vectors), self.members, -1).transpose(0, 1)
        sizes = [self.fused, 4 * self.hidden, 4 * self.hidden]
        fused, forward, backward = torch.split(by_member, sizes, dim=2)
        return fused, forward, backward

    def by_member(self, states: Tensor) -> Tensor:
        """(B, M H) -> (M, B, H)."""
        return states.view(len(states), self.members, self.hidden).transpose(0, 1)

    def by_row(self, states: Tensor) -> Tensor:
        """(K, M, B, H) -> (B, K, M H), K kinds of states."""
        return states.permute(2, 0, 1, 3).reshape(states.shape[2], len(states), -1)

    def remembered(self, memory: Memory, speaker: str) -> Tensor:
        """What ``speaker`` finds in a memory of one side: (2 C, M F)."""
        return memory.of(speaker, self.fading, self.members * self.fused)

    def memories(self, before: Sequence[Tensor], after: Sequence[Tensor]) -> Tensor:
        """Memories (M, B, 4 C F) of B utterances from both sides' (2 C, M F)."""
        sides = torch.cat((torch.stack(list(before)), torch.stack(list(after))), dim=1)
        by_member = sides.view(len(sides), -1, self.members, self.fused)  # (B, 4 C, M, F)
        return by_member.permute(2, 0, 1, 3).flatten(2)

    def relation(self, relations: Tensor, *, forward: bool) -> Tensor:
        """Gates' share (M, B, 4 H) of the relation (B,) to the step before."""
        return self._relations[0 if forward else 1][:, relations]

    def recur(self, hidden: Tensor, *, forward: bool) -> Tensor:
        """Gates' share (M, B, 4 H) of the hidden state (M, B, H) before the step."""
        return torch.bmm(hidden, self._recurrent[0 if forward else 1])

    def cell(self, gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden and cell state (M, B, H) after a step (Hochreiter & Schmidhuber 1997)."""
        enter, keep, value, show = torch.sigmoid(gates).chunk(4, dim=2)
        # The value gate's weights are doubled, see ``_gates``: tanh(x) = 2 sigmoid(2 x) - 1.
        after = torch.addcmul(keep * cell - enter, enter, value, value=2)
        return show * torch.tanh(after), after

    def outputs(self, forward: Tensor, backward: Tensor, fused: Tensor, memory: Tensor) -> Tensor:
        """Raw outputs (M, B, O) of states (M, B, H), fused vectors (M, B, F) and memories."""
        joined = torch.cat((forward, backward, fused, memory), dim=2)
        return self._output_layer(torch.relu(self._hidden_layer(joined)))

    def scores(self, outputs: Tensor, count: int) -> StepScores:
        """The members' mean scores, see ``mean_step_scores``."""
        return mean_step_scores(outputs, self._temperature, count, self._clusters)


StepScores = tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]


def mean_step_scores(
    outputs: Tensor, temperature: float, count: int, clusters: Sequence[int] = ()
) -> StepScores:
    """Scores averaged over members, from raw outputs (M, B, O).

    Returns:
        Class probabilities (B, 4); for the first ``count`` rows the scales' means on 1..5
        (count, 3), level probabilities (count, 3 scales, 3 levels), and for each clustering its
        probabilities (count, k).
    """
    first, second = CONTEXT_CLASS_COUNT, CONTEXT_CLASS_COUNT + len(SCALES)
    third = second + LEVEL_COUNT * len(SCALES)
    classes = torch.softmax(outputs[..., :first] / temperature, dim=2).mean(dim=0)
    rows = outputs[:, :count]
    means = (1 + 4 * torch.sigmoid(rows[..., first:second])).mean(dim=0)
    levels = rows[..., second:third].reshape(*rows.shape[:2], len(SCALES), LEVEL_COUNT)
    heads = torch.split(rows[..., OUTPUTS:], list(clusters), dim=2) if clusters else ()
    return (
        classes,
        means,
        torch.softmax(levels, dim=3).mean(dim=0),
        {f"{k}": torch.softmax(h, dim=2).mean(0) for k, h in zip(clusters, heads, strict=True)},
    )


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
    """A parameter with its value gate doubled, so that one sigmoid serves all four gates."""
    parameter = lstm.get_parameter(f"{name}_l0").detach().clone()
    size = lstm.hidden_size
    parameter[2 * size : 3 * size] *= 2
    return parameter


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(tensors)).detach().contiguous()
