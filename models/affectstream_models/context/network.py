"""The network of the context model: encoders, a forward and a backward LSTM, heads.

Knows: features of utterances in, scores out, whole dialogues at once (the batch form that
training and the offline reference use).
Refuses to know: streams, windows that move, and what an utterance's words or statistics were.
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

ACOUSTIC_STATISTICS = 47
CONTEXT_CLASS_COUNT = 4
SCALES = ("valence", "activation", "dominance")
LEVEL_COUNT = 3
OTHER_COUNT = 4
"""Training-only outputs: frustration, surprise, fear, anything else agreed upon."""

OUTPUTS = CONTEXT_CLASS_COUNT + len(SCALES) + LEVEL_COUNT * len(SCALES) + OTHER_COUNT

START, SAME, OTHER = 0, 1, 2
"""Relation of an utterance to its neighbour in the chain: none, same speaker, other speaker."""


@dataclass(frozen=True, slots=True)
class ContextConfig:
    """Sizes of one member network, and its dropouts in training.

    Attributes:
        evidence_dim: how few numbers say what the words mean for emotion, so that they cannot tell
            one scenario from another; 0 leaves that layer out.
        sentence_dim: numbers that a sentence encoder says of a text; 0 does without one.
        sentence_encoder: its name, see ``sentence_encoder``.
        memory: fading constants, in utterances, of the means of what was expressed around an
            utterance; none leaves all context to the LSTMs.
        clusters: how many clusters of valence and activation each further head tells apart.
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
        """Plain values, for the checkpoint's metadata."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ContextConfig:
        """The sizes that ``to_dict`` gave; JSON knows no tuples."""
        plain = dict(values)
        for name in ("memory", "clusters"):
            plain[name] = tuple(plain.get(name, ()))
        return cls(**plain)


@dataclass(frozen=True, slots=True)
class UtteranceBatch:
    """Features of B utterances, as tensors.

    Attributes:
        acoustic: (B, 47) normalised statistics, zeros where absent.
        has_acoustic, has_text: (B, 1) float32, 1 where the modality is present.
        ngrams: (K,) int64 rows of the n-gram table, all utterances in a row.
        offsets: (B,) int64, where each utterance's n-grams start.
        weights: (K,) float32, weight of each n-gram.
        words: (B, 2 D) pooled word vectors.
        sentences: (B, S) a sentence encoder's vectors.
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
        """The same utterances with presence multiplied by (B, 1) masks."""
        return replace(
            self,
            has_acoustic=self.has_acoustic if acoustic is None else self.has_acoustic * acoustic,
            has_text=self.has_text if text is None else self.has_text * text,
        )


def _layer(inputs: int, outputs: int, dropout: float) -> list[nn.Module]:
    return [nn.Dropout(dropout), nn.Linear(inputs, outputs), nn.ReLU()]


class ContextMember(nn.Module):
    """One network: encoders, masked fusion, one LSTM each way, one head.

    Several members, trained from different seeds, are averaged by the model that holds them.
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
        # An absent modality is zeros and a zero flag: the flag's weights are its learned stand-in.
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
        """What the words say (B, V) of B utterances; of no use where there are none."""
        bag = self.ngram_table(batch.ngrams, batch.offsets, per_sample_weights=batch.weights)
        read = torch.cat((bag, batch.words, batch.sentences), dim=1)
        evidence: Tensor = self.text_encoder(read)
        return evidence

    def fuse(self, batch: UtteranceBatch) -> Tensor:
        """Fused vectors (B, F) of B utterances."""
        text = self.read(batch) * batch.has_text  # (B, V)
        acoustic = self.acoustic_encoder(batch.acoustic) * batch.has_acoustic  # (B, E)
        present = torch.cat((batch.has_acoustic, batch.has_text), dim=1)  # (B, 2)
        joined = self.fusion(torch.cat((acoustic, text), dim=1)) + self.presence(present)
        return torch.relu(joined)  # (B, F)

    def run_chain(
        self, fused: Tensor, relations: Tensor, chains: Sequence[Tensor], *, forward: bool
    ) -> Tensor:
        """States (S, H) of one LSTM after every step of many chains, in one packed call.

        Args:
            fused: (B, F) vectors of utterances.
            relations: (S,) int64, one per step of all chains in a row.
            chains: for each chain, which utterances it visits, in order; lengths add up to S.
        """
        lstm = self.forward_lstm if forward else self.backward_lstm
        table = self.relation if forward else self.backward_relation
        steps = self.chain_dropout(fused)[torch.cat(list(chains))] + table(relations)  # (S, F)
        order, sizes = _step_order([len(chain) for chain in chains])
        packed = PackedSequence(steps[order], sizes)
        states: Tensor = lstm(packed)[0].data  # (S, H), by step
        return torch.empty_like(states).index_copy(0, order, states)

    def remember(self, fused: Tensor, speakers: Sequence[str], last: Sequence[int]) -> Tensor:
        """Memories (N, 4 C F) of a dialogue's N utterances, from their fused vectors (N, F).

        Args:
            last: for each utterance, the last one that it may know of.
        """
        fading = self.config.memory
        if not fading or len(speakers) < 2:  # nothing to remember
            return fused.new_zeros(len(fused), memory_width(self.config.fused_dim, fading))
        weights = memory_weights(speakers, last, fading)  # (4 C, N, N)
        return torch.matmul(weights, fused).transpose(0, 1).flatten(1)

    def score(self, forward: Tensor, backward: Tensor, fused: Tensor, memory: Tensor) -> Tensor:
        """Raw outputs (B, O) from both states (B, H), the fused vectors and the memories."""
        states = self.output_dropout(torch.cat((forward, backward), dim=1))
        memory = self.chain_dropout(memory)
        outputs: Tensor = self.head(torch.cat((states, fused, memory), dim=1))
        return outputs


class ContextNetwork(nn.Module):
    """All that a checkpoint holds: members, vocabulary, normalisation, temperature.

    Args:
        config: sizes; ``config.members`` networks are made.
    """

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
        """The members, typed."""
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
    """Rows of chains that lie one after another, by step and longest first, and rows a step.

    What ``PackedSequence`` wants; padding first would cost as much again for every chain.
    """
    count = np.asarray(lengths)
    rank = np.empty(len(count), dtype=np.int64)
    rank[np.argsort(-count, kind="stable")] = np.arange(len(count))
    step = np.concatenate([np.arange(n) for n in lengths])
    order = np.lexsort((np.repeat(rank, count), step))
    return torch.from_numpy(order), torch.from_numpy(np.bincount(step))


def relations_of(speakers: Sequence[str]) -> list[int]:
    """Relation of each step of a chain to the step before it."""
    changes = (SAME if a == b else OTHER for a, b in pairwise(speakers))
    return [START, *changes] if speakers else []
