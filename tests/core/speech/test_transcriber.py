"""Transcripts from audio and utterances, with a recogniser that writes down what it hears."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from affectstream.codec import decode, encode
from affectstream.core.speech.microphone import BACKLOG_SAMPLES
from affectstream.core.speech.recognition import AudioBacklog, RecognizedWord
from affectstream.core.speech.transcriber import Transcriber
from affectstream.messages import (
    Audio,
    Gap,
    Message,
    Progress,
    StreamClosed,
    StreamOpened,
    Transcript,
    UtteranceEnded,
    UtteranceStarted,
)

ORIGIN_NS = 1_700_000_000_000_000_000
RATE_HZ = 16_000
BLOCK = 320


class Scribe:
    """Takes each run of non-zero samples for a word, and remembers all that it was given."""

    made: list[Scribe]

    def __init__(self) -> None:
        self.pcm = b""
        self.calls = 0
        self.finished = False

    def samples(self) -> np.ndarray:
        return np.frombuffer(self.pcm, np.int16)

    def words(self) -> list[RecognizedWord]:
        loud = np.flatnonzero(self.samples())
        runs = np.split(loud, np.flatnonzero(np.diff(loud) > BLOCK) + 1) if len(loud) else []
        return [
            RecognizedWord(
                f"w{int(self.samples()[run[0]])}", run[0] / RATE_HZ, run[-1] / RATE_HZ, 0.5
            )
            for run in runs
        ]

    def accept(self, pcm: bytes) -> str | None:
        assert not self.finished
        self.calls += 1
        self.pcm += pcm
        return " ".join(word.text for word in self.words())

    def finish(self) -> list[RecognizedWord]:
        self.finished = True
        return self.words()


class Scribes:
    """Makes scribes and remembers them."""

    def __init__(self) -> None:
        self.made: list[Scribe] = []

    def __call__(self) -> Scribe:
        self.made.append(Scribe())
        return self.made[-1]


def transcriber(scribes: Scribes) -> Transcriber:
    return Transcriber(scribes, session="s1", engine="scribe")


def at(ms: float) -> int:
    return ORIGIN_NS + round(ms * 1e6)


def opened(source: str = "mic.anna", speaker: str | None = "anna") -> StreamOpened:
    return StreamOpened(
        session="s1", source=source, modality="speech", speaker=speaker, start_ns=ORIGIN_NS
    )


def audio(from_ms: int, to_ms: int, value: int = 0, source: str = "mic.anna") -> list[Audio]:
    """Blocks of 20 ms in which every sample is ``value``."""
    return [
        Audio(
            session="s1",
            source=source,
            first_sample=first * 16,
            sample_rate_hz=RATE_HZ,
            start_ns=at(first),
            payload=np.full(BLOCK, value, np.int16).tobytes(),
        )
        for first in range(from_ms, to_ms, 20)
    ]


def started(number: int, ms: int, source: str = "mic.anna") -> UtteranceStarted:
    return UtteranceStarted(
        session="s1", source=source, utterance=f"anna-{number:04d}", speaker="anna", start_ns=at(ms)
    )


def ended(number: int, from_ms: int, to_ms: int, source: str = "mic.anna") -> UtteranceEnded:
    return UtteranceEnded(
        session="s1",
        source=source,
        utterance=f"anna-{number:04d}",
        speaker="anna",
        start_ns=at(from_ms),
        end_ns=at(to_ms),
    )


def progress(ms: int, source: str = "mic.anna") -> Progress:
    return Progress(session="s1", source=source, watermark_ns=at(ms))


def feed(machine: Transcriber, messages: Iterable[Message], now_ns: int = 0) -> list[Message]:
    return [answer for message in messages for answer in machine.receive(message, now_ns)]


def of(messages: list[Message], kind: type) -> list:
    return [message for message in messages if isinstance(message, kind)]


def finals(messages: list[Message]) -> list[Transcript]:
    return [t for t in of(messages, Transcript) if t.final]


def spoken(number: int = 0, offset_ms: int = 0, value: int = 7) -> list[Message]:
    """One second of silence, one of speech, half a second of silence, with its utterance."""
    o = offset_ms
    return [
        *audio(o, o + 1000),
        *audio(o + 1000, o + 1300, value),
        started(number, o + 1000),
        *audio(o + 1300, o + 2000, value),
        *audio(o + 2000, o + 2400),
        ended(number, o + 1000, o + 2000),
    ]


def test_each_microphone_gets_a_stream_of_text() -> None:
    out = feed(transcriber(Scribes()), [opened(), opened("mic.ben", "ben")])
    assert [(m.source, m.of, m.speaker, m.modality) for m in of(out, StreamOpened)] == [
        ("asr.mic.anna", "mic.anna", "anna", "text"),
        ("asr.mic.ben", "mic.ben", "ben", "text"),
    ]


def test_word_times_are_event_times() -> None:
    out = feed(transcriber(Scribes()), [opened(), *spoken()])
    (final,) = finals(out)
    assert (final.source, final.utterance, final.text) == ("asr.mic.anna", "anna-0000", "w7")
    assert (final.start_ns, final.end_ns) == (at(1000), at(2000))
    (word,) = final.words
    assert word.start_ns == at(1000)
    assert word.end_ns == pytest.approx(at(2000), abs=100_000)
    assert word.confidence == 0.5


def test_a_recogniser_hears_its_utterance_and_a_little_around_it() -> None:
    scribes = Scribes()
    feed(transcriber(scribes), [opened(), *spoken()])
    (scribe,) = scribes.made
    assert scribe.finished
    assert len(scribe.pcm) // 2 == 16 * (300 + 1000 + 400)


def test_partial_texts_come_at_most_every_200_ms_and_only_when_they_change() -> None:
    blocks = [
        *audio(0, 1300, 0),
        started(0, 1000),
        *audio(1300, 1800, 3),
        *audio(1800, 2200),
        *audio(2200, 2600, 4),
        *audio(2600, 3000),
    ]
    out = feed(transcriber(Scribes()), [opened(), *blocks])
    assert [(t.text, t.final) for t in of(out, Transcript)] == [("w3", False), ("w3 w4", False)]


def test_an_utterance_cut_at_its_longest_is_not_heard_twice() -> None:
    scribes = Scribes()
    messages = [
        opened(),
        *audio(0, 2000, 5),
        started(0, 0),
        ended(0, 0, 2000),
        *audio(2000, 2300, 6),
        started(1, 2000),
        *audio(2300, 3000, 6),
        ended(1, 2000, 3000),
    ]
    assert [t.text for t in finals(feed(transcriber(scribes), messages))] == ["w5", "w6"]


def test_missing_audio_is_silence_so_that_later_words_stay_in_place() -> None:
    messages = [
        opened(),
        *audio(0, 1300, 0),
        started(0, 1000),
        *audio(1300, 1500, 3),
        *audio(1590, 1800, 4),
        *audio(1800, 2400),
        ended(0, 1000, 1800),
    ]
    (final,) = finals(feed(transcriber(Scribes()), messages))
    assert [word.start_ns for word in final.words] == [at(1300), at(1590)]


def test_the_end_waits_for_audio_that_is_late() -> None:
    machine = transcriber(Scribes())
    out = feed(machine, [opened(), *audio(0, 1300, 3), started(0, 1000), ended(0, 1000, 1500)], 50)
    assert not finals(out)
    assert machine.next_wake_ns() == 300_000_050
    out = feed(machine, [progress(2000)])
    assert out[-1].watermark_ns < at(1500)  # nothing is promised of an end without its text
    out = feed(machine, audio(1300, 1500, 3))
    assert len(finals(out)) == 1
    assert of(out, Progress)[-1].watermark_ns == at(2000)
    assert machine.next_wake_ns() is None


def test_audio_that_never_comes_is_not_waited_for_for_ever() -> None:
    machine = transcriber(Scribes())
    feed(machine, [opened(), *audio(0, 1300, 3), started(0, 1000), ended(0, 1000, 1500)], 50)
    assert not machine.wake(300_000_049)
    assert len(finals(machine.wake(300_000_050))) == 1


def test_without_raw_audio_the_missing_text_is_said() -> None:
    machine = transcriber(Scribes())
    feed(machine, [opened(), started(0, 1000), ended(0, 1000, 1500), progress(1900)])
    out = machine.wake(10**12)
    assert [m.kind for m in out] == ["gap", "progress"]
    (gap,) = of(out, Gap)
    assert (gap.of, gap.lost, gap.count) == ("mic.anna", "audio", 8000)
    assert out[-1].watermark_ns == at(1900)


def test_audio_at_another_rate_is_not_mistaken_for_16_khz() -> None:
    machine = transcriber(Scribes())
    wrong = Audio(
        session="s1", source="mic.anna", first_sample=0, sample_rate_hz=8000, start_ns=at(0)
    )
    feed(machine, [opened(), wrong, started(0, 0), ended(0, 0, 20)])
    assert not finals(machine.wake(10**12))


def test_the_watermark_follows_the_microphone() -> None:
    out = feed(transcriber(Scribes()), [opened(), progress(100), progress(200), progress(150)])
    marks = [m.watermark_ns for m in of(out, Progress)]
    assert marks == [at(100), at(200), at(200)]


def test_a_lost_end_does_not_hold_the_next_utterance() -> None:
    messages = [opened(), *spoken()[:-1], *spoken(1, 3000, 9)]
    assert [(t.utterance, t.text) for t in finals(feed(transcriber(Scribes()), messages))] == [
        ("anna-0000", "w7"),
        ("anna-0001", "w9"),
    ]


def test_an_utterance_whose_start_was_missed_is_still_heard() -> None:
    messages = [m for m in spoken() if not isinstance(m, UtteranceStarted)]
    (final,) = finals(feed(transcriber(Scribes()), messages))
    assert final.text == "w7"


def test_two_microphones_do_not_mix() -> None:
    machine = transcriber(Scribes())
    messages = [opened(), opened("mic.ben", "ben"), *audio(0, 1000, 8, "mic.ben"), *spoken()]
    (final,) = finals(feed(machine, messages))
    assert final.text == "w7"


def test_closing_finishes_what_was_begun() -> None:
    machine = transcriber(Scribes())
    feed(machine, [opened(), *spoken()[:-1]])
    out = machine.close(0)
    assert len(finals(out)) == 1
    assert isinstance(out[-1], StreamClosed)
    assert machine.close(0) == []


def test_a_stream_that_closes_closes_its_text() -> None:
    machine = transcriber(Scribes())
    closed = StreamClosed(session="s1", source="mic.anna", reason="end of input")
    out = feed(machine, [opened(), *spoken(), closed])
    assert out[-1].source == "asr.mic.anna"
    assert isinstance(out[-1], StreamClosed)


def test_a_microphone_that_starts_again_starts_afresh() -> None:
    machine = transcriber(Scribes())
    out = feed(machine, [opened(), *spoken(), opened(), *spoken(value=9)])
    assert [t.text for t in finals(out)] == ["w7", "w9"]
    assert len(of(out, StreamOpened)) == 2


def test_strangers_are_ignored() -> None:
    machine = transcriber(Scribes())
    face = StreamOpened(session="s1", source="face.anna", modality="mocap")
    other = StreamOpened(session="s2", source="mic.anna", modality="speech", speaker="anna")
    assert not feed(machine, [face, other, progress(100, "face.anna"), progress(1, "asr.mic.x")])


def test_a_microphone_left_open_keeps_a_bounded_backlog() -> None:
    backlog = AudioBacklog(BACKLOG_SAMPLES)
    for first in range(0, 100 * RATE_HZ, BLOCK):
        backlog.add(first, bytes(2 * BLOCK))
    assert sum(len(pcm) // 2 for _, pcm in backlog.since(0)) <= BACKLOG_SAMPLES
    assert backlog.end == 100 * RATE_HZ


def test_every_message_passes_the_wire() -> None:
    for message in feed(transcriber(Scribes()), [opened(), *spoken(), progress(2400)]):
        assert decode(encode(message)) == message
