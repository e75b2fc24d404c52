"""Clips of acted emotion as dialogues: who is heard, and how, through the live path's ears.

Knows: that a speaker's clips, in any order, are one dialogue without words.
Refuses to know: file names (``labelled_clips``), and models.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from affectstream.core.capture import CapturedAudio
from affectstream.core.segmenter import UtteranceSegmenter
from affectstream.features.egemaps import extract
from affectstream.features.statistics import utterance_statistics
from affectstream.messages import UtteranceEnded
from affectstream.sources.iemocap import CorpusDialogue, CorpusUtterance
from affectstream.sources.listening import voice_activity
from affectstream.timebase import NS_PER_S
from affectstream_tools.labelled_clips import OTHER, Clip
from affectstream_tools.live import read_clip

_EMOTIONS = {"anger": "ang", "happiness": "hap", "neutral": "neu", "sadness": "sad"}
_RATE_HZ = 16_000
_HOP_NS = NS_PER_S // 100


def acted_dialogues(
    clips: Sequence[Clip],
    *,
    seed: int,
    copies: int = 1,
    on_clip: Callable[[], None] = lambda: None,
) -> list[CorpusDialogue]:
    """Describe each clip between the bounds that the voice detector finds, and deal them out.

    Args:
        copies: dialogues per speaker, each in an order of its own.

    Returns:
        Dialogues with the session 0; clips of other emotions are left out.

    Raises:
        SourceError: a clip cannot be read.
    """
    by_speaker: dict[str, list[CorpusUtterance]] = defaultdict(list)
    for clip in clips:
        on_clip()
        if clip.label != OTHER:
            by_speaker[clip.speaker].append(_utterance(clip))
    rng = np.random.default_rng(seed)
    return [
        CorpusDialogue(f"{speaker}/{copy}", 0, tuple(said[i] for i in rng.permutation(len(said))))
        for speaker, said in sorted(by_speaker.items())
        for copy in range(copies)
    ]


def _utterance(clip: Clip) -> CorpusUtterance:
    samples = read_clip(clip.path)
    first, last = _speech_ns(samples)
    rows = extract(samples)[first // _HOP_NS : -(-last // _HOP_NS)]
    return CorpusUtterance(
        id=clip.path.stem,
        dialogue=clip.speaker,
        speaker=clip.speaker,
        start_ns=0,
        end_ns=last - first,
        emotion=_EMOTIONS[clip.label],
        valence=math.nan,
        activation=math.nan,
        dominance=math.nan,
        acoustic=utterance_statistics(rows),
    )


def _speech_ns(samples: np.ndarray) -> tuple[int, int]:
    """Return the bounds of the longest utterance in a clip; all of it where none is found."""
    segmenter = UtteranceSegmenter(
        voice_activity().hear,
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
