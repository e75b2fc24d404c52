"""Clips of acted emotion as dialogues: one for each speaker, the clips one after the other.

Clips are taken whole (``read_acted``), or cut to what the live path's voice detector finds and
described at once (``acted_dialogues``). What clips are called is read in ``labelled_clips``.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectstream.core.capture.audio import CapturedAudio
from affectstream.core.speech.segmenter import UtteranceSegmenter
from affectstream.corpus.dialogues import (
    Corpus,
    CorpusDialogue,
    CorpusError,
    CorpusUtterance,
    DialogueRecording,
)
from affectstream.errors import SourceError
from affectstream.features.egemaps.front_end import extract_egemaps
from affectstream.features.egemaps.statistics import utterance_statistics
from affectstream.messages import UtteranceEnded
from affectstream.sources.audio_file import AudioFile
from affectstream.sources.speech import voice_activity
from affectstream.timebase import NS_PER_S
from affectstream_tools.corpora.features.utterance_audio import read_whole_clip
from affectstream_tools.corpora.labelled_clips import OTHER_EMOTION, LabelledClip, find_clips

_EMOTIONS = {"anger": "ang", "happiness": "hap", "neutral": "neu", "sadness": "sad"}
_RATE_HZ = 16_000
_HOP_NS = NS_PER_S // 100


def read_acted(folder: Path) -> Corpus:
    """Read a folder of labelled clips: one dialogue per speaker, whole clips one after the other.

    The emotion of a clip that is none of the four classes is ``oth``. The session is 0.

    Raises:
        CorpusError: no clip is labelled, or none can be read.
    """
    try:
        clips, unlabelled = find_clips(folder)
    except ValueError as error:
        raise CorpusError(str(error)) from error
    warnings = []
    if unlabelled:
        warnings.append(f"{folder}: {unlabelled} recordings whose name says no emotion: left out")
    by_speaker: dict[str, list[LabelledClip]] = defaultdict(list)
    for clip in clips:
        by_speaker[clip.speaker].append(clip)
    dialogues = [_whole_clips(folder, name, by_speaker[name], warnings) for name in by_speaker]
    found = tuple(dialogue for dialogue in dialogues if dialogue.utterances)
    if not found:
        raise CorpusError(f"{folder} holds no clip that can be read ({warnings[-1]})")
    return Corpus(folder, "acted", tuple(sorted(found, key=lambda d: d.id)), tuple(warnings))


def _whole_clips(
    folder: Path, speaker: str, clips: list[LabelledClip], warnings: list[str]
) -> CorpusDialogue:
    utterances, files, at_ns = [], {}, 0
    for clip in clips:
        try:
            file = AudioFile(clip.path)
        except SourceError as error:
            warnings.append(f"{error}: the clip is left out")
            continue
        file.close()
        place = Path(os.path.relpath(clip.path, folder))
        name = place.with_suffix("").as_posix()
        name = place.as_posix() if name in files else name
        emotion = _EMOTIONS.get(clip.label, "oth")
        utterances.append(_clip(name, speaker, at_ns, at_ns + file.duration_ns, emotion))
        files[name] = clip.path
        at_ns += file.duration_ns
    recording = DialogueRecording(None, (), "", clips=files)
    return CorpusDialogue(speaker, 0, tuple(utterances), recording)


def _clip(
    name: str,
    speaker: str,
    start_ns: int,
    end_ns: int,
    emotion: str,
    acoustic: NDArray[np.float32] | None = None,
) -> CorpusUtterance:
    return CorpusUtterance(
        id=name,
        dialogue=speaker,
        speaker=speaker,
        start_ns=start_ns,
        end_ns=end_ns,
        emotion=emotion,
        valence=math.nan,
        activation=math.nan,
        dominance=math.nan,
        acoustic=acoustic,
    )


def acted_dialogues(
    clips: Sequence[LabelledClip],
    *,
    seed: int,
    copies: int = 1,
) -> list[CorpusDialogue]:
    """Return dialogues of clips, each described between the bounds that the voice detector finds.

    Args:
        copies: dialogues per speaker, each in an order of its own.

    Returns:
        Dialogues with the session 0; clips of other emotions are left out.

    Raises:
        SourceError: a clip cannot be read.
    """
    by_speaker: dict[str, list[CorpusUtterance]] = defaultdict(list)
    for clip in clips:
        if clip.label != OTHER_EMOTION:
            by_speaker[clip.speaker].append(_utterance(clip))
    rng = np.random.default_rng(seed)
    return [
        CorpusDialogue(f"{speaker}/{copy}", 0, tuple(said[i] for i in rng.permutation(len(said))))
        for speaker, said in sorted(by_speaker.items())
        for copy in range(copies)
    ]


def _utterance(clip: LabelledClip) -> CorpusUtterance:
    samples = read_whole_clip(clip.path)
    first, last = _speech_ns(samples)
    rows = extract_egemaps(samples)[first // _HOP_NS : -(-last // _HOP_NS)]
    statistics = utterance_statistics(rows)
    emotion = _EMOTIONS[clip.label]
    return _clip(clip.path.stem, clip.speaker, 0, last - first, emotion, statistics)


def _speech_ns(samples: np.ndarray) -> tuple[int, int]:
    """Return the bounds of the longest utterance in a clip; all of it where none is found."""
    segmenter = UtteranceSegmenter(
        voice_activity().classify,
        session="acted",
        source="clip",
        speaker="you",
        start_ns=0,
        publish_audio=False,
    )
    padded = np.concatenate((samples, np.zeros(_RATE_HZ, np.int16)))
    said = [*segmenter.receive(CapturedAudio(0, padded), 0), *segmenter.close(0)]
    found = [(m.start_ns, m.end_ns) for m in said if isinstance(m, UtteranceEnded)]
    whole = (0, len(samples) * NS_PER_S // _RATE_HZ)
    return max(found, key=lambda span: span[1] - span[0], default=whole)
