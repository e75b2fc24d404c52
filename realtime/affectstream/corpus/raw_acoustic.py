"""What the ``egemaps`` front end says of a stretch of one channel of a raw IEMOCAP copy.

Knows: which samples a stretch needs, and at which rate the front end wants them.
Refuses to know: utterances, labels, and when anything is published.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from affectstream.corpus.dialogues import CorpusDialogue
from affectstream.corpus.raw_media import audio_blocks
from affectstream.features.egemaps.front_end import (
    EGEMAPS_HOP_SAMPLES,
    FRONT_END,
    VOICE_SAMPLES,
    Egemaps,
)
from affectstream.sources.resampling import TimelineResampler
from affectstream.timebase import SAMPLE_RATE_HZ, samples_to_ns

__all__ = ["FRONT_END", "HOP_NS", "describe_stretch"]

HOP_NS = samples_to_ns(EGEMAPS_HOP_SAMPLES, SAMPLE_RATE_HZ)
_FRAME_NS = samples_to_ns(VOICE_SAMPLES, SAMPLE_RATE_HZ)


def describe_stretch(
    dialogue: CorpusDialogue, channel: int, start_ns: int, end_ns: int
) -> NDArray[np.float32]:
    """Return the rows (n, 24) of the frames that start between two instants.

    Raises:
        CorpusError: the recording cannot be read.
    """
    front_end, resampler, rows = Egemaps(), None, []
    for block in audio_blocks(
        dialogue, channel, start_ns=start_ns, end_ns=end_ns + _FRAME_NS, block_ms=1000
    ):
        resampler = resampler or TimelineResampler(block.sample_rate_hz)
        rows += [
            front_end.push(captured.samples)
            for captured in resampler.accept(block.first_sample, block.samples)
        ]
    if resampler is not None:
        rows += [front_end.push(captured.samples) for captured in resampler.end_run()]
    rows.append(front_end.finish())
    return np.concatenate(rows)[: -(-(end_ns - start_ns) // HOP_NS)]
