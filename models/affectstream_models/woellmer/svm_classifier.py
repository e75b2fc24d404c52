"""The classifier of Woellmer et al. (2010) that is an SVM: linear, on functionals, after CFS.

Knows: functionals of utterances, and a class for each in training.
Refuses to know: what the functionals are, normalisation by speaker, folds, and scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.svm import SVC

from affectstream_models.woellmer.inputs import (
    UNLABELLED,
    Floats,
    checked_count,
    checked_labels,
    checked_rows,
    softmax,
    width_of,
)
from affectstream_models.woellmer.selection import CorrelationFeatureSelection, SelectedColumns


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
        self.classes = checked_count(classes)
        self.complexity, self.selection = complexity, selection
        self.columns: SelectedColumns | None = None

    def fit(self, dialogues: Sequence[ArrayLike], labels: Sequence[ArrayLike]) -> Self:
        """Choose the columns and train on them."""
        tables = [checked_rows(dialogue) for dialogue in dialogues]
        flat = np.concatenate(checked_labels(labels, [len(t) for t in tables], self.classes))
        width = width_of(tables)
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
        self._mean, self._deviation = mean, deviation
        self._weights, self._bias = machine.coef_, machine.intercept_
        self.columns = columns
        return self

    def predict_proba(self, dialogue: ArrayLike) -> Floats:
        """Probabilities (U, C); no utterance's depend on another's."""
        if self.columns is None:
            raise ValueError("not fitted")
        rows = self.columns.apply(checked_rows(dialogue))
        if not len(rows):
            return np.empty((0, self.classes))
        margins = (rows - self._mean) / self._deviation @ self._weights.T + self._bias
        if self.classes == 2:  # one margin, towards the second
            return softmax(np.concatenate((np.zeros_like(margins), margins), axis=1))
        return softmax(_votes(margins, self.classes))

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """The chosen columns, their scale, and the margin of each pair of classes."""
        if self.columns is None:
            raise ValueError("not fitted")
        return {
            "columns": np.array(self.columns.indices),
            "width": np.array([self.columns.width]),
            "mean": self._mean,
            "deviation": self._deviation,
            "weights": self._weights,
            "bias": self._bias,
        }

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take the columns and the margins of another."""
        pairs = self.classes * (self.classes - 1) // 2
        if len(state["bias"]) != pairs:
            raise ValueError(f"{len(state['bias'])} margins are not of {self.classes} classes")
        self._mean, self._deviation = state["mean"], state["deviation"]
        self._weights, self._bias = state["weights"], state["bias"]
        self.columns = SelectedColumns(tuple(state["columns"].tolist()), state["width"].item())


def _votes(margins: Floats, classes: int) -> Floats:
    """Votes (U, C) of pairs (U, C (C - 1) / 2), ties broken by how far rows are from the margins.

    As scikit-learn makes one number a class of them: less than a third of a vote each way.
    """
    votes, trust = np.zeros((len(margins), classes)), np.zeros((len(margins), classes))
    for margin, (one, other) in zip(margins.T, combinations(range(classes), 2), strict=True):
        votes[:, one] += margin >= 0
        votes[:, other] += margin < 0
        trust[:, one] += margin
        trust[:, other] -= margin
    counted: Floats = votes + trust / (3 * (np.abs(trust) + 1))
    return counted
