"""An inlet subscribes: it returns whole, ordered streams, and says what was lost.

Knows: the two sockets of a subscriber, and how requests and their answers travel.
Refuses to know: order and loss (``core.delivery``), and what the messages mean.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import zmq

from affectstream.bus.endpoint import Endpoint
from affectstream.bus.handshakes import HandshakeWatch
from affectstream.bus.sockets import close, connect
from affectstream.bus.wall_clock import WallClock
from affectstream.codec import MAX_PAYLOAD_BYTES, DecodeError, decode, pack_map, unpack_map
from affectstream.core.address import DEFAULT_ADDRESS, ports
from affectstream.core.delivery.reassembler import Positions, Reassembler
from affectstream.core.delivery.requests import AskHistory, Request, Resend
from affectstream.core.delivery.retention import MAX_PREFIXES
from affectstream.errors import BusError, brief, worth_logging
from affectstream.messages import Message

_log = logging.getLogger(__name__)

READ_AT_ONCE = 500
"""Messages, and answers, that one ``read`` takes."""


class Inlet:
    """Subscribes to prefixes and returns whole, ordered streams; what is lost is said as ``Gap``.

    One thread uses it: it polls ``sockets``, and calls ``read`` when one of them is readable and at
    ``next_wake_ns``.

    Args:
        prefixes: beginnings of topics, such as ``emotion/`` or ``transcript/s1/``.
        from_start: ask outlets for all that they still keep; otherwise for the last state.
        positions, since, in_order: where to go on, and how holes are filled, see ``Reassembler``.
        clock: processing time, in ns; default: this machine's.

    Attributes:
        counts: what was dropped, resent, lost or given up, by reason.

    Raises:
        BusError: the address is none, or there are too many prefixes.
    """

    def __init__(
        self,
        address: str | Endpoint = DEFAULT_ADDRESS,
        prefixes: Sequence[str] = ("emotion/",),
        *,
        from_start: bool = False,
        positions: Positions | None = None,
        since: Mapping[str, int] | None = None,
        in_order: bool = False,
        clock: Callable[[], int] | None = None,
    ) -> None:
        endpoint = Endpoint.of(address)
        where, _, control = ports(endpoint.address)
        if len(prefixes) > MAX_PREFIXES:
            raise BusError(
                f"{len(prefixes)} prefixes are more than the {MAX_PREFIXES} that outlets answer "
                "for; subscribe to a common beginning of them"
            )
        self.counts: Counter[str] = Counter()
        self._clock = clock or WallClock().now_ns
        self._context = zmq.Context(io_threads=1)
        self._subscriber = connect(self._context, zmq.SUB, where, keys=endpoint.keys)
        for prefix in {*prefixes, *(_progress_of(prefix) for prefix in prefixes)}:
            self._subscriber.subscribe(prefix)
        self._requests = connect(self._context, zmq.DEALER, control, keys=endpoint.keys)
        self.sockets = (self._subscriber, self._requests)
        self._watch = HandshakeWatch(endpoint, self.sockets)
        self._reassembler = Reassembler(
            prefixes, from_start=from_start, positions=positions, since=since, in_order=in_order
        )

    @property
    def positions(self) -> Positions:
        """What ``read`` has returned so far, for a reader that is started again."""
        return self._reassembler.positions

    def read(self) -> list[Message]:
        """Return the messages that can be passed on now, without waiting.

        Raises:
            BusError: the hub refuses us.
        """
        self._watch.check()
        now_ns = self._clock()
        messages = self._reassembler.wake(now_ns)
        for _ in range(READ_AT_ONCE):
            try:
                frames = self._subscriber.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            message = self._decode(frames)
            if message is not None:
                messages += self._reassembler.receive(message, now_ns)
        messages += self._read_answers(now_ns)
        for request in self._reassembler.requests():
            self._send(request)
        self.counts.update(self._reassembler.counts)
        self._reassembler.counts.clear()
        return messages

    def next_wake_ns(self) -> int | None:
        """Return when ``read`` has something to do though nothing arrived; None: it has not."""
        return self._reassembler.next_wake_ns()

    def _decode(self, frames: list[bytes]) -> Message | None:
        try:
            return decode(frames)
        except DecodeError as error:
            self.counts[error.reason] += 1
            if worth_logging(self.counts[error.reason]):
                _log.warning("dropped a message, %s (%d)", error, self.counts[error.reason])
            return None

    def _read_answers(self, now_ns: int) -> list[Message]:
        messages: list[Message] = []
        for _ in range(READ_AT_ONCE):
            try:
                sender, packed, *frames = self._requests.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            except ValueError:
                self.counts["frames"] += 1
                continue
            try:
                answer = unpack_map(packed, MAX_PAYLOAD_BYTES)  # it may name thousands of streams
                if answer["op"] == "unreachable":  # the request is repeated, then given up
                    self._reassembler.unreachable(int(sender), now_ns)
                    continue
                if sender != str(answer["epoch"]).encode():
                    raise TypeError("it comes from another outlet than it says")
                messages += self._take_answer(answer, frames, now_ns)
            except (KeyError, TypeError, ValueError) as error:
                self.counts["bad answer"] += 1
                if worth_logging(self.counts["bad answer"]):
                    _log.warning("dropped an answer that cannot be read: %s", brief(error))
        return messages

    def _take_answer(
        self, answer: dict[str, object], frames: list[bytes], now_ns: int
    ) -> list[Message]:
        triples = [frames[i : i + 3] for i in range(0, len(frames), 3)]
        found = [message for triple in triples if (message := self._decode(triple)) is not None]
        op, epoch = answer["op"], _count(answer["epoch"])
        if op == "resent":
            first, last = _count(answer["first"]), _count(answer["last"])
            return self._reassembler.resent(epoch, str(answer["topic"]), first, last, found, now_ns)
        if op == "history":
            position, onward = _count(answer["position"]), answer["next"]
            next_position = None if onward is None else _count(onward)
            return self._reassembler.history(epoch, position, found, next_position, now_ns)
        if op == "state" and isinstance(answer["heads"], dict):
            heads = {topic: _count(head) for topic, head in answer["heads"].items()}
            return self._reassembler.state(epoch, heads, found, now_ns)
        raise TypeError(f"no such answer: {op!r}")

    def _send(self, request: Request) -> None:
        if isinstance(request, Resend):
            body: dict[str, object] = {"op": "resend", "topic": request.topic}
            body |= {"first": request.first, "last": request.last}
        elif isinstance(request, AskHistory):
            body = {"op": "history", "prefixes": list(request.prefixes)}
            body |= {"position": request.position, "seen": dict(request.seen)}
        else:
            body = {"op": "state", "prefixes": list(request.prefixes)}
        try:
            frames = [str(request.epoch).encode(), pack_map(body)]
            self._requests.send_multipart(frames, zmq.DONTWAIT)
        except zmq.Again:
            self.counts["requests not sent"] += 1  # it will be repeated

    def close(self) -> None:
        """Disconnect."""
        for socket in self.sockets:
            close(socket)
        self._context.term()


def _count(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r} is not a count")
    return value


def _progress_of(prefix: str) -> str:
    """Return the prefix of the heartbeats of the streams whose topics begin with ``prefix``."""
    _, slash, rest = prefix.partition("/")
    return f"progress/{rest}" if slash else "progress/"
