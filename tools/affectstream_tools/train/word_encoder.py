"""Training of a network's text encoder on sentences, before anything is learned from dialogues.

The sentences are of other corpora than the dialogues, so that the encoder cannot recognise the
dialogues' scenarios by their words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from affectstream_models.context.batches import collate
from affectstream_models.context.network import SCALES, ContextMember, UtteranceBatch
from affectstream_models.text.word_encoder import TextFeatures
from affectstream_tools.corpora.sentences import SENTENCE_EMOTIONS, Sentence
from affectstream_tools.train.losses import balanced_weights
from affectstream_tools.train.optimisation import Optimisation

_HEAD = len(SENTENCE_EMOTIONS) + len(SCALES)


@dataclass(frozen=True, slots=True)
class TextSchedule:
    """How long and how hard to train.

    Attributes:
        balance: exponent of the classes' inverse frequency as their weight in the loss.
        as_said: chance that a step sees a sentence as it was written.
    """

    epochs: int = 10
    batch: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    ngram_dropout: float = 0.4
    label_smoothing: float = 0.1
    balance: float = 0.5
    average_from: float = 0.6
    as_said: float = 0.4


class _Reader(nn.Module):
    """A network's text encoder, and a head that only training needs."""

    def __init__(self, member: ContextMember) -> None:
        super().__init__()
        self.table, self.encoder = member.ngram_table, member.text_encoder
        sizes = member.config
        self.head = nn.Linear(sizes.evidence_dim or sizes.text_dim, _HEAD)

    def evidence(self, batch: UtteranceBatch) -> Tensor:
        bag = self.table(batch.ngrams, batch.offsets, per_sample_weights=batch.weights)
        found: Tensor = self.encoder(torch.cat((bag, batch.words), dim=1))
        return found

    def forward(self, batch: UtteranceBatch) -> Tensor:
        scores: Tensor = self.head(self.evidence(batch))
        return scores


def train_text(
    member: ContextMember,
    sentences: Sequence[Sentence],
    features: Sequence[Sequence[TextFeatures]],
    schedule: TextSchedule,
    seed: int,
    *,
    progress: Callable[[int, float], None] = lambda epoch, loss: None,
) -> None:
    """Train ``member``'s n-gram table and text encoder, in place.

    Each number of the evidence is scaled to a standard deviation of 1 over the sentences.

    Args:
        features: of each sentence, as written and as recognisers may write it.
    """
    rng = np.random.default_rng(seed)
    emotion = torch.tensor([s.emotion for s in sentences])
    blank = (float("nan"),) * len(SCALES)
    scales = torch.tensor([s.scales or blank for s in sentences])
    weights = balanced_weights(emotion.numpy(), len(SENTENCE_EMOTIONS), schedule.balance)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        reader = _Reader(member).train()
        steps = -(-len(sentences) // schedule.batch)
        optimisation = Optimisation(reader, schedule, steps=steps)
        for epoch in range(schedule.epochs):
            losses = []
            for chosen in np.array_split(rng.permutation(len(sentences)), steps):
                drawn = [_draw(features[i], schedule, rng) for i in chosen]
                outputs = reader(_thinned(drawn, schedule))
                loss = _loss(outputs, emotion[chosen], scales[chosen], weights, schedule)
                losses.append(optimisation.step(loss))
            optimisation.end_epoch(epoch)
            progress(epoch, float(np.mean(losses)))
    optimisation.finish()
    _scale_evidence(reader, [one[0] for one in features])


def _draw(
    alternatives: Sequence[TextFeatures], schedule: TextSchedule, rng: np.random.Generator
) -> TextFeatures:
    if len(alternatives) == 1 or rng.random() < schedule.as_said:
        return alternatives[0]
    return alternatives[int(rng.integers(1, len(alternatives)))]


def _thinned(drawn: Sequence[TextFeatures], schedule: TextSchedule) -> UtteranceBatch:
    """Return a batch without some of its n-grams."""
    batch = collate([None] * len(drawn), drawn)
    kept = (torch.rand_like(batch.weights) >= schedule.ngram_dropout).float()
    return replace(batch, weights=batch.weights * kept / (1 - schedule.ngram_dropout))


def _loss(
    outputs: Tensor, emotion: Tensor, scales: Tensor, weights: Tensor, schedule: TextSchedule
) -> Tensor:
    known, rated = emotion >= 0, torch.isfinite(scales).all(dim=1)
    loss = torch.zeros(())
    if bool(known.any()):
        loss = loss + functional.cross_entropy(
            outputs[known][:, : len(SENTENCE_EMOTIONS)],
            emotion[known],
            weight=weights,
            label_smoothing=schedule.label_smoothing,
        )
    if bool(rated.any()):
        means = 1 + 4 * torch.sigmoid(outputs[rated][:, len(SENTENCE_EMOTIONS) :])
        loss = loss + functional.mse_loss(means, scales[rated])
    return loss


def _scale_evidence(reader: _Reader, features: Sequence[TextFeatures]) -> None:
    """Divide each number of the evidence by its standard deviation, in the last layer's weights."""
    with torch.inference_mode():
        found = torch.cat(
            [
                reader.evidence(collate([None] * len(part), part))
                for part in (features[i : i + 1024] for i in range(0, len(features), 1024))
            ]
        )
        sd = found.std(dim=0).clamp(min=1e-3)
    last = reader.encoder[-2]
    if not isinstance(last, nn.Linear):
        raise TypeError(f"the evidence is written by a {type(last).__name__}, expected Linear")
    with torch.no_grad():
        last.weight.div_(sd[:, None])
        last.bias.div_(sd)
