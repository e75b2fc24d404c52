"""The acoustic network: a small time-delay network, trained on frame labels."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from affectstream_tools.build.vosk_tiny.data import SUBSAMPLING, SpokenClip, TrainingData

logger = logging.getLogger(__name__)

CONTEXT_FRAMES = 12
"""Input frames that an output frame sees on either side."""
_CHUNK = 32  # output frames per training example
_WINDOW = SUBSAMPLING * (_CHUNK - 1) + 1 + 2 * CONTEXT_FRAMES
_BATCH = 48
_IGNORED = -100
_GAIN_JITTER = 6.0  # of the level, which is in the first cepstrum


@dataclass(frozen=True, slots=True)
class AcousticRecipe:
    """How the network is trained."""

    hidden: int = 128
    epochs: int = 10
    learning_rate: float = 3e-3
    seed: int = 0


@dataclass(frozen=True, slots=True)
class AcousticNetwork:
    """Affine layers (weights: (out, offsets x in), biases: (out,)) and the phones' priors."""

    layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]]
    priors: NDArray[np.float32]


def train_acoustic(data: TrainingData, recipe: AcousticRecipe) -> AcousticNetwork:
    """Train on one thread, so that two builds of the same data agree bit by bit."""
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    frames = np.concatenate([clip.features for clip in data.clips])
    mean, deviation = frames.mean(0), frames.std(0)
    inputs, labels = _examples(data.clips, mean, deviation)
    network = _build(len(data.phones), recipe.hidden)
    _fit(network, inputs, labels, recipe, level_step=1.0 / float(deviation[0]))
    network.eval()
    return AcousticNetwork(_folded(network, mean, deviation), _priors(network, inputs, labels))


def _examples(
    clips: list[SpokenClip], mean: NDArray[np.float32], deviation: NDArray[np.float32]
) -> tuple[Tensor, Tensor]:
    """Return inputs (N, 40, window) and labels (N, chunk) cut from the clips."""
    inputs, labels = [], []
    for clip in clips:
        features = (clip.features - mean) / deviation
        padded = np.concatenate(
            [
                np.repeat(features[:1], CONTEXT_FRAMES, 0),
                features,
                np.repeat(features[-1:], CONTEXT_FRAMES + SUBSAMPLING * _CHUNK, 0),
            ]
        )
        for start in _chunk_starts(len(clip.labels)):
            first = SUBSAMPLING * start
            inputs.append(padded[first : first + _WINDOW])
            chunk = clip.labels[start : start + _CHUNK]
            filler = np.full(_CHUNK - len(chunk), _IGNORED)
            labels.append(np.concatenate([chunk, filler]))
    stacked = torch.tensor(np.stack(inputs), dtype=torch.float32)
    return stacked.transpose(1, 2).contiguous(), torch.tensor(np.stack(labels))


def _chunk_starts(length: int) -> Iterator[int]:
    yield from range(0, max(1, length - _CHUNK), _CHUNK)
    if length > _CHUNK:
        yield length - _CHUNK


def _build(phones: int, hidden: int) -> nn.Sequential:
    def block(inputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
        convolution = nn.Conv1d(inputs, hidden, kernel, stride=stride)
        return [convolution, nn.ReLU(), nn.BatchNorm1d(hidden, affine=False)]

    return nn.Sequential(
        *block(40, 5),
        *block(hidden, 3, stride=SUBSAMPLING),
        *block(hidden, 3),
        *block(hidden, 3),
        *block(hidden, 3),
        nn.Dropout(0.1),
        nn.Conv1d(hidden, phones, 1),
    )


def _fit(
    network: nn.Sequential,
    inputs: Tensor,
    labels: Tensor,
    recipe: AcousticRecipe,
    level_step: float,
) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=1e-3)
    steps = recipe.epochs * math.ceil(len(inputs) / _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=steps, pct_start=0.15
    )
    criterion = nn.CrossEntropyLoss(ignore_index=_IGNORED, label_smoothing=0.02)
    level = torch.zeros(inputs.shape[1])
    level[0] = level_step
    for epoch in range(recipe.epochs):
        network.train()
        total, right, count = 0.0, 0, 0
        order = torch.randperm(len(inputs))
        for first in range(0, len(inputs), _BATCH):
            rows = order[first : first + _BATCH]
            jitter = torch.randn(len(rows), 1, 1) * _GAIN_JITTER * level[None, :, None]
            batch = inputs[rows] + jitter
            batch = batch + 0.05 * torch.randn_like(batch)
            output = network(batch)  # (B, phones, chunk)
            loss = criterion(output, labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            known = labels[rows] >= 0
            total += loss.item() * len(rows)
            right += int((output.argmax(1)[known] == labels[rows][known]).sum())
            count += int(known.sum())
        logger.info(
            "epoch %d: loss %.3f, frames right %.3f", epoch, total / len(inputs), right / count
        )


def _priors(network: nn.Sequential, inputs: Tensor, labels: Tensor) -> NDArray[np.float32]:
    total, count = torch.zeros(()), torch.zeros(())
    with torch.no_grad():
        for first in range(0, len(inputs), 256):
            mask = (labels[first : first + 256] >= 0).float()
            total = total + (network(inputs[first : first + 256]).softmax(1) * mask[:, None]).sum(
                (0, 2)
            )
            count = count + mask.sum()
    priors: NDArray[np.float32] = (total / count).numpy()
    return priors


def _folded(
    network: nn.Sequential, mean: NDArray[np.float32], deviation: NDArray[np.float32]
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return the affine layers with every normalisation folded into the layer after it."""
    convolutions = [layer for layer in network if isinstance(layer, nn.Conv1d)]
    norms = [layer for layer in network if isinstance(layer, nn.BatchNorm1d)]
    scale = torch.tensor(1 / deviation, dtype=torch.float64)
    shift = torch.tensor(-mean / deviation, dtype=torch.float64)
    layers = []
    for index, convolution in enumerate(convolutions):
        weight = convolution.weight.detach().double()  # (out, in, offsets)
        assert convolution.bias is not None
        bias = convolution.bias.detach().double() + (weight * shift[None, :, None]).sum((1, 2))
        weight = (weight * scale[None, :, None]).permute(0, 2, 1)  # Kaldi appends by offset
        flat = weight.reshape(weight.shape[0], -1).float().numpy()
        layers.append((flat, bias.float().numpy()))
        if index < len(norms):
            running_mean, running_var = norms[index].running_mean, norms[index].running_var
            assert running_mean is not None
            assert running_var is not None
            scale = 1 / torch.sqrt(running_var.double() + norms[index].eps)
            shift = -running_mean.double() * scale
    return layers
