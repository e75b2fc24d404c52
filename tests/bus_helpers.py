"""What the tests of the bus share: addresses, messages, waiting with a deadline, processes.

Nothing here sleeps blindly: whoever waits says for what, and until when.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from typing import Any

import msgpack
import zmq

from affectstream.bus import Inlet, Outlet, ports
from affectstream.core.delivery.retention import Ring
from affectstream.messages import (
    Emotion,
    Gap,
    Message,
    ModelIdentity,
    Progress,
    StreamClosed,
    StreamOpened,
    Transcript,
)

DEADLINE_S = 90.0
"""So long is waited for what must come, however busy the machine is."""
SPAWN = multiprocessing.get_context("spawn")


def opened(source: str = "mic.anna", session: str = "s1") -> StreamOpened:
    return StreamOpened(session=session, source=source, modality="speech", speaker="anna")


def closed(source: str = "mic.anna", session: str = "s1") -> StreamClosed:
    return StreamClosed(session=session, source=source, reason="end of the test")


def progress(watermark_ns: int, source: str = "mic.anna", session: str = "s1") -> Progress:
    return Progress(session=session, source=source, watermark_ns=watermark_ns)


def transcript(
    number: int, source: str = "mic.anna", session: str = "s1", size: int = 0
) -> Transcript:
    return Transcript(
        session=session,
        source=source,
        utterance=f"anna-{number:04d}",
        speaker="anna",
        text=str(number) + "x" * size,
        start_ns=number,
        end_ns=number + 1,
        final=True,
        engine="test",
    )


def emotion(number: int, revision: int = 0, source: str = "fusion", session: str = "s1") -> Emotion:
    return Emotion(
        session=session,
        source=source,
        utterance=f"anna-{number:04d}",
        speaker="anna",
        start_ns=number,
        end_ns=number + 1,
        revision=revision,
        status="provisional" if revision == 0 else "revised",
        categorical={"anger": 0.25, "happiness": 0.25, "neutral": 0.5, "sadness": 0.0},
        model=ModelIdentity(id="test", sha256="0" * 64),
    )


class Tally:
    """Follows what a reader was given; refuses what comes twice, early, or out of order."""

    def __init__(self, starts: dict[str, int] | None = None) -> None:
        self.next: Counter[str] = Counter(starts or {})
        self.delivered: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()

    def take(self, messages: Sequence[Message], prefixes: Sequence[str]) -> None:
        for message in messages:
            if isinstance(message, Gap) and message.lost != "audio samples":
                topic = f"{message.lost}/{message.session}/{message.of}"
                self.next[topic] += message.count
                self.lost[topic] += message.count
                continue
            topic = message.topic
            assert message.seq == self.next[topic], (topic, message.seq, self.next[topic])
            self.next[topic] += 1
            self.delivered[topic] += 1
            if isinstance(message, Progress):
                for kind, head in message.heads.items():
                    vouched = f"{kind}/{message.session}/{message.source}"
                    if any(vouched.startswith(prefix) for prefix in prefixes):
                        assert self.next[vouched] >= head, f"{vouched}: {self.next[vouched]} {head}"


def serve_until(
    condition: Callable[[], bool],
    *,
    outlets: Sequence[Outlet] = (),
    inlets: Sequence[tuple[Inlet, list[Message]]] = (),
    seconds: float = DEADLINE_S,
) -> None:
    """Run outlets and inlets until ``condition``, or fail when the deadline has passed."""
    deadline = time.monotonic() + seconds
    poller = zmq.Poller()
    for outlet in outlets:
        poller.register(outlet.socket, zmq.POLLIN)
    for inlet, _ in inlets:
        for bus_socket in inlet.sockets:
            poller.register(bus_socket, zmq.POLLIN)
    while True:
        for outlet in outlets:
            outlet.service()
        for inlet, got in inlets:
            got += inlet.read()
        if condition():
            return
        assert time.monotonic() < deadline, [len(got) for _, got in inlets]
        poller.poll(5)


def heard(outlet: Outlet, inlet: Inlet, source: str = "hello") -> None:
    """Return once ``inlet`` gets what ``outlet`` publishes: both are connected."""
    got: list[Message] = []

    def arrived() -> bool:
        outlet.publish(progress(0, source=source, session="hello"))
        return inlet.counts["heard"] > 0 or bool(got) or bool(inlet._reassembler._outlets)

    serve_until(arrived, outlets=[outlet], inlets=[(inlet, got)])


def wait_for_subscriptions(address: str, *prefixes: str) -> None:
    """Return once the hub has told a publisher that somebody wants ``prefixes``."""
    wanted = {b"\1" + prefix.encode() for prefix in prefixes}
    deadline = time.monotonic() + DEADLINE_S
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.connect(ports(address)[1])
        while wanted:
            assert time.monotonic() < deadline, wanted
            if publisher.poll(20):
                wanted.discard(publisher.recv())


def of_kind(messages: Sequence[Message], kind: type[Message]) -> list[Any]:
    return [message for message in messages if isinstance(message, kind)]


def frames_of(kind: str, body: dict[str, Any], payload: bytes = b"") -> list[bytes]:
    """Return the frames of a message that was written by somebody else."""
    topic = f"{kind}/{body['session']}/{body['source']}"
    return [topic.encode(), msgpack.packb({"v": 1, "kind": kind} | body), payload]


@contextmanager
def process(target: Callable[..., None], *arguments: object) -> Iterator[BaseProcess]:
    """Run ``target`` in a fresh interpreter; it is ended with the block."""
    child = SPAWN.Process(target=target, args=arguments, daemon=True)
    child.start()
    try:
        yield child
    finally:
        child.join(timeout=0.5)
        if child.is_alive():
            child.kill()
            child.join()


def publish_in_a_process(
    address: str, source: str, count: int, go: Event, done: Event, size: int = 0
) -> None:
    """Publish an opened stream of ``count`` transcripts, then stay and answer until ``done``."""
    outlet = Outlet(address, ring=Ring(64 * 1024 * 1024))
    try:
        _wait(go, outlet)
        outlet.publish(opened(source))
        for number in range(count):
            outlet.publish(transcript(number, source, size=size))
            if number % 50 == 49:
                outlet.publish(progress(number, source))
                outlet.service()
        outlet.publish(closed(source))
        _wait(done, outlet)
    finally:
        outlet.close()


def _wait(event: Event, outlet: Outlet) -> None:
    deadline = time.monotonic() + 2 * DEADLINE_S
    while not event.is_set() and time.monotonic() < deadline:
        outlet.service()
        outlet.socket.poll(5)


def subscribe_in_a_process(
    address: str, prefixes: list[str], from_start: bool, total: int, results: Any
) -> None:
    """Read until ``total`` messages were delivered or said as lost; put what came."""
    inlet = Inlet(address, prefixes, from_start=from_start)
    got: list[Message] = []
    results.put("ready")
    deadline = time.monotonic() + DEADLINE_S
    try:
        while time.monotonic() < deadline:
            got += inlet.read()
            lost = sum(gap.count for gap in of_kind(got, Gap))
            if len(got) - len(of_kind(got, Gap)) + lost >= total:
                break
            zmq.select(list(inlet.sockets), [], [], timeout=0.005)
        results.put([(m.topic, m.seq, getattr(m, "count", 0)) for m in got])
    finally:
        inlet.close()
