"""The messages of a raw IEMOCAP copy's recordings, each with the time at which it is published.

Knows: how one channel becomes blocks of audio and descriptors of speech, and how the motion files
become blocks of frames.
Refuses to know: utterances' labels and words, the other streams, and pace.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from affectstream.corpus.dialogues import CorpusDialogue
from affectstream.corpus.raw_media import audio_blocks, mocap_blocks
from affectstream.features.egemaps.front_end import EGEMAPS_HOP_SAMPLES, FRONT_END, Egemaps
from affectstream.features.egemaps.voiced import PITCH_FRAME_SAMPLES
from affectstream.messages import Acoustic, Audio, Gap, Message, Mocap
from affectstream.sources.mocap.frames import MocapLoss
from affectstream.sources.resampling import TimelineResampler
from affectstream.timebase import SAMPLE_RATE_HZ, samples_to_ns

_HOP_NS = samples_to_ns(EGEMAPS_HOP_SAMPLES, SAMPLE_RATE_HZ)
_FRAME_NS = samples_to_ns(PITCH_FRAME_SAMPLES, SAMPLE_RATE_HZ)

TimedMessage = tuple[int, int, Message]
"""Event time (ns) of publication, rank among the messages of that instant, and the message."""


def audio_messages(dialogue: CorpusDialogue, speaker: str, channel: int) -> Iterator[TimedMessage]:
    """Yield the blocks of a speaker's channel, each when it is over.

    Raises:
        CorpusError: the recording cannot be read.
    """
    for rank, block in enumerate(audio_blocks(dialogue, channel)):
        audio = Audio(
            session=dialogue.id,
            source=f"mic.{speaker}",
            first_sample=block.first_sample,
            sample_rate_hz=block.sample_rate_hz,
            start_ns=block.start_ns,
            payload=block.samples.astype("<i2").tobytes(),
        )
        end_ns = samples_to_ns(block.first_sample + len(block.samples), block.sample_rate_hz)
        yield end_ns, rank, audio


def acoustic_messages(
    dialogue: CorpusDialogue, speaker: str, channel: int
) -> Iterator[TimedMessage]:
    """Yield each utterance's descriptors at its end: a microphone worker has them by then too.

    Raises:
        CorpusError: the recording cannot be read.
    """
    described_until_ns = 0
    mine = (u for u in dialogue.utterances if u.speaker == speaker)
    for rank, utterance in enumerate(sorted(mine, key=lambda u: u.end_ns)):
        start_ns = max(utterance.start_ns, described_until_ns)
        described_until_ns = utterance.end_ns
        if start_ns >= utterance.end_ns:
            continue  # the utterance lies inside the one before
        rows = _describe_stretch(dialogue, channel, start_ns, utterance.end_ns)
        if len(rows):
            acoustic = Acoustic(
                session=dialogue.id,
                source=f"mic.{speaker}",
                front_end=FRONT_END,
                speaker=speaker,
                start_ns=start_ns,
                hop_ns=_HOP_NS,
                rows=len(rows),
                columns=rows.shape[1],
                payload=rows.astype("<f4").tobytes(),
            )
            yield utterance.end_ns, rank, acoustic


def motion_messages(dialogue: CorpusDialogue, speaker: str) -> Iterator[TimedMessage]:
    """Yield the motion of the speaker who wore the markers, and what was lost of it.

    Raises:
        CorpusError, MocapError: the motion files are missing or cannot be read.
    """
    stream = {"session": dialogue.id, "source": f"face.{speaker}"}
    latest_ns = 0
    for rank, item in enumerate(mocap_blocks(dialogue)):
        if isinstance(item, MocapLoss):
            latest_ns = max(latest_ns, item.end_ns)
            gap = Gap(
                session=stream["session"],
                source=stream["source"],
                of=stream["source"],
                lost=item.lost,
                count=item.count,
                reason=item.reason,
                start_ns=item.start_ns,
                end_ns=item.end_ns,
            )
            yield latest_ns, rank, gap
            continue
        latest_ns = max(latest_ns, item.times_ns[-1])
        mocap = Mocap(
            session=stream["session"],
            source=stream["source"],
            layout=item.layout.name,
            speaker=speaker,
            times_ns=item.times_ns,
            rows=len(item.times_ns),
            columns=item.values.shape[1],
            payload=item.values.astype("<f4").tobytes(),
        )
        yield latest_ns, rank, mocap


def _describe_stretch(
    dialogue: CorpusDialogue, channel: int, start_ns: int, end_ns: int
) -> NDArray[np.float32]:
    """Return the ``egemaps`` rows (n, 24) of the frames that start between two instants.

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
    return np.concatenate(rows)[: -(-(end_ns - start_ns) // _HOP_NS)]
