"""Valence and activation of utterances, as three levels or as clusters.

The levels and the clusters are those of Woellmer et al. (2010): K-means finds the clusters of the
training annotations, and an utterance belongs to the cluster whose centre is nearest.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans

from affectstream.corpus.dialogues import CorpusDialogue

_Floats = NDArray[np.float64]
_Labels = NDArray[np.int64]

_LEVELS = ("1..2", "2.5..3.5", "4..5")
"""Of valence and activation: {1, 1.5, 2}, {2.5, 3, 3.5} and {4, 4.5, 5}."""

LEVEL_BORDERS = (2.25, 3.75)
"""Between the levels; a mean of three annotators is given the nearest level."""

TASKS = {"valence": 3, "activation": 3, "clusters-3": 3, "clusters-4": 4, "clusters-5": 5}
"""The tasks of classifying an utterance, and how many classes each has."""


def annotations_of(dialogue: CorpusDialogue) -> _Floats:
    """Valence and activation (U, 2) of a dialogue's utterances; NaN where unknown."""
    return np.array([(u.valence, u.activation) for u in dialogue.utterances]).reshape(-1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """The classes of a task, and what turns annotations into them.

    Attributes:
        centres: (K, 2), each cluster's valence and activation, in order of valence; None for
            levels.
    """

    task: str
    centres: _Floats | None = None

    @property
    def count(self) -> int:
        """How many there are."""
        return TASKS[self.task]

    @property
    def names(self) -> list[str]:
        """The classes' names; a cluster is called by its centre's valence and activation."""
        if self.centres is None:
            return list(_LEVELS)
        return [f"v {valence:.1f} a {activation:.1f}" for valence, activation in self.centres]

    @classmethod
    def fit(cls, task: str, annotations: ArrayLike, seed: int) -> Classes:
        """Find the clusters of the training annotations (N, 2); levels need none.

        Raises:
            ValueError: no such task, or fewer annotations that differ than clusters.
        """
        if task not in TASKS:
            raise ValueError(f"no task {task!r}; there are {', '.join(TASKS)}")
        if not task.startswith("clusters"):
            return cls(task)
        points = np.asarray(annotations, dtype=np.float64)
        points = points[np.isfinite(points).all(axis=1)]
        if len(np.unique(points, axis=0)) < TASKS[task]:
            raise ValueError(f"too few annotations differ for {TASKS[task]} clusters")
        centres = KMeans(TASKS[task], n_init=10, random_state=seed).fit(points).cluster_centers_
        return cls(task, centres[np.lexsort((centres[:, 1], centres[:, 0]))])

    def of(self, annotations: _Floats) -> _Labels:
        """Classes (U,) of annotations (U, 2); -1 where unknown."""
        if self.centres is None:
            values = annotations[:, list(TASKS).index(self.task)]
            found = np.digitize(values, LEVEL_BORDERS)
            return np.where(np.isfinite(values), found, -1).astype(np.int64)
        unknown = ~np.isfinite(annotations).all(axis=1)
        points = np.nan_to_num(annotations)
        nearest = np.linalg.norm(points[:, None] - self.centres, axis=2).argmin(axis=1)
        return np.where(unknown, -1, nearest).astype(np.int64)


def matched(centres: ArrayLike, reference: ArrayLike) -> NDArray[np.intp]:
    """Return, for each centre of the reference (K, 2), the number (K,) of the centre that it is.

    Two folds' clusters differ a little, and may be in another order. Of all orders, the one with
    the least sum of distances is taken.
    """
    ours, theirs = np.asarray(centres, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    distances = np.linalg.norm(theirs[:, None] - ours, axis=2)
    places = range(len(theirs))  # at most five, so that all 120 orders can be tried
    best = min(permutations(places), key=lambda order: sum(distances[k, order[k]] for k in places))
    return np.array(best, dtype=np.intp)
