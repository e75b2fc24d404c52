"""The network's raw outputs as scores, averaged over its members, and as estimates.

Knows: which outputs belong to which head.
Refuses to know: how the outputs were computed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from affectstream_models.context.network import (
    CONTEXT_CLASS_COUNT,
    LEVEL_COUNT,
    OUTPUTS,
    SCALES,
)
from affectstream_models.context.values import UtteranceEstimate

StepScores = tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]
"""Class probabilities, means, level probabilities, and cluster probabilities by their number."""


def mean_step_scores(
    outputs: Tensor, temperature: float, count: int, clusters: Sequence[int] = ()
) -> StepScores:
    """Return scores averaged over the members.

    Args:
        outputs: (M, B, O), raw outputs of M members.
        temperature: divides the classes' logits.
        count: for how many of the first rows to compute more than the classes.
        clusters: sizes of the clusterings that the network knows.

    Returns:
        Class probabilities (B, 4); the scales' means on 1..5, (count, 3); level probabilities
        (count, 3 scales, 3 levels); for each clustering its probabilities (count, k).
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


def estimates_of(
    scores: StepScores, count: int, masked: Sequence[tuple[int, str]]
) -> list[UtteranceEstimate]:
    """Return the estimates of ``count`` utterances.

    Args:
        scores: the first ``count`` rows are the utterances'. Row ``count + i`` has the classes of
            the utterance ``masked[i][0]`` without its modality ``masked[i][1]``.
        masked: (utterance, modality) pairs; the difference that the modality makes is its
            influence.
    """
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
