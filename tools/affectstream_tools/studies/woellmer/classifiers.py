"""Every classifier of Woellmer et al. (2010), learned and put to one fold's test part.

HMMs and networks learn from nine tenths of the training dialogues; the last tenth chooses the
networks' epoch and the language model's weight. The SVM has nothing to choose, and learns from
all. Where voice and face have no frames in common, HMM v+f is the sum of both HMMs' log
likelihoods.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affectstream_models.woellmer.class_bigram import ClassBigram
from affectstream_models.woellmer.hmm_classifiers import HmmClassifier
from affectstream_models.woellmer.inputs import UNLABELLED
from affectstream_models.woellmer.selection import CorrelationFeatureSelection
from affectstream_models.woellmer.svm_classifier import SvmClassifier
from affectstream_tools.corpora.annotations import Classes, annotations_of
from affectstream_tools.metrics import confusion
from affectstream_tools.studies.woellmer.data import Talk
from affectstream_tools.studies.woellmer.scores import scores_of_counts
from affectstream_tools.studies.woellmer.training import DialogueNetwork, DialogueSchedule

_Floats = NDArray[np.float64]
_Labels = NDArray[np.int64]

BOTH = "v+f"
WEIGHTS = (0.25, 1.0, 4.0, 16.0, 64.0, 256.0)
"""Of the language model; the development part chooses one. More frames need a greater weight."""

LOOK_AHEAD = {"HMM": "none", "HMM+LM": "full", "SVM": "none", "LSTM": "causal", "BLSTM": "full"}
"""What each sees of the dialogue. A language model's best path sees all of it."""

CLASSIFIERS = {"classical": ("hmm", "svm"), "networks": ("lstm", "blstm")}
"""The classifiers that one job learns. ``hmm`` is learned with and without a language model."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to train; ``BRIEF`` is for tests."""

    iterations: int = 10
    schedule: DialogueSchedule = DialogueSchedule()  # noqa: RUF009
    select: bool = False
    """Whether the networks have the columns of CFS, as in the paper, or all."""


BRIEF = Effort(2, DialogueSchedule(epochs=2))


@dataclass(frozen=True, slots=True, eq=False)
class FoldPart:
    """Dialogues and the classes (U,) of their utterances, -1 where unknown."""

    talks: Sequence[Talk]
    labels: Sequence[_Labels]

    @classmethod
    def of(cls, talks: Sequence[Talk], classes: Classes) -> FoldPart:
        """Give every utterance its class."""
        return cls(talks, [classes.of(annotations_of(talk.dialogue)) for talk in talks])

    @property
    def functionals(self) -> list[_Floats]:
        """The functionals (U, D) of each dialogue."""
        return [talk.functionals for talk in self.talks]

    def stream(self, name: str) -> list[Sequence[_Floats]]:
        """Return each dialogue's frames of one stream."""
        return [talk.streams[name] for talk in self.talks]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """One task of one fold."""

    classes: Classes
    learned: FoldPart
    development: FoldPart
    test: FoldPart


@dataclass(frozen=True, slots=True, eq=False)
class TestAnswer:
    """A classifier's answers on the test part.

    Attributes:
        row: the row of the paper's tables, such as ``BLSTM, v+f``.
        found: classes (U,) of each test dialogue.
        chosen: what the development part chose: an epoch, or the language model's weight.
    """

    row: str
    found: Sequence[_Labels]
    wall_s: float
    chosen: float | None = None


def answers(material: Material, classifier: str, effort: Effort, seed: int) -> Iterator[TestAnswer]:
    """Train ``hmm``, ``svm``, ``lstm`` or ``blstm``; yield each of its rows.

    Raises:
        ValueError: there is no such classifier, or a class has no utterance to learn from.
    """
    if classifier == "hmm":
        yield from _hmms(material, effort, seed)
    elif classifier == "svm":
        yield _svm(material)
    elif classifier in CLASSIFIERS["networks"]:
        yield _network(material, effort, seed, bidirectional=classifier == "blstm")
    else:
        every = ", ".join(name for names in CLASSIFIERS.values() for name in names)
        raise ValueError(f"no classifier {classifier!r}; there are {every}")


def _hmms(material: Material, effort: Effort, seed: int) -> Iterator[TestAnswer]:
    count = material.classes.count
    scored: dict[str, tuple[list[_Floats], list[_Floats]]] = {}
    for stream in material.test.talks[0].streams:
        begin_s = time.perf_counter()
        model = HmmClassifier(count, iterations=effort.iterations, seed=seed)
        model.fit(material.learned.stream(stream), material.learned.labels)
        scored[stream] = (
            [model.log_likelihoods(frames) for frames in material.development.stream(stream)],
            [model.log_likelihoods(frames) for frames in material.test.stream(stream)],
        )
        yield _highest(f"HMM, {stream}", scored[stream][1], begin_s)
    begin_s = time.perf_counter()
    if BOTH not in scored:
        voice, face = scored["v"], scored["f"]
        scored[BOTH] = (
            [a + b for a, b in zip(voice[0], face[0], strict=True)],
            [a + b for a, b in zip(voice[1], face[1], strict=True)],
        )
        yield _highest(f"HMM, {BOTH}", scored[BOTH][1], begin_s)
    bigram = ClassBigram.fit(material.learned.labels, count)
    development, test = scored[BOTH]
    weight = _best_weight(bigram, development, material.development.labels, count)
    paths = [bigram.best_paths(scores, weight) for scores in test]
    yield _highest(f"HMM+LM, {BOTH}", paths, begin_s, weight)


def _best_weight(
    bigram: ClassBigram, scores: Sequence[_Floats], labels: Sequence[_Labels], classes: int
) -> float:
    """Return the language model's weight of the highest F1 on the development part."""
    truth = np.concatenate(labels)
    known = truth != UNLABELLED

    def f1(weight: float) -> float:
        paths = [bigram.best_paths(one, weight).argmax(axis=1) for one in scores]
        found = np.concatenate(paths)
        return scores_of_counts(confusion(truth[known], found[known], classes))["f1"]

    return max(WEIGHTS, key=f1)


def _highest(
    row: str, scores: Sequence[_Floats], begin_s: float, chosen: float | None = None
) -> TestAnswer:
    found = [one.argmax(axis=1).astype(np.int64) for one in scores]
    return TestAnswer(row, found, time.perf_counter() - begin_s, chosen)


def _svm(material: Material) -> TestAnswer:
    begin_s = time.perf_counter()
    machine = SvmClassifier(material.classes.count).fit(
        [*material.learned.functionals, *material.development.functionals],
        [*material.learned.labels, *material.development.labels],
    )
    votes = [machine.predict_proba(rows) for rows in material.test.functionals]
    return _highest(f"SVM, {BOTH}", votes, begin_s)


def _network(material: Material, effort: Effort, seed: int, *, bidirectional: bool) -> TestAnswer:
    begin_s = time.perf_counter()
    learned, development, test = (
        part.functionals for part in (material.learned, material.development, material.test)
    )
    if effort.select:
        labels = np.concatenate(material.learned.labels)
        known = labels != UNLABELLED
        columns = CorrelationFeatureSelection().fit(np.concatenate(learned)[known], labels[known])
        learned, development, test = (
            [columns.apply(rows) for rows in part] for part in (learned, development, test)
        )
    network = DialogueNetwork(
        material.classes.count, bidirectional=bidirectional, seed=seed, schedule=effort.schedule
    ).fit((learned, material.learned.labels), (development, material.development.labels))
    found = [network.predict(rows) for rows in test]
    row = f"{'BLSTM' if bidirectional else 'LSTM'}, {BOTH}"
    return TestAnswer(row, found, time.perf_counter() - begin_s, network.epoch)
