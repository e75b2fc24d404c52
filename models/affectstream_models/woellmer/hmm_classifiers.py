"""The HMM classifiers of Wöllmer et al. (2010): one HMM per class, without and with a bigram.

Knows: dialogues of utterances in order, and a class for each utterance in training.
Refuses to know: what the columns are (voice, face or both), normalisation, folds, and scores.

These classifiers and the SVM have the same methods. ``fit(dialogues, labels)`` takes one array of
labels per dialogue, each 0..C-1 or ``UNLABELLED``, and returns the classifier.
``predict_proba(dialogue)`` returns (U, C), rows that sum to 1. ``state_dict()`` returns what was
learned as arrays by name, for a safetensors file; ``load_state_dict`` takes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectstream_models.woellmer.class_bigram import ClassBigram
from affectstream_models.woellmer.hidden_markov import (
    BatchedGaussianHmm,
    distinct_count,
    middles_of,
)
from affectstream_models.woellmer.inputs import (
    Floats,
    checked_count,
    checked_labels,
    checked_rows,
    softmax,
    width_of,
)

_State = Mapping[str, NDArray[Any]]


class HmmClassifier:
    """One HMM per class. Utterances are classified on their own, with equal priors.

    The states are fully connected; each is a Gaussian with a diagonal covariance. They are trained
    by Baum-Welch from means found by k-means. Every transition counts once more than it was seen,
    so that none is impossible. A dialogue is U arrays (n_i, D) of frames. An utterance without
    frames, (0, D), is not learned from, and has the same probability in every class.

    Args:
        classes: C.
        states: of each HMM; 3 in Wöllmer et al. (2010).
        iterations: of Baum-Welch, at most.
        seed: of k-means.

    Raises:
        ValueError: fewer than two classes; in ``fit``, no utterance or too few frames of a class,
            labels that do not fit the dialogues; anywhere, frames of another width or not finite;
            in ``predict_proba`` and ``state_dict``, not fitted; in ``load_state_dict``, another
            number of classes.
    """

    def __init__(
        self, classes: int, *, states: int = 3, iterations: int = 20, seed: int = 0
    ) -> None:
        self.classes = checked_count(classes)
        self.states, self.iterations, self.seed = states, iterations, seed
        self._models: list[Any] = []
        self._width = 0

    def fit(self, dialogues: Sequence[Sequence[ArrayLike]], labels: Sequence[ArrayLike]) -> Self:
        """Train each class's HMM on its utterances."""
        sequences = [checked_rows(frames) for dialogue in dialogues for frames in dialogue]
        flat = np.concatenate(checked_labels(labels, [len(d) for d in dialogues], self.classes))
        width = width_of(sequences)
        models = []
        for label in range(self.classes):
            own = [s for s, known in zip(sequences, flat, strict=True) if known == label]
            models.append(self._trained(label, [frames for frames in own if len(frames)]))
        self._models, self._width = models, width
        return self

    def _trained(self, label: int, sequences: list[Floats]) -> Any:
        frames = np.concatenate(sequences) if sequences else np.empty((0, 1))
        distinct = distinct_count(frames, self.states)
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
        model.means_ = middles_of(frames, self.states, self.seed)
        return model.fit(frames, [len(sequence) for sequence in sequences])

    def log_likelihoods(self, dialogue: Sequence[ArrayLike]) -> Floats:
        """Return the log likelihoods (U, C) of each utterance under each class's HMM."""
        if not self._models:
            raise ValueError("not fitted")
        utterances = [checked_rows(utterance) for utterance in dialogue]
        for frames in utterances:
            if frames.shape[1] != self._width:
                raise ValueError(f"fitted on {self._width} columns, not on {frames.shape[1]}")
        if not utterances:
            return np.empty((0, self.classes))
        frames, lengths = np.concatenate(utterances), [len(frames) for frames in utterances]
        return np.stack([m.log_likelihoods(frames, lengths) for m in self._models], axis=1)

    def predict_proba(self, dialogue: Sequence[ArrayLike]) -> Floats:
        """Return the classes' probabilities (U, C)."""
        return softmax(self.log_likelihoods(dialogue))

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Return the HMMs: the arrays of ``BatchedGaussianHmm.parameters``, stacked by class."""
        if not self._models:
            raise ValueError("not fitted")
        each = [model.parameters() for model in self._models]
        return {name: np.stack([one[name] for one in each]) for name in each[0]}

    def load_state_dict(self, state: _State) -> None:
        """Take the HMMs of another classifier."""
        count, self.states, self._width = state["means"].shape
        _check_same(count, self.classes)
        self._models = [
            BatchedGaussianHmm.of({name: rows[label] for name, rows in state.items()})
            for label in range(count)
        ]


class HmmLanguageModelClassifier:
    """An HMM per class, and a bigram of classes over the dialogue.

    Each estimate uses the whole dialogue, later utterances too: an utterance's probabilities are
    the softmax over the scores of the best paths through each class (Viterbi). So its most probable
    class lies on the best path of all. Dialogues and arguments are those of ``HmmClassifier``.

    Args:
        weight: of the bigram against the HMMs. Utterances with many frames need more than 1. It may
            be set after training, on development data; 0 ignores the bigram.

    Raises:
        ValueError: ``weight`` is negative or not finite; else as for ``HmmClassifier``.
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
        """Weight of the bigram against the HMMs."""
        return self._weight

    @weight.setter
    def weight(self, weight: float) -> None:
        if not (np.isfinite(weight) and weight >= 0):
            raise ValueError(f"a weight is 0 or more, not {weight}")
        self._weight = weight

    def fit(self, dialogues: Sequence[Sequence[ArrayLike]], labels: Sequence[ArrayLike]) -> Self:
        """Train the HMMs and count the bigram."""
        self.hmm.fit(dialogues, labels)
        checked = checked_labels(
            labels, [len(dialogue) for dialogue in dialogues], self.hmm.classes
        )
        self.bigram = ClassBigram.fit(checked, self.hmm.classes)
        return self

    def predict_proba(self, dialogue: Sequence[ArrayLike]) -> Floats:
        """Return the classes' probabilities (U, C)."""
        if self.bigram is None:
            raise ValueError("not fitted")
        return softmax(self.bigram.best_paths(self.hmm.log_likelihoods(dialogue), self.weight))

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Return the HMMs' arrays, the bigram's ``start`` and ``follow``, and its ``weight``."""
        if self.bigram is None:
            raise ValueError("not fitted")
        own = {"start": self.bigram.start, "follow": self.bigram.follow}
        return {**self.hmm.state_dict(), **own, "weight": np.array([self.weight])}

    def load_state_dict(self, state: _State) -> None:
        """Take the HMMs, the bigram and its weight of another classifier."""
        own = {"start", "follow", "weight"}
        self.hmm.load_state_dict({k: rows for k, rows in state.items() if k not in own})
        self.bigram = ClassBigram(state["start"], state["follow"])
        self.weight = state["weight"].item()


def _check_same(found: int, classes: int) -> None:
    if found != classes:
        raise ValueError(f"what was learnt is of {found} classes, not of {classes}")
