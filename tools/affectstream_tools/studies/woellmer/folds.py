"""The folds and the classes of Woellmer et al. (2010).

Knows: who is held out, which part of the training dialogues develops, the three levels, and the
clusters of the training annotations.
Refuses to know: features and classifiers.

Their folds leave one speaker out; the partner stays in training, with the same dialogues' words
and moods. Nothing of the speaker held out is in the training part, not even as context without a
label; in the test part, both speakers' utterances are context, and the held-out one's are scored.
Session folds hold out both. The scenario protocol holds out, of one session, a quarter of the
scenarios at a time, and learns from no dialogue of the session or of these scenarios.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans

from affectstream.corpus.dialogues import CorpusDialogue
from affectstream_tools.corpora.splits import (
    Split,
    hold_out_scenarios,
    hold_out_session,
    of_sessions,
)

_Floats = NDArray[np.float64]
_Labels = NDArray[np.int64]

LEVELS = ("1..2", "2.5..3.5", "4..5")
"""Of valence and activation: {1, 1.5, 2}, {2.5, 3, 3.5} and {4, 4.5, 5}."""

TASKS = {"valence": 3, "activation": 3, "clusters-3": 3, "clusters-4": 4, "clusters-5": 5}
"""What is to be told, and how many classes it has."""

WOELLMER_PROTOCOLS = ("speaker", "session", "scenario")
SCENARIO_GROUPS = 4
_BORDERS = (2.25, 3.75)  # three annotators' means fall between the halves; the nearest level is it
_FEW = 3  # dialogues of each session, in trials and tests
_DEVELOPMENT = 10  # one in so many of the training dialogues


@dataclass(frozen=True, slots=True)
class Fold:
    """What one training may learn from, choose by and be scored on.

    Attributes:
        name: such as ``Ses01F`` or ``session 5``.
        development: one in ten of the training dialogues, drawn; it chooses epochs and weights.
        scored: whose utterances of ``test`` are scored; None for everybody's.
    """

    name: str
    learned: tuple[CorpusDialogue, ...]
    development: tuple[CorpusDialogue, ...]
    test: tuple[CorpusDialogue, ...]
    scored: str | None = None


def few(dialogues: Sequence[CorpusDialogue]) -> list[CorpusDialogue]:
    """Three dialogues of each session, for trials and tests."""
    chosen: list[CorpusDialogue] = []
    for session in sorted({d.session for d in dialogues}):
        own = [d for d in dialogues if d.session == session]
        chosen += own[:: max(1, len(own) // _FEW)][:_FEW]
    return chosen


def fold_names(dialogues: Sequence[CorpusDialogue], protocol: str) -> list[str]:
    """Return what is held out in turn: speakers, or sessions.

    Raises:
        ValueError: there is no such protocol.
    """
    if protocol not in WOELLMER_PROTOCOLS:
        raise ValueError(f"no protocol {protocol!r}; there are {', '.join(WOELLMER_PROTOCOLS)}")
    if protocol == "speaker":
        return sorted({said.speaker for dialogue in dialogues for said in dialogue.utterances})
    return [f"session {session}" for session in sorted({d.session for d in dialogues})]


def folds_of(
    dialogues: Sequence[CorpusDialogue], protocol: str, name: str, seed: int
) -> Iterator[Fold]:
    """Yield the one fold of a speaker or session, or the four of a session's scenarios.

    Raises:
        ValueError: nothing has that name, or nothing is left to learn from.
    """
    if name not in fold_names(dialogues, protocol):
        raise ValueError(f"the corpus has no {name}; it has {fold_names(dialogues, protocol)}")
    if protocol == "speaker":
        yield _fold(_hold_out_speaker(dialogues, name), seed, name)
        return
    session = int(name.removeprefix("session "))
    if protocol == "session":
        yield _fold(hold_out_session(dialogues, session), seed)
        return
    scenarios = sorted({d.scenario for d in of_sessions(dialogues, {session})})
    for group in range(min(SCENARIO_GROUPS, len(scenarios))):
        chosen = scenarios[group::SCENARIO_GROUPS]
        yield _fold(hold_out_scenarios(dialogues, session, chosen), seed)


def _hold_out_speaker(dialogues: Sequence[CorpusDialogue], speaker: str) -> Split:
    test = tuple(d for d in dialogues if any(u.speaker == speaker for u in d.utterances))
    partners = (
        replace(d, utterances=tuple(u for u in d.utterances if u.speaker != speaker)) for d in test
    )
    others = tuple(d for d in dialogues if d not in test)
    return Split(speaker, (*others, *(d for d in partners if d.utterances)), test)


def _fold(split: Split, seed: int, scored: str | None = None) -> Fold:
    train = split.train
    if len(train) < 2:
        raise ValueError(f"{split.name}: {len(train)} dialogues are left to learn from, not two")
    order = np.random.default_rng(seed).permutation(len(train))
    drawn = set(order[: max(1, len(train) // _DEVELOPMENT)].tolist())
    learned = tuple(d for place, d in enumerate(train) if place not in drawn)
    development = tuple(train[place] for place in sorted(drawn))
    return Fold(split.name, learned, development, split.test, scored)


def annotations_of(dialogue: CorpusDialogue) -> _Floats:
    """Valence and activation (U, 2) of a dialogue's utterances; NaN where unknown."""
    return np.array([(u.valence, u.activation) for u in dialogue.utterances]).reshape(-1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """What turns annotations into the classes of a task.

    Attributes:
        centres: (K, 2) of the clusters, by valence; None for levels.
    """

    task: str
    centres: _Floats | None = None

    @property
    def count(self) -> int:
        """C."""
        return TASKS[self.task]

    @property
    def names(self) -> list[str]:
        """Of each class; a cluster is called by its centre's valence and activation."""
        if self.centres is None:
            return list(LEVELS)
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
            found = np.digitize(values, _BORDERS)
            return np.where(np.isfinite(values), found, -1).astype(np.int64)
        unknown = ~np.isfinite(annotations).all(axis=1)
        points = np.nan_to_num(annotations)
        nearest = np.linalg.norm(points[:, None] - self.centres, axis=2).argmin(axis=1)
        return np.where(unknown, -1, nearest).astype(np.int64)


def matched(centres: ArrayLike, reference: ArrayLike) -> NDArray[np.intp]:
    """Return which centre (K,) is each of the reference's, the sum of distances being least.

    Two folds' clusters differ a little, and may be in another order.
    """
    ours, theirs = np.asarray(centres, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    distances = np.linalg.norm(theirs[:, None] - ours, axis=2)
    places = range(len(theirs))  # at most five, so that all 120 orders can be tried
    best = min(permutations(places), key=lambda order: sum(distances[k, order[k]] for k in places))
    return np.array(best, dtype=np.intp)
