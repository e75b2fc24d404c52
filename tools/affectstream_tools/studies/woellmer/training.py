"""How the networks of Woellmer et al. (2010) are trained on dialogues.

Inputs are functionals of utterances in dialogue order, brought to the learned utterances' mean 0
and deviation 1. Gaussian noise of deviation 0.6 is added, and classes weigh by a power of their
rarity. The paper used gradient descent until nothing was better for some epochs. Ours is AdamW; the
mean of the latest steps' weights is judged, and the epoch of the best F1 on the development part is
kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from affectstream_models.woellmer.networks import DialogueLstm
from affectstream_tools.metrics import confusion
from affectstream_tools.studies.woellmer.scores import scores_of_counts
from affectstream_tools.train.losses import balanced_weights, weighted_mean

_Floats = NDArray[np.float64]
_Labels = NDArray[np.int64]

_FAR = 5.0  # deviations


@dataclass(frozen=True, slots=True)
class DialogueSchedule:
    """How long and how hard to train.

    Attributes:
        batch: dialogues in a step.
        patience: epochs without a better F1 on the development part before training ends.
        decay: of the running mean of the weights, for each step.
        balance: the power by which rare classes weigh more: 0 gives every utterance the same
            weight, 1 every class.
    """

    epochs: int = 12
    batch: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    patience: int = 3
    decay: float = 0.9
    balance: float = 0.5


class DialogueNetwork:
    """An LSTM or BLSTM with its normalisation.

    Args:
        classes: how many there are.
        bidirectional: whether it is a BLSTM.
        seed: the seed of the weights, the noise and the order.
    """

    def __init__(
        self,
        classes: int,
        *,
        bidirectional: bool,
        seed: int = 0,
        schedule: DialogueSchedule = DialogueSchedule(),
    ) -> None:
        self.classes, self.bidirectional = classes, bidirectional
        self.seed, self.schedule = seed, schedule
        self.epoch = 0
        """The one whose weights were kept, from 1."""

    def fit(
        self,
        learned: tuple[Sequence[_Floats], Sequence[_Labels]],
        development: tuple[Sequence[_Floats], Sequence[_Labels]],
    ) -> DialogueNetwork:
        """Train on dialogues (U, D) and labels (U,), -1 where unknown, until no epoch is better.

        Raises:
            ValueError: there is no labelled utterance in one of the parts.
        """
        rows = np.concatenate(learned[0])
        self._mean, deviation = rows.mean(axis=0), rows.std(axis=0)
        self._deviation = np.where(deviation > 0, deviation, 1.0)
        inputs = [self._scaled(dialogue) for dialogue in learned[0]]
        targets = [torch.from_numpy(labels) for labels in learned[1]]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = DialogueLstm(
                rows.shape[1], self.classes, bidirectional=self.bidirectional
            ).train()
            self._network = self._trained(network, inputs, targets, development)
        return self

    def _trained(
        self,
        network: DialogueLstm,
        inputs: list[Tensor],
        targets: list[Tensor],
        development: tuple[Sequence[_Floats], Sequence[_Labels]],
    ) -> nn.Module:
        plan, rng = self.schedule, np.random.default_rng(self.seed)
        average = get_ema_multi_avg_fn(plan.decay)  # type: ignore[no-untyped-call]
        mean = AveragedModel(network, multi_avg_fn=average)
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
        )
        labels = torch.cat(targets).numpy()
        if not (labels >= 0).any():
            raise ValueError("there is no label to learn from")
        weights = balanced_weights(labels, self.classes, plan.balance)
        best, kept = -1.0, deepcopy(mean.module)
        for epoch in range(1, plan.epochs + 1):
            order = rng.permutation(len(inputs))
            for chosen in np.array_split(order, max(1, len(order) // plan.batch)):
                loss = _loss(network, [(inputs[i], targets[i]) for i in chosen], weights)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                mean.update_parameters(network)
            found = self._f1(mean.module.eval(), *development)
            if found > best:
                best, kept, self.epoch = found, deepcopy(mean.module), epoch
            elif epoch - self.epoch >= plan.patience:
                break
        return kept.eval()

    def predict(self, dialogue: _Floats) -> _Labels:
        """Return the classes (U,) of a dialogue's utterances (U, D)."""
        return np.asarray(self.logits(dialogue).argmax(axis=1))

    def logits(self, dialogue: _Floats) -> NDArray[np.float32]:
        """Return unnormalised log probabilities (U, C) of a dialogue's utterances (U, D)."""
        return self._logits(self._network, dialogue)

    def _logits(self, network: nn.Module, dialogue: _Floats) -> NDArray[np.float32]:
        with torch.inference_mode():
            found: NDArray[np.float32] = network(self._scaled(dialogue)[None])[0].numpy()
        return found

    def _f1(
        self, network: nn.Module, dialogues: Sequence[_Floats], labels: Sequence[_Labels]
    ) -> float:
        truth = np.concatenate(labels)
        if not (truth >= 0).any():
            raise ValueError("the development part has no label to choose an epoch by")
        logits = np.concatenate([self._logits(network, dialogue) for dialogue in dialogues])
        found = logits.argmax(axis=1)
        counts = confusion(truth[truth >= 0], found[truth >= 0], self.classes)
        return scores_of_counts(counts)["f1"]

    def _scaled(self, dialogue: _Floats) -> Tensor:
        scaled = ((dialogue - self._mean) / self._deviation).clip(-_FAR, _FAR)
        return torch.from_numpy(scaled.astype(np.float32))


def _loss(network: nn.Module, chosen: Sequence[tuple[Tensor, Tensor]], weights: Tensor) -> Tensor:
    features = pad_sequence([inputs for inputs, _ in chosen], batch_first=True)
    targets = pad_sequence([labels for _, labels in chosen], batch_first=True, padding_value=-1)
    lengths = torch.tensor([len(labels) for _, labels in chosen])
    mask = torch.arange(targets.shape[1]) < lengths.unsqueeze(1)  # (B, U)
    known = targets >= 0
    logits = network(features, mask)[known]
    # A sum over weights that may be zero where a step happens to have no label
    costs = functional.cross_entropy(logits, targets[known], reduction="none")
    return weighted_mean(costs, weights[targets[known]])
