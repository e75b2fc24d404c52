"""One recording through the whole system, in one process.

Knows: which machines hear a recording, and what of their answers is kept.
Refuses to know: how any of them works, and how results are shown (``commands.analyze``).

The machines are the live ones: the segmenter with its voice detector and front end, the
transcriber, the fusion node with the speaker's normalisation and the dialogue's context. They are
joined in one process, in virtual time, instead of over the bus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectstream.core.capture.audio import Captured, CapturedAudio
from affectstream.core.dialogue.model import ContextModel
from affectstream.core.speech.recognition import Recognizer
from affectstream.core.speech.transcriber import Transcriber
from affectstream.fusion.node import NODE_PREFIXES, FusionNode
from affectstream.messages import Emotion, Gap, Message, UtteranceStarted
from affectstream.run.loop import Machine
from affectstream.run.virtual_time import JoinedMachine, run_in_virtual_time
from affectstream.sources.audio_file import AudioFile
from affectstream.sources.speech import speech_segmenter
from affectstream.timebase import NS_PER_S, SAMPLE_RATE_HZ

RECORDING_SESSION = "recording"
HEARD_BY_TRANSCRIBER = ("audio/", "utterance.", "stream.", "progress/")
ENVELOPE_SAMPLES = SAMPLE_RATE_HZ // 50
"""A point of the waveform that is kept: the peak of 20 ms."""


@dataclass(slots=True)
class Analysis:
    """What became of one recording.

    Attributes:
        emotions: the final estimates, in order of time; times are since its start.
        envelope: for each speaker, the peak of every 20 ms, 0..1.
        gaps: what was lost, and why.
        ended_early: it was stopped.
        silent: the speakers on whose channels no speech was found.
        missed_channel: where a speaker is silent, the first channel with speech that nobody was
            said to be on; None where there is none.
    """

    path: Path
    duration_s: float = 0.0
    emotions: list[Emotion] = field(default_factory=list)
    envelope: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    ended_early: bool = False
    silent: tuple[str, ...] = ()
    missed_channel: int | None = None


class Analyst:
    """Analyses recordings, each as a dialogue of its own.

    Args:
        model: what estimates.
        recognizer: makes an utterance's recogniser, and its name; None leaves the words out.
        look_ahead: later utterances that a final estimate has seen; None for all.
        vad: the voice detector.
    """

    def __init__(
        self,
        model: ContextModel,
        *,
        recognizer: tuple[Callable[[], Recognizer], str] | None = None,
        look_ahead: int | None = None,
        vad: str = "webrtc",
    ) -> None:
        self._model = model
        self._recognizer = recognizer
        self._look_ahead = look_ahead
        self._vad = vad

    def analyse(
        self,
        path: Path,
        speakers: Sequence[tuple[str, int]],
        *,
        on_progress: Callable[[float, float], None] = lambda heard_s, total_s: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Analysis:
        """Return what is said of a recording.

        Args:
            speakers: names, and on which channel each is.
            on_progress: called with how many seconds have been heard, and of how many.

        Raises:
            SourceError: it cannot be read, or lacks a channel.
        """
        with ExitStack() as stack:
            recordings = [
                (name, stack.enter_context(closing(_Recording(path, channel))))
                for name, channel in speakers
            ]
            analysis = self._analysis(path, recordings, on_progress, stopping)
        if not analysis.ended_early:
            spoke = {emotion.speaker for emotion in analysis.emotions}
            analysis.silent = tuple(name for name, _ in speakers if name not in spoke)
        if analysis.silent:
            analysis.missed_channel = self._missed_channel(path, {at for _, at in speakers})
        return analysis

    def _analysis(
        self,
        path: Path,
        recordings: Sequence[tuple[str, _Recording]],
        on_progress: Callable[[float, float], None],
        stopping: Callable[[], bool],
    ) -> Analysis:
        parts = [
            JoinedMachine(self._segmenter(name), inputs=(heard,)) for name, heard in recordings
        ]
        if self._recognizer is not None:
            make, engine = self._recognizer
            transcriber = Transcriber(make, session=RECORDING_SESSION, engine=engine)
            parts.append(JoinedMachine(transcriber, HEARD_BY_TRANSCRIBER))
        parts.append(JoinedMachine(FusionNode(self._model, self._look_ahead), NODE_PREFIXES))
        analysis = Analysis(path)
        for message in run_in_virtual_time(parts, stopping=stopping):
            _keep(analysis, message)
            on_progress(recordings[0][1].heard_s, recordings[0][1].total_s)
        analysis.emotions.sort(key=lambda emotion: (emotion.start_ns, emotion.end_ns))
        analysis.duration_s = max(heard.heard_s for _, heard in recordings)
        analysis.envelope = {name: heard.envelope() for name, heard in recordings}
        analysis.ended_early = stopping()
        return analysis

    def _missed_channel(self, path: Path, known: set[int]) -> int | None:
        """Return the first channel with speech that is not one of ``known``."""
        with closing(AudioFile(path)) as recording:
            channels = recording.channels
        for channel in sorted(set(range(channels)) - known):
            with closing(_Recording(path, channel)) as recording:
                part = JoinedMachine(self._segmenter("unknown"), inputs=(recording,))
                messages = run_in_virtual_time([part])
                if any(isinstance(message, UtteranceStarted) for message in messages):
                    return channel
        return None

    def _segmenter(self, speaker: str) -> Machine:
        return speech_segmenter(
            session=RECORDING_SESSION,
            speaker=speaker,
            start_ns=0,
            publish_audio=self._recognizer is not None,
            clock_id="file",
            vad=self._vad,
        )


class _Recording(AudioFile):
    """A recording at its own pace, in a time that does not wait; it keeps its outline."""

    def __init__(self, path: Path, channel: int) -> None:
        super().__init__(path, channel=channel)
        self._peaks: list[NDArray[np.float32]] = []
        self._pending = np.empty(0, dtype=np.int16)
        self._end = 0

    def read(self, now_ns: int) -> list[Captured]:
        """Return what was played until ``now_ns``."""
        items = super().read(now_ns)
        for item in items:
            if isinstance(item, CapturedAudio):
                self._outline(item)
        return items

    @property
    def heard_s(self) -> float:
        """How much was heard, in seconds."""
        return self._end / SAMPLE_RATE_HZ

    @property
    def total_s(self) -> float:
        """How long it is, as its header says."""
        return self._reader.frames / self._reader.rate_hz

    def envelope(self) -> NDArray[np.float32]:
        """Return the peak of every 20 ms, (n,), 0..1."""
        return np.concatenate(self._peaks) if self._peaks else np.empty(0, dtype=np.float32)

    def _outline(self, item: CapturedAudio) -> None:
        missing = np.zeros(max(0, item.first_sample - self._end), dtype=np.int16)
        samples = np.concatenate((self._pending, missing, item.samples))
        whole = len(samples) // ENVELOPE_SAMPLES * ENVELOPE_SAMPLES
        blocks = samples[:whole].reshape(-1, ENVELOPE_SAMPLES).astype(np.float32)
        self._peaks.append(np.abs(blocks).max(axis=1, initial=0.0) / np.float32(32_768))
        self._pending = samples[whole:]
        self._end = item.first_sample + len(item.samples)


def _keep(analysis: Analysis, message: Message) -> None:
    if isinstance(message, Gap):
        analysis.gaps.append(message)
    elif isinstance(message, Emotion) and message.status == "final":
        analysis.emotions.append(message)


def record_of(analysis: Analysis, emotion: Emotion) -> dict[str, object]:
    """Return one final estimate as a flat record, for JSON and csv; scales are 1..5."""
    record: dict[str, object] = {
        "file": str(analysis.path),
        "utterance": emotion.utterance,
        "speaker": emotion.speaker,
        "start_s": round(emotion.start_ns / NS_PER_S, 3),
        "end_s": round(emotion.end_ns / NS_PER_S, 3),
        "text": emotion.text,
        "label": emotion.label,
        "sure": emotion.sure,
    }
    record |= {name: round(share, 4) for name, share in emotion.categorical.items()}
    record |= {name: round(value.mean, 3) for name, value in emotion.dimensional.items()}
    return record | {"modalities": sorted(emotion.modalities), "look_ahead": emotion.look_ahead}


def recordings_in(paths: Iterable[Path], suffixes: Sequence[str]) -> list[Path]:
    """Return the files named, and those with one of ``suffixes`` in the folders named.

    Of a folder, hidden files are left out: macOS leaves ``._NAME`` beside a file that it copies.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
            found += sorted(p for p in inside if not p.name.startswith("."))
        else:
            found.append(path)
    return list(dict.fromkeys(found))
