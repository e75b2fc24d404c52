"""An outlet publishes: it numbers messages, keeps the latest, and answers requests for them.

Knows: the two sockets of a publisher, and how long it may be kept from its owner's work.
Refuses to know: who reads, what the messages mean, how they are numbered and what is answered
(``core.delivery``).
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import zmq

from affectstream.bus.endpoint import Endpoint
from affectstream.bus.handshakes import HandshakeWatch
from affectstream.bus.sockets import close, connect
from affectstream.bus.wall_clock import WallClock
from affectstream.codec import (
    MAX_HEADER_BYTES,
    DecodeError,
    encode,
    unpack_map,
    with_whole_characters,
)
from affectstream.core.address import DEFAULT_ADDRESS, ports
from affectstream.core.delivery.answers import OutletAnswers
from affectstream.core.delivery.fairness import FairQueue
from affectstream.core.delivery.published import PublishedStreams
from affectstream.core.delivery.retention import LastState, MessageStore, Ring
from affectstream.errors import brief, worth_logging
from affectstream.messages import Gap, Message
from affectstream.timebase import NS_PER_MS

_log = logging.getLogger(__name__)

RING_BYTES = 16 * 1024 * 1024
"""What an outlet keeps in memory of what it published."""

MAX_READ_REQUESTS = 1_000
"""Requests that are read at once."""

ANSWERING_NS = 4 * NS_PER_MS
"""How long requests are answered before the outlet's owner goes on with its work."""


class Outlet:
    """Publishes messages: numbers them, keeps the latest, answers requests for them.

    One thread uses it. ``service`` must be called whenever ``socket`` is readable and at
    ``next_wake_ns``; ``run.loop`` does both.

    Args:
        ring: where what is published is kept; default: the latest 16 MiB, in memory. A ring that
            outlives its process lets this outlet go on where the one before it ended.
        regenerated: what is published begins again where the outlet before began, as when a file
            is played; what was published then is not sent a second time.
        clock: processing time, in ns; default: this machine's.

    Attributes:
        epoch: the outlet's name: random, and the same as before with a ring that outlives it.
        counts: requests and answers that were dropped, by reason.
    """

    def __init__(
        self,
        address: str | Endpoint = DEFAULT_ADDRESS,
        *,
        ring: MessageStore | None = None,
        regenerated: bool = False,
        clock: Callable[[], int] | None = None,
    ) -> None:
        endpoint = Endpoint.of(address)
        _, where, control = ports(endpoint.address)
        self._ring: MessageStore = ring or Ring(RING_BYTES)
        self.epoch = self._ring.epoch
        self.counts: Counter[str] = Counter()
        self._clock = clock or WallClock().now_ns
        self._context = zmq.Context(io_threads=1)
        self._publisher = connect(self._context, zmq.PUB, where, keys=endpoint.keys)
        name = str(self.epoch).encode()
        self.socket = connect(self._context, zmq.DEALER, control, keys=endpoint.keys, name=name)
        self._watch = HandshakeWatch(endpoint, (self._publisher, self.socket))
        self._state = LastState()
        self._requests = FairQueue()
        self._regenerated = regenerated
        recalled = self._ring.recall()
        self._streams = PublishedStreams(
            self.epoch, recalled, regenerated=regenerated, now_ns=self._clock()
        )
        for message in recalled.messages:
            self._state.note(message)
        self._answers = OutletAnswers(self._ring, self._state, self._streams)

    def publish(self, message: Message) -> None:
        """Number and send a message; never blocks.

        A text that is no text (half of a surrogate pair) is sent with replacement characters.

        Raises:
            DecodeError: no reader would accept the message. Nothing was sent.
            JournalError: the ring is a journal, and it cannot be written. Nothing was sent.
        """
        if self._regenerated and self._streams.was_sent(message):
            return
        try:
            self._send(message)
        except UnicodeEncodeError:
            self._complain("texts repaired", f"a text of {message.kind} was repaired")
            self._send(with_whole_characters(message))

    def publish_or_say_lost(self, message: Message) -> None:
        """Do as ``publish`` does, but publish a gap in place of what no reader would accept.

        Raises:
            JournalError: as ``publish``.
        """
        try:
            self.publish(message)
        except DecodeError as error:
            self._complain("not sent", f"{message.kind} was not sent: {brief(error)}")
            gap = Gap(
                session=message.session,
                source=message.source,
                of=message.source,
                lost=message.kind,
                count=1,
                reason=f"it could not be sent: {brief(error)}",
            )
            with suppress(DecodeError):  # its names cannot be sent either
                self.publish(gap)

    def _send(self, message: Message) -> None:
        now_ns = self._clock()
        message = self._streams.numbered(message, now_ns)
        frames = encode(message)  # what cannot be sent is not counted
        self._streams.note(message, now_ns)
        self._ring.keep(message.topic, message.seq, frames)
        self._state.note(message)
        self._publisher.send_multipart(frames)

    def next_wake_ns(self) -> int | None:
        """Return when the next heartbeat or answer may be due; never later than it is."""
        due = (self._streams.next_beat_ns(), self._requests.next_wake_ns())
        return min((d for d in due if d is not None), default=None)

    def service(self) -> None:
        """Answer requests, as fairness says, and send the heartbeats that are due.

        Raises:
            BusError: the hub refuses us.
        """
        self._watch.check()
        for _ in range(MAX_READ_REQUESTS):
            if not int(self.socket.get(zmq.EVENTS)) & zmq.POLLIN:
                break
            self._read(self.socket.recv_multipart(zmq.DONTWAIT))
        began_ns = time.thread_time_ns()  # what an answer takes, not how busy the machine is
        spent_ns = 0
        while spent_ns < ANSWERING_NS and (asked := self._requests.take(self._clock())):
            reader, request = asked
            self._answer(reader, request)
            took_ns = time.thread_time_ns() - began_ns - spent_ns
            spent_ns += took_ns
            self._requests.answered(reader, took_ns, self._clock())
        for beat in self._streams.due_beats(self._clock()):
            self._send(beat)

    def _read(self, frames: list[bytes]) -> None:
        """Let a request wait until it is answered."""
        if len(frames) != 2 or len(frames[1]) > MAX_HEADER_BYTES:
            self._complain("bad request", f"dropped a request of {sum(map(len, frames))} bytes")
        elif not self._requests.add(*frames):
            self._complain("requests not heard", "too many requests wait; readers will ask again")

    def _answer(self, reader: bytes, packed: bytes) -> None:
        try:
            request = unpack_map(packed)
            if request["op"] == "unreachable":  # our answer to a reader that went or does not read
                self.counts["undelivered answers"] += 1
                return
            frames = self._answers.answer(request)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            self._complain("bad request", f"dropped a request that cannot be read: {brief(error)}")
            return
        try:
            self.socket.send_multipart([reader, *frames], zmq.DONTWAIT)
        except zmq.Again:
            self._complain("answers not sent", "an answer could not be sent; it is asked for again")

    def _complain(self, what: str, words: str) -> None:
        self.counts[what] += 1
        if worth_logging(self.counts[what]):
            _log.warning("%s", words)

    def close(self, linger_ms: int = 500) -> None:
        """Let what was published leave, then disconnect."""
        close(self._publisher, linger_ms)
        close(self.socket, linger_ms)
        self._context.term()
