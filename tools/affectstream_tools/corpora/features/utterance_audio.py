"""The sound of one utterance, at 16 kHz.

It is cut from a dialogue's wav with a channel for each speaker, or read from a recording of the
single utterance.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectstream.core.capture.audio import CapturedAudio
from affectstream.corpus.dialogues import CorpusDialogue, CorpusUtterance
from affectstream.corpus.raw_media import audio_blocks, find_channels
from affectstream.errors import SourceError
from affectstream.sources.audio_file import AudioFile
from affectstream.sources.resampling import TimelineResampler
from affectstream.timebase import SAMPLE_RATE_HZ, ns_to_samples

_NO_SOUND = "no sound in the copy"
RECORDING_UNREADABLE = "the recording cannot be read"
_TOO_SHORT = "the recording ends before the utterance"
_LEAST_MARGIN_DB = 1.0
"""Where the channels differ by less, it is a guess which speaker is on which."""

_CUT_SHORT = 0.99
_BLOCK_MS = 1000


class MissingFeatureError(Exception):
    """An utterance has no features of a kind; the message is the reason, in a few fixed words.

    Attributes:
        detail: what happened, in one sentence, or empty.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail


class DialogueSound:
    """Utterances of one dialogue, each from its speaker's own channel.

    Attributes:
        notes: what had to be guessed or is cut short, one sentence each.
    """

    def __init__(self, dialogue: CorpusDialogue) -> None:
        self.notes: list[str] = []
        self._dialogue = dialogue
        self._channels: dict[str, int] = {}
        self._failure: MissingFeatureError | None = None
        recording = dialogue.recording
        if recording is not None and recording.wav is not None:
            try:
                self._find_channels()
            except SourceError as error:
                self._failure = MissingFeatureError(RECORDING_UNREADABLE, str(error))

    def _find_channels(self) -> None:
        found = find_channels(self._dialogue)
        self._channels = found.of
        if len(set(found.of.values())) == 1:
            self.notes.append(f"{self._dialogue.id}: both speakers are on one channel")
        elif found.margin_db < _LEAST_MARGIN_DB:
            self.notes.append(
                f"{self._dialogue.id}: who is on which channel cannot be heard "
                f"({found.margin_db:.1f} dB): the woman is taken to be on channel "
                f"{found.of[f'{self._dialogue.id[:5]}F']}"
            )

    def samples(self, utterance: CorpusUtterance) -> NDArray[np.int16]:
        """Return what was recorded of an utterance, int16, shape (n,), at 16 kHz.

        Raises:
            MissingFeatureError: nothing was.
        """
        if self._failure is not None:
            raise self._failure
        recording = self._dialogue.recording
        try:
            if recording is not None and recording.wav is not None:
                samples = self._cut(utterance)
            elif recording is not None and utterance.id in recording.clips:
                samples = read_whole_clip(recording.clips[utterance.id])
            else:
                raise MissingFeatureError(_NO_SOUND)
        except SourceError as error:
            raise MissingFeatureError(RECORDING_UNREADABLE, str(error)) from error
        if not len(samples):
            raise MissingFeatureError(_TOO_SHORT)
        wanted = ns_to_samples(utterance.end_ns - utterance.start_ns, SAMPLE_RATE_HZ)
        if len(samples) < _CUT_SHORT * wanted:
            self.notes.append(
                f"{utterance.id}: its recording ends after {len(samples) / SAMPLE_RATE_HZ:.2f} s "
                f"of {wanted / SAMPLE_RATE_HZ:.2f} s"
            )
        return samples

    def _cut(self, utterance: CorpusUtterance) -> NDArray[np.int16]:
        resampler, parts = None, []
        for block in audio_blocks(
            self._dialogue,
            self._channels[utterance.speaker],
            start_ns=utterance.start_ns,
            end_ns=utterance.end_ns,
            block_ms=_BLOCK_MS,
        ):
            resampler = resampler or TimelineResampler(block.sample_rate_hz)
            parts += resampler.accept(block.first_sample, block.samples)
        if resampler is not None:
            parts += resampler.end_run()
        return _joined([part.samples for part in parts])


def read_whole_clip(path: Path) -> NDArray[np.int16]:
    """Return a recording's first channel at 16 kHz.

    Raises:
        SourceError: it cannot be read.
    """
    file = AudioFile(path, speed=math.inf)
    parts = []
    try:
        while not file.exhausted:
            parts += [c.samples for c in file.read(0) if isinstance(c, CapturedAudio)]
    finally:
        file.close()
    return _joined(parts)


def _joined(parts: list[NDArray[np.int16]]) -> NDArray[np.int16]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)
