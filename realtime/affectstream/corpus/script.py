"""What of a corpus's dialogue is published at which instant of event time.

Knows: the streams that a derived set or a raw copy gives rise to.
Refuses to know: pace, sockets, labels.

A script is a sequence of instants. Everything that happens up to one is published, then every
stream's promise, and last the instant itself, as ``Progress.now_ns`` of the source ``corpus``,
which drives the session's clock.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from affectstream.corpus.dialogues import CorpusDialogue, CorpusUtterance
from affectstream.corpus.raw_acoustic import FRONT_END, HOP_NS, describe_stretch
from affectstream.corpus.raw_media import audio_blocks, find_channels, mocap_blocks
from affectstream.messages import (
    Acoustic,
    Audio,
    Gap,
    Message,
    Mocap,
    Observation,
    Progress,
    StreamClosed,
    StreamOpened,
    Transcript,
    UtteranceEnded,
    UtteranceStarted,
)
from affectstream.sources.mocap.frames import MocapLoss
from affectstream.timebase import NS_PER_MS, samples_to_ns

CLOCK, SPEECH, TEXT = "corpus", "corpus.speech", "corpus.text"
GRID_NS = 100 * NS_PER_MS
"""How far apart the instants of a raw copy are: recordings have no natural ones."""

TimedMessage = tuple[int, int, Message]
"""When it is published (event time, ns), its rank at that instant, and what."""


@dataclass(frozen=True, slots=True)
class ScriptInstant:
    """What happens in one session up to one instant of event time."""

    session: str
    at_ns: int
    messages: tuple[Message, ...]

    @property
    def ticks(self) -> bool:
        """Whether the clock is told, so that the node answers."""
        return any(isinstance(m, Progress) and m.now_ns is not None for m in self.messages)


Script = Iterator[ScriptInstant]


def derived_script(dialogue: CorpusDialogue, transcript_delay_ns: int = 0) -> Script:
    """Yield a dialogue of the derived set: statistics and transcripts of whole utterances.

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
    """Yield a dialogue of a raw copy: each speaker's channel, motion, and transcripts.

    Utterances have the corpus's bounds, so that its labels fit. Without ``transcripts`` the words
    are left to a transcript worker that listens to the audio.

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
    utterances = sorted(
        event
        for rank, utterance in enumerate(dialogue.utterances)
        for event in _bounds(utterance, f"mic.{utterance.speaker}", 4 * rank)
    )
    sources: list[Iterable[TimedMessage]] = [utterances]
    for speaker, channel in channels.items():
        sources += [_audio(dialogue, speaker, channel), _acoustic(dialogue, speaker, channel)]
    if transcripts:
        streams.append(StreamOpened(session=name, source=TEXT, modality="text"))
        sources.append(
            sorted(
                _transcript(u, rank, transcript_delay_ns)
                for rank, u in enumerate(dialogue.utterances)
            )
        )
    if recording is not None and recording.mocap:
        who = recording.mocap_speaker
        streams.append(
            StreamOpened(session=name, source=f"face.{who}", modality="mocap", speaker=who)
        )
        sources.append(_motion(dialogue, who))
    events = heapq.merge(*sources, key=lambda event: event[0])
    return _play(name, streams, events, {TEXT: transcript_delay_ns}, grid_ns=GRID_NS)


def closing(name: str, sources: Iterable[str], at_ns: int) -> ScriptInstant:
    """Return the instant that ends a session."""
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
    """Group events into instants on a grid and close each with promises and the clock."""
    sources = [stream.source for stream in streams]
    clock = StreamOpened(session=name, source=CLOCK, modality="corpus", drives_clock=True)
    yield ScriptInstant(name, 0, (clock, *streams, *_promises(name, sources, delays_ns, 0)))
    at_ns = 0
    group: list[Message] = []
    for due_ns, _, message in events:
        instant_ns = -(-due_ns // grid_ns) * grid_ns
        if group and instant_ns > at_ns:
            yield ScriptInstant(name, at_ns, (*group, *_promises(name, sources, delays_ns, at_ns)))
            group = []
        at_ns = max(at_ns, instant_ns)
        group.append(message)
    yield ScriptInstant(name, at_ns, (*group, *_promises(name, sources, delays_ns, at_ns)))
    yield closing(name, sources, at_ns)


def _promises(
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


def _audio(dialogue: CorpusDialogue, speaker: str, channel: int) -> Iterator[TimedMessage]:
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


def _acoustic(dialogue: CorpusDialogue, speaker: str, channel: int) -> Iterator[TimedMessage]:
    """Yield each utterance's descriptors when it ends, as a microphone worker has them by then."""
    described_until_ns = 0
    mine = (u for u in dialogue.utterances if u.speaker == speaker)
    for rank, utterance in enumerate(sorted(mine, key=lambda u: u.end_ns)):
        start_ns = max(utterance.start_ns, described_until_ns)
        described_until_ns = utterance.end_ns
        if start_ns >= utterance.end_ns:
            continue  # inside the one before
        rows = describe_stretch(dialogue, channel, start_ns, utterance.end_ns)
        if len(rows):
            acoustic = Acoustic(
                session=dialogue.id,
                source=f"mic.{speaker}",
                front_end=FRONT_END,
                speaker=speaker,
                start_ns=start_ns,
                hop_ns=HOP_NS,
                rows=len(rows),
                columns=rows.shape[1],
                payload=rows.astype("<f4").tobytes(),
            )
            yield utterance.end_ns, rank, acoustic


def _motion(dialogue: CorpusDialogue, speaker: str) -> Iterator[TimedMessage]:
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
