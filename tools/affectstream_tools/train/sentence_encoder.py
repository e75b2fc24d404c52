"""Turning a sentence encoder towards emotion, by low-rank changes to its layers.

It learns from single sentences with an emotion or with ratings. They are of other corpora than the
dialogues of the context model, so that the encoder cannot recognise the dialogues' scenarios by
their words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from affectstream_models.context.network import SCALES
from affectstream_models.text.adapter import LowRank, adapt
from affectstream_models.text.sentence_encoder import MINILM_DIM, minilm
from affectstream_tools.corpora.sentences import SENTENCE_EMOTIONS, Sentence
from affectstream_tools.metrics import pearson, score_labels
from affectstream_tools.train.losses import balanced_weights
from affectstream_tools.train.optimisation import Optimisation

_LONGEST = 64
"""Most tokens of a sentence that are read in training."""

_ALIKE = 16
"""How many batches' sentences are sorted by length together, so that fewer tokens are padding."""


@dataclass(frozen=True, slots=True)
class SentenceSchedule:
    """How long and how hard to train.

    Attributes:
        rank: rank of the changes to each layer.
        balance: exponent of the classes' inverse frequency as their weight in the loss.
        scale_weight: weight of the scales' squared errors, which are in standard deviations.
    """

    epochs: int = 3
    batch: int = 32
    rank: int = 16
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    label_smoothing: float = 0.1
    balance: float = 0.5
    scale_weight: float = 0.7
    dropout: float = 0.2
    average_from: float = 0.6


class SentenceReader(nn.Module):
    """The encoder with changes to learn, and a head that only training needs."""

    def __init__(self, schedule: SentenceSchedule) -> None:
        super().__init__()
        model = minilm()
        self._words: Any = model.tokenizer
        self.transformer: nn.Module = model[0].auto_model
        self.changes: dict[str, LowRank] = adapt(self.transformer, schedule.rank)
        self.dropout = nn.Dropout(schedule.dropout)
        self.head = nn.Linear(MINILM_DIM, len(SENTENCE_EMOTIONS) + len(SCALES))

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Return (N, 10): scores of the 7 emotions, then 3 scales in standard deviations."""
        read = self._words(
            list(texts), padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt"
        )
        states = self.transformer(**read).last_hidden_state  # (N, T, 384)
        there = read["attention_mask"][..., None].float()
        means = (states * there).sum(dim=1) / there.sum(dim=1)  # (N, 384)
        scores: Tensor = self.head(self.dropout(means))
        return scores


def train_sentences(
    sentences: Sequence[Sentence],
    schedule: SentenceSchedule,
    seed: int,
    *,
    progress: Callable[[str, int, float], None] = lambda name, epoch, loss: None,
) -> SentenceReader:
    """Train on sentences; the same arguments give the same weights on the same machine.

    Raises:
        ValueError: the sentence encoder's package is not installed, or a kind of label is missing.
    """
    rng = np.random.default_rng(seed)
    emotion = torch.tensor([s.emotion for s in sentences])
    scales = _standardised(sentences)  # (N, 3)
    if not bool((emotion >= 0).any()) or not bool(torch.isfinite(scales).any()):
        raise ValueError("there must be sentences with an emotion and sentences with scales")
    weights = balanced_weights(emotion.numpy(), len(SENTENCE_EMOTIONS), schedule.balance)
    steps = -(-len(sentences) // schedule.batch)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        reader = SentenceReader(schedule).train()
        optimisation = Optimisation(reader, schedule, steps=steps, most_gradient=1.0)
        for epoch in range(schedule.epochs):
            losses: list[float] = []
            for number, chosen in enumerate(_batches(sentences, schedule.batch, rng)):
                outputs = reader([sentences[i].text for i in chosen])
                loss = _loss(outputs, emotion[chosen], scales[chosen], weights, schedule)
                losses.append(optimisation.step(loss))
                progress(f"sentences, step {number + 1} of {steps}", epoch, losses[-1])
            optimisation.end_epoch(epoch)
    optimisation.finish()
    return reader


def score_sentences(reader: SentenceReader, sentences: Sequence[Sentence]) -> dict[str, float]:
    """Return scores of the seven emotions (chance: UAR 1/7) and correlations of the scales."""
    order = sorted(range(len(sentences)), key=lambda i: len(sentences[i].text))
    outputs = np.zeros((len(sentences), len(SENTENCE_EMOTIONS) + len(SCALES)), dtype=np.float32)
    with torch.inference_mode():
        for part in np.array_split(order, -(-len(order) // 64)):
            outputs[part] = reader([sentences[i].text for i in part]).numpy()
    emotion = np.array([s.emotion for s in sentences])
    known = emotion >= 0
    found: dict[str, float] = {}
    if known.any():
        classes = torch.from_numpy(outputs[known, : len(SENTENCE_EMOTIONS)]).softmax(dim=1).numpy()
        result = score_labels(emotion[known], classes)
        found |= {"uar": result.uar, "wa": result.wa, "weighted_f1": result.f1}
    truth = _standardised(sentences).double().numpy()
    if np.isfinite(truth).any():
        for number, name in enumerate(SCALES):
            predicted = outputs[:, len(SENTENCE_EMOTIONS) + number].astype(np.float64)
            found[f"r_{name}"] = pearson(truth[:, number], predicted)
    return {name: round(value, 4) for name, value in found.items()}


def _standardised(sentences: Sequence[Sentence]) -> Tensor:
    """Return scales (N, 3) in standard deviations from their mean; NaN where there are none."""
    blank = (float("nan"),) * len(SCALES)
    rated = np.array([s.scales or blank for s in sentences])
    if np.isfinite(rated).any():
        rated = (rated - np.nanmean(rated, axis=0)) / np.nanstd(rated, axis=0)
    return torch.from_numpy(rated.astype(np.float32))


def _batches(
    sentences: Sequence[Sentence], size: int, rng: np.random.Generator
) -> list[NDArray[np.intp]]:
    """Return an epoch's batches: every sentence once, those of a batch of about one length."""
    batches: list[NDArray[np.intp]] = []
    order = rng.permutation(len(sentences))
    for first in range(0, len(order), size * _ALIKE):
        alike = sorted(order[first : first + size * _ALIKE], key=lambda i: len(sentences[i].text))
        batches += [np.array(alike[i : i + size]) for i in range(0, len(alike), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def _loss(
    outputs: Tensor, emotion: Tensor, scales: Tensor, weights: Tensor, schedule: SentenceSchedule
) -> Tensor:
    """Return a batch's loss; each kind of label weighs by the share of sentences that have it."""
    known, rated = emotion >= 0, torch.isfinite(scales).all(dim=1)
    loss = torch.zeros(())
    if bool(known.any()):
        costs = functional.cross_entropy(
            outputs[known][:, : len(SENTENCE_EMOTIONS)],
            emotion[known],
            weight=weights,
            label_smoothing=schedule.label_smoothing,
        )
        loss = loss + known.float().mean() * costs
    if bool(rated.any()):
        errors = functional.mse_loss(outputs[rated][:, len(SENTENCE_EMOTIONS) :], scales[rated])
        loss = loss + schedule.scale_weight * rated.float().mean() * errors
    return loss
