"""What keys cost: the same messages through three hubs, one after the other, several times.

``proxy`` is a hub without keys, ``proxy, encrypted`` is ZeroMQ's own proxy with CURVE encryption
and nothing else, ``guarded`` is a hub with keys. Each hub is a process of its own; publisher and
subscriber are in this one. The messages are transcripts of about the size of an estimate.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import zmq

from affectstream.bus import Endpoint, Hub, ports
from affectstream.bus.keys import Keys, allow, new_keys
from affectstream.bus.sockets import close, connect
from affectstream.codec import encode
from affectstream.core.limits import PeerLimits
from affectstream.errors import AffectstreamError
from affectstream.messages import Transcript
from affectstream.run.processes import free_address

HUBS = ("proxy", "proxy, encrypted", "guarded")
_MESSAGES_IN_FLIGHT = 200
"""Messages under way while throughput is measured: far fewer than any queue holds."""

_NO_LIMIT = PeerLimits(messages_per_s=1e9, bytes_per_s=1e15)
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class _Wire:
    """Both ends of the path through a hub."""

    publisher: zmq.Socket[bytes]
    subscriber: zmq.Socket[bytes]
    message: list[bytes]

    def settle(self) -> None:
        """Return once messages pass, and none is left over.

        Raises:
            AffectstreamError: none passes.
        """
        for _ in range(400):
            self.publisher.send_multipart(self.message)
            if self.subscriber.poll(50):
                break
        else:
            raise AffectstreamError("the hub forwards nothing; see `affectstream doctor`")
        while self.subscriber.poll(100):
            self.subscriber.recv_multipart()

    def pass_on(self, count: int) -> None:
        """Send ``count`` messages and receive them."""
        for _ in range(count):
            self.publisher.send_multipart(self.message)
        for _ in range(count):
            if not self.subscriber.poll(10_000):
                raise AffectstreamError("the hub lost a message; run it on a quieter machine")
            self.subscriber.recv_multipart()


def measure_security(
    messages: int, repeats: int, on_progress: Callable[[int], None]
) -> list[dict[str, object]]:
    """Return each hub's messages per second, and the time through it of one message alone.

    Args:
        messages: of each hub, for the throughput; a tenth of it for the time.
        repeats: rounds; in each, every hub is measured once.

    Raises:
        AffectstreamError: a hub did not start, or lost a message.
    """
    rates: dict[str, list[float]] = {name: [] for name in HUBS}
    waits_ms: dict[str, list[float]] = {name: [] for name in HUBS}
    done = 0
    with TemporaryDirectory() as folder:
        hub = new_keys(Path(folder) / "hub")
        peer = new_keys(Path(folder) / "peer", hub.public.decode())
        allow(hub.folder, "peer", peer.public.decode())
        for _ in range(repeats):
            for name in HUBS:
                with _hub(name, hub.folder) as address, _wire(name, address, peer) as wire:
                    rates[name].append(_rate(wire, messages))
                    waits_ms[name] += _waits_ms(wire, messages // 10)
                done += 1
                on_progress(done)
    return [_row(name, rates[name], waits_ms[name]) for name in HUBS]


def _row(name: str, rates: list[float], waits_ms: list[float]) -> dict[str, object]:
    p50, p99 = np.percentile(waits_ms, [50, 99])
    return {
        "hub": name,
        "messages_per_s": round(float(np.median(rates))),
        "hop_p50_ms": round(float(p50), 3),
        "hop_p99_ms": round(float(p99), 3),
    }


def _rate(wire: _Wire, messages: int) -> float:
    began = time.perf_counter()
    for _ in range(messages // _MESSAGES_IN_FLIGHT):
        wire.pass_on(_MESSAGES_IN_FLIGHT)
    return (messages // _MESSAGES_IN_FLIGHT) * _MESSAGES_IN_FLIGHT / (time.perf_counter() - began)


def _waits_ms(wire: _Wire, messages: int) -> list[float]:
    waits_ms = []
    for _ in range(messages):
        began = time.perf_counter_ns()
        wire.pass_on(1)
        waits_ms.append((time.perf_counter_ns() - began) / 1e6)
        time.sleep(0.001)  # as messages of a dialogue come: one at a time
    return waits_ms


@contextmanager
def _wire(name: str, address: str, keys: Keys) -> Iterator[_Wire]:
    shown = None if name == "proxy" else keys
    out, into, _ = ports(address)
    context = zmq.Context()
    publisher = connect(context, zmq.PUB, into, keys=shown)
    subscriber = connect(context, zmq.SUB, out, keys=shown)
    try:
        subscriber.subscribe(b"")
        message = Transcript(
            session="bench",
            source="bench",
            utterance="u",
            speaker="you",
            text="x" * 700,
            start_ns=0,
            end_ns=1,
            final=True,
            engine="bench",
        )
        wire = _Wire(publisher, subscriber, encode(message))
        wire.settle()
        yield wire
    finally:
        close(publisher)
        close(subscriber)
        context.term()


@contextmanager
def _hub(name: str, folder: Path) -> Iterator[str]:
    address = free_address()
    ready, done = _SPAWN.Event(), _SPAWN.Event()
    process = _SPAWN.Process(target=_run, args=(name, address, str(folder), ready, done))
    process.start()
    try:
        if not ready.wait(60):
            raise AffectstreamError(f"the hub ({name}) did not start")
        yield address
    finally:
        done.set()
        process.join(5)
        process.kill()


def _run(name: str, address: str, folder: str, ready: Event, done: Event) -> None:
    """Be a hub of one kind until ``done``; in a process of its own."""
    endpoint = Endpoint.open(address, Path(folder))
    if name == "proxy, encrypted":
        context = _encrypted_proxy(endpoint)
        ready.set()
        done.wait()
        context.term()
        return
    with Hub(address if name == "proxy" else endpoint, limits=_NO_LIMIT):
        ready.set()
        done.wait()


def _encrypted_proxy(endpoint: Endpoint) -> zmq.Context[zmq.Socket[bytes]]:
    """Run ZeroMQ's proxy with encryption that lets every key in: only its cost is wanted."""
    context = zmq.Context()
    sockets = []
    for kind, where in zip((zmq.XPUB, zmq.XSUB), ports(endpoint.address), strict=False):
        socket = context.socket(kind)
        socket.curve_server = True
        socket.curve_secretkey = endpoint.keys.secret if endpoint.keys else b""
        socket.bind(where)
        sockets.append(socket)
    threading.Thread(target=_proxy, args=sockets, daemon=True).start()
    return context


def _proxy(out: zmq.Socket[bytes], into: zmq.Socket[bytes]) -> None:
    try:
        zmq.proxy(into, out)
    except zmq.ContextTerminated:
        out.close(linger=0)
        into.close(linger=0)
