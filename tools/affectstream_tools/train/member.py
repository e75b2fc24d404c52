"""Training of the context model: random look-ahead, absent modalities, fixed epochs.

Knows: prepared dialogues of one corpus or several, the losses and the schedule.
Refuses to know: the held-out dialogues (they are never passed in), corpora and files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from affectstream_models.context.batches import collate
from affectstream_models.context.memory import memory_width
from affectstream_models.context.network import (
    CONTEXT_CLASS_COUNT,
    LEVEL_COUNT,
    OTHER_COUNT,
    OUTPUTS,
    SCALES,
    START,
    ContextMember,
    UtteranceBatch,
    relations_of,
)
from affectstream_models.text.word_encoder import TextFeatures
from affectstream_tools.train.augmentation import UtteranceRows
from affectstream_tools.train.optimisation import Optimisation
from affectstream_tools.train.targets import PreparedDialogue, level_of


@dataclass(frozen=True, slots=True)
class DialoguePart:
    """How much another corpus has to say.

    Attributes:
        share: of its dialogues that an epoch sees.
        weight: of its utterances in the loss; the first corpus's weigh 1.
    """

    share: float = 1.0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class MemberSchedule:
    """How long and how hard to train one member.

    Attributes:
        resets: chances per utterance that the look-ahead ends there; one is drawn per dialogue.
            0 is the whole dialogue, 1 the causal estimate.
        modality_dropout: chance per utterance and modality that it is left out, the other is not.
        without_text, without_acoustic: chances that a whole dialogue lacks it.
        shuffle: chance that a dialogue's utterances come in random order, so that its course
            cannot be learned by heart.
        parts: the other corpora, by name.
        level_balance: exponent of the levels' inverse frequency as their weight in the loss.
        alone: whether each utterance is learned as a dialogue of its own.
    """

    epochs: int = 20
    dialogues_per_step: int = 8
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    resets: tuple[float, ...] = (0.0, 0.0, 0.0, 0.1, 0.1, 0.3, 1.0)
    modality_dropout: float = 0.1
    without_text: float = 0.0
    without_acoustic: float = 0.0
    mistakes: float = 0.0
    shuffle: float = 0.0
    ngram_dropout: float = 0.3
    noise_sd: float = 0.2
    crop: float = 0.5
    label_smoothing: float = 0.1
    scale_weight: float = 0.3
    level_weight: float = 0.2
    level_balance: float = 0.0
    cluster_weight: float = 0.1
    average_from: float = 0.6
    parts: Mapping[str, DialoguePart] = field(default_factory=dict)
    alone: bool = False


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A dialogue as a step sees it."""

    corpus: str
    speakers: tuple[str, ...]
    acoustic: tuple[UtteranceRows | None, ...]
    text: tuple[TextFeatures, ...]
    emotion: np.ndarray
    scales: np.ndarray
    clusters: np.ndarray


def train_member(
    member: ContextMember,
    dialogues: Sequence[PreparedDialogue],
    schedule: MemberSchedule,
    seed: int,
    *,
    progress: Callable[[int, float], None] = lambda epoch, loss: None,
) -> None:
    """Train one network, in place; the same arguments give the same weights on the same machine.

    See ``Optimisation`` for which weights are moved and which are kept.
    """
    rng = np.random.default_rng(seed)
    losses_of = _Losses(dialogues, schedule)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        member.train()
        if not any(p.requires_grad for p in member.text_encoder.parameters()):
            member.text_encoder.eval()
        main = sum(dialogue.corpus not in schedule.parts for dialogue in dialogues)
        steps = -(-main // schedule.dialogues_per_step)
        optimisation = Optimisation(member, schedule, steps=steps, most_gradient=1.0)
        for epoch in range(schedule.epochs):
            losses = []
            for chosen in _steps(dialogues, schedule, steps, rng):
                drawn = [_draw(dialogue, schedule, rng) for dialogue in chosen]
                losses.append(optimisation.step(losses_of(member, drawn, rng)))
            optimisation.end_epoch(epoch)
            progress(epoch, float(np.mean(losses)))
    optimisation.finish()


def _steps(
    dialogues: Sequence[PreparedDialogue],
    schedule: MemberSchedule,
    steps: int,
    rng: np.random.Generator,
) -> list[list[PreparedDialogue]]:
    """An epoch: every dialogue of the first corpus once, and each other corpus's share."""
    by_corpus: dict[str, list[PreparedDialogue]] = defaultdict(list)
    for dialogue in dialogues:
        by_corpus["" if dialogue.corpus not in schedule.parts else dialogue.corpus].append(dialogue)
    epoch: list[list[PreparedDialogue]] = [[] for _ in range(steps)]
    for corpus, known in sorted(by_corpus.items()):
        share = schedule.parts[corpus].share if corpus else 1.0
        order = rng.permutation(len(known))[: max(1, round(share * len(known)))]
        for step, chosen in zip(epoch, np.array_split(order, steps), strict=True):
            step += [known[i] for i in chosen]
    return epoch


def _draw(dialogue: PreparedDialogue, schedule: MemberSchedule, rng: np.random.Generator) -> _Drawn:
    """One of the alternatives of all or of a part, in order or not, and what is left out."""
    count = len(dialogue.speakers)
    order = np.arange(count)
    if schedule.shuffle and rng.random() < schedule.shuffle:
        order = rng.permutation(count)
    if count > 8 and rng.random() < schedule.crop:
        length = int(rng.integers(count // 2, count))
        start = int(rng.integers(0, count - length))
        order = order[start : start + length]
    part = dialogue.chosen([int(i) for i in order])
    acoustic = part.acoustic[int(rng.integers(len(part.acoustic)))]
    text = tuple(one[0] for one in part.text)
    if schedule.mistakes and rng.random() < schedule.mistakes:
        text = tuple(one[int(rng.integers(len(one)))] for one in part.text)
    if any(one is not None for one in acoustic) and any(not one.empty for one in text):
        chance = rng.random()
        if chance < schedule.without_text:
            text = tuple(replace(one, empty=True) for one in text)
        elif chance < schedule.without_text + schedule.without_acoustic:
            acoustic = (None,) * len(acoustic)
    return _Drawn(
        part.corpus, part.speakers, acoustic, text, part.emotion, part.scales, part.clusters
    )


class _Losses:
    """What a batch of dialogues costs; classes are balanced within each corpus."""

    def __init__(self, dialogues: Sequence[PreparedDialogue], schedule: MemberSchedule) -> None:
        self._schedule = schedule
        found: dict[str, list[np.ndarray]] = defaultdict(list)
        for dialogue in dialogues:
            found[dialogue.corpus].append(dialogue.emotion)
        self._classes = {name: _class_weights(np.concatenate(all_)) for name, all_ in found.items()}
        rated = np.concatenate([d.scales for d in dialogues])
        self._levels = _level_weights(rated, schedule.level_balance)

    def __call__(
        self, member: ContextMember, dialogues: Sequence[_Drawn], rng: np.random.Generator
    ) -> Tensor:
        batch = _augmented(
            collate(
                [a for d in dialogues for a in d.acoustic], [t for d in dialogues for t in d.text]
            ),
            self._schedule,
        )
        if self._schedule.alone:
            outputs = outputs_alone(member, batch)
        else:
            outputs = member_outputs(
                member,
                batch,
                [d.speakers for d in dialogues],
                lambda count: _ends(count, self._schedule, rng),
            )
        emotion = torch.from_numpy(np.concatenate([d.emotion for d in dialogues]))  # (B,)
        scales = torch.from_numpy(np.concatenate([d.scales for d in dialogues]))  # (B, 3)
        classes = torch.cat([self._classes[d.corpus][d.emotion] for d in dialogues])  # (B,)
        weight = torch.cat([torch.full((len(d.speakers),), self._weight(d)) for d in dialogues])
        clusters = torch.from_numpy(np.concatenate([d.clusters for d in dialogues]))  # (B, K)
        return (
            self._class_loss(outputs, emotion, classes * weight)
            + self._scale_loss(outputs, scales, weight)
            + self._cluster_loss(member, outputs, clusters, weight)
        )

    def _weight(self, dialogue: _Drawn) -> float:
        part = self._schedule.parts.get(dialogue.corpus)
        return 1.0 if part is None else part.weight

    def _class_loss(self, outputs: Tensor, emotion: Tensor, weight: Tensor) -> Tensor:
        four = outputs[:, :CONTEXT_CLASS_COUNT]
        every = torch.cat((four, outputs[:, OUTPUTS - OTHER_COUNT : OUTPUTS]), dim=1)
        known = (emotion >= 0) & (emotion < CONTEXT_CLASS_COUNT)
        costs = functional.cross_entropy(
            four[known],
            emotion[known],
            label_smoothing=self._schedule.label_smoothing,
            reduction="none",
        )
        labelled = emotion >= 0
        also = functional.cross_entropy(every[labelled], emotion[labelled], reduction="none")
        return _mean(costs, weight[known]) + 0.3 * _mean(also, weight[labelled])

    def _cluster_loss(
        self, member: ContextMember, outputs: Tensor, clusters: Tensor, weight: Tensor
    ) -> Tensor:
        sizes = list(member.config.clusters)
        heads = torch.split(outputs[:, OUTPUTS:], sizes, dim=1) if sizes else ()
        total = torch.zeros(())
        for head, truth in zip(heads, clusters.unbind(dim=1), strict=True):
            known = truth >= 0
            if bool(known.any()):
                costs = functional.cross_entropy(head[known], truth[known], reduction="none")
                total = total + _mean(costs, weight[known])
        return self._schedule.cluster_weight * total

    def _scale_loss(self, outputs: Tensor, scales: Tensor, weight: Tensor) -> Tensor:
        rated = torch.isfinite(scales).all(dim=1)
        if not bool(rated.any()):
            return torch.zeros(())
        outputs, scales, weight = outputs[rated], scales[rated], weight[rated]
        first = CONTEXT_CLASS_COUNT
        means = 1 + 4 * torch.sigmoid(outputs[:, first : first + len(SCALES)])  # (B, 3)
        first += len(SCALES)
        levels = outputs[:, first : first + LEVEL_COUNT * len(SCALES)]
        levels = levels.reshape(-1, LEVEL_COUNT)  # (3 B, 3)
        truth = level_of(scales)  # (B, 3)
        costs = functional.cross_entropy(levels, truth.reshape(-1), reduction="none")
        balanced = costs.reshape(truth.shape) * self._levels.gather(1, truth.T).T
        return self._schedule.scale_weight * _mean(((means - scales) ** 2).mean(1), weight) + (
            self._schedule.level_weight * _mean(balanced.mean(1), weight)
        )


def _mean(costs: Tensor, weight: Tensor) -> Tensor:
    return (costs * weight).sum() / weight.sum().clamp(min=1e-9)


def _class_weights(emotion: np.ndarray) -> Tensor:
    """Balanced weights of the four classes; the training-only ones and the last (none) are 0.5."""
    counts = np.bincount(emotion[emotion >= 0], minlength=CONTEXT_CLASS_COUNT + OTHER_COUNT)
    four = counts[:CONTEXT_CLASS_COUNT]
    weights = np.full(CONTEXT_CLASS_COUNT + OTHER_COUNT + 1, 0.5)
    weights[:CONTEXT_CLASS_COUNT] = four.sum() / (CONTEXT_CLASS_COUNT * np.maximum(four, 1))
    return torch.from_numpy(weights.astype(np.float32))


def _level_weights(scales: np.ndarray, balance: float) -> Tensor:
    """Weights (3 scales, 3 levels) of the levels of annotators' means (N, 3), NaN if unknown."""
    levels = level_of(torch.from_numpy(scales[np.isfinite(scales).all(axis=1)]))  # (R, 3)
    counts = functional.one_hot(levels, LEVEL_COUNT).sum(dim=0)  # (3, 3)
    even = len(levels) / (LEVEL_COUNT * counts.clamp(min=1).float())
    weights: Tensor = even**balance
    return weights


def member_outputs(
    member: ContextMember,
    batch: UtteranceBatch,
    speakers: Sequence[Sequence[str]],
    ends: Callable[[int], list[int]],
) -> Tensor:
    """Outputs (B, O) of whole dialogues, where ``ends(n)`` says at which of a dialogue's n
    utterances the backward chain starts anew (the last one always among them)."""
    fused = member.fuse(batch)  # (B, F)
    forward_chains, forward_relations = [], []
    backward_chains, backward_relations = [], []
    memories = []
    first = 0
    for names in speakers:
        forward_chains.append(torch.arange(first, first + len(names)))
        forward_relations += relations_of(names)
        start, lasts = 0, []
        for end in ends(len(names)):
            lasts += [end] * (end + 1 - start)
            backward_chains.append(torch.arange(first + end, first + start - 1, -1))
            backward_relations += relations_of(names[start : end + 1][::-1])
            start = end + 1
        memories.append(member.remember(fused[first : first + len(names)], names, lasts))
        first += len(names)
    forward = member.run_chain(fused, torch.tensor(forward_relations), forward_chains, forward=True)
    visited = member.run_chain(
        fused, torch.tensor(backward_relations), backward_chains, forward=False
    )
    backward = torch.zeros_like(visited).index_copy(0, torch.cat(backward_chains), visited)
    return member.score(forward, backward, fused, torch.cat(memories))


def outputs_alone(member: ContextMember, batch: UtteranceBatch) -> Tensor:
    """Outputs (B, O) of B utterances, each as a dialogue of its own."""
    fused = member.fuse(batch)  # (B, F)
    count = len(fused)
    chains, starts = torch.arange(count).split(1), torch.full((count,), START)
    states = [member.run_chain(fused, starts, chains, forward=way) for way in (True, False)]
    width = memory_width(member.config.fused_dim, member.config.memory)
    return member.score(states[0], states[1], fused, fused.new_zeros(count, width))


def _ends(count: int, schedule: MemberSchedule, rng: np.random.Generator) -> list[int]:
    chance = schedule.resets[int(rng.integers(len(schedule.resets)))]
    drawn = rng.random(count) < chance
    drawn[-1] = True
    return [int(i) for i in np.flatnonzero(drawn)]


def _augmented(batch: UtteranceBatch, schedule: MemberSchedule) -> UtteranceBatch:
    """Drop n-grams and modalities, and add Gaussian noise to the acoustic statistics.

    Of an utterance that has both modalities one may be left out; the only one never is.
    """
    kept = (torch.rand_like(batch.weights) >= schedule.ngram_dropout).float()
    draw = torch.rand_like(batch.has_text)
    both = batch.has_acoustic * batch.has_text > 0
    batch = replace(
        batch,
        weights=batch.weights * kept / (1 - schedule.ngram_dropout),
        acoustic=batch.acoustic + schedule.noise_sd * torch.randn_like(batch.acoustic),
    )
    return batch.masked(
        acoustic=(~both | (draw >= schedule.modality_dropout)).float(),
        text=(~both | (draw < 1 - schedule.modality_dropout)).float(),
    )
