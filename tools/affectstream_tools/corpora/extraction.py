"""The features of one dialogue's utterances, through the front ends of the live path.

Knows: which front ends there are, what each gives, and how a recording is fed to them: as a
microphone worker feeds them, frame by frame, over one utterance at a time.
Refuses to know: where features are kept (``feature_store``), folds, and models.

    egemaps47          (47,)      statistics of an utterance's eGeMAPS descriptors
    tripathi34         (100, 34)  short-term descriptors, cut or filled up with zeros; scaled by the
                                  utterance's peak, as in Tripathi and Beigi (2018)
    woellmer           (n, 82)    speech descriptors every 25 ms (Wöllmer et al. 2010)
    functionals-voice  (1804,)    functionals of the columns of ``woellmer``
    mocap              (200, 189) chronological means of face, hands and head (Tripathi and Beigi)
    face-markers       (n, 138)   46 markers of a face whose head keeps still, at 120 Hz (Wöllmer)
    functionals-face   (6072,)    functionals of these and of their 138 slopes

Which 30 of the 138 columns stand for the face is learned on training folds: principal feature
analysis keeps columns as they are, so a fold fits it on ``face-markers`` and then takes its columns
of ``functionals-face``, ``FACE_FUNCTIONALS`` for each of the 276. ``mocap`` is of the dialogue's
wearer, whoever speaks, as Tripathi and Beigi's is; the face is only told where the wearer speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectstream.core.speech.descriptors import FrontEnd, SpeechDescriber
from affectstream.corpus.dialogues import CorpusDialogue, CorpusUtterance
from affectstream.features import tripathi34
from affectstream.features.egemaps.front_end import Egemaps
from affectstream.features.egemaps.statistics import utterance_statistics
from affectstream.features.functionals import FUNCTIONALS, functionals
from affectstream.features.tripathi34 import Tripathi34
from affectstream.features.woellmer import Woellmer
from affectstream_tools.corpora.utterance_audio import DialogueSound, MissingFeatureError
from affectstream_tools.corpora.utterance_motion import DialogueMotion

SPEECH_FRONT_ENDS = ("egemaps47", "tripathi34", "woellmer", "functionals-voice")
MOTION_FRONT_ENDS = ("mocap", "face-markers", "functionals-face")
FRONT_ENDS = (*SPEECH_FRONT_ENDS, *MOTION_FRONT_ENDS)
FACE_FUNCTIONALS = len(FUNCTIONALS)
FACE_COLUMNS = 138

TOO_BRIEF = "too short for the front end"

_FRAME_SAMPLES = 320  # 20 ms, as the segmenter's

_Rows = NDArray[np.float32]


@dataclass(slots=True)
class DialogueFeatures:
    """What one front end says of a dialogue.

    Attributes:
        features: utterance -> float32.
        missing: utterance -> why it has none.
        notes: what was guessed or is incomplete, one sentence each.
    """

    features: dict[str, _Rows] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def extract_dialogue(
    dialogue: CorpusDialogue, front_ends: Collection[str]
) -> dict[str, DialogueFeatures]:
    """Return front end -> features; recordings are read once for all of them.

    What cannot be told is in ``missing``, never raised.
    """
    found = {name: DialogueFeatures() for name in front_ends}
    for kind, open_recording in ((SPEECH_FRONT_ENDS, _speech), (MOTION_FRONT_ENDS, _motion)):
        if wanted := {name: found[name] for name in kind if name in found}:
            describe, notes = open_recording(dialogue, wanted)
            _describe_all(dialogue, wanted, describe)
            for features in wanted.values():
                features.notes = [*notes, *features.notes]
    return found


_Describe = Callable[[CorpusUtterance], dict[str, Callable[[], _Rows]]]
"""For each front end, how to have what it says of an utterance."""


def _describe_all(
    dialogue: CorpusDialogue, found: dict[str, DialogueFeatures], describe: _Describe
) -> None:
    for utterance in dialogue.utterances:
        tell = describe(utterance)
        for name, features in found.items():
            try:
                features.features[utterance.id] = tell[name]()
            except MissingFeatureError as missing:
                features.missing[utterance.id] = str(missing)
                if missing.detail and missing.detail not in features.notes:
                    features.notes.append(missing.detail)


def _speech(dialogue: CorpusDialogue, wanted: Collection[str]) -> tuple[_Describe, list[str]]:
    sound = DialogueSound(dialogue)

    def describe(utterance: CorpusUtterance) -> dict[str, Callable[[], _Rows]]:
        samples = _once(lambda: sound.samples(utterance))
        woellmer = _once(lambda: told(heard(Woellmer, samples())))
        return {
            "egemaps47": lambda: utterance_statistics(told(heard(Egemaps, samples()))),
            "tripathi34": lambda: _tripathi34(samples()),
            "woellmer": woellmer,
            "functionals-voice": lambda: functionals(woellmer()),
        }

    return describe, sound.notes


def _motion(dialogue: CorpusDialogue, wanted: Collection[str]) -> tuple[_Describe, list[str]]:
    motion = DialogueMotion(dialogue, face=bool(set(wanted) - {"mocap"}))

    def describe(utterance: CorpusUtterance) -> dict[str, Callable[[], _Rows]]:
        face = _once(lambda: motion.face(utterance))
        return {
            "mocap": lambda: motion.chronological_means(utterance),
            "face-markers": lambda: np.ascontiguousarray(face()[:, :FACE_COLUMNS]),
            "functionals-face": lambda: functionals(face()),
        }

    return describe, motion.notes


def heard(make: Callable[[], FrontEnd], samples: NDArray[np.int16]) -> _Rows:
    """Return the rows (n, columns) of one utterance, fed as a microphone worker feeds it."""
    describer = SpeechDescriber("", make)
    found = describer.begin(0)
    pcm = samples.astype("<i2", copy=False)
    for first in range(0, len(pcm), _FRAME_SAMPLES):
        found += describer.hear(first, pcm[first : first + _FRAME_SAMPLES].tobytes())
    found += describer.end()
    if not found:
        return np.empty((0, len(make().names)), np.float32)
    return np.concatenate([description.rows for description in found])


def told(rows: _Rows) -> _Rows:
    """Return rows if there are any. Raises ``MissingFeatureError`` where there are none."""
    if not len(rows):
        raise MissingFeatureError(TOO_BRIEF)
    return rows


def _tripathi34(samples: NDArray[np.int16]) -> _Rows:
    rows = told(heard(Tripathi34, samples))
    _, peak = tripathi34.reference(samples)
    scaled = tripathi34.rescaled(rows, peak) if peak > 0 else rows
    return tripathi34.utterance_matrix(scaled)


def _once(compute: Callable[[], NDArray[Any]]) -> Callable[[], NDArray[Any]]:
    """Return a function that computes at its first call; a failure is raised at every call."""
    known: list[NDArray[Any] | MissingFeatureError] = []

    def value() -> NDArray[Any]:
        if not known:
            try:
                known.append(compute())
            except MissingFeatureError as missing:
                known.append(missing)
        if isinstance(known[0], MissingFeatureError):
            raise known[0]
        return known[0]

    return value
