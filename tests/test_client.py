"""Both subscribers against a real hub; the node is an outlet that says what the test wants."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from affectstream import AsyncSubscriber, Subscriber, subscribe
from affectstream.bus import BusError, Hub
from affectstream.bus.keys import SecurityError
from affectstream.client import EVENT_KINDS, Event
from affectstream.errors import UsageError
from affectstream.messages import Emotion, Gap, StreamClosed
from affectstream.run.processes import free_address
from bus_helpers import closed, emotion, opened, wait_for_subscriptions
from command_lines import DEADLINE_S, Publisher


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    with Hub(free_address()) as running:
        yield running.address


@pytest.fixture
def publisher(hub: str) -> Iterator[Publisher]:
    with Publisher(hub) as running:
        yield running


def said(number: int, revision: int, status: str, session: str = "s1") -> Emotion:
    known = emotion(number, revision, session=session)
    return msgspec.structs.replace(known, status=status)


def gap(session: str = "s1") -> Gap:
    return Gap(
        session=session, source="fusion", of="mic.anna", lost="audio", count=3, reason="a test"
    )


def greet(publisher: Publisher, subscriber: Subscriber, session: str) -> None:
    """Return once the subscriber hears the publisher."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        publisher.publish(gap(session))
        event = subscriber.receive(timeout_s=0.1)
        if isinstance(event, Gap):
            while subscriber.receive(timeout_s=0.05) is not None:
                pass
            return
    raise AssertionError("the subscriber heard nothing")


def told(event: Event | None) -> tuple[str, int, str] | str:
    if isinstance(event, Emotion):
        return (event.utterance, event.revision, event.status)
    return type(event).__name__


def take(subscriber: Subscriber, count: int) -> list[tuple[str, int, str] | str]:
    return [told(subscriber.receive(timeout_s=DEADLINE_S)) for _ in range(count)]


def test_events_come_in_the_order_of_revisions_and_the_overtaken_are_left_out(
    hub: str, publisher: Publisher
) -> None:
    with Subscriber(hub, session="order") as subscriber:
        greet(publisher, subscriber, "order")
        publisher.publish(
            said(1, 0, "provisional", "order"),
            said(2, 0, "provisional", "order"),
            said(1, 2, "revised", "order"),
            said(1, 1, "revised", "order"),
            said(1, 3, "final", "order"),
            said(1, 4, "revised", "order"),
            said(2, 1, "final", "order"),
        )
        assert take(subscriber, 5) == [
            ("anna-0001", 0, "provisional"),
            ("anna-0002", 0, "provisional"),
            ("anna-0001", 2, "revised"),
            ("anna-0001", 3, "final"),
            ("anna-0002", 1, "final"),
        ]
        assert subscriber.receive(timeout_s=0.1) is None
        latest = subscriber.revisions.latest("order")
    assert [(e.utterance, e.status) for e in latest] == [
        ("anna-0001", "final"),
        ("anna-0002", "final"),
    ]


def test_a_late_subscriber_gets_the_last_state_of_an_open_dialogue(
    hub: str, publisher: Publisher
) -> None:
    publisher.publish(
        opened("fusion", "late"),
        said(1, 0, "provisional", "late"),
        said(2, 0, "provisional", "late"),
        said(1, 1, "revised", "late"),
    )
    with Subscriber(hub, session="late") as subscriber:
        assert take(subscriber, 2) == [("anna-0002", 0, "provisional"), ("anna-0001", 1, "revised")]
        publisher.publish(said(2, 1, "final", "late"))
        assert take(subscriber, 1) == [("anna-0002", 1, "final")]


def test_a_whole_dialogue_that_ends_while_the_reader_gets_to_know_the_node_is_heard(
    hub: str, publisher: Publisher
) -> None:
    with Subscriber(hub, session="short") as subscriber:
        wait_for_subscriptions(hub, *(f"{kind}/short/" for kind in EVENT_KINDS))
        with Subscriber(hub, session="other") as other:
            greet(publisher, other, "other")  # what was subscribed to before has come there too
        publisher.publish(
            opened("fusion", "short"), said(1, 0, "final", "short"), closed("fusion", "short")
        )
        assert take(subscriber, 2) == [("anna-0001", 0, "final"), "StreamClosed"]


def test_what_was_lost_and_that_a_dialogue_ended_are_events_but_a_workers_end_is_not(
    hub: str, publisher: Publisher
) -> None:
    with Subscriber(hub, session="loss") as subscriber:
        greet(publisher, subscriber, "loss")
        publisher.publish(gap("loss"), closed("mic.anna", "loss"), closed("fusion", "loss"))
        lost, ended = (subscriber.receive(timeout_s=DEADLINE_S) for _ in range(2))
    assert isinstance(lost, Gap)
    assert (lost.of, lost.lost, lost.count) == ("mic.anna", "audio", 3)
    assert isinstance(ended, StreamClosed)


def test_a_subscriber_to_one_dialogue_hears_nothing_of_another(
    hub: str, publisher: Publisher
) -> None:
    with Subscriber(hub, session="mine") as mine, Subscriber(hub) as everything:
        greet(publisher, mine, "mine")
        publisher.publish(said(1, 0, "final", "yours"), said(2, 0, "final", "mine"))
        assert take(mine, 1) == [("anna-0002", 0, "final")]
        heard: list[str] = []
        while "mine" not in heard:
            event = everything.receive(timeout_s=DEADLINE_S)
            assert event is not None
            heard += [event.session] if isinstance(event, Emotion) else []
        assert heard[-2:] == ["yours", "mine"]


@pytest.mark.parametrize("with_hub", [True, False])
def test_receive_returns_none_when_the_time_has_passed(hub: str, with_hub: bool) -> None:
    address = hub if with_hub else free_address()
    with Subscriber(address, session="silent") as subscriber:
        began = time.monotonic()
        assert subscriber.receive(timeout_s=0.05) is None
        assert subscriber.receive(timeout_s=0.0) is None
        assert time.monotonic() - began < 5.0


def test_subscribe_yields_and_disconnects_when_the_loop_is_left(
    hub: str, publisher: Publisher
) -> None:
    publisher.publish(opened("fusion", "loop"), said(1, 0, "provisional", "loop"))
    events = subscribe(hub, session="loop")
    assert told(next(events)) == ("anna-0001", 0, "provisional")
    events.close()


@pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1", "http://127.0.0.1:5570"])
def test_subscribe_refuses_what_it_cannot_use_when_it_is_called(
    address: str, tmp_path: Path
) -> None:
    with pytest.raises(BusError, match="address"):
        subscribe(address)
    with pytest.raises(UsageError, match="name the session"):
        subscribe(since=3)
    with pytest.raises(SecurityError):
        subscribe(keys=tmp_path / "nowhere")


def test_events_that_nobody_read_are_disconnected_with_their_iterator(
    hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    close = Subscriber.close
    monkeypatch.setattr(Subscriber, "close", lambda self: closed.append(close(self)))
    events = subscribe(hub)
    assert not closed
    del events
    assert len(closed) == 1


@pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1", "http://127.0.0.1:5570"])
def test_what_is_no_address_is_refused_with_a_remedy(address: str) -> None:
    with pytest.raises(BusError, match=r"write tcp://127\.0\.0\.1:5570"):
        next(subscribe(address))


def test_asyncio_hears_the_same(hub: str, publisher: Publisher) -> None:
    async def follow() -> list[object]:
        got: list[object] = []
        async with AsyncSubscriber(hub, "async") as subscriber:
            async for event in subscriber:
                got.append(told(event))
                if len(got) == 1:
                    publisher.publish(said(1, 1, "final", "async"), closed("fusion", "async"))
                if isinstance(event, StreamClosed):
                    break
        return got

    publisher.publish(opened("fusion", "async"), said(1, 0, "provisional", "async"))
    assert asyncio.run(asyncio.wait_for(follow(), DEADLINE_S)) == [
        ("anna-0001", 0, "provisional"),
        ("anna-0001", 1, "final"),
        "StreamClosed",
    ]


def test_a_cancelled_receive_loses_nothing_and_the_rest_of_the_loop_goes_on(
    hub: str, publisher: Publisher
) -> None:
    async def follow() -> tuple[object, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        async with AsyncSubscriber(hub, "cancel") as subscriber:
            ticking = asyncio.create_task(tick())
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(subscriber.receive(), 0.1)
            publisher.publish(opened("fusion", "cancel"), said(1, 0, "provisional", "cancel"))
            event = await asyncio.wait_for(subscriber.receive(), DEADLINE_S)
            ticking.cancel()
        return told(event), ticks

    event, ticks = asyncio.run(follow())
    assert event == ("anna-0001", 0, "provisional")
    assert ticks >= 10


def test_cancelling_a_task_that_subscribes_closes_it(hub: str) -> None:
    closes: list[bool] = []

    async def listen() -> None:
        async with AsyncSubscriber(hub, "nobody") as subscriber:
            try:
                async for _ in subscriber:
                    raise AssertionError("nobody speaks")
            finally:
                closes.append(True)

    async def cancel() -> None:
        task = asyncio.create_task(listen())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert closes == [True]


def test_a_subscriber_may_begin_at_a_number_of_a_dialogue(publisher: Publisher, hub: str) -> None:
    for number in range(6):
        publisher.publish(said(number, 0, "final", session="numbered"))
    with Subscriber(hub, "numbered", since=3) as subscriber:
        events = [subscriber.receive(timeout_s=DEADLINE_S) for _ in range(3)]
    assert [event.seq for event in events if isinstance(event, Emotion)] == [3, 4, 5]


def test_numbers_without_a_dialogue_are_refused(hub: str) -> None:
    with pytest.raises(UsageError, match="name the session with since"):
        Subscriber(hub, since=3)
