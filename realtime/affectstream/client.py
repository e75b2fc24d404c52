"""Subscribing to emotion events, from threads or from asyncio.

Knows: an inlet and the book of revisions.
Refuses to know: how estimates are made.

    from affectstream import subscribe

    for event in subscribe("tcp://127.0.0.1:5570"):
        print(event.utterance, event.label, event.revision)

Every event is news: its revision is higher than any seen before for its utterance, and ``final``
is an utterance's last. What was lost on the way is an event too, a ``Gap``.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Self

import zmq
import zmq.asyncio

from affectstream.bus import DEFAULT_ADDRESS, Endpoint, Inlet
from affectstream.core.delivery.reassembler import Positions
from affectstream.core.dialogue.revision_book import RevisionBook
from affectstream.errors import UsageError
from affectstream.messages import Emotion, Gap, Message, StreamClosed
from affectstream.timebase import NS_PER_MS

Event = Emotion | Gap | StreamClosed
EVENT_KINDS = ("emotion", "gap", "stream.closed")
_NODE = "fusion"


class _Reader:
    """What both subscribers share: an inlet and the order of revisions."""

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
        self._inlet = Inlet(
            address,
            [f"{kind}/{under}" for kind in EVENT_KINDS],
            from_start=since is not None or positions is not None,
            positions=positions,
            since={f"emotion/{session}/{_NODE}": since} if since else None,
        )
        self._news: deque[Event] = deque()
        self.revisions = RevisionBook()

    @property
    def counts(self) -> dict[str, int]:
        """What was dropped, resent or lost on the way, by reason."""
        return dict(self._inlet.counts)

    def _collect(self) -> None:
        for message in self._inlet.read():
            if self._is_news(message):
                self._news.append(message)  # type: ignore[arg-type]

    def _is_news(self, message: Message) -> bool:
        if isinstance(message, Emotion):
            return self.revisions.accept(message)
        if isinstance(message, StreamClosed):
            return message.source == _NODE
        return isinstance(message, Gap)

    def _wait_ms(self, left_ms: int) -> int:
        due_ns = self._inlet.next_wake_ns()
        if due_ns is None:
            return left_ms
        return max(1, min(left_ms, (due_ns - time.time_ns()) // NS_PER_MS + 1))

    def close(self) -> None:
        """Disconnect."""
        self._inlet.close()


class Subscriber(_Reader):
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
        end = None if timeout_s is None else time.monotonic() + timeout_s
        poller = zmq.Poller()
        for socket in self._inlet.sockets:
            poller.register(socket, zmq.POLLIN)
        self._collect()
        while not self._news:
            left_ms = 200 if end is None else min(200, int(1000 * (end - time.monotonic())))
            if left_ms < 0:
                return None
            poller.poll(self._wait_ms(max(1, left_ms)))
            self._collect()
        return self._news.popleft()

    def __iter__(self) -> Iterator[Event]:
        while True:
            event = self.receive()
            if event is not None:
                yield event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncSubscriber(_Reader):
    """The same for asyncio: ``async with AsyncSubscriber() as s: async for event in s: ...``."""

    async def receive(self) -> Event:
        """Return the next event."""
        poller = zmq.asyncio.Poller()
        for socket in self._inlet.sockets:
            poller.register(socket, zmq.POLLIN)
        self._collect()
        while not self._news:
            await poller.poll(self._wait_ms(200))
            self._collect()
        return self._news.popleft()

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
    """Yield emotion events as they come.

    Args:
        address: the hub's.
        session: one dialogue; None for all.
        since, keys: see ``Subscriber``.

    Raises:
        BusError: ``address`` is not an address, or the hub refuses us.
        UsageError: ``since`` without a session.
        SecurityError: the keys cannot be used.
    """
    with Subscriber(address, session, since=since, keys=keys) as subscriber:
        yield from subscriber
