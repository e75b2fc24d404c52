"""The recordings of one dialogue of a raw IEMOCAP copy: sound and motion, in blocks.

Knows: which channel is whose, and how to read a part of a file without loading all of it.
Refuses to know: labels, pace, and the bus.

The corpus does not say which channel of a dialogue's wav belongs to which speaker. It is found by
loudness: while a speaker talks, that speaker's own microphone is the louder one.
"""

from __future__ import annotations

import math
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectstream.corpus.dialogues import CorpusDialogue, CorpusError, CorpusUtterance
from affectstream.errors import brief
from affectstream.sources.decoders import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, MAX_AUDIO_CHANNELS
from affectstream.sources.mocap.formats import MocapLayout
from affectstream.sources.mocap.frames import MocapFrame, MocapLoss, MocapRecording
from affectstream.timebase import NS_PER_MS, Interval, ns_to_samples, samples_to_ns

_MOCAP_BLOCK_NS = 100 * NS_PER_MS
_UTTERANCES_TO_HEAR = 20
_LONGEST_HEARD_NS = 5_000 * NS_PER_MS  # of each of these utterances


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """A block of one speaker's channel.

    Attributes:
        first_sample: position of its first sample in the recording.
        samples: int16, shape (n,).
    """

    first_sample: int
    sample_rate_hz: int
    samples: NDArray[np.int16]

    @property
    def start_ns(self) -> int:
        """Time of the first sample since the start of the recording."""
        return samples_to_ns(self.first_sample, self.sample_rate_hz)


@dataclass(frozen=True, slots=True)
class MocapBlock:
    """A block of frames of motion capture.

    Attributes:
        times_ns: since the start of the recording, strictly increasing.
        values: float32, shape (frames, channels), NaN where the tracker lost a coordinate.
    """

    layout: MocapLayout
    times_ns: tuple[int, ...]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Channels:
    """Which channel belongs to which speaker.

    Attributes:
        of: speaker -> channel, counted from 0.
        margin_db: how much louder speakers are on their own channel, on average over both; 0
            where there is only one channel, or nothing to compare.
    """

    of: dict[str, int]
    margin_db: float


def find_channels(dialogue: CorpusDialogue) -> Channels:
    """Return which channel is whose, from the loudness of up to 20 utterances of each speaker.

    In a mono file both are on channel 0. Where the loudness decides nothing, the woman is taken to
    be on channel 0 and the man on channel 1. In both cases ``margin_db`` is 0.

    Raises:
        CorpusError: the copy lacks the wav, or it cannot be read.
    """
    speakers = _speakers(dialogue)
    with _open_wav(dialogue) as wav:
        if wav.getnchannels() < 2:
            return Channels(dict.fromkeys(speakers, 0), 0.0)
        left_louder_db = {
            speaker: _left_over_right_db(wav, _clear(dialogue.utterances, speaker))
            for speaker in speakers
        }
    first, second = speakers
    heard = [value for value in left_louder_db.values() if value is not None]
    score = (left_louder_db[first] or 0.0) - (left_louder_db[second] or 0.0)
    swapped = score < 0
    margin_db = abs(score) / max(1, len(heard))
    return Channels({first: int(swapped), second: int(not swapped)}, margin_db)


def audio_blocks(
    dialogue: CorpusDialogue,
    channel: int,
    *,
    start_ns: int = 0,
    end_ns: int | None = None,
    block_ms: int = 20,
) -> Iterator[AudioBlock]:
    """Yield one channel of the dialogue's wav between two instants of the recording.

    Raises:
        CorpusError: the copy lacks the wav, it cannot be read, or it has no such channel.
    """
    with _open_wav(dialogue) as wav:
        if channel >= wav.getnchannels():
            raise CorpusError(
                f"{_wav_path(dialogue)} has {wav.getnchannels()} channels, no channel {channel}; "
                "find_channels says which there are"
            )
        rate_hz = wav.getframerate()
        position = min(ns_to_samples(start_ns, rate_hz), wav.getnframes())
        last = wav.getnframes()
        if end_ns is not None:
            last = min(last, ns_to_samples(end_ns, rate_hz))
        wav.setpos(position)
        while position < last:
            frames = _frames(wav, min(rate_hz * block_ms // 1000, last - position))
            if not len(frames):
                return  # shorter than its header says
            yield AudioBlock(position, rate_hz, np.ascontiguousarray(frames[:, channel]))
            position += len(frames)


def mocap_blocks(dialogue: CorpusDialogue) -> Iterator[MocapBlock | MocapLoss]:
    """Yield a dialogue's motion, its files joined, and what was lost.

    Raises:
        CorpusError: the copy lacks the motion files.
        MocapError: they cannot be read.
    """
    recording = dialogue.recording
    if recording is None or not recording.mocap:
        raise CorpusError(
            f"dialogue {dialogue.id} has no motion capture; copy dialog/MOCAP_rotated"
        )
    opened = MocapRecording(recording.mocap)
    try:
        frames: list[MocapFrame] = []
        for item in opened.frames():
            if isinstance(item, MocapLoss):
                yield item
                continue
            if frames and item.time_ns >= frames[0].time_ns + _MOCAP_BLOCK_NS:
                yield _block(opened.layout, frames)
                frames = []
            frames.append(item)
        if frames:
            yield _block(opened.layout, frames)
    finally:
        opened.close()


def _block(layout: MocapLayout, frames: list[MocapFrame]) -> MocapBlock:
    times_ns = tuple(frame.time_ns for frame in frames)
    return MocapBlock(layout, times_ns, np.stack([frame.values for frame in frames]))


def _speakers(dialogue: CorpusDialogue) -> tuple[str, str]:
    return f"{dialogue.id[:5]}F", f"{dialogue.id[:5]}M"


def _wav_path(dialogue: CorpusDialogue) -> Path:
    if dialogue.recording is None or dialogue.recording.wav is None:
        raise CorpusError(f"dialogue {dialogue.id} has no sound; copy dialog/wav")
    return dialogue.recording.wav


def _open_wav(dialogue: CorpusDialogue) -> wave.Wave_read:
    path = _wav_path(dialogue)
    try:
        wav = wave.open(str(path), "rb")  # noqa: SIM115
    except (OSError, wave.Error, EOFError, RuntimeError) as error:
        raise CorpusError(f"{path} cannot be read ({brief(error)}); copy it again") from error
    if wav.getsampwidth() != 2:
        wav.close()
        raise CorpusError(f"{path} is not 16-bit PCM; convert it with `sox IN -b 16 OUT`")
    rate_hz, channels = wav.getframerate(), wav.getnchannels()
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ or channels > MAX_AUDIO_CHANNELS:
        wav.close()
        raise CorpusError(
            f"{path} says that it has {channels} channels of {rate_hz} samples a second, which "
            "cannot be; copy it again"
        )
    return wav


def _frames(wav: wave.Wave_read, count: int) -> NDArray[np.int16]:
    channels = wav.getnchannels()
    pcm = wav.readframes(count)
    whole = len(pcm) // (2 * channels) * 2 * channels
    return np.frombuffer(pcm[:whole], dtype="<i2").reshape(-1, channels)


def _clear(utterances: tuple[CorpusUtterance, ...], speaker: str) -> list[Interval]:
    """Return the speaker's first 20 utterances during which nobody else talks.

    Where there is no such utterance, the speaker's first 20 whatever the others do.
    """
    spans = {u.id: Interval(u.start_ns, u.end_ns) for u in utterances}
    others = [spans[u.id] for u in utterances if u.speaker != speaker]
    own = [spans[u.id] for u in utterances if u.speaker == speaker]
    clear = [span for span in own if not any(span.overlap_ns(other) for other in others)]
    return (clear or own)[:_UTTERANCES_TO_HEAR]


def _left_over_right_db(wav: wave.Wave_read, spans: list[Interval]) -> float | None:
    """Return by how many dB the left channel is louder: the median over ``spans``."""
    rate_hz, values = wav.getframerate(), []
    for span in spans:
        start = ns_to_samples(span.start_ns, rate_hz)
        if start >= wav.getnframes():
            continue
        wav.setpos(start)
        duration_ns = min(span.duration_ns, _LONGEST_HEARD_NS)
        frames = _frames(wav, ns_to_samples(duration_ns, rate_hz)).astype(np.float64)
        if not len(frames):
            continue
        left, right = (frames[:, :2] - frames[:, :2].mean(0)).var(0) + 1.0
        values.append(10 * math.log10(left / right))
    return float(np.median(values)) if values else None
