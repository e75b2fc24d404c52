"""Subscribers that do not read: nobody waits for them, what they keep is bounded, and they learn
what they have missed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
import zmq

from affectstream.bus import Hub, Inlet, Outlet, ports, sockets
from affectstream.core.delivery.retention import Ring
from affectstream.messages import Audio, Gap, Message
from affectstream.run.processes import free_address
from bus_helpers import (
    DEADLINE_S,
    SPAWN,
    Tally,
    heard,
    opened,
    process,
    progress,
    serve_until,
    transcript,
)

PREFIXES = ["transcript/", "progress/"]
TOPIC = "transcript/s1/mic.anna"
COUNT = 3_000


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A hub that drops a peer which has not answered for a second."""
    monkeypatch.setattr(sockets, "HEARTBEAT_MS", 200)
    monkeypatch.setattr(sockets, "STALLED_MS", 1_000)
    monkeypatch.setitem(sockets.MAX_WAITING, zmq.XPUB, 200)
    where = free_address()
    with Hub(where):
        yield where


def read_all(address: str, results: Any) -> None:
    """Read until all transcripts were delivered or said as lost; put how many of each."""
    inlet, tally = Inlet(address, PREFIXES, from_start=True), Tally()
    deadline = time.monotonic() + DEADLINE_S
    told = False
    while tally.next[TOPIC] < COUNT and time.monotonic() < deadline:
        zmq.select(list(inlet.sockets), [], [], timeout=0.005)
        tally.take(inlet.read(), PREFIXES)
        if tally.delivered and not told:
            told = True
            results.put("reads")
    results.put((tally.delivered[TOPIC], tally.lost[TOPIC]))
    inlet.close()


@pytest.mark.parametrize("ring_bytes", [1 << 24, 300_000])
def test_a_stopped_subscriber_that_goes_on_gets_everything_or_a_gap(
    address: str, ring_bytes: int
) -> None:
    results = SPAWN.Queue()
    outlet = Outlet(address, ring=Ring(ring_bytes))
    watcher, seen = Inlet(address, PREFIXES, from_start=True), list[Message]()
    tally = Tally()
    with process(read_all, address, results) as reader:
        try:
            outlet.publish(opened())
            heard(outlet, watcher)
            serve_until(lambda: not results.empty(), outlets=[outlet], inlets=[(watcher, seen)])
            assert results.get() == "reads"
            assert reader.pid is not None
            os.kill(reader.pid, signal.SIGSTOP)
            for number in range(COUNT):
                outlet.publish(transcript(number, size=500))
                if number % 100 == 99:
                    outlet.publish(progress(number))
                    serve_until(
                        lambda n=number: any(m.topic == TOPIC and m.seq >= n - 50 for m in seen),
                        outlets=[outlet],
                        inlets=[(watcher, seen)],
                    )
                    tally.take(seen, PREFIXES)
                    seen.clear()
            gone = time.monotonic() + 1.5  # the hub has noticed by then
            serve_until(lambda: time.monotonic() > gone, outlets=[outlet], inlets=[(watcher, seen)])
            tally.take(seen, PREFIXES)
            os.kill(reader.pid, signal.SIGCONT)
            serve_until(lambda: not results.empty(), outlets=[outlet], inlets=[(watcher, seen)])
            delivered, lost = results.get()
        finally:
            if reader.pid is not None:
                os.kill(reader.pid, signal.SIGCONT)
            watcher.close()
            outlet.close()
    assert tally.delivered[TOPIC] == COUNT  # who reads misses nothing and waits for nobody
    assert not tally.lost
    assert delivered + lost == COUNT
    assert (lost > 0) == (ring_bytes < 1 << 24)


def connections(address: str) -> int:
    """Return how many peers are connected where subscribers connect."""
    port = int(ports(address)[0].rsplit(":", 1)[1])
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    established = "01"
    return sum(row[3] == established and row[1].endswith(f":{port:04X}") for row in rows)


def sit_still(address: str, ready: Any) -> None:
    """Subscribe to everything, and let a signal stop even the library."""
    context = zmq.Context()
    sockets = [context.socket(zmq.SUB) for _ in range(20)]
    for socket in sockets:
        socket.connect(ports(address)[0])
        socket.subscribe(b"")
    for socket in sockets:
        socket.recv_multipart()  # all of them are known to the hub
    ready.put(None)
    ready.close()
    ready.join_thread()
    os.kill(os.getpid(), signal.SIGSTOP)


def test_the_hub_drops_those_who_are_stopped_and_what_waited_for_them(address: str) -> None:
    ready = SPAWN.Queue()
    outlet = Outlet(address)
    block = Audio(
        session="s1",
        source="mic.anna",
        first_sample=0,
        sample_rate_hz=16_000,
        start_ns=0,
        payload=bytes(3_200),
    )
    with process(sit_still, address, ready) as child:
        try:

            def publish_until(done: Any) -> None:
                deadline = time.monotonic() + DEADLINE_S
                while not done():
                    assert time.monotonic() < deadline, connections(address)
                    outlet.publish(block)
                    outlet.service()
                    outlet.socket.poll(1)

            publish_until(lambda: not ready.empty())
            assert connections(address) == 20
            publish_until(lambda: connections(address) == 0)
        finally:
            assert child.pid is not None
            child.kill()
            outlet.close()


def test_who_asks_for_everything_and_reads_no_answer_holds_up_nobody(address: str) -> None:
    outlet, inlet = Outlet(address), Inlet(address, PREFIXES, from_start=True)
    context = zmq.Context()
    greedy = context.socket(zmq.DEALER)
    greedy.setsockopt(zmq.RCVHWM, 1)
    greedy.connect(ports(address)[2])
    seen: list[Message] = []
    try:
        outlet.publish(opened())
        heard(outlet, inlet)
        for number in range(COUNT):
            outlet.publish(transcript(number, size=500))
        body = {"op": "history", "prefixes": [""], "position": 0}
        for position in range(600):  # more than may wait
            asked = msgpack.packb(body | {"position": position})
            greedy.send_multipart([str(outlet.epoch).encode(), asked])
        serve_until(
            lambda: any(m.topic == TOPIC and m.seq == COUNT - 1 for m in seen),
            outlets=[outlet],
            inlets=[(inlet, seen)],
        )
        tally = Tally()
        tally.take(seen, PREFIXES)
        assert tally.delivered[TOPIC] == COUNT, [m for m in seen if isinstance(m, Gap)]
    finally:
        context.destroy(linger=0)
        inlet.close()
        outlet.close()
