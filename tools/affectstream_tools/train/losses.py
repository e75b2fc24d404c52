"""What the context model's mistakes cost in training: emotions, scales, levels, clusters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from affectstream_models.context.network import (
    CONTEXT_CLASS_COUNT,
    LEVEL_COUNT,
    OTHER_COUNT,
    OUTPUTS,
    SCALES,
)
from affectstream_tools.train.schedule import MemberSchedule
from affectstream_tools.train.targets import DrawnDialogue, PreparedDialogue, level_of


def balanced_weights(labels: NDArray[np.int64], classes: int, balance: float = 1.0) -> Tensor:
    """Weights (classes,) of classes in a loss: their inverse frequency to the power ``balance``.

    Args:
        labels: (N,) below ``classes``; those below 0 are not counted.
    """
    counts = np.bincount(labels[labels >= 0], minlength=classes)
    even = counts.sum() / (classes * np.maximum(counts, 1))
    return torch.from_numpy((even**balance).astype(np.float32))


def weighted_mean(costs: Tensor, weights: Tensor) -> Tensor:
    """Mean of costs (N,) by weights (N,); 0 where there are none."""
    return (costs * weights).sum() / weights.sum().clamp(min=1e-9)


class DialogueLosses:
    """The loss of the dialogues of a step; classes are balanced within each corpus.

    Args:
        dialogues: all that are learned from.
        clusters: how many clusters each of the network's clusterings has.
    """

    def __init__(
        self,
        dialogues: Sequence[PreparedDialogue],
        schedule: MemberSchedule,
        clusters: Sequence[int],
    ) -> None:
        self._schedule, self._clusters = schedule, list(clusters)
        found: dict[str, list[NDArray[np.int64]]] = defaultdict(list)
        for dialogue in dialogues:
            found[dialogue.corpus].append(dialogue.emotion)
        self._classes = {name: _class_weights(np.concatenate(all_)) for name, all_ in found.items()}
        rated = np.concatenate([d.scales for d in dialogues])
        self._levels = _level_weights(rated, schedule.level_balance)

    def __call__(self, outputs: Tensor, dialogues: Sequence[DrawnDialogue]) -> Tensor:
        """Return the loss of outputs (B, O) of all the dialogues' utterances."""
        emotion = torch.from_numpy(np.concatenate([d.emotion for d in dialogues]))  # (B,)
        scales = torch.from_numpy(np.concatenate([d.scales for d in dialogues]))  # (B, 3)
        classes = torch.cat([self._classes[d.corpus][d.emotion] for d in dialogues])  # (B,)
        weight = torch.cat([torch.full((len(d.speakers),), self._weight(d)) for d in dialogues])
        clusters = torch.from_numpy(np.concatenate([d.clusters for d in dialogues]))  # (B, K)
        return (
            self._class_loss(outputs, emotion, classes * weight)
            + self._scale_loss(outputs, scales, weight)
            + self._cluster_loss(outputs, clusters, weight)
        )

    def _weight(self, dialogue: DrawnDialogue) -> float:
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
        return weighted_mean(costs, weight[known]) + 0.3 * weighted_mean(also, weight[labelled])

    def _cluster_loss(self, outputs: Tensor, clusters: Tensor, weight: Tensor) -> Tensor:
        sizes = self._clusters
        heads = outputs[:, OUTPUTS:].split_with_sizes(sizes, dim=1) if sizes else ()
        total = torch.zeros(())
        for head, truth in zip(heads, clusters.unbind(dim=1), strict=True):
            known = truth >= 0
            if bool(known.any()):
                costs = functional.cross_entropy(head[known], truth[known], reduction="none")
                total = total + weighted_mean(costs, weight[known])
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
        squares = ((means - scales) ** 2).mean(1)
        return self._schedule.scale_weight * weighted_mean(squares, weight) + (
            self._schedule.level_weight * weighted_mean(balanced.mean(1), weight)
        )


def _class_weights(emotion: NDArray[np.int64]) -> Tensor:
    """Return balanced weights of the four classes, and 0.5 of training-only ones and of none."""
    four = balanced_weights(emotion[emotion < CONTEXT_CLASS_COUNT], CONTEXT_CLASS_COUNT)
    return torch.cat((four, torch.full((OTHER_COUNT + 1,), 0.5)))


def _level_weights(scales: NDArray[np.float32], balance: float) -> Tensor:
    """Return weights (3 scales, 3 levels) by how often annotators' means (N, 3) have each level."""
    levels = level_of(torch.from_numpy(scales[np.isfinite(scales).all(axis=1)]))  # (R, 3)
    counts = functional.one_hot(levels, LEVEL_COUNT).sum(dim=0)  # (3, 3)
    even = len(levels) / (LEVEL_COUNT * counts.clamp(min=1).float())
    weights: Tensor = even**balance
    return weights
