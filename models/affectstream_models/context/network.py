"""The network of the context model: encoders, a forward and a backward LSTM, heads.

Knows: features of utterances in, scores out, for whole dialogues at once, as training and the
offline reference need it.
Refuses to know: streams, open windows, and what the features mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from affectstream_models.context.memory import memory_weights, memory_width

ACOUSTIC_STATISTICS = 47  # of eGeMAPS, per utterance
CONTEXT_CLASS_COUNT = 4
SCALES = ("valence", "activation", "dominance")
LEVEL_COUNT = 3
OTHER_COUNT = 4
"""Outputs that only training uses: frustration, surprise, fear, and any other emotion."""

OUTPUTS = CONTEXT_CLASS_COUNT + len(SCALES) + LEVEL_COUNT * len(SCALES) + OTHER_COUNT
"""The outputs O, in this order: classes, means, levels, others. Those of clusters follow."""

CHAIN_START, SAME_SPEAKER, OTHER_SPEAKER = 0, 1, 2
"""Relations of an utterance to the one before it in its chain."""


@dataclass(frozen=True, slots=True)
class ContextConfig:
    """Sizes of a network, and its dropouts in training.

    Attributes:
        ngrams, words: known n-grams, and words with a vector.
        word_dim, ngram_dim: numbers in a word's vector, and in an n-gram's.
        text_dim: width of the text encoder.
        evidence_dim: width of a narrow layer after it, which leaves too little room to recognise
            the scenario by its words; 0 leaves the layer out.
        encoder_dim: width of the acoustic encoder.
        fused_dim: F, length of a fused vector.
        hidden_dim: H, cells of each LSTM.
        head_dim: width of the heads' common layer.
        sentence_dim: numbers in a sentence encoder's vector; 0 without one.
        sentence_encoder: its name, see ``text.sentence_encoder``.
        memory: fading constants of the memories, in utterances; empty for none.
        clusters: sizes of the clusterings of valence and activation that it also predicts.
        members: M, networks whose scores are averaged.
    """

    ngrams: int
    words: int
    word_dim: int = 50
    ngram_dim: int = 64
    text_dim: int = 64
    evidence_dim: int = 16
    encoder_dim: int = 64
    fused_dim: int = 64
    hidden_dim: int = 128
    head_dim: int = 64
    sentence_dim: int = 0
    sentence_encoder: str = ""
    memory: tuple[float, ...] = ()
    clusters: tuple[int, ...] = ()
    members: int = 1
    input_dropout: float = 0.3
    output_dropout: float = 0.4

    def to_dict(self) -> dict[str, Any]:
        """Return the sizes as plain values, for the checkpoint's metadata."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ContextConfig:
        """Return the sizes that ``to_dict`` gave, after JSON has made lists of the tuples."""
        plain = dict(values)
        for name in ("memory", "clusters"):
            plain[name] = tuple(plain.get(name, ()))
        return cls(**plain)


@dataclass(frozen=True, slots=True)
class UtteranceBatch:
    """Features of B utterances, as tensors.

    Attributes:
        acoustic: (B, 47), normalised statistics; zeros where missing.
        has_acoustic, has_text: (B, 1) float32, 1 where the modality is present, else 0.
        ngrams: (K,) int64, rows of the n-gram table, of all utterances one after the other.
        offsets: (B,) int64, where each utterance's n-grams start.
        weights: (K,) float32, of each n-gram.
        words: (B, 2 D), pooled word vectors.
        sentences: (B, S), a sentence encoder's vectors.
    """

    acoustic: Tensor
    has_acoustic: Tensor
    ngrams: Tensor
    offsets: Tensor
    weights: Tensor
    words: Tensor
    sentences: Tensor
    has_text: Tensor

    def masked(
        self, *, acoustic: Tensor | None = None, text: Tensor | None = None
    ) -> UtteranceBatch:
        """Return the same utterances with each modality's presence multiplied by a mask (B, 1)."""
        return replace(
            self,
            has_acoustic=self.has_acoustic if acoustic is None else self.has_acoustic * acoustic,
            has_text=self.has_text if text is None else self.has_text * text,
        )


def _layer(inputs: int, outputs: int, dropout: float) -> list[nn.Module]:
    return [nn.Dropout(dropout), nn.Linear(inputs, outputs), nn.ReLU()]


class ContextMember(nn.Module):
    """One member: encoders, masked fusion, an LSTM in each direction, and a head.

    The scores of several members, trained from different seeds, are averaged.
    """

    def __init__(self, config: ContextConfig) -> None:
        super().__init__()
        c = config
        self.config = c
        self.ngram_table = nn.EmbeddingBag(max(1, c.ngrams), c.ngram_dim, mode="sum")
        nn.init.normal_(self.ngram_table.weight, std=0.1)
        self.acoustic_encoder = nn.Sequential(
            nn.Dropout(0.1), nn.Linear(ACOUSTIC_STATISTICS, c.encoder_dim), nn.ReLU()
        )
        read = c.ngram_dim + 2 * c.word_dim + c.sentence_dim
        layers = [*_layer(read, c.text_dim, c.input_dropout)]
        if c.evidence_dim:
            layers += _layer(c.text_dim, c.evidence_dim, c.input_dropout)
        self.text_encoder = nn.Sequential(*layers)
        said = c.evidence_dim or c.text_dim
        self.fusion = nn.Sequential(
            nn.Dropout(c.input_dropout), nn.Linear(c.encoder_dim + said, c.fused_dim)
        )
        # A missing modality is zeros; the weights of its flag learn what to put in its place.
        self.presence = nn.Linear(2, c.fused_dim)
        self.forward_lstm = nn.LSTM(c.fused_dim, c.hidden_dim, batch_first=True)
        self.backward_lstm = nn.LSTM(c.fused_dim, c.hidden_dim, batch_first=True)
        self.relation = nn.Embedding(3, c.fused_dim)
        self.backward_relation = nn.Embedding(3, c.fused_dim)
        self.chain_dropout = nn.Dropout(c.input_dropout)
        self.output_dropout = nn.Dropout(c.output_dropout)
        self.head = nn.Sequential(
            nn.Linear(
                2 * c.hidden_dim + c.fused_dim + memory_width(c.fused_dim, c.memory), c.head_dim
            ),
            nn.ReLU(),
            nn.Dropout(c.output_dropout),
            nn.Linear(c.head_dim, OUTPUTS + sum(c.clusters)),
        )

    def read(self, batch: UtteranceBatch) -> Tensor:
        """Return the text encoder's vectors (B, V); they mean nothing where there is no text."""
        bag = self.ngram_table(batch.ngrams, batch.offsets, per_sample_weights=batch.weights)
        read = torch.cat((bag, batch.words, batch.sentences), dim=1)
        evidence: Tensor = self.text_encoder(read)
        return evidence

    def fuse(self, batch: UtteranceBatch) -> Tensor:
        """Return the fused vectors (B, F) of B utterances."""
        text = self.read(batch) * batch.has_text  # (B, V)
        acoustic = self.acoustic_encoder(batch.acoustic) * batch.has_acoustic  # (B, E)
        present = torch.cat((batch.has_acoustic, batch.has_text), dim=1)  # (B, 2)
        joined = self.fusion(torch.cat((acoustic, text), dim=1)) + self.presence(present)
        return torch.relu(joined)  # (B, F)

    def run_chain(
        self, fused: Tensor, relations: Tensor, chains: Sequence[Tensor], *, forward: bool
    ) -> Tensor:
        """Return the hidden states (S, H) of one LSTM after every step of many chains.

        Args:
            fused: (B, F), vectors of utterances.
            relations: (S,) int64, of the steps of all chains, one chain after the other.
            chains: for each chain, the utterances it visits, in order; S in all.
            forward: which of the two LSTMs.
        """
        lstm = self.forward_lstm if forward else self.backward_lstm
        table = self.relation if forward else self.backward_relation
        steps = self.chain_dropout(fused)[torch.cat(list(chains))] + table(relations)  # (S, F)
        order, sizes = _step_order([len(chain) for chain in chains])
        packed = PackedSequence(steps[order], sizes)
        states: Tensor = lstm(packed)[0].data  # (S, H), by step
        return torch.empty_like(states).index_copy(0, order, states)

    def remember(self, fused: Tensor, speakers: Sequence[str], last: Sequence[int]) -> Tensor:
        """Return the memories (N, 4 C F) of a dialogue's N utterances.

        Args:
            fused: (N, F), their vectors.
            speakers: who spoke them.
            last: for each utterance, the last one that it may know of.
        """
        fading = self.config.memory
        if not fading or len(speakers) < 2:  # nothing to remember
            return fused.new_zeros(len(fused), memory_width(self.config.fused_dim, fading))
        weights = memory_weights(speakers, last, fading)  # (4 C, N, N)
        return torch.matmul(weights, fused).transpose(0, 1).flatten(1)

    def score(self, forward: Tensor, backward: Tensor, fused: Tensor, memory: Tensor) -> Tensor:
        """Return raw outputs (B, O), and those of the clusters, if there are any, behind them.

        Args:
            forward, backward: (B, H), hidden states.
            fused: (B, F).
            memory: (B, 4 C F).
        """
        states = self.output_dropout(torch.cat((forward, backward), dim=1))
        memory = self.chain_dropout(memory)
        outputs: Tensor = self.head(torch.cat((states, fused, memory), dim=1))
        return outputs


class ContextNetwork(nn.Module):
    """All that a checkpoint holds: members, vocabulary, normalisation, temperature."""

    ngram_hashes: Tensor  # (V,) int64
    word_hashes: Tensor  # (W,) int64
    word_vectors: Tensor  # (W, D)
    acoustic_mean: Tensor  # (47,)
    acoustic_sd: Tensor  # (47,)
    cluster_centres: Tensor  # (sum of clusters, 2), valence and activation
    temperature: Tensor  # ()

    def __init__(self, config: ContextConfig) -> None:
        super().__init__()
        self.config = config
        self.members = nn.ModuleList(ContextMember(config) for _ in range(config.members))
        self.register_buffer("ngram_hashes", torch.zeros(config.ngrams, dtype=torch.int64))
        self.register_buffer("word_hashes", torch.zeros(config.words, dtype=torch.int64))
        self.register_buffer("word_vectors", torch.zeros(config.words, config.word_dim))
        self.register_buffer("acoustic_mean", torch.zeros(ACOUSTIC_STATISTICS))
        self.register_buffer("acoustic_sd", torch.ones(ACOUSTIC_STATISTICS))
        self.register_buffer("cluster_centres", torch.zeros(sum(config.clusters), 2))
        self.register_buffer("temperature", torch.ones(()))

    def networks(self) -> list[ContextMember]:
        """Return the members with their type, which ``nn.ModuleList`` does not keep."""
        return [member for member in self.members if isinstance(member, ContextMember)]

    def set_tables(
        self,
        ngram_hashes: NDArray[np.int64],
        word_hashes: NDArray[np.int64],
        word_vectors: NDArray[np.float32],
        acoustic_mean: NDArray[np.float32],
        acoustic_sd: NDArray[np.float32],
    ) -> None:
        """Copy what was fitted on the training fold into the buffers."""
        self.ngram_hashes.copy_(torch.from_numpy(ngram_hashes))
        self.word_hashes.copy_(torch.from_numpy(word_hashes))
        self.word_vectors.copy_(torch.from_numpy(word_vectors))
        self.acoustic_mean.copy_(torch.from_numpy(acoustic_mean))
        self.acoustic_sd.copy_(torch.from_numpy(acoustic_sd))


def _step_order(lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return what ``PackedSequence`` needs of chains that lie one after the other.

    Padding them and letting torch pack them would take twice as long.

    Returns:
        The rows in packed order, by step and the longest chain first, and how many each step has.
    """
    count = np.asarray(lengths)
    rank = np.empty(len(count), dtype=np.int64)
    rank[np.argsort(-count, kind="stable")] = np.arange(len(count))
    step = np.concatenate([np.arange(n) for n in lengths])
    order = np.lexsort((np.repeat(rank, count), step))
    return torch.from_numpy(order), torch.from_numpy(np.bincount(step))


def relations_of(speakers: Sequence[str]) -> list[int]:
    """Return the relation of each step of a chain to the step before it.

    Args:
        speakers: of the chain's utterances, in the order in which it visits them.
    """
    changes = (SAME_SPEAKER if a == b else OTHER_SPEAKER for a, b in pairwise(speakers))
    return [CHAIN_START, *changes] if speakers else []
