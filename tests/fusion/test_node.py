"""The fusion node with an exact fake model and clocks that are advanced by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from affectstream.core.dialogue.aligner import (
    DEADLINE_NS,
    PARTIAL_NS,
    TRANSCRIPT_WAIT_NS,
    AlignedUtterance,
)
from affectstream.core.dialogue.watermark import STALL_NS
from affectstream.fusion import node as node_module
from affectstream.fusion.node import FusionNode
from affectstream.fusion.session import IDLE_NS
from affectstream.messages import (
    Emotion,
    Gap,
    Message,
    Mocap,
    Progress,
    StreamClosed,
    StreamOpened,
    Transcript,
)
from fakes import (
    MS,
    Driver,
    FakeModel,
    S,
    check_revisions,
    closed,
    ended,
    finals_of,
    observation,
    opened,
    probabilities,
    progress,
    published,
    started,
    transcript,
)


def node(look_ahead: int | None = 8, now_ns: int = S) -> Driver:
    return Driver(FusionNode(FakeModel(), look_ahead, stopwatch=lambda: 0), now_ns)


def emotions(said: list[Any]) -> list[Emotion]:
    items = [item[1] if isinstance(item, tuple) else item for item in said]
    return [item for item in items if isinstance(item, Emotion)]


def of(said: list[Any], kind: type[Message]) -> list[Any]:
    items = [item[1] if isinstance(item, tuple) else item for item in said]
    return [item for item in items if isinstance(item, kind)]


def whole(name: str, start_ns: int, end_ns: int, session: str = "s1") -> list[Message]:
    """An utterance with its evidence, and the watermarks that let it be."""
    return [
        started(name, start_ns, session=session),
        ended(name, start_ns, end_ns, session=session),
        observation(name, float(end_ns % 97), session=session),
        transcript(name, f"text of {name}", session=session),
        progress(end_ns, session=session),
        progress(end_ns, "asr.mic.anna", session=session),
    ]


def aligned(name: str, start_ns: int, end_ns: int) -> AlignedUtterance:
    return AlignedUtterance(
        name,
        "anna",
        start_ns,
        end_ns,
        observations={"acoustic": observation(name, float(end_ns % 97)).values[0]},
        text=f"text of {name}",
    )


def begin(driver: Driver, session: str = "s1") -> list[Any]:
    return driver.give(
        opened("mic.anna", session), opened("asr.mic.anna", session, modality="text")
    )


def test_the_first_message_of_a_dialogue_opens_its_stream_of_emotions() -> None:
    (message,) = begin(node())
    assert isinstance(message, StreamOpened)
    assert (message.session, message.source, message.modality) == ("s1", "fusion", "emotion")
    assert message.clock_id == "fake"


def test_a_whole_utterance_is_estimated_at_once() -> None:
    driver = node()
    begin(driver)
    (emotion,) = emotions(driver.give(*whole("u0", 0, 100)))
    assert (emotion.status, emotion.revision, emotion.text) == ("provisional", 0, "text of u0")
    expected = FakeModel().offline([aligned("u0", 0, 100)], None)[0]
    assert published(emotion) == probabilities(expected)
    assert emotion.latency_ms == {"model": 0.0, "wait": 0.0}


def test_a_missing_text_holds_the_estimate_up_for_exactly_150_ms() -> None:
    driver = node()
    begin(driver)
    assert emotions(driver.give(ended("u0", 0, 100), observation("u0"), progress(100))) == []
    ((at_ns, first),) = [x for x in driver.until(2 * S) if isinstance(x[1], Emotion)]
    assert at_ns == S + DEADLINE_NS
    assert (first.status, first.text) == ("provisional", None)
    assert first.latency_ms["wait"] == 150.0
    (second,) = emotions(driver.give(transcript("u0", "late")))
    assert (second.status, second.revision, second.text) == ("revised", 1, "late")


def test_what_comes_after_patience_has_ended_is_named_and_changes_nothing() -> None:
    driver = node()
    begin(driver)
    driver.give(ended("u0", 0, 100), observation("u0"), progress(100))
    for ms in range(0, 6000, 500):  # the transcriber lives, but promises nothing
        driver.until(S + ms * MS)
        driver.give(progress(0, "asr.mic.anna"), progress(100))
    said = driver.give(transcript("u0", "too late"))
    (gap,) = of(said, Gap)
    assert (gap.source, gap.of, gap.lost) == ("fusion", "asr.mic.anna", "transcript")
    assert emotions(said) == []
    assert driver.now_ns > S + TRANSCRIPT_WAIT_NS


def test_a_stalled_stream_is_named_once_and_blocks_nothing() -> None:
    driver = node(look_ahead=0)
    begin(driver)
    driver.give(ended("u0", 0, 100), observation("u0"), progress(100))
    driver.until(S + STALL_NS - MS)
    driver.give(progress(100))
    said = driver.until(S + STALL_NS)
    (at_ns,) = {at_ns for at_ns, _ in said}
    assert at_ns == S + STALL_NS
    (gap,) = of(said, Gap)
    assert (gap.of, gap.lost) == ("asr.mic.anna", "stream")
    (final,) = emotions(said)
    assert final.status == "final"


def test_partials_come_every_500_ms_while_speech_goes_on() -> None:
    driver = node()
    begin(driver)
    driver.give(started("u0", 0), transcript("u0", "I", final=False))
    said = driver.until(S + 3 * PARTIAL_NS)
    assert [(at_ns - S, e.status) for at_ns, e in said if isinstance(e, Emotion)] == [
        (PARTIAL_NS, "partial"),
        (2 * PARTIAL_NS, "partial"),
        (3 * PARTIAL_NS, "partial"),
    ]
    driver.give(*whole("u0", 0, 100)[1:], closed(), closed("asr.mic.anna"))
    check_revisions(emotions(driver.said))


def test_when_every_stream_has_closed_the_dialogue_is_final_and_freed() -> None:
    driver = node(look_ahead=None)
    begin(driver)
    for i in range(5):
        driver.give(*whole(f"u{i}", 100 * i, 100 * i + 90))
    assert finals_of([item for _, item in driver.said]) == {}
    driver.give(closed())
    said = driver.give(closed("asr.mic.anna"))
    offline = FakeModel().offline([aligned(f"u{i}", 100 * i, 100 * i + 90) for i in range(5)], None)
    assert [published(e) for e in emotions(said)] == [probabilities(e) for e in offline]
    assert isinstance(said[-2], Progress)
    assert isinstance(said[-1], StreamClosed)
    check_revisions(emotions(driver.said))
    assert driver.machine.sessions == {}


def test_of_too_many_streams_as_many_are_known_as_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_module, "MAX_STREAMS", 2)
    driver = node()
    driver.give(opened("mic.anna"), opened("mic.bert"), opened("mic.carl"))
    assert driver.machine.sessions["s1"].open == {"mic.anna", "mic.bert"}
    driver.give(closed("mic.anna"))
    assert "s1" in driver.machine.sessions
    driver.give(closed("mic.bert"))  # the dialogue ends with those that are known
    assert driver.machine.sessions == {}


def test_a_stream_that_closes_and_opens_again_at_once_keeps_its_dialogue() -> None:
    driver = node()
    driver.give(opened())
    said = driver.give(closed(), opened())
    assert of(said, StreamClosed) == []
    assert "s1" in driver.machine.sessions


def test_closing_the_node_makes_everything_final() -> None:
    driver = node()
    for session in ("s1", "s2"):
        begin(driver, session)
        driver.give(*whole("u0", 0, 100, session))
    said = driver.machine.close(driver.now_ns)
    assert [(e.session, e.status) for e in emotions(said)] == [("s1", "final"), ("s2", "final")]
    assert len(of(said, StreamClosed)) == 2


@pytest.mark.parametrize(
    "features",
    [
        {"columns": 46},
        {"front_end": "egemaps88"},
        {"modality": "visual"},
        {"rows": 2},
        {"rows": 0},
        {"columns": 0},
    ],
)
def test_features_that_the_model_cannot_read_are_named_and_stop_nothing(
    features: dict[str, Any],
) -> None:
    driver = node()
    begin(driver)
    (gap,) = of(driver.give(observation("u0", **features)), Gap)
    assert (gap.lost, gap.of) == ("observation", "mic.anna")
    assert len(emotions(driver.give(*whole("u0", 0, 100)))) == 1


def test_bad_times_and_unknown_utterances_stop_nothing() -> None:
    driver = node()
    begin(driver)
    driver.give(
        ended("bad", 100, 50), transcript("nobody", "who?"), started("never", 10**18), closed("x")
    )
    assert len(emotions(driver.give(*whole("u0", 0, 100)))) == 1
    driver.give(closed())
    said = driver.give(closed("asr.mic.anna"))
    assert {gap.reason for gap in of([item for _, item in driver.said], Gap)} == {
        "it ends before it starts",
        "the dialogue was closed before nobody ended",
        "the dialogue was closed before never ended",
    }
    assert len(of(said, StreamClosed)) == 1


def test_motion_that_changes_its_layout_stops_nothing() -> None:
    driver = node()
    begin(driver)
    for rows, columns in ((0, 2), (1, 2), (1, 3)):
        mocap = Mocap(
            session="s1",
            source="face.anna",
            layout="x",
            speaker="anna",
            times_ns=tuple(range(50, 50 + rows)),
            rows=rows,
            columns=columns,
            payload=bytes(4 * rows * columns),
        )
        driver.give(mocap)
    assert len(emotions(driver.give(*whole("u0", 0, 100)))) == 1


def test_a_text_without_a_dialogue_is_named() -> None:
    driver = node()
    (gap,) = driver.give(transcript("u0", "hello"))
    assert isinstance(gap, Gap)
    assert gap.reason == "its dialogue is not open"
    assert driver.give(transcript("u0", "hel", final=False), progress(5)) == []


def test_what_our_own_inlet_lost_is_said_and_what_a_worker_lost_is_not_said_again() -> None:
    driver = node()
    begin(driver)
    lost = Gap(
        session="s1", source="mic.anna", of="mic.anna", lost="audio", count=3, reason="full ring"
    )
    (said,) = driver.give(lost)
    assert (said.source, said.of, said.count) == ("fusion", "mic.anna", 3)
    worker = Gap(
        session="s1", source="mic.anna", epoch=7, of="mic.anna", lost="audio", count=3, reason="x"
    )
    assert driver.give(worker) == []


def test_the_node_does_not_listen_to_itself() -> None:
    driver = node()
    said = begin(driver)
    assert driver.give(*said) == []


def test_a_dialogue_too_many_is_refused_once_and_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_module, "MAX_SESSIONS", 2)
    driver = node()
    for session in ("s1", "s2"):
        driver.give(opened(session=session))
    (gap,) = driver.give(opened(session="s3"))
    assert (gap.session, gap.lost) == ("s3", "session")
    assert "2 dialogues are open already" in gap.reason
    assert driver.give(opened(session="s3"), transcript("u0", "x", session="s3")) == []
    driver.give(closed(session="s1"))
    assert isinstance(driver.give(opened(session="s3"))[0], StreamOpened)


@pytest.mark.parametrize("drives_clock", [False, True])
def test_a_dialogue_that_nobody_ends_is_ended_after_ten_minutes(drives_clock: bool) -> None:
    driver = node()
    driver.give(opened(modality="corpus" if drives_clock else "speech", drives_clock=drives_clock))
    said = driver.until(S + IDLE_NS - 1)
    assert of(said, StreamClosed) == []
    said = driver.until(S + IDLE_NS)
    assert len(of(said, StreamClosed)) == 1
    assert driver.machine.sessions == {}
    assert driver.machine.next_wake_ns() is None


def test_nothing_is_planned_without_dialogues() -> None:
    assert node().machine.next_wake_ns() is None


# A stream that drives the clock


def tick(now_ns: int, session: str = "s1") -> Progress:
    return progress(now_ns, "corpus", session, now_ns=now_ns)


def driven(driver: Driver, session: str = "s1") -> None:
    driver.give(opened("corpus", session, modality="corpus", drives_clock=True))
    begin(driver, session)


def test_a_driven_dialogue_is_stepped_at_its_ticks_and_answers_each() -> None:
    driver = node()
    driven(driver)
    assert driver.give(*whole("u0", 0, 100)) == []
    driver.until(S + 60 * S)
    emotion, answer = driver.machine.receive(tick(100), driver.now_ns)
    assert isinstance(emotion, Emotion)
    assert isinstance(answer, Progress)
    assert (answer.source, answer.watermark_ns) == ("fusion", 100)
    assert emotion.latency_ms == {"wait": 0.0001}  # of its own time


def test_deadlines_of_a_driven_dialogue_lie_on_its_own_clock() -> None:
    driver = node()
    driven(driver)
    driver.give(tick(1000), ended("u0", 0, 1000), observation("u0"), progress(1000))
    assert emotions(driver.give(tick(1000 + DEADLINE_NS - 1))) == []
    (first,) = emotions(driver.give(tick(1000 + DEADLINE_NS)))
    assert (first.status, first.latency_ms) == ("provisional", {"wait": 150.0})
    assert emotions(driver.give(tick(500))) == []  # its clock does not run backwards
    said = driver.give(
        tick(1000 + TRANSCRIPT_WAIT_NS), transcript("u0", "late"), tick(2000 + TRANSCRIPT_WAIT_NS)
    )
    assert [gap.lost for gap in of(said, Gap)] == ["transcript"]


def test_the_clock_of_a_driven_dialogue_does_not_run_backwards() -> None:
    driver = node()
    driven(driver)
    answers = of(driver.give(tick(1_000), tick(500), tick(2_000)), Progress)
    assert [answer.watermark_ns for answer in answers] == [1_000, 1_000, 2_000]


@pytest.mark.parametrize("drives_clock", [False, True])
def test_the_time_on_the_wire_is_said_where_both_clocks_are_one(drives_clock: bool) -> None:
    driver = node()
    if drives_clock:
        driven(driver)
    else:
        begin(driver)
    pieces = [msgspec.structs.replace(m, sent_ns=S - 5 * MS) for m in whole("u0", 0, 100)]
    said = driver.give(*pieces, *([tick(100)] if drives_clock else []))
    (emotion,) = emotions(said)
    assert emotion.latency_ms.get("wire") == (None if drives_clock else 5.0)


def test_silence_means_nothing_in_a_driven_dialogue() -> None:
    driver = node()
    driven(driver)
    driver.until(S + 10 * STALL_NS)
    assert of(driver.give(tick(10 * STALL_NS)), Gap) == []


def test_a_driven_dialogue_ends_with_its_streams() -> None:
    driver = node()
    driven(driver)
    driver.give(*whole("u0", 0, 100), tick(100))
    said = driver.give(closed(), closed("asr.mic.anna"), closed("corpus"))
    assert [e.status for e in emotions(said)] == ["final"]
    (last,) = of(said, StreamClosed)
    assert last.end_ns == 100
    assert driver.machine.sessions == {}


# Many dialogues


def play_alone(session: str, count: int) -> list[Emotion]:
    driver = node(look_ahead=2)
    begin(driver, session)
    for i in range(count):
        driver.give(*whole(f"u{i}", 100 * i, 100 * i + 90, session))
    driver.give(closed(session=session), closed("asr.mic.anna", session))
    return emotions(driver.said)


def test_many_dialogues_stepped_as_one_batch_are_as_each_alone() -> None:
    driver = node(look_ahead=2)
    sessions = [f"s{i}" for i in range(40)]
    for session in sessions:
        begin(driver, session)
    for i in range(6):
        before = driver.machine._model.batches
        driver.give(
            *(
                m
                for n, s in enumerate(sessions)
                if i <= n % 7
                for m in whole(f"u{i}", 100 * i, 100 * i + 90, s)
            )
        )
        assert driver.machine._model.batches <= before + 2  # the newest, then the windows
    driver.give(*(closed(source, s) for s in sessions for source in ("mic.anna", "asr.mic.anna")))
    together = emotions(driver.said)
    check_revisions(together)
    for n, session in enumerate(sessions):
        mine = [e for e in together if e.session == session]
        alone = play_alone(session, min(6, n % 7 + 1))
        assert {(e.utterance, e.revision, e.status, *published(e)) for e in mine} == {
            (e.utterance, e.revision, e.status, *published(e)) for e in alone
        }
    assert driver.machine.sessions == {}


def test_ten_thousand_utterances_keep_the_node_small() -> None:
    driver = node(look_ahead=3)
    begin(driver)
    for i in range(10_000):
        pieces = whole(f"u{i}", 100 * i, 100 * i + 90)
        if i % 500 == 0:  # never ends, but has partials
            pieces += [started(f"x{i}", 100 * i + 95), transcript(f"x{i}", "hm", final=False)]
        driver.give(*pieces)
        driver.until(driver.now_ns + 200 * MS)
        driver.said.clear()
    session = driver.machine.sessions["s1"]
    assert len(session.context.utterances) <= 4
    assert len(session.aligner._waiting) <= 1024
    assert len(session.aligner._done) <= 1024
    assert len(session.context._partial_revisions) <= 2048
    assert len(driver.machine._plans) < 2_000
    assert len(driver.machine._dirty) <= 1


def test_messages_that_are_not_for_the_node_do_nothing() -> None:
    driver = node()
    begin(driver)
    guess = transcript("u0", "gu", final=False)
    assert isinstance(guess, Transcript)
    assert driver.give(guess) == []


def test_motion_that_did_not_change_revises_nothing_when_the_utterance_is_complete() -> None:
    driver = node()
    begin(driver)
    driver.give(opened("face.anna", modality="mocap"))
    mocap = Mocap(
        session="s1",
        source="face.anna",
        layout="x",
        speaker="anna",
        times_ns=(10, 20),
        rows=2,
        columns=3,
        payload=bytes(24),
    )
    driver.give(mocap, *whole("u0", 0, 100))
    (first,) = [x for _, x in driver.until(S + DEADLINE_NS) if isinstance(x, Emotion)]
    assert first.status == "provisional"
    assert emotions(driver.give(progress(100, "face.anna"))) == []


def test_an_utterance_older_than_a_final_is_named() -> None:
    driver = node(look_ahead=0)
    begin(driver)
    assert emotions(driver.give(*whole("u1", 500, 600)))[0].status == "final"
    said = driver.give(*whole("u0", 0, 100))
    (gap,) = of(said, Gap)
    assert (gap.lost, gap.count) == ("utterance", 1)
    assert emotions(said)[0].status == "final"
