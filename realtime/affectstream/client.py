"""Subscribing to emotion events, from threads or from asyncio.

Knows: which messages are events, and how to wait for one.
Refuses to know: order and loss on the way (``core.delivery``), and how estimates are made.

    from affectstream import subscribe

    for event in subscribe("tcp://127.0.0.1:5570"):
        print(event.utterance, event.label, event.revision)

Every event is news: its revision is higher than any seen before for its utterance, and ``final``
is an utterance's last. What was lost on the way is an event too, a ``Gap``.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Self, cast

import zmq
import zmq.asyncio

from affectstream.bus import DEFAULT_ADDRESS, Endpoint, Inlet
from affectstream.bus.wall_clock import WallClock
from affectstream.core.delivery.reassembler import Positions
from affectstream.core.dialogue.revision_book import RevisionBook
from affectstream.errors import UsageError
from affectstream.messages import Emotion, Gap, StreamClosed
from affectstream.timebase import NS_PER_MS

Event = Emotion | Gap | StreamClosed
EVENT_KINDS = ("emotion", "gap", "stream.closed")
_LONGEST_WAIT_MS = 200
"""After it the inlet is read even so, to notice that the hub refuses us."""
_NODE = "fusion"


class EventReader:
    """Reads events without waiting: what both subscribers share.

    One thread uses it: when one of ``sockets`` is readable and at ``next_wake_ns``, ``read``.

    Args, Raises: see ``Subscriber``.

    Attributes:
        revisions: the latest estimate of each utterance.
    """

    def __init__(
        self,
        address: str | Endpoint = DEFAULT_ADDRESS,
        session: str | None = None,
        *,
        since: int | None = None,
        positions: Positions | None = None,
        keys: str | Path | None = None,
    ) -> None:
        if since is not None and session is None:
            raise UsageError("events are numbered by dialogue; name the session with since")
        if keys is not None:
            address = Endpoint.open(str(address), Path(keys))
        under = f"{session}/" if session else ""
        self._now = WallClock().now_ns
        self._inlet = Inlet(
            address,
            [f"{kind}/{under}" for kind in EVENT_KINDS],
            from_start=since is not None or positions is not None,
            positions=positions,
            since={f"emotion/{session}/{_NODE}": since} if since else None,
            clock=self._now,
        )
        self._events: deque[Event] = deque()
        self.sockets = self._inlet.sockets
        self.revisions = RevisionBook()

    @property
    def counts(self) -> dict[str, int]:
        """What was dropped, resent or lost on the way, by reason."""
        return dict(self._inlet.counts)

    def read(self) -> list[Event]:
        """Return the events that have come.

        Raises:
            BusError: the hub refuses us.
        """
        self._collect()
        events = list(self._events)
        self._events.clear()
        return events

    def next_wake_ns(self) -> int | None:
        """Return when to read though nothing has come, in nanoseconds since 1970."""
        return self._inlet.next_wake_ns()

    def _collect(self) -> None:
        for message in self._inlet.read():
            match message:
                case Emotion() if self.revisions.accept(message):
                    self._events.append(message)
                case StreamClosed() if message.source == _NODE:
                    self._events.append(message)
                case Gap():
                    self._events.append(message)

    def _next(self) -> Event | None:
        """Return the next event, or None if none has come."""
        self._collect()
        return self._events.popleft() if self._events else None

    def _wait_ms(self, longest_ms: float = _LONGEST_WAIT_MS) -> int:
        """Return how long to wait for the sockets before ``_next`` is called again."""
        due_ns = self.next_wake_ns()
        due_ms = math.inf if due_ns is None else (due_ns - self._now()) // NS_PER_MS + 1
        return max(1, int(min(longest_ms, due_ms, _LONGEST_WAIT_MS)))

    def close(self) -> None:
        """Disconnect."""
        self._inlet.close()


class Subscriber(EventReader):
    """Iterate over it to receive events for ever, or ``receive`` one with a time limit.

    Args:
        address: the hub's.
        session: one dialogue; None for all.
        since: the number (``Emotion.seq``) of the first event of the dialogue that is wanted;
            None for what is open, as it is now. A node with a journal has them all.
        positions: where a subscriber before this one ended: epoch -> topic -> the first number
            that it had not had. Then nothing is missed, and nothing comes twice.
        keys: the folder of keys that the hub knows us by; needed off loopback.

    Raises:
        BusError: ``address`` is not an address.
        UsageError: ``since`` without a session.
        SecurityError: the keys cannot be used.
    """

    def receive(self, timeout_s: float | None = None) -> Event | None:
        """Return the next event, or None when ``timeout_s`` has passed without one.

        Raises:
            BusError: the hub refuses us.
        """
        end_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        poller = zmq.Poller()
        for socket in self.sockets:
            poller.register(socket, zmq.POLLIN)
        while (event := self._next()) is None:
            left_ms = 1000 * (end_s - time.monotonic())
            if left_ms <= -1:  # so that a limit of 0 waits once, for a millisecond
                return None
            poller.poll(self._wait_ms(left_ms))
        return event

    def __iter__(self) -> Iterator[Event]:
        while True:
            event = self.receive()
            if event is not None:
                yield event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncSubscriber(EventReader):
    """The same for asyncio: ``async with AsyncSubscriber() as s: async for event in s: ...``."""

    async def receive(self) -> Event:
        """Return the next event.

        Raises:
            BusError: the hub refuses us.
        """
        poller = zmq.asyncio.Poller()
        for socket in self.sockets:
            poller.register(socket, zmq.POLLIN)
        while (event := self._next()) is None:
            await poller.poll(self._wait_ms())
        return event

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            yield await self.receive()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


def subscribe(
    address: str | Endpoint = DEFAULT_ADDRESS,
    session: str | None = None,
    *,
    since: int | None = None,
    keys: str | Path | None = None,
) -> Iterator[Event]:
    """Connect, and return an iterator over emotion events as they come.

    Args:
        address: the hub's.
        session: one dialogue; None for all.
        since, keys: see ``Subscriber``.

    Raises:
        BusError: ``address`` is not an address; while iterating, that the hub refuses us.
        UsageError: ``since`` without a session.
        SecurityError: the keys cannot be used.
    """
    events = _events_of(Subscriber(address, session, since=since, keys=keys))
    next(events)  # it has begun now, and disconnects when it is dropped, even if nothing was read
    return cast("Iterator[Event]", events)


def _events_of(subscriber: Subscriber) -> Iterator[Event | None]:
    with subscriber:
        yield None
        yield from subscriber
