"""The motion of one utterance: what the wearer's markers did in its time.

Motion is read from a dialogue's three files, or from those of single utterances. A dialogue's
motion is one stream: the face's frame of reference is found once for all of it. The stream is held
in memory while its utterances are cut out: 27 MB for five minutes, and 40 MB more for the face.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from affectstream.corpus.dialogues import CorpusDialogue, CorpusUtterance, DialogueRecording
from affectstream.corpus.raw_media import MocapBlock, mocap_blocks
from affectstream.errors import SourceError
from affectstream.features.face_markers import FaceMarkers
from affectstream.features.mocap import IEMOCAP_COLUMNS, ChronologicalMeans
from affectstream.sources.mocap.frames import MocapLoss
from affectstream_tools.corpora.features.utterance_audio import (
    RECORDING_UNREADABLE,
    MissingFeatureError,
)

_NO_MOTION = "no motion in the copy"
_NO_FACE = "no face markers in the copy"
_NO_FRAMES = "no frame of motion within the utterance"
_NOT_TRACKED = "the tracker lost every marker"
_NOT_WORN = "the speaker wore no markers"

_PLACES = {"rotated": slice(0, 165), "hand": slice(165, 183), "head": slice(183, IEMOCAP_COLUMNS)}
_BLOCK_FRAMES = 12  # 100 ms, as the live path's blocks

_Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Motion:
    """Frames: times in ns, (n,); values (n, 189), NaN where lost; the face (n, 276) if wanted."""

    times_ns: NDArray[np.int64]
    values: _Rows
    face: _Rows | None


class DialogueMotion:
    """Utterances of one dialogue, each with the wearer's motion.

    Args:
        face: whether ``face`` will be asked for.

    Attributes:
        notes: what the files lack, one sentence each.
    """

    def __init__(self, dialogue: CorpusDialogue, *, face: bool) -> None:
        self.notes: list[str] = []
        self._dialogue = dialogue
        self._face = face
        self._whole: _Motion | MissingFeatureError | None = None
        self._latest: tuple[str, _Motion | MissingFeatureError] | None = None
        recording = dialogue.recording
        self._wearer = "" if recording is None else recording.mocap_speaker
        if recording is not None and recording.mocap:
            self._whole = self._read(dialogue, dialogue.id)

    def chronological_means(self, utterance: CorpusUtterance) -> _Rows:
        """Return an utterance's motion as (200, 189), as ``ChronologicalMeans`` has it.

        Raises:
            MissingFeatureError: there is none.
        """
        values, _ = self._frames(utterance)
        if not np.isfinite(values).any():
            raise MissingFeatureError(_NOT_TRACKED)
        means = ChronologicalMeans(IEMOCAP_COLUMNS)
        for first in range(0, len(values), _BLOCK_FRAMES):
            means.push(values[first : first + _BLOCK_FRAMES])
        return means.matrix()

    def face(self, utterance: CorpusUtterance) -> _Rows:
        """Return the rows (n, 276) of the speaker's face, NaN where the tracker lost it.

        Raises:
            MissingFeatureError: there is none, or somebody else wore the markers.
        """
        if utterance.speaker != self._wearer:
            raise MissingFeatureError(_NOT_WORN)
        _, face = self._frames(utterance)
        if face is None:
            raise MissingFeatureError(_NO_FACE)
        if not np.isfinite(face).any():
            raise MissingFeatureError(_NOT_TRACKED)
        return face

    def _frames(self, utterance: CorpusUtterance) -> tuple[_Rows, _Rows | None]:
        """Return the values (n, 189) and the face (n, 276) in an utterance's time."""
        recording = self._dialogue.recording
        motion = self._whole
        first, end = utterance.start_ns, utterance.end_ns
        if recording is not None and utterance.id in recording.mocap_clips:
            motion = self._clip(utterance.id, recording)
            first, end = 0, np.iinfo(np.int64).max
        if motion is None:
            raise MissingFeatureError(_NO_MOTION)
        if isinstance(motion, MissingFeatureError):
            raise motion
        here = slice(*np.searchsorted(motion.times_ns, (first, end)))
        if here.start == here.stop:
            raise MissingFeatureError(_NO_FRAMES)
        face = None if motion.face is None else motion.face[here]
        return motion.values[here], face

    def _clip(self, name: str, recording: DialogueRecording) -> _Motion | MissingFeatureError:
        if self._latest is None or self._latest[0] != name:
            alone = replace(recording, mocap=recording.mocap_clips[name])
            read = self._read(replace(self._dialogue, recording=alone), name)
            self._latest = name, read
        return self._latest[1]

    def _read(self, dialogue: CorpusDialogue, name: str) -> _Motion | MissingFeatureError:
        losses: Counter[tuple[str, str]] = Counter()
        try:
            motion = _joined(mocap_blocks(dialogue), losses, self._face)
        except (SourceError, ValueError) as error:
            return MissingFeatureError(RECORDING_UNREADABLE, str(error))
        self.notes += [
            f"{name}: {count} of {len(motion.times_ns)} motion frames: {lost}: {reason}"
            for (lost, reason), count in losses.items()
        ]
        return motion


def _joined(
    items: Iterator[MocapBlock | MocapLoss], losses: Counter[tuple[str, str]], face: bool
) -> _Motion:
    times: list[int] = []
    values, rows = [np.empty((0, IEMOCAP_COLUMNS), np.float32)], []
    markers: FaceMarkers | None = None
    for item in items:
        if isinstance(item, MocapLoss):
            losses[item.lost, item.reason] += item.count
            continue
        times += item.times_ns
        values.append(_placed(item))
        if face and "rotated" in item.layout.name:
            markers = markers or FaceMarkers(item.layout.channels)
            rows.append(markers.push(item.values))
    if markers is not None:
        rows.append(markers.finish())
    return _Motion(
        np.array(times, np.int64), np.concatenate(values), np.concatenate(rows) if rows else None
    )


def _placed(block: MocapBlock) -> _Rows:
    """Return a block's values in their places among the 189; those of a missing file are NaN."""
    placed = np.full((len(block.values), IEMOCAP_COLUMNS), np.nan, np.float32)
    first = 0
    for part in block.layout.name.rpartition(".")[2].split("+"):
        if part not in _PLACES:
            raise SourceError(f"motion of the layout {block.layout.name} is none of IEMOCAP's")
        place = _PLACES[part]
        width = place.stop - place.start
        placed[:, place] = block.values[:, first : first + width]
        first += width
    return placed
