"""Scores of clips that were played through the live path, beside the same model's offline ones.

A clip in which no utterance was found counts as wrong. ``live_path`` plays the clips.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affectstream.core.dialogue.model import CLASSES
from affectstream_tools.corpora.labelled_clips import OTHER_EMOTION, LabelledClip
from affectstream_tools.evaluate.live_path import LiveAnswer
from affectstream_tools.metrics import calibration_error

Probabilities = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which clips are used.

    Attributes:
        by_speaker: speaker -> the clips of the four classes.
        other: how many clips are of other emotions.
        unlabelled: how many files have no emotion in their name.
        trained: speakers that the model learned from; their clips are left out.
    """

    by_speaker: dict[str, list[LabelledClip]]
    other: int
    unlabelled: int
    trained: tuple[str, ...]


def choose(
    clips: Sequence[LabelledClip],
    unlabelled: int,
    trained: Sequence[str],
    *,
    everybody: bool = False,
) -> Choice:
    """Leave out other emotions and, unless ``everybody``, speakers in ``trained``.

    Raises:
        ValueError: nothing is left.
    """
    known = set() if everybody else set(trained)
    used = [clip for clip in clips if clip.label != OTHER_EMOTION and clip.speaker not in known]
    if not used:
        raise ValueError(
            "no clip has one of the four classes and a speaker that the model has not learned "
            "from; --everybody keeps those"
        )
    by_speaker: dict[str, list[LabelledClip]] = {}
    for clip in used:
        by_speaker.setdefault(clip.speaker, []).append(clip)
    return Choice(
        dict(sorted(by_speaker.items())),
        sum(clip.label == OTHER_EMOTION for clip in clips),
        unlabelled,
        tuple(sorted({clip.speaker for clip in clips} & known)),
    )


def summarise(runs: Sequence[Sequence[LiveAnswer]], choice: Choice) -> dict[str, object]:
    """Return the scores, means over runs that differ in the clips' order."""
    labels = Counter(answer.clip.label for answer in runs[0])
    return {
        "live": _mean(runs, lambda answer: answer.first),
        "live_final": _mean(runs, lambda answer: answer.final),
        "offline": _mean(runs, lambda answer: answer.offline),
        "chance": round(1 / len(labels), 4),
        "n": len(runs[0]),
        "speakers": len(choice.by_speaker),
        "classes": {name: labels[name] for name in CLASSES if labels[name]},
        "runs": len(runs),
        "unheard": sorted({str(a.clip.path) for run in runs for a in run if a.first is None}),
        "left_out": {
            "other_emotions": choice.other,
            "unlabelled": choice.unlabelled,
            "trained_speakers": list(choice.trained),
        },
    }


def _mean(
    runs: Sequence[Sequence[LiveAnswer]], said: Callable[[LiveAnswer], Probabilities | None]
) -> dict[str, object]:
    scores = [_score([(answer.clip.label, said(answer)) for answer in run]) for run in runs]
    recalls = {name: [recall[name] for _, _, recall in scores] for name in scores[0][2]}
    return {
        "uar": round(float(np.mean([uar for uar, _, _ in scores])), 4),
        "ece": round(float(np.mean([ece for _, ece, _ in scores])), 4),
        "recall": {name: round(float(np.mean(found)), 4) for name, found in recalls.items()},
    }


def _score(
    answers: Sequence[tuple[str, Probabilities | None]],
) -> tuple[float, float, dict[str, float]]:
    """Return the unweighted recall, the calibration error where an utterance was found, and each
    class's recall."""
    total: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for label, found in answers:
        total[label] += 1
        right[label] += found is not None and CLASSES[int(found.argmax())] == label
    recall = {name: right[name] / total[name] for name in CLASSES if total[name]}
    heard = [(CLASSES.index(label), found) for label, found in answers if found is not None]
    ece = 0.0
    if heard:
        labels = np.array([label for label, _ in heard], dtype=np.int64)
        ece = calibration_error(labels, np.stack([found for _, found in heard]))
    return float(np.mean(list(recall.values()))), ece, recall
