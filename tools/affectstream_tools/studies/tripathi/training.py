"""One training of a network of Tripathi and Beigi (2018), and its scores after each epoch.

Tripathi and Beigi trained with Keras and named the epoch that did best on the part they scored.
Here both choices are kept of the same run: the epoch that the test part chooses, to compare with
theirs, and the epoch that the development part chooses, to believe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from affectstream.corpus.scoring import Confusion
from affectstream_models.tripathi.networks import Optimiser, optimiser_of
from affectstream_tools.metrics import confusion

Inputs = Mapping[str, Tensor]
PartIndices = NDArray[np.int64]

_SCORED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Parts:
    """Which utterances are for what; no utterance is in two parts."""

    train: PartIndices
    development: PartIndices
    test: PartIndices


@dataclass(frozen=True, slots=True)
class NetworkSchedule:
    """How long to train.

    Attributes:
        batch: utterances in a step.
        epochs: how many at most.
        patience: training ends after so many epochs without a better accuracy on the development
            part.
    """

    batch: int
    epochs: int
    patience: int


@dataclass(frozen=True, slots=True)
class Scored:
    """A network's answers to N utterances.

    Attributes:
        labels: (N,), the true classes.
        logits: (N, C) float32.
    """

    labels: NDArray[np.int64]
    logits: NDArray[np.float32]

    def of(self, chosen: NDArray[np.bool_]) -> Scored:
        """Return the answers to some of them."""
        return Scored(self.labels[chosen], self.logits[chosen])

    @property
    def counts(self) -> NDArray[np.int64]:
        """Confusion counts (C, C), true class by row."""
        return confusion(self.labels, self.logits.argmax(axis=1), self.logits.shape[1])

    @property
    def loss(self) -> float:
        """Mean cross-entropy."""
        logits, labels = torch.from_numpy(self.logits), torch.from_numpy(self.labels)
        return functional.cross_entropy(logits, labels).item()

    @property
    def accuracy(self) -> float:
        """Share of utterances that were right."""
        return Confusion(self.counts).weighted_accuracy

    @property
    def uar(self) -> float:
        """Unweighted average recall over the classes that occur."""
        return Confusion(self.counts).uar

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "accuracy": round(self.accuracy, 6),
            "uar": round(self.uar, 6),
            "loss": round(self.loss, 6),
            "confusion": self.counts.tolist(),
        }


@dataclass(slots=True)
class TrainingCourse:
    """The results of a training.

    Attributes:
        train_loss: the mean loss of each epoch's steps.
        development, test: the answers after each epoch.
        weights: those of the epoch that the development part chose.
    """

    train_loss: list[float] = field(default_factory=list)
    development: list[Scored] = field(default_factory=list)
    test: list[Scored] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)

    def chosen(self, part: str) -> int:
        """Return the epoch of the greatest accuracy on ``development`` or ``test``.

        Accuracies of a few hundred utterances often tie; then the lowest loss decides.
        """
        scored: Sequence[Scored] = getattr(self, part)
        return max(range(len(scored)), key=lambda e: (scored[e].accuracy, -scored[e].loss))

    def to_dict(self, improvised: NDArray[np.bool_]) -> dict[str, Any]:
        """Return JSON values: every epoch's scores, and the test part's at either chosen epoch.

        Args:
            improvised: which of the test part's utterances are; they are scored apart as well.
        """
        return {
            "epochs": [
                {
                    "train_loss": round(loss, 6),
                    "development": [round(dev.accuracy, 6), round(dev.uar, 6)],
                    "test": [round(test.accuracy, 6), round(test.uar, 6)],
                }
                for loss, dev, test in zip(
                    self.train_loss, self.development, self.test, strict=True
                )
            ],
            "selected": {
                part: self._selected(self.chosen(part), improvised)
                for part in ("development", "test")
            },
        }

    def _selected(self, epoch: int, improvised: NDArray[np.bool_]) -> dict[str, Any]:
        scored = self.test[epoch]
        alone = scored.of(improvised).to_dict() if improvised.any() else None
        return {"epoch": epoch, **scored.to_dict(), "improvised": alone}


@torch.no_grad()
def initialise(network: nn.Module) -> None:
    """Draw the weights anew as Keras does, which Tripathi and Beigi used.

    Glorot's uniform weights, zero biases, orthogonal recurrent weights, an open forget gate
    (bias 1), learned embeddings within 0.05. Embeddings that start at word vectors are drawn too:
    put the vectors back afterwards.
    """
    for module in network.modules():
        if isinstance(module, nn.LSTM | nn.LSTMCell):
            for name, parameter in module.named_parameters():
                _initialise_lstm(name, parameter)
        elif isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.Embedding):
            module.weight.uniform_(-0.05, 0.05)
            if module.padding_idx is not None:
                module.weight[module.padding_idx] = 0.0


def _initialise_lstm(name: str, parameter: Tensor) -> None:
    if name.startswith("weight_ih"):
        nn.init.xavier_uniform_(parameter)
    elif name.startswith("weight_hh"):
        for gate in parameter.chunk(4):
            nn.init.orthogonal_(gate)
    else:
        parameter.zero_()
        if name.startswith("bias_ih"):  # torch has two biases, which are added
            parameter.chunk(4)[1].fill_(1.0)


def train_epochs(
    network: nn.Module,
    optimiser: Optimiser,
    inputs: Inputs,
    labels: Tensor,
    parts: Parts,
    schedule: NetworkSchedule,
    seed: int,
    *,
    on_epoch: Callable[[int, float], None] = lambda epoch, loss: None,
) -> TrainingCourse:
    """Train ``network`` in place; it ends with the weights that the development part chose.

    Args:
        inputs: of all utterances, by the name of ``forward``'s argument.
        labels: (N,) int64.
    """
    rng = np.random.default_rng(seed)
    steps = optimiser_of(optimiser, network.parameters())
    course = TrainingCourse()
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # the dropouts'
        for epoch in range(schedule.epochs):
            losses = _epoch(network, steps, inputs, labels, parts.train, schedule.batch, rng)
            course.train_loss.append(losses)
            for name in ("development", "test"):
                scored = score_network(network, inputs, labels, getattr(parts, name))
                getattr(course, name).append(scored)
            on_epoch(epoch, losses)
            best = course.chosen("development")
            if best == epoch:
                course.weights = {k: v.clone() for k, v in network.state_dict().items()}
            if epoch - best >= schedule.patience or not math.isfinite(losses):
                break
    network.load_state_dict(course.weights)
    network.eval()
    return course


def _epoch(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    inputs: Inputs,
    labels: Tensor,
    indices: PartIndices,
    batch: int,
    rng: np.random.Generator,
) -> float:
    network.train()
    total = 0.0
    order = rng.permutation(indices)
    for first in range(0, len(order), batch):
        chosen = order[first : first + batch]
        loss = functional.cross_entropy(network(**_of(inputs, chosen)), labels[chosen])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += loss.item() * len(chosen)
    return total / len(order)


@torch.no_grad()
def score_network(
    network: nn.Module, inputs: Inputs, labels: Tensor, indices: PartIndices
) -> Scored:
    """Return a network's answers to some utterances, in evaluation mode."""
    network.eval()
    logits = [
        network(**_of(inputs, indices[first : first + _SCORED_AT_ONCE])).numpy()
        for first in range(0, len(indices), _SCORED_AT_ONCE)
    ]
    return Scored(labels[indices].numpy(), np.concatenate(logits))


def _of(inputs: Inputs, chosen: PartIndices) -> dict[str, Tensor]:
    return {name: values[chosen] for name, values in inputs.items()}
