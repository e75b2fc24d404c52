"""Turns a corpus's dialogue into messages in the order of event time.

Knows: which streams a derived set and a raw copy have, and when each message is published.
Refuses to know: pace, sockets, labels.

A script is a sequence of instants. Each has the messages that are due by then, then every stream's
watermark, and last the time itself: a ``progress`` message of the source ``corpus`` with
``now_ns``, which sets the session's clock.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from affectstream.corpus.dialogues import CorpusDialogue, CorpusUtterance
from affectstream.corpus.raw_media import find_channels
from affectstream.corpus.raw_streams import (
    TimedMessage,
    acoustic_messages,
    audio_messages,
    motion_messages,
)
from affectstream.messages import (
    Message,
    Observation,
    Progress,
    StreamClosed,
    StreamOpened,
    Transcript,
    UtteranceEnded,
    UtteranceStarted,
)
from affectstream.timebase import NS_PER_MS

CLOCK, SPEECH, TEXT = "corpus", "corpus.speech", "corpus.text"  # names of streams

GRID_NS = 100 * NS_PER_MS
"""Time between the instants of a raw copy. Those of a derived set are its utterances' bounds."""


@dataclass(frozen=True, slots=True)
class ScriptInstant:
    """The messages of one session that are published at one instant of event time."""

    session: str
    at_ns: int
    messages: tuple[Message, ...]

    @property
    def ticks(self) -> bool:
        """Whether it sets the session's clock, which the node answers."""
        return any(isinstance(m, Progress) and m.now_ns is not None for m in self.messages)


Script = Iterator[ScriptInstant]


def derived_script(dialogue: CorpusDialogue, transcript_delay_ns: int = 0) -> Script:
    """Yield the script of a dialogue of the derived set: statistics and transcripts.

    An utterance's statistics come when it ends, its transcript ``transcript_delay_ns`` later.
    """
    name = dialogue.id
    streams = [
        StreamOpened(session=name, source=SPEECH, modality="speech"),
        StreamOpened(session=name, source=TEXT, modality="text", of=SPEECH),
    ]
    events = sorted(
        event
        for rank, utterance in enumerate(dialogue.utterances)
        for event in (
            *_bounds(utterance, SPEECH, 4 * rank),
            *_observation(utterance, 4 * rank + 2),
            _transcript(utterance, 4 * rank + 3, transcript_delay_ns),
        )
    )
    return _play(name, streams, events, {TEXT: transcript_delay_ns}, grid_ns=1)


def raw_script(
    dialogue: CorpusDialogue, transcript_delay_ns: int = 0, *, transcripts: bool = True
) -> Script:
    """Yield the script of a dialogue of a raw copy: audio, descriptors, motion and transcripts.

    Utterances begin and end where the corpus says, so that its labels fit.

    Args:
        transcript_delay_ns: how long after an utterance's end its transcript comes.
        transcripts: False leaves the words to a transcript worker that listens to the audio.

    Raises:
        CorpusError: a recording cannot be read.
    """
    name, recording = dialogue.id, dialogue.recording
    channels = find_channels(dialogue).of if recording and recording.wav else {}
    speakers = sorted({utterance.speaker for utterance in dialogue.utterances} | channels.keys())
    streams = [
        StreamOpened(session=name, source=f"mic.{speaker}", modality="speech", speaker=speaker)
        for speaker in speakers
    ]
    sources: list[Iterable[TimedMessage]] = [_utterance_bounds(dialogue)]
    for speaker, channel in channels.items():
        sources.append(audio_messages(dialogue, speaker, channel))
        sources.append(acoustic_messages(dialogue, speaker, channel))
    if transcripts:
        streams.append(StreamOpened(session=name, source=TEXT, modality="text"))
        sources.append(_transcripts(dialogue, transcript_delay_ns))
    if recording is not None and recording.mocap:
        who = recording.mocap_speaker
        face = StreamOpened(session=name, source=f"face.{who}", modality="mocap", speaker=who)
        streams.append(face)
        sources.append(motion_messages(dialogue, who))
    events = heapq.merge(*sources, key=lambda event: event[0])
    return _play(name, streams, events, {TEXT: transcript_delay_ns}, grid_ns=GRID_NS)


def _utterance_bounds(dialogue: CorpusDialogue) -> list[TimedMessage]:
    return sorted(
        event
        for rank, utterance in enumerate(dialogue.utterances)
        for event in _bounds(utterance, f"mic.{utterance.speaker}", 4 * rank)
    )


def _transcripts(dialogue: CorpusDialogue, delay_ns: int) -> list[TimedMessage]:
    ranked = enumerate(dialogue.utterances)
    return sorted(_transcript(utterance, rank, delay_ns) for rank, utterance in ranked)


def closing(name: str, sources: Iterable[str], at_ns: int) -> ScriptInstant:
    """Return the instant that closes a session's streams."""
    return ScriptInstant(
        name,
        at_ns,
        tuple(
            StreamClosed(session=name, source=source, reason="end of dialogue", end_ns=at_ns)
            for source in (*sources, CLOCK)
        ),
    )


def _play(
    name: str,
    streams: list[StreamOpened],
    events: Iterable[TimedMessage],
    delays_ns: dict[str, int],
    *,
    grid_ns: int,
) -> Script:
    """Group events, sorted by time, into instants at multiples of ``grid_ns``."""
    sources = [stream.source for stream in streams]
    clock = StreamOpened(session=name, source=CLOCK, modality="corpus", drives_clock=True)
    yield ScriptInstant(name, 0, (clock, *streams, *_watermarks(name, sources, delays_ns, 0)))
    at_ns = 0
    group: list[Message] = []
    for due_ns, _, message in events:
        instant_ns = -(-due_ns // grid_ns) * grid_ns
        if group and instant_ns > at_ns:
            yield ScriptInstant(
                name, at_ns, (*group, *_watermarks(name, sources, delays_ns, at_ns))
            )
            group = []
        at_ns = max(at_ns, instant_ns)
        group.append(message)
    yield ScriptInstant(name, at_ns, (*group, *_watermarks(name, sources, delays_ns, at_ns)))
    yield closing(name, sources, at_ns)


def _watermarks(
    name: str, sources: list[str], delays_ns: dict[str, int], at_ns: int
) -> tuple[Progress, ...]:
    return (
        *(
            Progress(
                session=name, source=source, watermark_ns=max(0, at_ns - delays_ns.get(source, 0))
            )
            for source in sources
        ),
        Progress(session=name, source=CLOCK, watermark_ns=at_ns, now_ns=at_ns),
    )


def _bounds(
    utterance: CorpusUtterance, source: str, rank: int
) -> tuple[TimedMessage, TimedMessage]:
    started = UtteranceStarted(
        session=utterance.dialogue,
        source=source,
        utterance=utterance.id,
        speaker=utterance.speaker,
        start_ns=utterance.start_ns,
    )
    ended = UtteranceEnded(
        session=utterance.dialogue,
        source=source,
        utterance=utterance.id,
        speaker=utterance.speaker,
        start_ns=utterance.start_ns,
        end_ns=utterance.end_ns,
        reason="corpus",
    )
    return (utterance.start_ns, rank, started), (utterance.end_ns, rank + 1, ended)


def _observation(utterance: CorpusUtterance, rank: int) -> Iterator[TimedMessage]:
    if utterance.acoustic is None:
        return
    observation = Observation(
        session=utterance.dialogue,
        source=SPEECH,
        utterance=utterance.id,
        speaker=utterance.speaker,
        start_ns=utterance.start_ns,
        end_ns=utterance.end_ns,
        modality="acoustic",
        front_end="egemaps47",
        rows=1,
        columns=len(utterance.acoustic),
        payload=utterance.acoustic.astype("<f4").tobytes(),
    )
    yield utterance.end_ns, rank, observation


def _transcript(utterance: CorpusUtterance, rank: int, delay_ns: int) -> TimedMessage:
    transcript = Transcript(
        session=utterance.dialogue,
        source=TEXT,
        utterance=utterance.id,
        speaker=utterance.speaker,
        start_ns=utterance.start_ns,
        end_ns=utterance.end_ns,
        text=utterance.text or "",
        final=True,
        engine="corpus",
    )
    return utterance.end_ns + delay_ns, rank, transcript
