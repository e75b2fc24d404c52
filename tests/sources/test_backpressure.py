"""A recording that waits for its listeners, by a clock in hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from affectstream.core.capture.audio import CapturedAudio
from affectstream.messages import Gap, Message, Progress, StreamClosed, StreamOpened
from affectstream.sources import backpressure
from affectstream.sources.backpressure import BackpressuredInput, BackpressuredStream

S = 1_000_000_000
LISTENER = "asr.mic.you"


def progress(source: str, seconds: float) -> Progress:
    return Progress(session="s", source=source, watermark_ns=int(seconds * S))


class Microphone:
    """Promises what it has heard, a second at a time."""

    def __init__(self) -> None:
        self.heard = 0

    def receive(self, message: CapturedAudio, now_ns: int) -> list[Message]:
        self.heard += 1
        return [progress("mic.you", self.heard)]

    def wake(self, now_ns: int) -> list[Message]:
        return []

    def next_wake_ns(self) -> int | None:
        return None

    def close(self, now_ns: int) -> list[Message]:
        return [StreamClosed(session="s", source="mic.you", reason="test")]


@dataclass
class Endless:
    """A recording that always has the next second."""

    closed: bool = False
    exhausted: bool = False

    def fileno(self) -> int:
        return -1

    def next_read_ns(self) -> int | None:
        return 0

    def read(self, now_ns: int) -> list[CapturedAudio]:
        return [CapturedAudio(0, np.zeros(16_000, np.int16))]

    def close(self) -> None:
        self.closed = True


def play(
    stream: BackpressuredStream, recording: BackpressuredInput, turns: int, now_ns: int = 0
) -> int:
    """Return how many of ``turns`` seconds could be played."""
    played = 0
    for _ in range(turns):
        for item in recording.read(now_ns):
            stream.receive(item, now_ns)  # type: ignore[arg-type]
            played += 1
    return played


def held(listeners: int = 0) -> tuple[BackpressuredStream, BackpressuredInput]:
    stream = BackpressuredStream(Microphone(), "s", "mic.you", ahead_ns=20 * S, listeners=listeners)
    return stream, BackpressuredInput(Endless(), stream)


def test_without_a_listener_nobody_is_waited_for() -> None:
    stream, recording = held()
    assert play(stream, recording, 100) == 100


def test_it_stays_so_far_before_the_slowest_listener_and_goes_on_when_it_answers() -> None:
    stream, recording = held()
    stream.receive(progress(LISTENER, 0), 0)
    assert play(stream, recording, 100) == 20
    assert recording.next_read_ns() is None  # the answer wakes it, not the clock
    stream.receive(progress(LISTENER, 5), 0)
    assert play(stream, recording, 100) == 5
    stream.receive(progress(LISTENER, 25), 0)
    assert recording.read(0)
    assert recording.next_read_ns() == 0


def test_it_begins_when_those_who_are_expected_have_answered() -> None:
    stream, recording = held(listeners=1)
    assert play(stream, recording, 10) == 0
    stream.receive(progress(LISTENER, 0), 0)
    assert play(stream, recording, 10) == 10


def test_a_listener_that_goes_is_not_waited_for() -> None:
    stream, recording = held()
    stream.receive(progress(LISTENER, 0), 0)
    assert play(stream, recording, 100) == 20
    stream.receive(StreamClosed(session="s", source=LISTENER, reason="test"), 0)
    assert play(stream, recording, 100) == 100


def test_a_listener_that_falls_silent_is_named_and_left_behind() -> None:
    stream, recording = held()
    stream.receive(progress(LISTENER, 0), 0)
    assert play(stream, recording, 100) == 20
    assert play(stream, recording, 1, backpressure.LISTENER_WAIT_NS - 1) == 0
    assert play(stream, recording, 100, backpressure.LISTENER_WAIT_NS) == 100


def opened(source: str) -> StreamOpened:
    return StreamOpened(session="s", source=source, modality="mocap")


def in_step(*peers: str) -> tuple[BackpressuredStream, BackpressuredInput]:
    stream = BackpressuredStream(Microphone(), "s", "mic.you", peers=dict.fromkeys(peers))
    return stream, BackpressuredInput(Endless(), stream)


def test_streams_in_step_begin_when_all_have_opened_and_none_runs_ahead() -> None:
    stream, recording = in_step("face.you", "mic.ben")
    assert play(stream, recording, 10) == 0
    stream.receive(opened("face.you"), 0)
    assert play(stream, recording, 10) == 0
    stream.receive(opened("mic.ben"), 0)
    assert play(stream, recording, 10) == 2
    stream.receive(progress("face.you", 30), 0)
    assert play(stream, recording, 10) == 0, "the slower one is waited for"
    stream.receive(progress("mic.ben", 3), 0)
    assert play(stream, recording, 10) == 3
    for peer in ("face.you", "mic.ben"):
        stream.receive(StreamClosed(session="s", source=peer, reason="test"), 0)
    assert play(stream, recording, 100) == 100


def test_a_stream_in_step_that_never_comes_is_named_and_left_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream, recording = in_step("face.you")
    assert play(stream, recording, 10) == 0
    assert play(stream, recording, 10, backpressure.LISTENER_WAIT_NS) == 10
    assert "nothing comes of face.you" in caplog.text


def test_a_stream_whose_name_only_begins_alike_is_none_of_those_in_step() -> None:
    stream, recording = in_step("face.you")
    stream.receive(opened("face.yourself"), 0)
    assert play(stream, recording, 10) == 0


def test_other_messages_and_the_end_pass() -> None:
    stream, recording = held()
    gap = Gap(session="s", source=LISTENER, of=LISTENER, lost="progress", count=1, reason="test")
    assert stream.receive(gap, 0) == []
    assert stream.prefixes == (f"progress/s/{LISTENER}", f"stream.closed/s/{LISTENER}")
    assert stream.wake(0) == []
    assert stream.next_wake_ns() is None
    assert [type(m) for m in stream.close(0)] == [StreamClosed]
    assert (recording.exhausted, recording.fileno()) == (False, -1)
    recording.close()
