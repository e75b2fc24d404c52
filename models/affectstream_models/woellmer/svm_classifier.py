"""The SVM of Wöllmer et al. (2010): linear, on functionals, after feature selection.

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
    """A linear SVM on functionals. Utterances are classified on their own.

    It is trained by SMO (libsvm), as in Wöllmer et al. (2010). Columns are selected and normalised
    to mean 0 and deviation 1 on the training rows. A dialogue is (U, D), a row per utterance. The
    probabilities are the softmax of the votes of all pairs of classes, or of the only margin for
    two classes. They rank the classes but are not calibrated. The result is not random.

    Args:
        classes: C.
        selection: how columns are selected; None keeps all.

    Raises:
        ValueError: fewer than two classes; in ``fit``, no utterance of a class, labels that do not
            fit the dialogues, no column that goes with the class; anywhere, rows of another width
            or not finite; in ``predict_proba``, not fitted.
    """

    def __init__(
        self,
        classes: int,
        *,
        selection: CorrelationFeatureSelection | None = CorrelationFeatureSelection(),  # noqa: B008
    ) -> None:
        self.classes = checked_count(classes)
        self.selection = selection
        self.columns: SelectedColumns | None = None

    def fit(self, dialogues: Sequence[ArrayLike], labels: Sequence[ArrayLike]) -> Self:
        """Select the columns and train on them."""
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
        machine = SVC(kernel="linear").fit((rows - mean) / deviation, classes)
        self._mean, self._deviation = mean, deviation
        self._weights, self._bias = machine.coef_, machine.intercept_
        self.columns = columns
        return self

    def predict_proba(self, dialogue: ArrayLike) -> Floats:
        """Return the classes' probabilities (U, C)."""
        if self.columns is None:
            raise ValueError("not fitted")
        rows = self.columns.apply(checked_rows(dialogue))
        if not len(rows):
            return np.empty((0, self.classes))
        margins = (rows - self._mean) / self._deviation @ self._weights.T + self._bias
        if self.classes == 2:  # a single margin, positive for the second class
            return softmax(np.concatenate((np.zeros_like(margins), margins), axis=1))
        return softmax(_votes(margins, self.classes))

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Return the selected columns, their scale, and the margin of each pair of classes."""
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
        """Take the columns and margins of another classifier."""
        pairs = self.classes * (self.classes - 1) // 2
        if len(state["bias"]) != pairs:
            raise ValueError(f"{len(state['bias'])} margins are not of {self.classes} classes")
        self._mean, self._deviation = state["mean"], state["deviation"]
        self._weights, self._bias = state["weights"], state["bias"]
        self.columns = SelectedColumns(tuple(state["columns"].tolist()), state["width"].item())


def _votes(margins: Floats, classes: int) -> Floats:
    """Return the votes (U, C) of all pairs of classes.

    Ties are broken by the margins, as in scikit-learn: their sums add less than a third of a vote.

    Args:
        margins: (U, C (C - 1) / 2).
    """
    votes, trust = np.zeros((len(margins), classes)), np.zeros((len(margins), classes))
    for margin, (one, other) in zip(margins.T, combinations(range(classes), 2), strict=True):
        votes[:, one] += margin >= 0
        votes[:, other] += margin < 0
        trust[:, one] += margin
        trust[:, other] -= margin
    counted: Floats = votes + trust / (3 * (np.abs(trust) + 1))
    return counted
