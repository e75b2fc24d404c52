"""The replay's pace and flow control, by a virtual clock."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from affectstream.core.pacing import Pacer
from affectstream.corpus.replay import NODE_WAIT_NS, CorpusReplay
from affectstream.corpus.script import CLOCK, SPEECH, TEXT, ScriptInstant, closing
from affectstream.errors import SourceError
from affectstream.messages import Message, Progress, StreamClosed, StreamOpened
from fakes import S, closed, progress


def script(name: str = "d1", instants: int = 10, step_ns: int = S) -> Iterator[ScriptInstant]:
    sources = (SPEECH, TEXT)
    opened = [StreamOpened(session=name, source=s, modality="speech") for s in sources]
    clock = StreamOpened(session=name, source=CLOCK, modality="corpus", drives_clock=True)
    yield ScriptInstant(name, 0, (clock, *opened, progress(0, CLOCK, name, now_ns=0)))
    for i in range(1, instants):
        yield ScriptInstant(
            name, i * step_ns, (progress(i * step_ns, CLOCK, name, now_ns=i * step_ns),)
        )
    yield closing(name, sources, (instants - 1) * step_ns)


def replay(
    *scripts: Iterator[ScriptInstant], speed: float = math.inf, **options: Any
) -> CorpusReplay:
    return CorpusReplay(scripts, Pacer(speed), lambda message: None, **options)


def ticks(said: list[Message]) -> list[int]:
    return [m.now_ns for m in said if isinstance(m, Progress) and m.now_ns is not None]


def answer(machine: CorpusReplay, at_ns: int, now_ns: int, session: str = "d1") -> None:
    assert machine.receive(progress(at_ns, "fusion", session), now_ns) == []


def test_never_more_than_ahead_instants_are_unanswered() -> None:
    machine = replay(script(instants=30), ahead=4)
    published = len(ticks(machine.wake(0)))
    answered = 0
    assert published == 4
    assert machine.wake(1) == []
    while answered < 30:
        answer(machine, answered * S, 1)
        answered += 1
        published += len(ticks(machine.wake(1)))
        assert published == min(30, answered + 4)


def test_an_answer_to_a_later_instant_answers_those_before_it() -> None:
    machine = replay(script(instants=30), ahead=4)
    machine.wake(0)
    answer(machine, 2 * S, 0)
    assert ticks(machine.wake(0)) == [4 * S, 5 * S, 6 * S]


def test_without_an_answer_patience_ends_exactly_after_20_s() -> None:
    machine = replay(script(instants=30), ahead=4)
    machine.wake(7 * S)
    assert machine.next_wake_ns() == 7 * S + NODE_WAIT_NS
    assert machine.wake(7 * S + NODE_WAIT_NS - 1) == []
    with pytest.raises(SourceError, match="no fusion node answers"):
        machine.wake(7 * S + NODE_WAIT_NS)


def test_every_word_of_the_node_renews_the_patience() -> None:
    machine = replay(script(instants=30), ahead=4)
    machine.wake(0)
    answer(machine, 0, 15 * S)
    machine.wake(15 * S)
    assert machine.next_wake_ns() == 15 * S + NODE_WAIT_NS
    assert machine.wake(30 * S) == []


def test_a_node_that_never_closes_the_dialogue_ends_the_patience_too() -> None:
    machine = replay(script(instants=2))
    machine.wake(0)
    answer(machine, S, 5 * S)
    assert machine.next_wake_ns() == 5 * S + NODE_WAIT_NS
    with pytest.raises(SourceError):
        machine.wake(5 * S + NODE_WAIT_NS)


def test_other_dialogues_and_other_sources_answer_nothing() -> None:
    machine = replay(script(instants=30), ahead=4)
    machine.wake(0)
    answer(machine, 9 * S, 0, session="other")
    machine.receive(progress(9 * S, "mic.anna", "d1"), 0)
    assert machine.wake(0) == []


def test_instants_are_published_when_they_are_due() -> None:
    machine = replay(script(instants=5), speed=2.0)
    assert ticks(machine.wake(100 * S)) == [0]
    assert machine.next_wake_ns() == 100 * S + S // 2
    assert machine.wake(100 * S + S // 2 - 1) == []
    assert ticks(machine.wake(100 * S + S // 2)) == [S]
    assert ticks(machine.wake(102 * S)) == [2 * S, 3 * S, 4 * S]


def test_the_wake_time_never_leads_to_a_spin() -> None:
    machine = replay(script("d1", 6), script("d2", 6), speed=3.0, ahead=2)
    now_ns = 0
    for _ in range(200):
        said = machine.wake(now_ns)
        wake_ns = machine.next_wake_ns()
        if machine.done:
            assert wake_ns is None
            break
        for at_ns in ticks(said):
            answer(machine, at_ns, now_ns, said[-1].session)
        if any(isinstance(m, StreamClosed) for m in said):
            machine.receive(closed("fusion", said[-1].session), now_ns)
            continue
        assert wake_ns is not None
        assert wake_ns > now_ns
        now_ns = wake_ns if len(ticks(said)) < 2 else now_ns + 1
    assert machine.done


def test_the_next_dialogue_begins_when_the_node_has_closed_the_one_before() -> None:
    machine = replay(script("d1", 3), script("d2", 3))
    assert {m.session for m in machine.wake(0)} == {"d1"}
    assert machine.wake(1) == []
    machine.receive(closed("mic.anna", "d1"), 1)
    assert machine.wake(1) == []
    machine.receive(closed("fusion", "d1"), 2)
    assert {m.session for m in machine.wake(2)} == {"d2"}
    assert not machine.done
    machine.receive(closed("fusion", "d2"), 3)
    assert machine.wake(3) == []
    assert machine.done


def test_a_transcript_worker_is_waited_for_where_one_listens() -> None:
    machine = replay(script(instants=30), ahead=4, listeners=1)
    machine.wake(0)
    answer(machine, 3 * S, 0)
    assert machine.wake(0) == []  # the other has not said anything yet
    machine.receive(progress(S, "asr.mic.anna", "d1"), 0)
    assert ticks(machine.wake(0)) == [4 * S, 5 * S]


def test_the_listener_hears_the_node_and_nobody_else() -> None:
    heard: list[Message] = []
    machine = CorpusReplay([script()], Pacer(), heard.append)
    machine.wake(0)
    machine.receive(progress(0, "fusion", "d1"), 0)
    machine.receive(progress(0, "asr.mic.anna", "d1"), 0)
    machine.receive(progress(0, "mic.anna", "d1"), 0)
    assert [m.source for m in heard] == ["fusion"]


def test_an_interrupted_replay_closes_its_streams() -> None:
    machine = replay(script(instants=30), ahead=4)
    machine.wake(0)
    said = machine.close(0)
    assert all(isinstance(m, StreamClosed) for m in said)
    assert {m.source for m in said} == {CLOCK, SPEECH, TEXT}
    assert {m.end_ns for m in said if isinstance(m, StreamClosed)} == {3 * S}


def test_a_replay_that_has_not_begun_or_is_done_has_nothing_to_close() -> None:
    assert replay(script()).close(0) == []
    machine = replay()
    assert machine.wake(0) == []
    assert machine.done
    assert machine.close(0) == []


def test_what_the_node_said_before_the_replay_began_is_not_about_it() -> None:
    heard: list[Message] = []
    machine = CorpusReplay(
        [script(instants=30)], Pacer(math.inf), heard.append, ahead=4, node_ran_before=True
    )
    old = Progress(session="d1", source="fusion", watermark_ns=20 * S, sent_ns=9 * S)
    machine.receive(old, 10 * S)
    machine.wake(10 * S)
    machine.receive(old, 10 * S)
    machine.receive(closed("fusion", "d1"), 10 * S)
    assert heard == []
    assert machine.wake(10 * S) == []
    new = Progress(session="d1", source="fusion", watermark_ns=0, sent_ns=10 * S)
    machine.receive(new, 10 * S)
    assert heard == [new]
    assert ticks(machine.wake(10 * S)) == [4 * S]
