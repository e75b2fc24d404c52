"""The experiments of Woellmer et al. (2010): three levels of valence and activation, and clusters.

Knows: which folds, classifiers and tasks make the paper's two tables, and what a job of one fold
returns.
Refuses to know: how classifiers are trained, and how tables are printed.

The paper scores the utterances of dialogues whose speaker wore face markers. Here all utterances
with valence and activation are scored; the derived set has no faces. The scenario protocol is for
``evaluate classifier``; the tables have the paper's folds and whole sessions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectstream.corpus.dialogues import CorpusDialogue
from affectstream.corpus.raw import find_sessions
from affectstream_tools.corpora.annotations import TASKS, Classes, annotations_of, matched
from affectstream_tools.corpora.splits import few_dialogues
from affectstream_tools.jobs.jobs import Job
from affectstream_tools.metrics import confusion
from affectstream_tools.studies.tables.experiments import PaperExperiments
from affectstream_tools.studies.woellmer.classifiers import (
    BRIEF,
    CLASSIFIERS,
    Effort,
    FoldPart,
    Material,
    TestAnswer,
    answers,
)
from affectstream_tools.studies.woellmer.data import DerivedFeatures, FoldFeatures
from affectstream_tools.studies.woellmer.folds import Fold, fold_names, folds_of
from affectstream_tools.studies.woellmer.frames import recorded_features
from affectstream_tools.studies.woellmer.rows import woellmer_confusions, woellmer_rows

PARTS = ("all", "improvised")
_RUN = "affectstream_tools.studies.woellmer.tables:run_fold"
_RECORDED = "affectstream_tools.studies.woellmer.tables:run_recorded"
_SPEAKERS = tuple(f"Ses{session:02d}{sex}" for session in range(1, 6) for sex in "FM")
_SESSIONS = tuple(f"session {session}" for session in range(1, 6))
_FEW_TASKS = ("valence", "clusters-3")


def _jobs(
    data: Path, cache: Path, *, seeds: Sequence[int] = (0,), small: bool = False
) -> list[Job]:
    """Return a job for each fold; those without networks, which hardly draw, for the first seed.

    Args:
        data: the folder that holds ``iemocap-derived`` and ``glove-50d-5k``, either of which may
            be missing, and ``IEMOCAP_full_release`` where there is one.
        cache: where features of recordings are kept, and the synthetic corpus is written.
        small: one fold of each protocol, a few dialogues, two tasks, and hardly any training.
    """
    data, cache = data.resolve(), cache.resolve()  # jobs may run elsewhere, and are known by them
    wanted = [
        *(("session", fold, group) for fold in _SESSIONS for group in CLASSIFIERS),
        *(("speaker", fold, group) for fold in _SPEAKERS for group in CLASSIFIERS),
    ]
    if small:
        wanted = [one for one in wanted if one[1] in (_SESSIONS[-1], _SPEAKERS[-1])]
    derived = [
        _job(data, protocol, fold, group, seed, small=small)
        for seed in seeds
        for protocol, fold, group in wanted
        if (group == "networks" or seed == seeds[0]) and (data / "iemocap-derived").is_dir()
    ]
    return derived + list(_recorded_jobs(data, cache, seeds, small=small))


def _recorded_jobs(data: Path, cache: Path, seeds: Sequence[int], *, small: bool) -> Iterator[Job]:
    """Of the synthetic corpus, one for all sessions; of a raw copy, one for each fold."""
    options = {
        "cache": str(cache),
        "classifiers": [name for names in CLASSIFIERS.values() for name in names],
        "tasks": list(_FEW_TASKS if small else TASKS),
        "small": small,
    }
    folds = [("session", fold) for fold in _SESSIONS] + [("speaker", fold) for fold in _SPEAKERS]
    for seed in seeds:
        own = {**options, "seed": seed}
        yield Job(f"w/synthetic/seed-{seed}", _RECORDED, {**own, "corpus": None, "fold": None})
        for protocol, fold in folds if find_sessions(data) and not small else ():
            name = f"w/recorded/{protocol}/{fold.replace(' ', '-')}/seed-{seed}"
            where = {"corpus": str(data), "protocol": protocol, "fold": fold}
            yield Job(name, _RECORDED, {**own, **where})


def _job(data: Path, protocol: str, fold: str, group: str, seed: int, *, small: bool) -> Job:
    place = fold.replace(" ", "-")
    options = {
        "data": str(data),
        "protocol": protocol,
        "fold": fold,
        "classifiers": list(CLASSIFIERS[group]),
        "tasks": list(_FEW_TASKS if small else TASKS),
        "seed": seed,
        "small": small,
    }
    return Job(f"w/{protocol}/{place}/{group}/seed-{seed}", _RUN, options)


def _tables_of(job: Job) -> frozenset[str]:
    """Return the tables that a job fills."""
    return frozenset({"w2", "w3"} if job.name.startswith("w/") else ())


def run_fold(
    *,
    data: str,
    protocol: str,
    fold: str,
    classifiers: Sequence[str],
    tasks: Sequence[str],
    seed: int = 0,
    small: bool = False,
    sentences: str | None = None,
) -> dict[str, Any]:
    """Train on a fold of the derived set and score it; of a session's scenarios, the four as one.

    Args:
        data: the folder that holds ``iemocap-derived`` and ``glove-50d-5k``.
        protocol: ``speaker``, ``session`` or ``scenario``.
        fold: what is held out, such as ``Ses01F`` or ``session 5``.
        classifiers: of ``hmm``, ``svm``, ``lstm`` and ``blstm``.
        tasks: of ``TASKS``.
        sentences: a ``.npy`` of sentence embeddings, row-aligned with ``utterances.csv``.

    Returns:
        ``scores``: for each task, row and part, confusion ``counts`` with their ``labels``, the
        ``centres`` of clusters, what the development part has ``chosen``, and ``wall_s``.

    Raises:
        CorpusError: the derived set cannot be read.
        ValueError: no such protocol, fold, classifier or task.
    """
    features = DerivedFeatures(
        Path(data) / "iemocap-derived", Path(sentences) if sentences else None
    )
    effort = BRIEF if small else Effort()
    dialogues = few_dialogues(features.dialogues) if small else features.dialogues
    return score_woellmer_fold(
        features, dialogues, protocol, fold, classifiers, tasks, effort, seed
    )


def run_recorded(
    *,
    cache: str,
    classifiers: Sequence[str],
    tasks: Sequence[str],
    corpus: str | None = None,
    protocol: str = "session",
    fold: str | None = None,
    seed: int = 0,
    small: bool = False,
) -> dict[str, Any]:
    """Train and score on recordings, as the paper does: frames for the HMMs, CFS for the others.

    Args:
        cache: where features are kept.
        corpus: a copy of IEMOCAP; None writes the synthetic corpus into ``cache``.
        fold: what is held out; None is each in turn.

    Returns:
        ``folds``: what ``run_fold`` returns, of each.

    Raises:
        AffectstreamError: the corpus or the cache cannot be read or written, or lacks sound or
            face markers.
        ValueError: no such protocol, fold, classifier or task.
    """
    features = recorded_features(Path(cache), Path(corpus) if corpus else None, small=small)
    brief = replace(BRIEF, select=True)
    effort = brief if small else Effort(select=True)
    names = [fold] if fold else fold_names(features.dialogues, protocol)
    names = names[:1] if small else names
    folds = [
        score_woellmer_fold(
            features, features.dialogues, protocol, name, classifiers, tasks, effort, seed
        )
        for name in names
    ]
    return {"folds": folds}


def score_woellmer_fold(
    features: FoldFeatures,
    dialogues: Sequence[CorpusDialogue],
    protocol: str,
    fold: str,
    classifiers: Sequence[str],
    tasks: Sequence[str],
    effort: Effort,
    seed: int,
) -> dict[str, Any]:
    """As ``run_fold``, of any features."""
    scored: dict[tuple[str, str, str], dict[str, Any]] = {}
    for one in folds_of(dialogues, protocol, fold, seed):
        describe = features.fit(one.learned, seed)
        learned, development, test = (
            [describe(d) for d in part] for part in (one.learned, one.development, one.test)
        )
        for task in tasks:
            known = (annotations_of(d) for d in (*one.learned, *one.development))
            classes = Classes.fit(task, np.concatenate(list(known)), seed)
            parts = (FoldPart.of(talks, classes) for talks in (learned, development, test))
            material = Material(classes, *parts)
            for classifier in classifiers:
                for answer in answers(material, classifier, effort, seed):
                    _count(scored, features, one, material, answer)
    return {"protocol": protocol, "fold": fold, "scores": list(scored.values())}


def _count(
    scored: dict[tuple[str, str, str], dict[str, Any]],
    features: FoldFeatures,
    fold: Fold,
    material: Material,
    answer: TestAnswer,
) -> None:
    """Add a fold's counts to those of the folds before it, class by class."""
    classes, task = material.classes, material.classes.task
    centres = None if classes.centres is None else classes.centres.tolist()
    for part in PARTS:
        counts = _counts(fold, material, answer, improvised_only=part == "improvised")
        entry = scored.setdefault(
            (task, answer.row, part),
            {
                "task": task,
                "row": answer.row,
                "part": part,
                "data": features.data[answer.row.partition(", ")[2]],
                "labels": classes.names,
                "centres": centres,
                "counts": np.zeros_like(counts).tolist(),
                "chosen": [],
                "wall_s": 0.0,
            },
        )
        if centres is not None:
            order = matched(centres, entry["centres"])
            counts = counts[np.ix_(order, order)]
        entry["counts"] = (np.array(entry["counts"]) + counts).tolist()
        entry["wall_s"] = round(entry["wall_s"] + answer.wall_s, 3)
        if answer.chosen is not None:
            entry["chosen"].append(answer.chosen)


def _counts(
    fold: Fold, material: Material, answer: TestAnswer, *, improvised_only: bool
) -> NDArray[np.int64]:
    pairs: Iterable[tuple[int, int]] = (
        (int(true), int(found))
        for talk, labels, given in zip(
            material.test.talks, material.test.labels, answer.found, strict=True
        )
        if talk.dialogue.improvised or not improvised_only
        for said, true, found in zip(talk.dialogue.utterances, labels, given, strict=True)
        if true >= 0 and fold.scored in (None, said.speaker)
    )
    table = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    return confusion(table[:, 0], table[:, 1], material.classes.count)


WOELLMER = PaperExperiments(
    jobs=_jobs,
    tables_of=_tables_of,
    rows=woellmer_rows,
    confusions=woellmer_confusions,
)
"""The study as the papers' tables use it."""
