"""From a corpus to the shipped checkpoint: cross-validation, temperature, final training.

Knows: the protocol. The held-out session is never looked at: sizes, epochs and temperature come
from leaving one session out among the others.
Refuses to know: the command line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from affectstream.sources.iemocap import CorpusDialogue
from affectstream_models.checkpoints import save
from affectstream_models.context_features import collate
from affectstream_models.context_network import CLASS_COUNT, ContextConfig, ContextNetwork
from affectstream_models.context_offline import dialogue_outputs
from affectstream_models.text_encoder import TextEncoder
from affectstream_tools.context_targets import Fitted, Prepared, fit
from affectstream_tools.metrics import score
from affectstream_tools.splits import hold_out_session, leave_one_session_out
from affectstream_tools.train_context import Schedule, train_member

Vectors = Mapping[str, Sequence[float]]
Progress = Callable[[str, int, float], None]
"""Called after each epoch with what is being trained, the epoch and the mean loss."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that is chosen before training; the seed is not part of it.

    Attributes:
        sizes: sizes and dropouts that differ from the defaults of ``ContextConfig``.
        least_ngrams: in how many training utterances an n-gram must occur to be known.
    """

    schedule: Schedule = field(default_factory=Schedule)
    sizes: Mapping[str, Any] = field(default_factory=dict)
    members: int = 3
    least_ngrams: int = 2
    look_ahead: int = 8


def train_network(
    dialogues: Sequence[CorpusDialogue],
    vectors: Vectors,
    recipe: Recipe,
    seed: int,
    *,
    name: str = "context",
    progress: Progress = lambda name, epoch, loss: None,
) -> tuple[ContextNetwork, Fitted]:
    """Fit the tables and train every member on ``dialogues``."""
    fitted = fit(dialogues, vectors, least_ngrams=recipe.least_ngrams)
    encoder = TextEncoder(fitted.ngram_hashes, fitted.word_hashes, fitted.vectors)
    prepared = [fitted.prepare(dialogue, encoder) for dialogue in dialogues]
    config = ContextConfig(
        ngrams=len(fitted.ngram_hashes),
        words=len(fitted.word_hashes),
        word_dim=fitted.vectors.shape[1],
        members=recipe.members,
        **recipe.sizes,
    )
    network = ContextNetwork(config)
    network.set_tables(
        fitted.ngram_hashes,
        fitted.word_hashes,
        fitted.vectors,
        fitted.acoustic_mean,
        fitted.acoustic_sd,
    )
    for number, member in enumerate(network.networks()):
        trained = train_member(
            prepared,
            config,
            recipe.schedule,
            seed + 1000 * number,
            progress=partial(progress, f"{name}.{number}"),
        )
        member.load_state_dict(trained.state_dict())
    return network.eval(), fitted


def class_outputs(
    network: ContextNetwork, dialogues: Sequence[Prepared], look_ahead: int | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Raw class outputs (M, S, 4) and labels (S,) of the utterances with one of the classes."""
    outputs, labels = [], []
    for dialogue in dialogues:
        batch = collate(dialogue.acoustic, dialogue.text)
        with torch.inference_mode():
            raw = dialogue_outputs(network, [batch], dialogue.speakers, look_ahead)
        scored = (dialogue.emotion >= 0) & (dialogue.emotion < CLASS_COUNT)
        outputs.append(raw.numpy()[:, scored, :CLASS_COUNT])
        labels.append(dialogue.emotion[scored])
    return np.concatenate(outputs, axis=1), np.concatenate(labels)


def probabilities(outputs: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float32]:
    """Members' mean probabilities (S, 4) of raw class outputs (M, S, 4)."""
    scaled = outputs / temperature
    powers = np.exp(scaled - scaled.max(axis=2, keepdims=True))
    return np.asarray((powers / powers.sum(axis=2, keepdims=True)).mean(axis=0), dtype=np.float32)


def fit_temperature(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature of least negative log-likelihood, from 0.2 to 5 (Guo et al. 2017)."""
    rows = np.arange(len(labels))
    candidates = np.geomspace(0.2, 5.0, 161)
    costs = [-np.log(probabilities(outputs, t)[rows, labels] + 1e-9).mean() for t in candidates]
    return float(candidates[int(np.argmin(costs))])


def cross_validate(
    dialogues: Sequence[CorpusDialogue],
    vectors: Vectors,
    recipe: Recipe,
    seed: int,
    *,
    progress: Progress = lambda name, epoch, loss: None,
) -> tuple[float, dict[str, float]]:
    """Leave one session out: the temperature, and development scores over all sessions.

    The temperature is fitted at the recipe's look-ahead, on predictions for unseen sessions.
    """
    by_look_ahead: dict[int, list[tuple[NDArray[np.float32], NDArray[np.int64]]]] = {
        look_ahead: [] for look_ahead in (0, recipe.look_ahead)
    }
    for split in leave_one_session_out(dialogues):
        network, fitted = train_network(
            split.train, vectors, recipe, seed, name=f"without {split.name}", progress=progress
        )
        encoder = TextEncoder(fitted.ngram_hashes, fitted.word_hashes, fitted.vectors)
        test = [fitted.prepare(dialogue, encoder) for dialogue in split.test]
        for look_ahead, found in by_look_ahead.items():
            found.append(class_outputs(network, test, look_ahead))
    pooled = {
        look_ahead: (
            np.concatenate([outputs for outputs, _ in found], axis=1),
            np.concatenate([labels for _, labels in found]),
        )
        for look_ahead, found in by_look_ahead.items()
    }
    temperature = fit_temperature(*pooled[recipe.look_ahead])
    scores = {}
    for look_ahead, (outputs, labels) in pooled.items():
        found_scores = score(labels, probabilities(outputs, temperature))
        scores[f"uar_{look_ahead}"] = round(found_scores.uar, 4)
        scores[f"ece_{look_ahead}"] = round(found_scores.ece, 4)
    return temperature, scores


def train_checkpoint(
    dialogues: Sequence[CorpusDialogue],
    vectors: Vectors,
    recipe: Recipe,
    path: Path,
    *,
    test_session: int,
    seed: int,
    progress: Progress = lambda name, epoch, loss: None,
) -> dict[str, Any]:
    """Train on all sessions but one and write the checkpoint.

    Returns:
        What was done, as it is written into the checkpoint, and the file's ``sha256``.
    """
    train = hold_out_session(dialogues, test_session).train
    temperature, development = cross_validate(train, vectors, recipe, seed, progress=progress)
    network, _ = train_network(train, vectors, recipe, seed, progress=progress)
    network.temperature.fill_(temperature)
    trained = {
        "test_session": test_session,
        "dialogues": len(train),
        "utterances": sum(len(dialogue.utterances) for dialogue in train),
        "seed": seed,
        "recipe": asdict(replace(recipe, sizes=dict(recipe.sizes))),
        "development": development,
        "temperature": round(temperature, 4),
    }
    sha256 = save(
        network,
        path,
        id=f"context-iemocap-without-{test_session}",
        look_ahead=recipe.look_ahead,
        trained=json.loads(json.dumps(trained)),
    )
    return {**trained, "sha256": sha256}
