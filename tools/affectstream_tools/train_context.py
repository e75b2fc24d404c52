"""Training of the context model: random look-ahead, absent modalities, fixed epochs.

Knows: prepared dialogues, the losses and the schedule.
Refuses to know: the held-out session (it is never passed in), corpora and files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from affectstream_models.context_features import collate
from affectstream_models.context_network import (
    CLASS_COUNT,
    LEVEL_COUNT,
    OTHER_COUNT,
    SCALES,
    ContextConfig,
    ContextMember,
    UtteranceBatch,
    relations_of,
)
from affectstream_tools.context_targets import Prepared, level_of


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how hard to train one member.

    Attributes:
        resets: chances per utterance that the look-ahead ends there; one is drawn per dialogue.
            0 is the whole dialogue, 1 the causal estimate.
    """

    epochs: int = 20
    dialogues_per_step: int = 8
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    resets: tuple[float, ...] = (0.0, 0.0, 0.0, 0.1, 0.1, 0.3, 1.0)
    modality_dropout: float = 0.1
    ngram_dropout: float = 0.3
    noise_sd: float = 0.2
    crop: float = 0.5
    label_smoothing: float = 0.1
    scale_weight: float = 0.3
    level_weight: float = 0.2
    average_from: float = 0.6


def train_member(
    dialogues: Sequence[Prepared],
    config: ContextConfig,
    schedule: Schedule,
    seed: int,
    *,
    progress: Callable[[int, float], None] = lambda epoch, loss: None,
) -> ContextMember:
    """Train one network; the same arguments give the same weights on the same machine.

    The weights returned are the mean over the last epochs (Izmailov et al. 2018).
    """
    rng = np.random.default_rng(seed)
    class_weights = _class_weights(dialogues)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        member = ContextMember(config).train()
        average = AveragedModel(member)
        optimizer = torch.optim.AdamW(
            member.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        steps = -(-len(dialogues) // schedule.dialogues_per_step)
        rate = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            schedule.learning_rate,
            total_steps=steps * schedule.epochs,
            pct_start=0.1,
            cycle_momentum=False,
        )
        for epoch in range(schedule.epochs):
            losses = []
            for chosen in np.array_split(rng.permutation(len(dialogues)), steps):
                parts = _cropped([dialogues[i] for i in chosen], schedule, rng)
                optimizer.zero_grad()
                loss = _loss(member, parts, schedule, class_weights, rng)
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(member.parameters(), 1.0)
                optimizer.step()
                rate.step()
                losses.append(loss.item())
            if epoch >= schedule.average_from * schedule.epochs:
                average.update_parameters(member)
            progress(epoch, float(np.mean(losses)))
    member.load_state_dict(average.module.state_dict())
    return member.eval()


def _cropped(
    chosen: Sequence[Prepared], schedule: Schedule, rng: np.random.Generator
) -> list[Prepared]:
    parts = []
    for dialogue in chosen:
        count, start, end = len(dialogue.speakers), 0, len(dialogue.speakers)
        if count > 8 and rng.random() < schedule.crop:
            length = int(rng.integers(count // 2, count))
            start = int(rng.integers(0, count - length))
            end = start + length
        parts.append(dialogue.part(start, end))
    return parts


def _class_weights(dialogues: Sequence[Prepared]) -> Tensor:
    """Balanced weights of the four classes; the training-only classes weigh half as much."""
    emotion = np.concatenate([dialogue.emotion for dialogue in dialogues])
    counts = np.bincount(emotion[emotion >= 0], minlength=CLASS_COUNT + OTHER_COUNT)
    four = counts[:CLASS_COUNT]
    weights = np.full(CLASS_COUNT + OTHER_COUNT, 0.5)
    weights[:CLASS_COUNT] = four.sum() / (CLASS_COUNT * np.maximum(four, 1))
    return torch.from_numpy(weights.astype(np.float32))


def _loss(
    member: ContextMember,
    dialogues: Sequence[Prepared],
    schedule: Schedule,
    class_weights: Tensor,
    rng: np.random.Generator,
) -> Tensor:
    batch = _augmented(
        collate([a for d in dialogues for a in d.acoustic], [t for d in dialogues for t in d.text]),
        schedule,
    )
    outputs = member_outputs(
        member, batch, [d.speakers for d in dialogues], lambda n: _ends(n, schedule, rng)
    )
    emotion = torch.from_numpy(np.concatenate([d.emotion for d in dialogues]))  # (B,)
    scales = torch.from_numpy(np.concatenate([d.scales for d in dialogues]))  # (B, 3)
    return _four_class_loss(outputs, emotion, schedule, class_weights) + _scale_loss(
        outputs, scales, schedule
    )


def _four_class_loss(
    outputs: Tensor, emotion: Tensor, schedule: Schedule, class_weights: Tensor
) -> Tensor:
    four, other = outputs[:, :CLASS_COUNT], outputs[:, -OTHER_COUNT:]
    known = (emotion >= 0) & (emotion < CLASS_COUNT)
    main = functional.cross_entropy(
        four[known],
        emotion[known],
        weight=class_weights[:CLASS_COUNT],
        label_smoothing=schedule.label_smoothing,
    )
    labelled = emotion >= 0
    every = torch.cat((four, other), dim=1)[labelled]
    return main + 0.3 * functional.cross_entropy(every, emotion[labelled], weight=class_weights)


def _scale_loss(outputs: Tensor, scales: Tensor, schedule: Schedule) -> Tensor:
    first = CLASS_COUNT
    means = 1 + 4 * torch.sigmoid(outputs[:, first : first + len(SCALES)])  # (B, 3)
    first += len(SCALES)
    levels = outputs[:, first : first + LEVEL_COUNT * len(SCALES)]
    levels = levels.reshape(-1, LEVEL_COUNT)  # (3 B, 3)
    return schedule.scale_weight * functional.mse_loss(means, scales) + (
        schedule.level_weight * functional.cross_entropy(levels, level_of(scales).reshape(-1))
    )


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
    first = 0
    for names in speakers:
        forward_chains.append(torch.arange(first, first + len(names)))
        forward_relations += relations_of(names)
        start = 0
        for end in ends(len(names)):
            backward_chains.append(torch.arange(first + end, first + start - 1, -1))
            backward_relations += relations_of(names[start : end + 1][::-1])
            start = end + 1
        first += len(names)
    forward = member.run_chain(fused, torch.tensor(forward_relations), forward_chains, forward=True)
    visited = member.run_chain(
        fused, torch.tensor(backward_relations), backward_chains, forward=False
    )
    backward = torch.zeros_like(visited).index_copy(0, torch.cat(backward_chains), visited)
    return member.score(forward, backward, fused)


def _ends(count: int, schedule: Schedule, rng: np.random.Generator) -> list[int]:
    chance = schedule.resets[int(rng.integers(len(schedule.resets)))]
    drawn = rng.random(count) < chance
    drawn[-1] = True
    return [int(i) for i in np.flatnonzero(drawn)]


def _augmented(batch: UtteranceBatch, schedule: Schedule) -> UtteranceBatch:
    """Drop n-grams and modalities, and add Gaussian noise to the acoustic statistics."""
    kept = (torch.rand_like(batch.weights) >= schedule.ngram_dropout).float()
    draw = torch.rand_like(batch.has_text)
    batch = replace(
        batch,
        weights=batch.weights * kept / (1 - schedule.ngram_dropout),
        acoustic=batch.acoustic + schedule.noise_sd * torch.randn_like(batch.acoustic),
    )
    return batch.masked(
        acoustic=(draw >= schedule.modality_dropout).float(),
        text=(draw < 1 - schedule.modality_dropout).float(),
    )
