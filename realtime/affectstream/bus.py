"""The bus: one hub that binds, outlets that publish, inlets that subscribe.

Knows: ZeroMQ sockets and how the three ports of one address are used.
Refuses to know: what messages mean. Order, resends and state are ``core.delivery``'s.

An address is ``tcp://HOST:PORT`` (or ``ipc://PATH``). The hub binds three sockets there:

========  ======  ==========================================================
port      socket  for
========  ======  ==========================================================
PORT      XPUB    subscribers connect SUB here
PORT + 1  XSUB    outlets connect PUB here
PORT + 2  ROUTER  resend, state and clock requests between inlets and outlets
========  ======  ==========================================================

The ROUTER is a switch: ``[to, *body]`` from one peer arrives as ``[from, *body]`` at another.
An outlet's name there is its epoch in decimal; requests to the empty name go to the hub.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import msgpack
import msgspec
import zmq

from affectstream.codec import DecodeError, decode, encode, unpack_map
from affectstream.core.delivery import (
    AskHistory,
    LastState,
    Reassembler,
    Request,
    Resend,
    Ring,
    matches,
)
from affectstream.errors import AffectstreamError
from affectstream.messages import Message, Progress, StreamClosed, StreamOpened
from affectstream.timebase import NS_PER_MS, ClockProbe, WallClock, best_offset_ns

log = logging.getLogger(__name__)

DEFAULT_ADDRESS = "tcp://127.0.0.1:5570"
RING_BYTES = 16 * 1024 * 1024
HEARTBEAT_NS = 500 * NS_PER_MS
FIRST_BEAT_AFTER_CLOSE_NS = 50 * NS_PER_MS
BEATS_AFTER_CLOSE = 10  # each after twice as long: 50 s in all
MAX_CLOSED_STREAMS = 4_096
HIGH_WATER = 10_000
MAX_FRAME_BYTES = 64 * 1024 * 1024
READ_AT_ONCE = 500
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class BusError(AffectstreamError):
    """The bus cannot be used as asked; one sentence with a remedy."""


def ports(address: str) -> tuple[str, str, str]:
    """Return the endpoints for subscribers, publishers and requests of one ``address``.

    Raises:
        BusError: the address is neither ``tcp://HOST:PORT`` nor ``ipc://PATH``.
    """
    scheme, _, rest = address.partition("://")
    if scheme == "ipc" and rest:
        return address, f"{address}.in", f"{address}.control"
    host, _, port = rest.rpartition(":")
    if scheme != "tcp" or not host or not port.isdecimal() or not 0 < int(port) < 65_534:
        raise BusError(f"{address!r} is not an address; write tcp://127.0.0.1:5570 or ipc://PATH")
    first = int(port)
    return address, f"tcp://{host}:{first + 1}", f"tcp://{host}:{first + 2}"


def check_loopback(address: str) -> None:
    """Refuse to bind where strangers could connect.

    Raises:
        BusError: the address is not on the loopback interface.
    """
    scheme, _, rest = address.partition("://")
    if scheme == "tcp" and rest.rpartition(":")[0] not in _LOOPBACK:
        raise BusError(
            f"{address} can be reached by other machines, and this version has no keys to tell "
            "them apart; bind to tcp://127.0.0.1:PORT"
        )


class Hub:
    """The only thing that binds. Two threads forward messages and requests; no state.

    Raises:
        BusError: a port is in use, or the address is not on loopback.
    """

    def __init__(self, address: str = DEFAULT_ADDRESS) -> None:
        check_loopback(address)
        self.address = address
        places = ports(address)
        self._context = zmq.Context(io_threads=1)
        kinds = (zmq.XPUB, zmq.XSUB, zmq.ROUTER)
        sockets = [self._bind(kind, where) for kind, where in zip(kinds, places, strict=True)]
        backend, frontend, router = sockets
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._threads = [
            threading.Thread(target=_forward, args=(frontend, backend), daemon=True),
            threading.Thread(target=_switch, args=(router,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _bind(self, kind: int, where: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
        socket.setsockopt(zmq.RCVHWM, HIGH_WATER)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        socket.setsockopt(zmq.IPV6, int("[" in where))
        try:
            socket.bind(where)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            if error.errno == zmq.EADDRINUSE:
                raise BusError(
                    f"{where} is in use; stop what runs there or choose another --address"
                ) from error
            raise BusError(f"cannot bind {where}: {error}; choose another --address") from error
        return socket

    def close(self) -> None:
        """Stop forwarding and free the ports."""
        self._context.term()
        for thread in self._threads:
            thread.join(timeout=1.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()


def _forward(frontend: zmq.Socket[bytes], backend: zmq.Socket[bytes]) -> None:
    try:
        zmq.proxy(frontend, backend)  # in C, without the interpreter's lock
    except zmq.ContextTerminated:
        pass
    finally:
        frontend.close()
        backend.close()


def _switch(router: zmq.Socket[bytes]) -> None:
    clock = WallClock()
    try:
        while True:
            sender, to, *body = _pad(router.recv_multipart())
            if not to:
                answer = [sender, b"", msgpack.packb({"op": "clock", "now_ns": clock.now_ns()})]
                _send(router, [*answer, *body[1:]])
            elif not _send(router, [to, sender, *body]):
                _send(router, [sender, to, msgpack.packb({"op": "unreachable"})])
    except zmq.ContextTerminated:
        router.close()


def _pad(frames: list[bytes]) -> list[bytes]:
    return frames if len(frames) >= 2 else [*frames, b""]


def _send(router: zmq.Socket[bytes], frames: list[bytes]) -> bool:
    try:
        router.send_multipart(frames, zmq.DONTWAIT)
    except zmq.ContextTerminated:
        raise
    except zmq.ZMQError:
        return False
    return True


def _connect(
    context: zmq.Context[zmq.Socket[bytes]], kind: int, where: str, *, name: bytes = b""
) -> zmq.Socket[bytes]:
    """Return a socket that connects to ``where``, now or as soon as somebody binds there.

    Raises:
        BusError: nothing can be connected to such an address.
    """
    socket = context.socket(kind)
    socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
    socket.setsockopt(zmq.RCVHWM, HIGH_WATER)
    socket.setsockopt(zmq.RECONNECT_IVL, 50)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1_000)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
    socket.setsockopt(zmq.IPV6, int("[" in where))
    if name:
        socket.setsockopt(zmq.ROUTING_ID, name)
    try:
        socket.connect(where)
    except zmq.ZMQError as error:
        context.destroy(linger=0)
        raise BusError(
            f"cannot connect to {where}: {error}; write tcp://127.0.0.1:5570 or ipc://PATH"
        ) from error
    return socket


@dataclass(slots=True)
class _Published:
    """What an outlet knows of one of its streams."""

    heads: dict[str, int] = field(default_factory=dict)
    progress: Progress | None = None
    beat_ns: int | None = None
    beats_left: int | None = None  # counted once the stream is closed

    def next_beat(self, now_ns: int) -> None:
        """Note that a heartbeat was sent."""
        self.beat_ns = now_ns + HEARTBEAT_NS
        if self.beats_left is not None:
            self.beat_ns = now_ns + (
                FIRST_BEAT_AFTER_CLOSE_NS << (BEATS_AFTER_CLOSE - self.beats_left)
            )
            self.beats_left -= 1
            if self.beats_left <= 0:
                self.beats_left, self.beat_ns = 0, None

    def vouched(self) -> dict[str, int]:
        """Return the heads that a heartbeat vouches for: all but its own."""
        return {kind: count for kind, count in self.heads.items() if kind != "progress"}


class Outlet:
    """Publishes messages: numbers them, keeps the latest, answers requests for them.

    One thread uses it. ``service`` must be called whenever ``socket`` is readable and at
    ``next_wake_ns``; ``runner`` does both.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        ring_bytes: int = RING_BYTES,
        clock: Callable[[], int] | None = None,
    ) -> None:
        _, where, control = ports(address)
        self.epoch = secrets.randbits(61)
        self._clock = clock or WallClock().now_ns
        self._context = zmq.Context(io_threads=1)
        self._publisher = _connect(self._context, zmq.PUB, where)
        name = str(self.epoch).encode()
        self.socket = _connect(self._context, zmq.DEALER, control, name=name)
        self._ring = Ring(ring_bytes)
        self._state = LastState()
        self._streams: dict[tuple[str, str], _Published] = {}
        self._closed: deque[tuple[str, str]] = deque()
        self._no_beat_before_ns: int | None = None  # so that not every turn looks at all streams

    def publish(self, message: Message) -> None:
        """Number and send a message; never blocks."""
        now_ns = self._clock()
        key = (message.session, message.source)
        stream = self._streams.get(key) or _Published(
            progress=Progress(session=message.session, source=message.source, watermark_ns=0),
            beat_ns=now_ns + HEARTBEAT_NS,
        )
        if isinstance(message, Progress):
            message = msgspec.structs.replace(message, heads=stream.vouched())
        seq = stream.heads.get(message.kind, 0)
        message = msgspec.structs.replace(message, epoch=self.epoch, seq=seq, sent_ns=now_ns)
        frames = encode(message)  # what cannot be sent is not counted
        self._streams[key] = stream
        stream.heads[message.kind] = seq + 1
        self._note(key, stream, message, now_ns)
        self._ring.keep(message.topic, seq, frames)
        self._state.note(message)
        self._publisher.send_multipart(frames)

    def _note(
        self, key: tuple[str, str], stream: _Published, message: Message, now_ns: int
    ) -> None:
        """Plan the stream's next heartbeat."""
        if isinstance(message, Progress):
            stream.progress = message
            stream.next_beat(now_ns)
        elif isinstance(message, StreamOpened):
            stream.progress = Progress(
                session=message.session, source=message.source, watermark_ns=message.start_ns
            )
            stream.beat_ns, stream.beats_left = now_ns + HEARTBEAT_NS, None
        elif isinstance(message, StreamClosed):
            stream.beat_ns, stream.beats_left = now_ns, BEATS_AFTER_CLOSE
            self._closed.append(key)
            if len(self._closed) > MAX_CLOSED_STREAMS:
                self._forget(self._closed.popleft())
        known = self._no_beat_before_ns
        if stream.beat_ns is not None and (known is None or stream.beat_ns < known):
            self._no_beat_before_ns = stream.beat_ns

    def _forget(self, key: tuple[str, str]) -> None:
        stream = self._streams.get(key)
        if stream is not None and stream.beats_left is not None:  # not opened again since
            del self._streams[key]

    def next_wake_ns(self) -> int | None:
        """Return when the next heartbeat may be due; never later than it is."""
        return self._no_beat_before_ns

    def service(self) -> None:
        """Answer requests and send the heartbeats that are due."""
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            self._answer(frames)
        now_ns = self._clock()
        if self._no_beat_before_ns is None or now_ns < self._no_beat_before_ns:
            return
        for stream in list(self._streams.values()):
            if stream.beat_ns is None or stream.progress is None or now_ns < stream.beat_ns:
                continue
            self.publish(stream.progress)
        due = (s.beat_ns for s in self._streams.values() if s.beat_ns is not None)
        self._no_beat_before_ns = min(due, default=None)

    def _answer(self, frames: list[bytes]) -> None:
        try:
            sender, packed = frames
            request = unpack_map(packed)
            body = self._body(request)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("a request that cannot be read was dropped: %s", error)
            return
        try:
            self.socket.send_multipart([sender, *body], zmq.DONTWAIT)
        except zmq.Again:
            log.warning("an answer could not be sent; the reader will ask again")

    def _body(self, request: dict[str, object]) -> list[bytes]:
        if request["op"] == "resend":
            topic, first, last = str(request["topic"]), request["first"], request["last"]
            if not isinstance(first, int) or not isinstance(last, int):
                raise TypeError("first and last are counts")
            found = [
                encode(m)
                for m in self._state.messages([topic])
                if m.topic == topic
                and first <= m.seq <= last
                and not self._ring.holds(topic, m.seq)
            ] + self._ring.find(topic, first, last)
            answer = {"op": "resent", "epoch": self.epoch, "topic": topic}
            return [
                msgpack.packb(answer | {"first": first, "last": last}),
                *(frame for frames in found for frame in frames),
            ]
        prefixes = request["prefixes"]
        if not isinstance(prefixes, list):
            raise TypeError("prefixes is a list")
        if request["op"] == "history":
            return self._history(prefixes, request["position"])
        if request["op"] == "state":
            heads = {
                topic: count
                for (session, source), stream in self._streams.items()
                for kind, count in stream.heads.items()
                if matches(topic := f"{kind}/{session}/{source}", prefixes)
            }
            messages = self._state.messages(prefixes)
            return [
                msgpack.packb({"op": "state", "epoch": self.epoch, "heads": heads}),
                *(frame for message in messages for frame in encode(message)),
            ]
        raise ValueError(f"no such request: {request['op']!r}")

    def _history(self, prefixes: list[str], position: object) -> list[bytes]:
        if not isinstance(position, int):
            raise TypeError("position is a count")
        found, next_position = self._ring.page(position, prefixes)
        if position == 0:
            found = [
                encode(m)
                for m in self._state.messages(prefixes)
                if not self._ring.holds(m.topic, m.seq)
            ] + found
        answer = {"op": "history", "epoch": self.epoch, "position": position}
        return [
            msgpack.packb(answer | {"next": next_position}),
            *(frame for frames in found for frame in frames),
        ]

    def close(self, linger_ms: int = 500) -> None:
        """Let what was published leave, then disconnect."""
        self._publisher.close(linger=linger_ms)
        self.socket.close(linger=linger_ms)
        self._context.term()


class Inlet:
    """Subscribes to prefixes and returns whole, ordered streams; what is lost is said as ``Gap``.

    One thread uses it: poll ``sockets``, then ``read``; ``read`` also when ``next_wake_ns`` says.

    Args:
        prefixes: topics' beginnings, such as ``emotion/`` or ``transcript/s1/``.
        from_start: ask outlets for all they still hold; otherwise for the last state.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        prefixes: Sequence[str] = ("emotion/",),
        *,
        from_start: bool = False,
        clock: Callable[[], int] | None = None,
    ) -> None:
        where, _, control = ports(address)
        self.counts: Counter[str] = Counter()
        self._clock = clock or WallClock().now_ns
        self._context = zmq.Context(io_threads=1)
        self._subscriber = _connect(self._context, zmq.SUB, where)
        for prefix in {*prefixes, *(_progress_of(prefix) for prefix in prefixes)}:
            self._subscriber.subscribe(prefix)
        self._requests = _connect(self._context, zmq.DEALER, control)
        self.sockets = (self._subscriber, self._requests)
        self._reassembler = Reassembler(prefixes, from_start=from_start)

    def read(self) -> list[Message]:
        """Return the messages whose turn has come, without waiting."""
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
        """Return when ``read`` has something to do though nothing arrived."""
        return self._reassembler.next_wake_ns()

    def _decode(self, frames: list[bytes]) -> Message | None:
        try:
            return decode(frames)
        except DecodeError as error:
            self.counts[error.reason] += 1
            if self.counts[error.reason] in (1, 10, 100) or self.counts[error.reason] % 1000 == 0:
                log.warning("dropped a message, %s (%d)", error, self.counts[error.reason])
            return None

    def _read_answers(self, now_ns: int) -> list[Message]:
        messages: list[Message] = []
        while True:
            try:
                sender, packed, *frames = self._requests.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return messages
            except ValueError:
                self.counts["frames"] += 1
                continue
            try:
                answer = unpack_map(packed)
                if answer["op"] == "unreachable":
                    continue  # the request is repeated, then given up
                if sender != str(answer["epoch"]).encode():
                    raise TypeError("it comes from another outlet than it says")
                messages += self._take_answer(answer, frames, now_ns)
            except (KeyError, TypeError, DecodeError) as error:
                self.counts["bad answer"] += 1
                log.warning("dropped an answer that cannot be read: %s", error)

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
            body |= {"position": request.position}
        else:
            body = {"op": "state", "prefixes": list(request.prefixes)}
        try:
            frames = [str(request.epoch).encode(), msgpack.packb(body)]
            self._requests.send_multipart(frames, zmq.DONTWAIT)
        except zmq.Again:
            self.counts["requests not sent"] += 1  # it will be repeated

    def close(self) -> None:
        """Disconnect."""
        for socket in self.sockets:
            socket.close(linger=0)
        self._context.term()


def _count(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r} is not a count")
    return value


def _progress_of(prefix: str) -> str:
    """Return the prefix of the heartbeats of the streams under ``prefix``."""
    _, slash, rest = prefix.partition("/")
    return f"progress/{rest}" if slash else "progress/"


def measure_clock_offset(address: str, probes: int = 4, timeout_s: float = 1.0) -> ClockProbe:
    """Compare this host's clock with the hub's, as NTP does; the lowest round trip wins.

    Raises:
        BusError: no hub answers at the address.
    """
    clock = WallClock()
    control = ports(address)[2]
    context = zmq.Context(io_threads=1)
    socket = _connect(context, zmq.DEALER, control)
    answered: list[ClockProbe] = []
    deadline = time.monotonic() + timeout_s
    try:
        for _ in range(probes):
            sent_ns = clock.now_ns()
            socket.send_multipart([b"", b""])
            if not socket.poll(max(0, int(1000 * (deadline - time.monotonic())))):
                break
            answer = unpack_map(socket.recv_multipart()[1])
            answered.append(ClockProbe(sent_ns, int(answer["now_ns"]), clock.now_ns()))
    finally:
        socket.close(linger=0)
        context.term()
    if not answered:
        raise BusError(f"no hub answers at {address}; start one with `affectstream fusion`")
    best = best_offset_ns(answered)
    return next(probe for probe in answered if probe.offset_ns == best)
