"""One experiment with a network of Tripathi and Beigi (2018): from a corpus to its scores.

Which experiments there are is in ``tables``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from affectstream_models.tripathi.checkpoints import NetworkDescription, TrainedNetwork
from affectstream_models.tripathi.mocap import MOCAP_ROWS
from affectstream_models.tripathi.networks import NETWORKS, Optimiser, TripathiNetwork
from affectstream_models.tripathi.speech import FRAMES
from affectstream_tools.studies.tripathi.data import (
    Utterances,
    ceiling_of,
    read_utterances,
    synthetic_corpus,
)
from affectstream_tools.studies.tripathi.inputs import (
    encoded,
    fitted,
    longest,
    longest_text,
    read_vectors,
    started,
)
from affectstream_tools.studies.tripathi.protocols import parts_of
from affectstream_tools.studies.tripathi.training import (
    NetworkSchedule,
    Parts,
    TrainingCourse,
    score_network,
    train_epochs,
)

SYNTHETIC_CORPUS = "synthetic"
"""Names the synthetic corpus, in place of a corpus's folder."""


@dataclass(frozen=True, slots=True)
class ExperimentPlan:
    """All that an experiment depends on.

    Attributes:
        network: a name of ``networks.NETWORKS``.
        corpus: a folder, or ``SYNTHETIC_CORPUS``.
        vectors: a file of word vectors, for the networks that start at them.
        protocol: one of ``protocols.TRIPATHI_PROTOCOLS``.
        improvised: leave out what is read from plays, in training too.
        optimiser: ``adadelta`` or ``adam``; empty for the paper's.
        small: take a few utterances only.
    """

    network: str
    corpus: str
    vectors: str
    protocol: str
    batch: int
    epochs: int
    patience: int
    improvised: bool = False
    optimiser: str = ""
    seed: int = 0
    small: bool = False

    def chosen_optimiser(self) -> Optimiser:
        """Return the optimiser to train with.

        Raises:
            ValueError: there is none of that name.
        """
        wanted = self.optimiser or _network(self.network).optimiser
        if wanted == "adam":
            return "adam"
        if wanted == "adadelta":
            return "adadelta"
        raise ValueError(f"there is no optimiser {wanted!r}; use adadelta or adam")


@dataclass(frozen=True, slots=True)
class Finished:
    """An experiment that was run.

    Attributes:
        description: what the network must be given, for its checkpoint.
    """

    plan: ExperimentPlan
    utterances: Utterances
    parts: Parts
    description: NetworkDescription
    network: nn.Module
    course: TrainingCourse

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values: the data, every epoch's scores, and both chosen epochs."""
        test = self.parts.test
        improvised = self.utterances.improvised[test]
        counts = np.bincount(self.utterances.labels[test])
        ceiling = ceiling_of(self.utterances, test.tolist(), NETWORKS[self.plan.network].inputs)
        return {
            "network": self.plan.network,
            "named": self.utterances.named,
            "classes": list(self.utterances.classes),
            "vectors": self.description.vectors,
            "optimiser": self.plan.chosen_optimiser(),
            "sizes": {
                name: getattr(self.description, name) for name in ("frames", "length", "rows")
            },
            "utterances": {
                name: len(getattr(self.parts, name)) for name in ("train", "development", "test")
            },
            "chance": round(float(counts.max() / counts.sum()), 6),
            "ceiling": ceiling.to_dict() if ceiling else None,
            **self.course.to_dict(improvised),
        }


def run_network_job(cache: str, **options: Any) -> dict[str, Any]:
    """Run an experiment, as a job; options are the attributes of ``ExperimentPlan``."""
    torch.set_num_threads(1)
    return experiment(ExperimentPlan(**options), Path(cache)).to_dict()


def experiment(
    plan: ExperimentPlan,
    cache: Path,
    *,
    on_epoch: Callable[[int, float], None] = lambda epoch, loss: None,
) -> Finished:
    """Train and score a network.

    Raises:
        AffectstreamError: the corpus or the vectors cannot be read.
        ValueError: the plan and the corpus do not go together.
    """
    optimiser = plan.chosen_optimiser()
    utterances = _utterances(plan, cache)
    texts, frames = utterances.texts, utterances.frames
    vectors, which = None, ""
    if NETWORKS[plan.network].embedding == "glove":
        vectors, which = read_vectors(Path(plan.vectors), texts)
    parts = _parts(plan, utterances)
    empty = replace(_described(plan, utterances), vectors=which)
    description = fitted(empty, texts, frames, parts.train, vectors)
    network = started(description, vectors, plan.seed)
    course = train_epochs(
        network,
        optimiser,
        encoded(description, texts, frames),
        torch.from_numpy(utterances.labels),
        parts,
        NetworkSchedule(plan.batch, plan.epochs, plan.patience),
        plan.seed,
        on_epoch=on_epoch,
    )
    return Finished(plan, utterances, parts, description, network, course)


def run_evaluation(
    trained: TrainedNetwork, cache: Path, *, corpus: str | None = None
) -> dict[str, Any]:
    """Score a checkpoint on the part that its training did not see.

    Args:
        corpus: a folder; all of it is scored, in place of the test part of the corpus that the
            network was trained on.

    Raises:
        AffectstreamError: the corpus cannot be read.
        ValueError: the corpus does not have the classes, lacks what the network needs, or was
            learned from.
    """
    description = trained.description
    plan = ExperimentPlan(**{k: v for k, v in description.trained.items() if k != "named"})
    if corpus and Path(corpus).resolve() == Path(plan.corpus).resolve():
        raise ValueError(
            f"the network has learned from {corpus}; name no corpus, and what it has not learned "
            "from is scored"
        )
    utterances = _utterances(replace(plan, corpus=corpus or plan.corpus), cache)
    _check_classes(description, utterances)
    test = np.arange(len(utterances.labels)) if corpus else _parts(plan, utterances).test
    inputs = encoded(description, utterances.texts, utterances.frames)
    labels = torch.from_numpy(utterances.labels)
    scored = score_network(trained.network, inputs, labels, test)
    improvised = utterances.improvised[test]
    return {
        "network": description.name,
        "sha256": trained.sha256,
        "named": utterances.named,
        "protocol": "all of it" if corpus else plan.protocol,
        "classes": list(description.classes),
        "utterances": len(test),
        **scored.to_dict(),
        "improvised": scored.of(improvised).to_dict() if improvised.any() else None,
    }


def _network(name: str) -> TripathiNetwork:
    if name not in NETWORKS:
        raise ValueError(f"there is no network {name!r}; there are {', '.join(NETWORKS)}")
    return NETWORKS[name]


def _check_classes(description: NetworkDescription, utterances: Utterances) -> None:
    if utterances.classes != description.classes:
        raise ValueError(
            f"the network tells {', '.join(description.classes)}, and the corpus has "
            f"{', '.join(utterances.classes)}; use another corpus"
        )


def _described(plan: ExperimentPlan, utterances: Utterances) -> NetworkDescription:
    """Return what is known of a network before anything is fitted."""
    speech = utterances.frames.get("speech")
    return NetworkDescription(
        name=plan.network,
        classes=utterances.classes,
        frames=FRAMES if speech is None else longest(speech),
        length=longest_text(utterances.texts),
        rows=MOCAP_ROWS,
        trained={**asdict(plan), "named": utterances.named},
    )


def _utterances(plan: ExperimentPlan, cache: Path) -> Utterances:
    folder = (
        synthetic_corpus(cache, small=plan.small)
        if plan.corpus == SYNTHETIC_CORPUS
        else Path(plan.corpus)
    )
    return read_utterances(
        folder,
        _network(plan.network).inputs,
        cache,
        improvised=plan.improvised,
        small=plan.small,
    )


def _parts(plan: ExperimentPlan, utterances: Utterances) -> Parts:
    return parts_of(
        plan.protocol,
        plan.seed,
        ids=utterances.ids,
        dialogues=utterances.dialogues,
        sessions=utterances.sessions,
    )
