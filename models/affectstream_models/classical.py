"""The classifiers without networks of Woellmer et al. (2010): HMM, HMM with language model, SVM.

Knows: dialogues of utterances in order, and a class for each utterance in training.
Refuses to know: what the numbers are (voice, face, or both are just other columns), normalisation,
folds, and scores.

All have one shape. ``fit(dialogues, labels)`` takes as many lists of labels as dialogues, each
label 0..C-1 or ``UNLABELLED``, and returns the classifier; ``predict_proba(dialogue)`` gives
(U, C), rows that sum to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans
from sklearn.svm import SVC

from affectstream_models.hidden_markov import BatchedGaussianHmm
from affectstream_models.selection import CorrelationFeatureSelection, SelectedColumns

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

UNLABELLED = -1
"""An utterance of no class: nothing is learnt from it, and it parts the pairs of the bigram."""

ENOUGH_FRAMES = 10_000
"""The k-means that the states start from sees no more of a class, drawn by the seed."""


class DialogueClassifier(Protocol):
    """What all of them do."""

    def fit(self, dialogues: Sequence[Any], labels: Sequence[ArrayLike]) -> Self:
        """Learn from training dialogues, from the start each time."""
        ...

    def predict_proba(self, dialogue: Any) -> Floats:
        """Probabilities (U, C) of the classes of each utterance."""
        ...


class HmmClassifier:
    """One HMM per class, each utterance on its own, all classes as likely before.

    Each has fully connected states of one Gaussian with a diagonal covariance, and is trained by
    Baum-Welch from a k-means start. Each transition counts once more than was seen, so that none
    is impossible. A dialogue is U arrays (n_i, D) of frames; one without frames, (0, D), teaches
    nothing, and is as likely in any class.

    Args:
        classes: C.
        states: of each HMM; 3 in Woellmer et al. (2010).
        iterations: of Baum-Welch, at most.
        seed: of the k-means.

    Raises:
        ValueError: fewer than two classes; in ``fit``, no utterance or too few frames of a class,
            labels that do not fit the dialogues; anywhere, frames of another width or not finite;
            in ``predict_proba``, not fitted.
    """

    def __init__(
        self, classes: int, *, states: int = 3, iterations: int = 20, seed: int = 0
    ) -> None:
        self.classes = _class_count(classes)
        self.states, self.iterations, self.seed = states, iterations, seed
        self._models: list[Any] = []
        self._width = 0

    def fit(self, dialogues: Sequence[Sequence[ArrayLike]], labels: Sequence[ArrayLike]) -> Self:
        """Train each class's HMM on its utterances."""
        sequences = [_frames(frames) for dialogue in dialogues for frames in dialogue]
        flat = np.concatenate(_labels(labels, [len(d) for d in dialogues], self.classes))
        width = _one_width(sequences)
        models = []
        for label in range(self.classes):
            own = [s for s, known in zip(sequences, flat, strict=True) if known == label]
            models.append(self._trained(label, [frames for frames in own if len(frames)]))
        self._models, self._width = models, width
        return self

    def _trained(self, label: int, sequences: list[Floats]) -> Any:
        frames = np.concatenate(sequences) if sequences else np.empty((0, 1))
        distinct = _distinct(frames, self.states)
        if distinct < self.states:
            raise ValueError(
                f"class {label} has {distinct} distinct frames for {self.states} states"
            )
        model = BatchedGaussianHmm(
            self.states,
            covariance_type="diag",
            init_params="stc",
            startprob_prior=2.0,  # of Dirichlet: one more than seen
            transmat_prior=2.0,
            n_iter=self.iterations,
            random_state=self.seed,
        )
        model.means_ = _middles(frames, self.states, self.seed)
        return model.fit(frames, [len(sequence) for sequence in sequences])

    def log_likelihoods(self, dialogue: Sequence[ArrayLike]) -> Floats:
        """(U, C), of each utterance in each class's HMM."""
        if not self._models:
            raise ValueError("not fitted")
        utterances = [_frames(utterance) for utterance in dialogue]
        for frames in utterances:
            if frames.shape[1] != self._width:
                raise ValueError(f"fitted on {self._width} columns, not on {frames.shape[1]}")
        if not utterances:
            return np.empty((0, self.classes))
        frames, lengths = np.concatenate(utterances), [len(frames) for frames in utterances]
        return np.stack([m.log_likelihoods(frames, lengths) for m in self._models], axis=1)

    def predict_proba(self, dialogue: Sequence[ArrayLike]) -> Floats:
        """Probabilities (U, C); no utterance's depend on another's."""
        return _softmax(self.log_likelihoods(dialogue))


@dataclass(frozen=True, slots=True, eq=False)
class ClassBigram:
    """The first-order language model of classes over a dialogue, add-one smoothed.

    Attributes:
        start: (C,), log probabilities of the first utterance's class.
        follow: (C, C), log probabilities of a class (column) after a class (row).
    """

    start: Floats
    follow: Floats

    @classmethod
    def fit(cls, labels: Sequence[Labels], classes: int) -> ClassBigram:
        """Count the first classes and the pairs of neighbours, those of no class left out."""
        start = np.ones(classes)
        follow = np.ones((classes, classes))
        for dialogue in labels:
            if len(dialogue) and dialogue[0] != UNLABELLED:
                start[dialogue[0]] += 1
            known = (dialogue[:-1] != UNLABELLED) & (dialogue[1:] != UNLABELLED)
            np.add.at(follow, (dialogue[:-1][known], dialogue[1:][known]), 1)
        return cls(np.log(start / start.sum()), np.log(follow / follow.sum(axis=1, keepdims=True)))

    def best_paths(self, scores: Floats, weight: float) -> Floats:
        """(U, C), of the best path of classes that passes each class at each utterance.

        Viterbi there and back. The highest of each row is on the best path of all.

        Args:
            scores: (U, C), log likelihoods.
            weight: of the language model's logarithms.
        """
        start, follow = weight * self.start, weight * self.follow
        there, back = np.zeros_like(scores), np.zeros_like(scores)
        for row in range(len(scores)):
            before = (there[row - 1][:, None] + follow).max(axis=0) if row else start
            there[row] = before + scores[row]
        for row in range(len(scores) - 2, -1, -1):
            back[row] = (follow + scores[row + 1] + back[row + 1]).max(axis=1)
        best: Floats = there + back
        return best


class HmmLanguageModelClassifier:
    """An HMM per class, and a class bigram over the dialogue.

    The classes of a dialogue are those of the best path through it (Viterbi), so each estimate has
    seen all the dialogue, later utterances as well. An utterance's probabilities are the softmax
    over classes of the best path that passes each, so the most probable ones are that path.
    Dialogues, arguments and errors are those of ``HmmClassifier``.

    Args:
        weight: of the language model against the frames; with many frames in an utterance, more
            than 1. It may be set after training, on development data; 0 leaves the HMMs alone.

    Raises:
        ValueError: ``weight`` is negative or not finite, and what ``HmmClassifier`` raises.
    """

    def __init__(
        self,
        classes: int,
        *,
        weight: float = 1.0,
        states: int = 3,
        iterations: int = 20,
        seed: int = 0,
    ) -> None:
        self.weight = weight
        self.hmm = HmmClassifier(classes, states=states, iterations=iterations, seed=seed)
        self.bigram: ClassBigram | None = None

    @property
    def weight(self) -> float:
        """Of the language model against the frames."""
        return self._weight

    @weight.setter
    def weight(self, weight: float) -> None:
        if not (np.isfinite(weight) and weight >= 0):
            raise ValueError(f"a weight is 0 or more, not {weight}")
        self._weight = weight

    def fit(self, dialogues: Sequence[Sequence[ArrayLike]], labels: Sequence[ArrayLike]) -> Self:
        """Train the HMMs, and count the bigram."""
        self.hmm.fit(dialogues, labels)
        checked = _labels(labels, [len(dialogue) for dialogue in dialogues], self.hmm.classes)
        self.bigram = ClassBigram.fit(checked, self.hmm.classes)
        return self

    def predict_proba(self, dialogue: Sequence[ArrayLike]) -> Floats:
        """Probabilities (U, C); the most probable of each row make the best path."""
        if self.bigram is None:
            raise ValueError("not fitted")
        return _softmax(self.bigram.best_paths(self.hmm.log_likelihoods(dialogue), self.weight))


class SvmClassifier:
    """A linear SVM on functionals, each utterance on its own, after CFS.

    Woellmer et al. (2010) train it by SMO, as libsvm does. Columns are chosen and brought to mean 0
    and deviation 1 by the training rows. A dialogue is (U, D), a row for each utterance. What is
    called probability is the softmax of the votes of all pairs of classes (of the one margin, for
    two classes): it says which class, but is not calibrated. Nothing is drawn.

    Args:
        classes: C.
        complexity: price of a row on the wrong side.
        selection: how columns are chosen; None keeps all.

    Raises:
        ValueError: fewer than two classes; in ``fit``, no utterance of a class, labels that do not
            fit the dialogues, no column that goes with the class; anywhere, rows of another width
            or not finite; in ``predict_proba``, not fitted.
    """

    def __init__(
        self,
        classes: int,
        *,
        complexity: float = 1.0,
        selection: CorrelationFeatureSelection | None = CorrelationFeatureSelection(),  # noqa: B008
    ) -> None:
        self.classes = _class_count(classes)
        self.complexity, self.selection = complexity, selection
        self.columns: SelectedColumns | None = None

    def fit(self, dialogues: Sequence[ArrayLike], labels: Sequence[ArrayLike]) -> Self:
        """Choose the columns and train on them."""
        tables = [_frames(dialogue) for dialogue in dialogues]
        flat = np.concatenate(_labels(labels, [len(t) for t in tables], self.classes))
        width = _one_width(tables)
        known = flat != UNLABELLED
        rows, classes = np.concatenate(tables)[known], flat[known]
        if self.selection is None:
            columns = SelectedColumns(tuple(range(width)), width)
        else:
            columns = self.selection.fit(rows, classes)
        rows = columns.apply(rows)
        mean, deviation = rows.mean(axis=0), rows.std(axis=0)
        deviation = np.where(deviation > 0, deviation, 1.0)
        machine = SVC(kernel="linear", C=self.complexity).fit((rows - mean) / deviation, classes)
        self._mean, self._deviation, self._machine = mean, deviation, machine
        self.columns = columns
        return self

    def predict_proba(self, dialogue: ArrayLike) -> Floats:
        """Probabilities (U, C); no utterance's depend on another's."""
        if self.columns is None:
            raise ValueError("not fitted")
        rows = self.columns.apply(_frames(dialogue))
        if not len(rows):
            return np.empty((0, self.classes))
        votes = self._machine.decision_function((rows - self._mean) / self._deviation)
        if votes.ndim == 1:  # two classes: the margin towards the second
            votes = np.stack([np.zeros_like(votes), votes], axis=1)
        return _softmax(votes)


def _class_count(classes: int) -> int:
    if classes < 2:
        raise ValueError(f"needs at least two classes, not {classes}")
    return classes


def _frames(utterance: ArrayLike) -> Floats:
    frames = np.asarray(utterance, dtype=np.float64)
    if frames.ndim != 2 or frames.shape[1] < 1:
        raise ValueError(f"needs rows of columns, not an array of shape {frames.shape}")
    if not np.isfinite(frames).all():
        raise ValueError("there are numbers that are not finite")
    return frames


def _distinct(frames: Floats, enough: int) -> int:
    """How many frames differ, counted up to ``enough``."""
    count = 0
    while len(frames) and count < enough:
        frames = frames[(frames != frames[0]).any(axis=1)]
        count += 1
    return count


def _middles(frames: Floats, count: int, seed: int) -> Floats:
    """Return where k-means finds the middles of the frames, of not more than it needs to see."""
    if len(frames) > ENOUGH_FRAMES:
        chosen = np.random.default_rng(seed).choice(len(frames), ENOUGH_FRAMES, replace=False)
        some = frames[np.sort(chosen)]
        frames = some if _distinct(some, count) == count else frames
    middles: Floats = KMeans(count, n_init=3, random_state=seed).fit(frames).cluster_centers_
    return middles


def _one_width(tables: list[Floats]) -> int:
    widths = {int(table.shape[1]) for table in tables}
    if len(widths) != 1:
        raise ValueError(f"all utterances must have the same columns, not {sorted(widths)}")
    return widths.pop()


def _labels(labels: Sequence[ArrayLike], lengths: list[int], classes: int) -> list[Labels]:
    """Each dialogue's labels (U,), after all that may be wrong with them."""
    if len(labels) != len(lengths) or not lengths:
        raise ValueError(f"{len(lengths)} dialogues with {len(labels)} lists of labels")
    checked = []
    for place, (own, length) in enumerate(zip(labels, lengths, strict=True)):
        given = np.asarray(own)
        if given.shape != (length,):
            raise ValueError(
                f"dialogue {place}: {length} utterances with labels of shape {given.shape}"
            )
        whole = given.astype(np.int64)
        if (whole != given).any() or ((whole < UNLABELLED) | (whole >= classes)).any():
            raise ValueError(f"dialogue {place}: labels are 0..{classes - 1} or {UNLABELLED}")
        checked.append(whole)
    missing = sorted(set(range(classes)) - set(np.concatenate(checked).tolist()))
    if missing:
        raise ValueError(f"no utterance of class {', '.join(map(str, missing))}")
    return checked


def _softmax(scores: Floats) -> Floats:
    """Of each row."""
    if not len(scores):
        return scores
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares
