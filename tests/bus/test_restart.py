"""Outlets and readers that are started again, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from affectstream.bus import Hub, Inlet, Outlet
from affectstream.bus.journal import Journal
from affectstream.core.delivery.retention import Ring
from affectstream.messages import Emotion, Message, Progress
from affectstream.run.processes import free_address
from bus_helpers import closed, emotion, opened, progress, serve_until, transcript


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def address(stack: ExitStack) -> str:
    return stack.enter_context(Hub(free_address())).address


def started(address: str, path: Path, *, regenerated: bool = False) -> tuple[Outlet, Journal]:
    journal = Journal(path)
    return Outlet(address, ring=journal, regenerated=regenerated), journal


def killed(outlet: Outlet, journal: Journal) -> None:
    outlet.close(linger_ms=0)  # whatever was not sent yet is lost
    journal._opened.close()


def reader(stack: ExitStack, address: str, *prefixes: str, **options: object) -> Inlet:
    inlet = Inlet(address, prefixes, **options)  # type: ignore[arg-type]
    stack.callback(inlet.close)
    return inlet


def numbers(messages: list[Message]) -> list[int]:
    return [m.seq for m in messages if isinstance(m, Emotion)]


def test_an_outlet_with_a_journal_goes_on_and_what_was_not_sent_is_asked_for(
    stack: ExitStack, address: str, tmp_path: Path
) -> None:
    inlet = reader(stack, address, "emotion/", from_start=True)
    got: list[Message] = []
    outlet, journal = started(address, tmp_path / "journal")
    outlet.publish(opened("fusion"))
    outlet.publish(emotion(0))
    serve_until(lambda: len(got) == 1, outlets=[outlet], inlets=[(inlet, got)])
    for number in range(1, 50):
        outlet.publish(emotion(number))
    killed(outlet, journal)
    outlet, journal = started(address, tmp_path / "journal")
    stack.callback(journal.close)
    stack.callback(outlet.close, linger_ms=0)
    outlet.publish(emotion(50))
    serve_until(lambda: len(got) >= 51, outlets=[outlet], inlets=[(inlet, got)])
    assert numbers(got) == list(range(51))
    assert [m.utterance for m in got if isinstance(m, Emotion)][-1] == "anna-0050"
    assert len({m.epoch for m in got}) == 1


def test_the_end_that_was_kept_but_not_sent_is_learned_from_heartbeats(
    stack: ExitStack, address: str, tmp_path: Path
) -> None:
    outlet, journal = started(address, tmp_path / "journal")
    outlet.publish(opened("fusion"))
    outlet.publish(emotion(0))
    outlet.publish(closed("fusion"))
    killed(outlet, journal)
    inlet, got = reader(stack, address, "emotion/", "stream.closed/", from_start=True), []
    outlet, journal = started(address, tmp_path / "journal")
    stack.callback(journal.close)
    stack.callback(outlet.close, linger_ms=0)
    serve_until(lambda: len(got) >= 2, outlets=[outlet], inlets=[(inlet, got)])
    assert [m.kind for m in got] == ["emotion", "stream.closed"]


def test_what_is_published_again_from_the_start_is_sent_once(
    stack: ExitStack, address: str, tmp_path: Path
) -> None:
    inlet, got = reader(stack, address, "", from_start=True), []
    script: list[Message] = [opened()]
    for number in range(20):
        script += [transcript(number), progress(number + 1)]
    script.append(closed())
    outlet, journal = started(address, tmp_path / "journal", regenerated=True)
    for message in script[:21]:
        outlet.publish(message)
    serve_until(lambda: len(got) >= 21, outlets=[outlet], inlets=[(inlet, got)])
    killed(outlet, journal)
    outlet, journal = started(address, tmp_path / "journal", regenerated=True)
    stack.callback(journal.close)
    stack.callback(outlet.close, linger_ms=0)
    for message in script:
        outlet.publish(message)
    serve_until(
        lambda: any(m.kind == "stream.closed" for m in got),
        outlets=[outlet],
        inlets=[(inlet, got)],
    )
    assert [m.seq for m in got if m.kind == "transcript"] == list(range(20))
    assert [m.kind for m in got].count("stream.opened") == 1
    marks = [m.watermark_ns for m in got if isinstance(m, Progress)]
    assert marks == sorted(marks)


@pytest.mark.parametrize("kept", [True, False])
def test_a_reader_that_is_started_again_gets_the_rest_in_the_order_of_publication(
    stack: ExitStack, address: str, kept: bool
) -> None:
    outlet = Outlet(address, ring=Ring(1 << 20 if kept else 2_000))
    stack.callback(outlet.close, linger_ms=0)
    first, got = Inlet(address, ("emotion/", "transcript/"), from_start=True), []
    for number in range(10):
        outlet.publish(emotion(number, source="mic.anna"))
        outlet.publish(transcript(number))
    serve_until(
        lambda: any(m.seq == 9 and m.kind == "transcript" for m in got),
        outlets=[outlet],
        inlets=[(first, got)],
    )
    positions = first.positions
    first.close()
    for number in range(10, 30):
        outlet.publish(emotion(number, source="mic.anna"))
        outlet.publish(transcript(number))
    second = reader(stack, address, "emotion/", "transcript/", from_start=True, positions=positions)
    rest: list[Message] = []
    outlet.publish(progress(1))
    serve_until(
        lambda: any(m.seq == 29 and m.kind == "transcript" for m in rest),
        outlets=[outlet],
        inlets=[(second, rest)],
    )
    if kept:
        expected = [(k, n) for n in range(10, 30) for k in ("emotion", "transcript")]
        assert [(m.kind, m.seq) for m in rest] == expected
    else:
        assert sum(m.count for m in rest if m.kind == "gap") == sum(  # type: ignore[attr-defined]
            1 for k in ("emotion", "transcript") for n in range(10, 30)
            if (k, n) not in {(m.kind, m.seq) for m in rest}
        )  # fmt: skip


def test_a_reader_may_begin_at_a_number(stack: ExitStack, address: str) -> None:
    outlet = Outlet(address)
    stack.callback(outlet.close, linger_ms=0)
    for number in range(20):
        outlet.publish(emotion(number))
    inlet, got = (
        reader(stack, address, "emotion/", from_start=True, since={"emotion/s1/fusion": 12}),
        [],
    )
    serve_until(lambda: len(got) >= 8, outlets=[outlet], inlets=[(inlet, got)])
    assert numbers(got) == list(range(12, 20))


def test_a_late_reader_learns_of_thousands_of_streams(stack: ExitStack, address: str) -> None:
    outlet = Outlet(address)
    stack.callback(outlet.close, linger_ms=0)
    for number in range(2_000):
        outlet.publish(opened("fusion", session=f"session-{number:05d}"))
    inlet, got = reader(stack, address, "stream.opened/"), []
    outlet.publish(opened("fusion", session="the-last"))
    serve_until(lambda: len(got) >= 2_001, outlets=[outlet], inlets=[(inlet, got)])
    assert len({m.session for m in got}) == 2_001
    assert inlet.counts["bad answer"] == 0
