"""The features of Woellmer et al. (2010) from recordings: voice and face, frames and functionals.

As in the paper, only utterances count whose speaker wears the markers. Voice (82 columns) and face
are normalised by speaker. Principal feature analysis of the training part's frames keeps 30 of the
face's 138 coordinates; with their slopes they are 60. For the HMMs, each frame of the voice, every
25 ms, has the nearest frame of the face. What the tracker lost becomes the speaker's mean.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectstream.corpus.dialogues import CorpusDialogue, CorpusError
from affectstream.errors import AffectstreamError
from affectstream_models.woellmer.selection import PrincipalFeatureAnalysis
from affectstream_tools.corpora.any_corpus import open_any_corpus
from affectstream_tools.corpora.features.extraction import FACE_COORDINATES, FACE_FUNCTIONALS
from affectstream_tools.corpora.features.preparation import prepare_features
from affectstream_tools.corpora.features.utterance_features import UtteranceFeatures
from affectstream_tools.corpora.speaker_statistics import speaker_normalised
from affectstream_tools.studies.woellmer.data import FoldArray, Talk
from affectstream_tools.synthesis.dialogue_model import DialogueModel
from affectstream_tools.synthesis.kept_corpus import kept_corpus
from affectstream_tools.synthesis.truth import is_synthetic

_FRONT_ENDS = ("woellmer", "functionals-voice", "face-markers", "functionals-face")
_FACE_FEATURES = 30
_ENOUGH_FRAMES = 20_000  # for the principal components of 138 columns

_Rows = NDArray[np.float32]

_NOT_IEMOCAP = "synthetic corpus, not IEMOCAP"
_SIZE, _SMALL = (5, 8, 24, 30), (3, 2, 10, 10)
"""Sizes of the synthetic corpus, see ``kept_corpus``."""


def recorded_features(cache: Path, corpus: Path | None, *, small: bool = False) -> FrameFeatures:
    """Prepare a copy of IEMOCAP, or the synthetic corpus where ``corpus`` is None, and read it.

    Args:
        cache: keeps the features; the synthetic corpus is written into it once.
        small: take a synthetic corpus of a few dialogues.

    Raises:
        AffectstreamError: the corpus or the cache cannot be read or written.
    """
    if corpus is None:
        corpus = kept_corpus(cache, DialogueModel(), _SMALL if small else _SIZE)
    name = _NOT_IEMOCAP if is_synthetic(corpus) else "IEMOCAP, utterances of who wore the markers"
    try:
        prepared = prepare_features(open_any_corpus(corpus), _FRONT_ENDS, cache)
    except OSError as error:
        raise AffectstreamError(
            f"the cache {cache} cannot be written ({error.strerror}); name another folder"
        ) from error
    return FrameFeatures(prepared, name)


class FrameFeatures:
    """Voice and face of a prepared corpus.

    Args:
        prepared: with the front ends of voice and face.
        corpus: what to call it in a table's row, such as ``synthetic corpus, not IEMOCAP``.

    Raises:
        CorpusError: no utterance has both voice and face.
    """

    def __init__(self, prepared: UtteranceFeatures, corpus: str) -> None:
        whole = f"{corpus}: voice and face markers"
        self.data = {"v": f"{corpus}: voice", "f": f"{corpus}: face markers", "v+f": whole}
        found: dict[str, dict[str, _Rows]] = {name: {} for name in _FRONT_ENDS}
        self.dialogues: list[CorpusDialogue] = []
        for dialogue in prepared.corpus.dialogues:
            worn = [u for u in dialogue.utterances if _take(prepared, u.id, found)]
            if worn:
                self.dialogues.append(replace(dialogue, utterances=tuple(worn)))
        if not self.dialogues:
            raise CorpusError(
                f"no utterance of {prepared.corpus.path} has both sound and face markers of its "
                "speaker; name a copy of IEMOCAP with its wav and MOCAP folders"
            )
        speakers = {u.id: u.speaker for d in self.dialogues for u in d.utterances}
        self._voices = _normalised_frames(found["woellmer"], speakers)
        self._faces = _normalised_frames(found["face-markers"], speakers)
        self._of_voice = speaker_normalised(self.dialogues, found["functionals-voice"])
        self._of_face = speaker_normalised(self.dialogues, found["functionals-face"])

    def fit(self, learned: Sequence[CorpusDialogue], seed: int) -> Callable[[CorpusDialogue], Talk]:
        """Choose 30 coordinates of the face by the training part's frames.

        Raises:
            ValueError: fewer of them change.
        """
        frames = np.concatenate([self._faces[u.id] for d in learned for u in d.utterances])
        some = frames[:: max(1, len(frames) // _ENOUGH_FRAMES)]
        kept = list(PrincipalFeatureAnalysis(_FACE_FEATURES, seed=seed).fit(some).indices)
        blocks = np.array([*kept, *(FACE_COORDINATES + column for column in kept)])
        columns = (blocks[:, None] * FACE_FUNCTIONALS + np.arange(FACE_FUNCTIONALS)).reshape(-1)

        def describe(dialogue: CorpusDialogue) -> Talk:
            ids = [said.id for said in dialogue.utterances]
            voices = [self._voices[id].astype(np.float64) for id in ids]
            faces = [_with_slopes(self._faces[id][:, kept].astype(np.float64)) for id in ids]
            both = [np.concatenate(pair, axis=1) for pair in zip(voices, faces, strict=True)]
            functionals = np.stack(
                [np.concatenate((self._of_voice[id], self._of_face[id][columns])) for id in ids]
            )
            return Talk(dialogue, functionals, {"v": voices, "f": faces, "v+f": both})

        return describe


def _take(prepared: UtteranceFeatures, utterance: str, found: dict[str, dict[str, _Rows]]) -> bool:
    """Take an utterance's features into ``found`` if it has them all; say whether it has."""
    every = {name: prepared.features(name, utterance) for name in _FRONT_ENDS}
    voice, face = every["woellmer"], every["face-markers"]
    if voice is None or face is None or any(one is None for one in every.values()):
        return False
    nearest = ((np.arange(len(voice)) + 0.5) * len(face) / len(voice)).astype(np.intp)
    every["face-markers"] = face[nearest]
    for name, rows in every.items():
        if rows is not None:
            found[name][utterance] = rows
    return True


def _normalised_frames(
    frames: Mapping[str, _Rows], speakers: Mapping[str, str]
) -> dict[str, _Rows]:
    """Bring each speaker's frames to mean 0 and deviation 1; what is not finite becomes 0."""
    sums: dict[str, Any] = defaultdict(lambda: np.zeros(3))
    for id, rows in frames.items():
        known = np.isfinite(rows)
        values = np.where(known, rows, 0.0).astype(np.float64)
        three = (known.sum(axis=0), values.sum(axis=0), np.square(values).sum(axis=0))
        sums[speakers[id]] = [a + b for a, b in zip(sums[speakers[id]], three, strict=True)]
    scales: dict[str, tuple[FoldArray, FoldArray]] = {}
    for speaker, (count, total, squares) in sums.items():
        mean = total / np.maximum(count, 1)
        variance = squares / np.maximum(count, 1) - mean**2
        # Rounding leaves of a constant some 1e-16 of its square.
        scales[speaker] = mean, np.sqrt(np.where(variance > 1e-12 * mean**2, variance, 1.0))
    found = {}
    for id, rows in frames.items():
        mean, deviation = scales[speakers[id]]
        scaled = ((rows - mean) / np.where(deviation > 0, deviation, 1.0)).astype(np.float32)
        found[id] = np.where(np.isfinite(scaled), scaled, np.float32(0.0))
    return found


def _with_slopes(rows: FoldArray) -> FoldArray:
    """Return rows (n, 2 d): the rows (n, d), and half the difference of their neighbours."""
    around = np.concatenate((rows[:1], rows, rows[-1:]))
    return np.concatenate((rows, 0.5 * (around[2:] - around[:-2])), axis=1)
