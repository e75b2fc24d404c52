"""The features of one dialogue's utterances, through the front ends of the live path.

Sound is fed frame by frame, as a microphone worker feeds it, one utterance at a time.

    egemaps47          (47,)      statistics of an utterance's eGeMAPS descriptors
    tripathi34         (100, 34)  short-term descriptors, cut or filled up with zeros; scaled by the
                                  utterance's peak, as in Tripathi and Beigi (2018)
    woellmer           (n, 82)    speech descriptors every 25 ms (Wöllmer et al. 2010)
    functionals-voice  (1804,)    functionals of the columns of ``woellmer``
    mocap              (200, 189) chronological means of face, hands and head (Tripathi and Beigi)
    face-markers       (n, 138)   46 markers of a face whose head keeps still, at 120 Hz (Wöllmer)
    functionals-face   (6072,)    functionals of these and of their 138 slopes

One speaker of a dialogue wears the markers. ``mocap`` is the wearer's motion, whoever speaks, as it
is for Tripathi and Beigi; the face is only described where the wearer speaks.

Principal feature analysis chooses, on training folds, 30 of the 138 face columns. It keeps columns
as they are: a fold fits it on ``face-markers``, and then takes the chosen columns' functionals from
``functionals-face``, where each of the 276 columns has ``FACE_FUNCTIONALS``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectstream.core.speech.descriptors import DescriptorExtractor, FrontEnd
from affectstream.corpus.dialogues import CorpusDialogue, CorpusUtterance
from affectstream.features import tripathi34
from affectstream.features.egemaps.front_end import Egemaps
from affectstream.features.egemaps.statistics import utterance_statistics
from affectstream.features.functionals import FUNCTIONALS, functionals
from affectstream.features.tripathi34 import Tripathi34
from affectstream.features.woellmer import Woellmer
from affectstream_tools.corpora.features.utterance_audio import DialogueSound, MissingFeatureError
from affectstream_tools.corpora.features.utterance_motion import DialogueMotion

SPEECH_FRONT_ENDS = ("egemaps47", "tripathi34", "woellmer", "functionals-voice")
MOTION_FRONT_ENDS = ("mocap", "face-markers", "functionals-face")
FRONT_ENDS = (*SPEECH_FRONT_ENDS, *MOTION_FRONT_ENDS)
FACE_FUNCTIONALS = len(FUNCTIONALS)
FACE_COORDINATES = 138

_TOO_BRIEF = "too short for the front end"

_FRAME_SAMPLES = 320  # 20 ms, as the segmenter's

_Rows = NDArray[np.float32]


@dataclass(slots=True)
class DialogueFeatures:
    """The features that one front end computes of a dialogue.

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

    An utterance without features is in ``missing``; nothing is raised for it.
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
"""From an utterance to a function for each front end, which computes its features."""


def _describe_all(
    dialogue: CorpusDialogue, found: dict[str, DialogueFeatures], describe: _Describe
) -> None:
    for utterance in dialogue.utterances:
        compute = describe(utterance)
        for name, features in found.items():
            try:
                features.features[utterance.id] = compute[name]()
            except MissingFeatureError as missing:
                features.missing[utterance.id] = str(missing)
                if missing.detail and missing.detail not in features.notes:
                    features.notes.append(missing.detail)


def _speech(dialogue: CorpusDialogue, wanted: Collection[str]) -> tuple[_Describe, list[str]]:
    sound = DialogueSound(dialogue)

    def describe(utterance: CorpusUtterance) -> dict[str, Callable[[], _Rows]]:
        samples = _once(lambda: sound.samples(utterance))
        woellmer = _once(lambda: _some(_described(Woellmer, samples())))
        return {
            "egemaps47": lambda: utterance_statistics(_some(_described(Egemaps, samples()))),
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
            "face-markers": lambda: np.ascontiguousarray(face()[:, :FACE_COORDINATES]),
            "functionals-face": lambda: functionals(face()),
        }

    return describe, motion.notes


def _described(make: Callable[[], FrontEnd], samples: NDArray[np.int16]) -> _Rows:
    """Return the rows (n, columns) of one utterance, fed as a microphone worker feeds it."""
    extractor = DescriptorExtractor("", make)
    found = extractor.begin(0)
    pcm = samples.astype("<i2", copy=False)
    for first in range(0, len(pcm), _FRAME_SAMPLES):
        found += extractor.push(first, pcm[first : first + _FRAME_SAMPLES].tobytes())
    found += extractor.end()
    if not found:
        return np.empty((0, len(make().names)), np.float32)
    return np.concatenate([rows.values for rows in found])


def _some(rows: _Rows) -> _Rows:
    """Return the rows; raises ``MissingFeatureError`` where there are none."""
    if not len(rows):
        raise MissingFeatureError(_TOO_BRIEF)
    return rows


def _tripathi34(samples: NDArray[np.int16]) -> _Rows:
    rows = _some(_described(Tripathi34, samples))
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
