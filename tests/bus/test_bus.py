"""The bus over real ZeroMQ sockets: delivery, last state, garbage, restarts."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest
import zmq

from affectstream.bus import (
    BusError,
    Endpoint,
    Hub,
    Inlet,
    Outlet,
    measure_clock_offset,
    ports,
    sockets,
)
from affectstream.bus.journal import Journal
from affectstream.bus.keys import new_keys
from affectstream.codec import DecodeError
from affectstream.core.delivery import published, retry
from affectstream.core.delivery.retention import Ring
from affectstream.messages import (
    Audio,
    Emotion,
    Gap,
    Message,
    Progress,
    StreamClosed,
    StreamOpened,
    Transcript,
)
from affectstream.run.processes import free_address
from bus_helpers import (
    DEADLINE_S,
    SPAWN,
    Tally,
    closed,
    emotion,
    frames_of,
    heard,
    of_kind,
    opened,
    process,
    progress,
    publish_in_a_process,
    serve_until,
    subscribe_in_a_process,
    transcript,
)


class Bus:
    """A hub and what connects to it; all is closed at the end of the test."""

    def __init__(self, stack: ExitStack) -> None:
        self.address = free_address()
        self._stack = stack
        self.hub = Hub(self.address)
        stack.callback(lambda: self.hub.close())

    def outlet(self, **options: Any) -> Outlet:
        outlet = Outlet(self.address, **options)
        self._stack.callback(outlet.close, linger_ms=0)
        return outlet

    def inlet(self, *prefixes: str, from_start: bool = False) -> Inlet:
        inlet = Inlet(self.address, prefixes, from_start=from_start)
        self._stack.callback(inlet.close)
        return inlet

    def raw(self, kind: int, port: int) -> zmq.Socket[bytes]:
        context = zmq.Context(io_threads=1)
        raw = context.socket(kind)
        raw.setsockopt(zmq.LINGER, 0)
        raw.connect(ports(self.address)[port])
        self._stack.callback(context.term)
        self._stack.callback(raw.close)
        return raw


@pytest.fixture
def wired() -> Iterator[Bus]:
    with ExitStack() as stack:
        yield Bus(stack)


def texts(messages: list[Message]) -> list[int]:
    return [m.seq for m in of_kind(messages, Transcript)]


# Delivery


def test_a_subscriber_gets_what_lies_under_its_prefix_once_and_in_order(wired: Bus) -> None:
    outlet, inlet = wired.outlet(), wired.inlet("transcript/s1/", from_start=True)
    got: list[Message] = []
    for number in range(500):
        outlet.publish(transcript(number))
        outlet.publish(transcript(number, session="s2"))
        outlet.publish(emotion(number))
    serve_until(lambda: len(got) >= 500, outlets=[outlet], inlets=[(inlet, got)])
    assert texts(got) == list(range(500))
    assert {message.topic for message in got} == {"transcript/s1/mic.anna"}


def test_a_reader_from_the_start_gets_what_was_published_before_it_connected(wired: Bus) -> None:
    outlet = wired.outlet()
    outlet.publish(opened())
    for number in range(2500):
        outlet.publish(transcript(number))
    inlet = wired.inlet("", from_start=True)
    got: list[Message] = []
    serve_until(lambda: len(texts(got)) >= 2500, outlets=[outlet], inlets=[(inlet, got)])
    tally = Tally()
    tally.take(got, ("",))
    assert isinstance(got[0], StreamOpened)
    assert not tally.lost


def test_an_opening_that_the_ring_no_longer_has_still_reaches_a_reader_from_the_start(
    wired: Bus,
) -> None:
    outlet = wired.outlet(ring=Ring(10_000))
    outlet.publish(opened())
    for number in range(100):
        outlet.publish(transcript(number))
    inlet = wired.inlet("", from_start=True)
    got: list[Message] = []
    serve_until(lambda: texts(got)[-1:] == [99], outlets=[outlet], inlets=[(inlet, got)])
    tally = Tally()
    tally.take(got, ("",))
    assert isinstance(got[0], StreamOpened)
    assert isinstance(got[1], Gap)
    assert got[1].count + len(texts(got)) == 100


def test_a_late_reader_gets_open_streams_and_latest_estimates_and_no_duplicates(
    wired: Bus,
) -> None:
    outlet = wired.outlet()
    outlet.publish(opened("gone"))
    outlet.publish(closed("gone"))
    for message in (opened("fusion"), emotion(1), emotion(2), emotion(1, revision=1)):
        outlet.publish(message)
    inlet = wired.inlet("emotion/", "stream.")
    got: list[Message] = []
    serve_until(lambda: len(got) >= 3, outlets=[outlet], inlets=[(inlet, got)])
    for number in range(3, 50):
        outlet.publish(emotion(number))
    serve_until(lambda: len(got) >= 50, outlets=[outlet], inlets=[(inlet, got)])
    assert [type(m) for m in got[:3]] == [StreamOpened, Emotion, Emotion]
    assert [(m.utterance, m.revision) for m in got[1:3]] == [("anna-0002", 0), ("anna-0001", 1)]
    assert [m.utterance for m in got[3:]] == [f"anna-{n:04d}" for n in range(3, 50)]


def test_a_lost_last_message_is_noticed_by_the_heartbeat(wired: Bus) -> None:
    outlet, inlet = wired.outlet(), wired.inlet("transcript/", from_start=True)
    got: list[Message] = []
    outlet.publish(transcript(0))
    serve_until(lambda: len(got) == 1, outlets=[outlet], inlets=[(inlet, got)])
    with lost_on_the_way(outlet):
        outlet.publish(transcript(1))
    serve_until(lambda: len(got) == 2, outlets=[outlet], inlets=[(inlet, got)], seconds=5)
    assert texts(got) == [0, 1]
    assert inlet.counts["resent"] >= 1


def test_a_lost_closing_is_noticed_soon_after(wired: Bus) -> None:
    outlet, inlet = wired.outlet(), wired.inlet("stream.", from_start=True)
    got: list[Message] = []
    outlet.publish(opened())
    serve_until(lambda: len(got) == 1, outlets=[outlet], inlets=[(inlet, got)])
    with lost_on_the_way(outlet):
        outlet.publish(closed())
    serve_until(lambda: len(got) == 2, outlets=[outlet], inlets=[(inlet, got)], seconds=2)
    assert isinstance(got[1], StreamClosed)


@contextmanager
def lost_on_the_way(outlet: Outlet) -> Iterator[None]:
    """Let what is published here leave for nowhere, as a full pipe would."""
    context = zmq.Context(io_threads=1)
    nowhere, real = context.socket(zmq.PUB), outlet._publisher
    outlet._publisher = nowhere
    try:
        yield
    finally:
        outlet._publisher = real
        context.destroy(linger=0)


@pytest.mark.parametrize("ring_bytes", [1 << 24, 40_000])
def test_what_a_small_pipe_dropped_is_resent_or_said_as_lost(
    wired: Bus, monkeypatch: pytest.MonkeyPatch, ring_bytes: int
) -> None:
    monkeypatch.setattr(sockets, "HIGH_WATER", 5)
    outlet = wired.outlet(ring=Ring(ring_bytes))
    inlet = wired.inlet("transcript/", "progress/", from_start=True)
    got: list[Message] = []
    heard(outlet, inlet)
    for number in range(3000):
        outlet.publish(transcript(number, size=200))
    outlet.publish(progress(1))
    tally = Tally()

    def all_accounted_for() -> bool:
        tally.take(got, ("transcript/",))
        got.clear()
        return tally.next["transcript/s1/mic.anna"] == 3000

    serve_until(all_accounted_for, outlets=[outlet], inlets=[(inlet, got)])
    delivered = tally.delivered["transcript/s1/mic.anna"]
    lost = tally.lost["transcript/s1/mic.anna"]
    assert delivered + lost == 3000
    if ring_bytes == 1 << 24:
        assert lost == 0
        assert inlet.counts["resent"] > 0
    else:
        assert inlet.counts["lost"] >= lost > 0


def test_messages_that_the_ring_no_longer_has_are_said_as_one_gap_in_their_place(
    wired: Bus,
) -> None:
    outlet = wired.outlet(ring=Ring(10_000))
    inlet = wired.inlet("transcript/", from_start=True)
    got: list[Message] = []
    outlet.publish(transcript(0))
    serve_until(lambda: len(got) == 1, outlets=[outlet], inlets=[(inlet, got)])
    with lost_on_the_way(outlet):
        for number in range(1, 100):
            outlet.publish(transcript(number))
    outlet.publish(transcript(100))
    serve_until(lambda: texts(got)[-1:] == [100], outlets=[outlet], inlets=[(inlet, got)])
    gaps = of_kind(got, Gap)
    assert len(gaps) == 1
    assert got.index(gaps[0]) == 1
    assert (gaps[0].lost, gaps[0].of, gaps[0].session) == ("transcript", "mic.anna", "s1")
    assert gaps[0].count + len(texts(got)) == 101


def test_the_end_of_an_outlet_that_vanished_is_said_as_a_gap(
    wired: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "ABSENT_NS", 10**9)
    outlet, inlet = wired.outlet(), wired.inlet("transcript/", from_start=True)
    got: list[Message] = []
    outlet.publish(transcript(0))
    serve_until(lambda: len(got) == 1, outlets=[outlet], inlets=[(inlet, got)])
    with lost_on_the_way(outlet):
        outlet.publish(transcript(1))
    outlet.publish(progress(1))
    outlet.close()
    serve_until(lambda: len(got) == 2, inlets=[(inlet, got)])
    assert (type(got[1]), got[1].count) == (Gap, 1)  # type: ignore[attr-defined]
    assert inlet.counts["requests given up"] == 1


# Several processes


def test_processes_get_everything_once_and_in_order_from_several_processes(wired: Bus) -> None:
    go, done, results = SPAWN.Event(), SPAWN.Event(), SPAWN.Queue()
    count, sources = 1000, ("mic.anna", "mic.ben")
    with ExitStack() as stack:
        for source in sources:
            arguments = (wired.address, source, count, go, done)
            stack.enter_context(process(publish_in_a_process, *arguments))
        total = len(sources) * (count + 2)
        for _ in range(2):
            reader = (wired.address, ["transcript/s1/", "stream."], True, total, results)
            stack.enter_context(process(subscribe_in_a_process, *reader))
        for _ in range(2):
            assert results.get(timeout=DEADLINE_S) == "ready"
        go.set()
        for _ in range(2):
            got = results.get(timeout=DEADLINE_S)
            for source in sources:
                numbers = [seq for topic, seq, _ in got if topic == f"transcript/s1/{source}"]
                assert numbers == list(range(count))
            assert len(got) == total
        done.set()


def test_a_stalled_reader_gets_the_rest_later_and_holds_up_nobody(
    wired: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 MB are more than the kernel buffers, and so small a pipe drops the rest at the hub."""
    wired.hub.close()
    monkeypatch.setattr(sockets, "HIGH_WATER", 300)
    wired.hub = Hub(wired.address)
    go, done = SPAWN.Event(), SPAWN.Event()
    count, size = 12_000, 1_500
    prefixes = ("transcript/", "stream.")
    quick, stalled = (wired.inlet(*prefixes, from_start=True) for _ in range(2))
    got: list[Message] = []
    late: list[Message] = []
    arguments = (wired.address, "mic.anna", count, go, done, size)
    with process(publish_in_a_process, *arguments):
        go.set()
        serve_until(lambda: len(got) >= count + 2, inlets=[(quick, got)])
        assert texts(got) == list(range(count))
        assert not of_kind(got, Gap)

        def accounted_for() -> bool:
            lost = sum(gap.count for gap in of_kind(late, Gap))
            return lost + len(late) - len(of_kind(late, Gap)) >= count + 2

        serve_until(accounted_for, inlets=[(stalled, late)])
        done.set()
    tally = Tally()
    tally.take(late, prefixes)
    assert tally.next["transcript/s1/mic.anna"] == count
    assert not tally.lost
    assert stalled.counts["resent"] > 0


# Garbage

GOOD = {"session": "s1", "source": "mic.anna", "epoch": 5, "watermark_ns": 1}
DEEP: Any = [[[[[[[[1]]]]]]]]
GARBAGE: list[tuple[str, list[bytes]]] = [
    ("not MessagePack", [b"progress/s1/mic.anna", b"\xc1\xc1", b""]),
    ("not MessagePack", [b"progress/s1/mic.anna", msgpack.packb([1, 2]), b""]),
    ("version", frames_of("progress", GOOD | {"v": 2})),
    ("version", frames_of("progress", GOOD | {"v": "one"})),
    ("unknown kind", frames_of("laughter", GOOD)),
    ("too large", [b"progress/s1/mic.anna", b"\x80" * 70_000, b""]),
    ("too large", frames_of("progress", GOOD, bytes(5 * 1024 * 1024))),
    ("too large", frames_of("progress", GOOD | {"extra": DEEP})),
    ("field", frames_of("progress", GOOD | {"watermark_ns": float("nan")})),
    ("frames", [b"progress/s1/mic.anna"]),
    ("frames", [b"progress/s1/mic.anna", b"", b"", b""]),
    ("topic", [b"progress/s2/mic.anna", *frames_of("progress", GOOD)[1:]]),
    ("payload", frames_of("progress", GOOD, b"surplus")),
]


def test_garbage_on_the_wire_is_counted_under_its_name_and_the_inlet_goes_on(wired: Bus) -> None:
    raw = wired.raw(zmq.PUB, 1)
    outlet, inlet = wired.outlet(), wired.inlet("", from_start=True)
    got: list[Message] = []
    heard(outlet, inlet)

    def connected() -> bool:
        raw.send_multipart([b"x"])
        return inlet.counts["frames"] > 0

    serve_until(connected, inlets=[(inlet, got)])
    before = dict(inlet.counts)
    for _, frames in GARBAGE:
        raw.send_multipart(frames)
    raw.send_multipart(frames_of("transcript", {"session": "s1", "source": "end"}))
    serve_until(lambda: inlet.counts["field"] >= 2, outlets=[outlet], inlets=[(inlet, got)])
    expected = {name for name, _ in GARBAGE}
    for name in expected - {"frames"}:
        sent = sum(name == other for other, _ in GARBAGE) + (name == "field")
        assert inlet.counts[name] - before.get(name, 0) == sent, name
    assert inlet.counts["frames"] - before["frames"] >= 2
    got.clear()
    outlet.publish(transcript(1))
    serve_until(lambda: texts(got) == [0], outlets=[outlet], inlets=[(inlet, got)])


def test_a_newer_version_is_named_in_the_log(wired: Bus, caplog: pytest.LogCaptureFixture) -> None:
    raw, inlet = wired.raw(zmq.PUB, 1), wired.inlet("")

    def arrived() -> bool:
        raw.send_multipart(frames_of("progress", GOOD | {"v": 2}))
        return inlet.counts["version"] > 0

    serve_until(arrived, inlets=[(inlet, [])])
    assert "wire version 2; this program reads up to 1: upgrade it" in caplog.text


def test_an_unknown_field_is_ignored(wired: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "ABSENT_NS", 10**9)
    raw, inlet = wired.raw(zmq.PUB, 1), wired.inlet("progress/", from_start=True)
    got: list[Message] = []

    def arrived() -> bool:
        raw.send_multipart(frames_of("progress", GOOD | {"later": 1}))
        return bool(got)

    serve_until(arrived, inlets=[(inlet, got)])  # the forged outlet cannot be asked
    assert isinstance(got[0], Progress)


REQUESTS: list[list[bytes]] = [
    [],
    [b"garbage"],
    [b"", b"", b"", b""],
    [msgpack.packb({"op": "resend"})],
    [msgpack.packb({"op": "resend", "topic": "t", "first": "a", "last": None})],
    [msgpack.packb({"op": "resend", "topic": "t", "first": -5, "last": (1 << 64) - 1})],
    [msgpack.packb({"op": "state", "prefixes": 5})],
    [msgpack.packb({"op": "state", "prefixes": [5]})],
    [msgpack.packb({"op": "history", "prefixes": [""], "position": "x"})],
    [msgpack.packb({"op": "history", "prefixes": [""], "position": -1})],
    [msgpack.packb({"op": ["dance"], "prefixes": []})],
    [msgpack.packb({"op": "resent", "epoch": 1})],
    [msgpack.packb([1])],
    [b"x" * 100_000],
]


def test_garbage_sent_to_the_router_stops_neither_hub_nor_outlet(wired: Bus) -> None:
    outlet, inlet = wired.outlet(), wired.inlet("transcript/", from_start=True)
    got: list[Message] = []
    heard(outlet, inlet)
    raw = wired.raw(zmq.DEALER, 2)
    for to in (str(outlet.epoch).encode(), b"", b"nobody", b"x" * 300):
        for body in REQUESTS:
            raw.send_multipart([to, *body])
    raw.send(b"")
    with lost_on_the_way(outlet):
        outlet.publish(transcript(0))
    outlet.publish(transcript(1))
    serve_until(lambda: texts(got) == [0, 1], outlets=[outlet], inlets=[(inlet, got)])
    assert measure_clock_offset(wired.address).round_trip_ns > 0


def test_answers_that_nobody_asked_for_or_cannot_be_read_are_counted_and_dropped(
    wired: Bus,
) -> None:
    inlet = wired.inlet("transcript/", from_start=True)
    outlet = wired.outlet()
    got: list[Message] = []
    heard(outlet, inlet)
    asked = wired.raw(zmq.DEALER, 2)
    answers = [
        {"op": "state", "epoch": outlet.epoch, "heads": {"transcript/s1/mic.anna": 10**6}},
        {"op": "resent", "epoch": outlet.epoch, "topic": "t", "first": 0, "last": 5},
        {"op": "state", "epoch": "x", "heads": {"a": "b"}},
        {"op": "dance", "epoch": 5},
        {},
    ]
    name = b"reader"
    inlet._requests.setsockopt(zmq.ROUTING_ID, name)
    inlet._requests.disconnect(ports(wired.address)[2])
    inlet._requests.connect(ports(wired.address)[2])

    def all_refused() -> bool:
        if inlet.counts["bad answer"] < len(answers):
            for answer in answers:
                asked.send_multipart([name, msgpack.packb(answer)])
        return inlet.counts["bad answer"] >= len(answers)

    serve_until(all_refused, outlets=[outlet], inlets=[(inlet, got)])
    got.clear()
    outlet.publish(transcript(0))
    serve_until(lambda: texts(got) == [0], outlets=[outlet], inlets=[(inlet, got)])


def test_a_message_that_cannot_be_sent_leaves_no_hole(wired: Bus) -> None:
    outlet, inlet = wired.outlet(), wired.inlet("transcript/", from_start=True)
    got: list[Message] = []
    outlet.publish(transcript(0))
    with pytest.raises(DecodeError, match="split it"):
        outlet.publish(transcript(1, size=100_000))
    outlet.publish(transcript(2))
    outlet.publish(progress(1))
    serve_until(lambda: len(got) >= 2, outlets=[outlet], inlets=[(inlet, got)])
    assert [m.text for m in got] == ["0", "2"]  # type: ignore[attr-defined]


def test_in_place_of_what_cannot_be_sent_a_gap_is_published(wired: Bus) -> None:
    outlet, inlet = wired.outlet(), wired.inlet("transcript/", "gap/", from_start=True)
    got: list[Message] = []
    outlet.publish_or_say_lost(transcript(0))
    outlet.publish_or_say_lost(transcript(1, size=100_000))
    outlet.publish_or_say_lost(transcript(2))
    outlet.publish(progress(1))
    serve_until(lambda: len(got) >= 3, outlets=[outlet], inlets=[(inlet, got)])
    assert [m.text for m in of_kind(got, Transcript)] == ["0", "2"]
    (gap,) = of_kind(got, Gap)
    assert (gap.lost, gap.count) == ("transcript", 1)
    assert gap.reason.startswith("it could not be sent: too large")
    assert outlet.counts["not sent"] == 1


def test_half_a_surrogate_pair_is_replaced_and_counted(wired: Bus) -> None:
    outlet, inlet = wired.outlet(), wired.inlet("transcript/", from_start=True)
    got: list[Message] = []
    outlet.publish(msgspec.structs.replace(transcript(0), text="so \ud83d \U0001f600 sad"))
    outlet.publish(progress(1))
    serve_until(lambda: len(got) >= 1, outlets=[outlet], inlets=[(inlet, got)])
    assert [m.text for m in got] == ["so \ufffd \U0001f600 sad"]  # type: ignore[attr-defined]
    assert outlet.counts["texts repaired"] == 1


# Addresses, ports, restarts


def test_a_port_in_use_is_said_in_one_sentence(wired: Bus) -> None:
    with pytest.raises(BusError, match=r"in use; stop what runs there or choose another") as caught:
        Hub(wired.address)
    assert "\n" not in str(caught.value)


def test_a_hub_that_finds_its_second_port_taken_gives_the_first_back() -> None:
    address = free_address()
    port = int(address.rpartition(":")[2])
    with socket.socket() as other:
        other.bind(("127.0.0.1", port + 1))
        other.listen()
        with pytest.raises(BusError, match="in use"):
            Hub(address)
    Hub(address).close()


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "192.168.1.5", "[::]", "example.org"])
def test_a_bind_where_strangers_could_connect_is_refused(host: str) -> None:
    with pytest.raises(BusError, match=r"other machines.*bind to tcp://127\.0\.0\.1:PORT"):
        Hub(f"tcp://{host}:5570")


BAD = ("", "127.0.0.1:5570", "tcp://127.0.0.1", "tcp://:1", "tcp://a:0", "tcp://a:70000")
BAD += ("udp://127.0.0.1:5", "tcp://a:b", "ipc://", "tcp://a:65534", "tcp://a:-1")


@pytest.mark.parametrize("address", BAD)
@pytest.mark.parametrize("use", [Outlet, Inlet, measure_clock_offset, ports])
def test_a_bad_address_is_said_in_one_sentence(address: str, use: Callable[[str], Any]) -> None:
    with pytest.raises(BusError, match="is not an address; write tcp://"):
        use(address)


@pytest.mark.parametrize("use", [Outlet, Inlet, measure_clock_offset])
def test_an_address_that_cannot_be_connected_to_is_said(
    use: Callable[[Endpoint], Any], tmp_path: Path
) -> None:
    with pytest.raises(BusError, match="cannot connect to"):
        use(Endpoint("tcp://not a host:5570", new_keys(tmp_path / "keys")))


def test_a_unix_socket_is_an_address_too(tmp_path: Any) -> None:
    address = f"ipc://{os.path.relpath(tmp_path)}/bus"
    with Hub(address):
        outlet, inlet = Outlet(address), Inlet(address, ["transcript/"], from_start=True)
        got: list[Message] = []
        outlet.publish(transcript(0))
        serve_until(lambda: texts(got) == [0], outlets=[outlet], inlets=[(inlet, got)])
        outlet.close()
        inlet.close()


def test_the_hub_closes_within_a_second_under_load_and_frees_its_ports(wired: Bus) -> None:
    outlet, inlet = wired.outlet(), wired.inlet("")
    heard(outlet, inlet)
    for number in range(5000):
        outlet.publish(transcript(number, size=500))
    started = time.monotonic()
    wired.hub.close()
    assert time.monotonic() - started < 1.0
    assert not any(thread.is_alive() for thread in wired.hub._threads)
    wired.hub = Hub(wired.address)


def test_everybody_reconnects_after_the_hub_restarts_and_nothing_is_lost(wired: Bus) -> None:
    outlet, inlet = wired.outlet(), wired.inlet("transcript/", from_start=True)
    got: list[Message] = []
    outlet.publish(transcript(0))
    serve_until(lambda: len(got) == 1, outlets=[outlet], inlets=[(inlet, got)])
    wired.hub.close()
    for number in range(1, 300):
        outlet.publish(transcript(number))
    wired.hub = Hub(wired.address)
    for number in range(300, 400):
        outlet.publish(transcript(number))
    serve_until(lambda: len(got) >= 400, outlets=[outlet], inlets=[(inlet, got)])
    assert texts(got) == list(range(400))


def test_an_outlet_without_a_hub_neither_blocks_nor_hangs_when_closed() -> None:
    started = time.monotonic()
    outlet = Outlet(free_address())
    for number in range(1000):
        outlet.publish(transcript(number))
    outlet.service()
    outlet.close()
    assert time.monotonic() - started < 2.0


# What leaves the machine, and clocks


def audio(number: int) -> Audio:
    return Audio(
        session="s1",
        source="mic.anna",
        first_sample=320 * number,
        sample_rate_hz=16_000,
        start_ns=number,
        payload=b"secret__" * 80,
    )


def test_audio_that_nobody_subscribed_to_does_not_leave_the_outlet(wired: Bus) -> None:
    """A tap in the place of the hub's entrance counts every byte that the outlet sends."""
    with tap(ports(wired.address)[1]) as (where, taken):
        outlet = Outlet(wired.address)
        outlet._publisher.disconnect(ports(wired.address)[1])
        outlet._publisher.connect(where)
        inlet = wired.inlet("transcript/", "stream.", from_start=True)
        got: list[Message] = []
        try:
            for number in range(200):
                outlet.publish(audio(number))
                outlet.publish(transcript(number))
            serve_until(lambda: len(got) >= 200, outlets=[outlet], inlets=[(inlet, got)])
            for number in range(200, 400):
                outlet.publish(audio(number))
                outlet.publish(transcript(number))
            serve_until(lambda: len(got) >= 400, outlets=[outlet], inlets=[(inlet, got)])
            assert b"transcript/s1" in bytes(taken)
            assert b"secret__" not in bytes(taken)
            curious = wired.inlet("audio/")  # the tap would have seen it
            heard_audio: list[Message] = []

            def arrived() -> bool:
                outlet.publish(audio(500))
                return bool(heard_audio)

            serve_until(arrived, outlets=[outlet], inlets=[(curious, heard_audio)])
            assert b"secret__" in bytes(taken)
        finally:
            outlet.close(linger_ms=0)


@contextmanager
def tap(where: str) -> Iterator[tuple[str, bytearray]]:
    """Pass bytes on between a new address and ``where``; keep those that go there."""
    host, _, port = where.removeprefix("tcp://").rpartition(":")
    taken = bytearray()
    listener = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = [listener]

    def copy(source: socket.socket, sink: socket.socket, kept: bytearray | None) -> None:
        try:
            while data := source.recv(65_536):
                if kept is not None:
                    kept += data
                sink.sendall(data)
        except OSError:
            return

    def accept() -> None:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        far = socket.create_connection((host, int(port)))
        ends.extend((near, far))
        threads.append(threading.Thread(target=copy, args=(far, near, None)))
        threads[-1].start()
        copy(near, far, taken)

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    try:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}", taken
    finally:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in threads:
            thread.join(timeout=2)


def test_the_hub_answers_clock_probes(wired: Bus) -> None:
    probe = measure_clock_offset(wired.address)
    assert 0 < probe.round_trip_ns < 1_000_000_000
    assert abs(probe.offset_ns) <= probe.round_trip_ns // 2 + 1_000_000


def test_a_clock_probe_without_a_hub_is_said_in_one_sentence() -> None:
    with pytest.raises(BusError, match="no hub answers at"):
        measure_clock_offset(free_address(), timeout_s=0.1)


# Memory


def test_closed_streams_are_forgotten_after_a_while(
    wired: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "MAX_CLOSED_STREAMS", 3)
    outlet = wired.outlet()
    for number in range(20):
        outlet.publish(opened(f"mic.{number}"))
        outlet.publish(closed(f"mic.{number}"))
        outlet.publish(opened("again"))
        outlet.publish(closed("again"))
    assert len(outlet._streams) <= 4


def test_a_closed_stream_stops_beating_after_a_while() -> None:
    now_ns = 0
    outlet = Outlet(free_address(), clock=lambda: now_ns)
    outlet.publish(opened())
    outlet.publish(closed())
    beats = 0
    while (due_ns := outlet.next_wake_ns()) is not None:
        now_ns, beats = due_ns, beats + 1
        outlet.service()
        assert beats < 100
    assert beats == published.BEATS_AFTER_CLOSE
    assert 20e9 < now_ns < 60e9
    outlet.close(linger_ms=0)


def asked(stranger: zmq.Socket[bytes], outlet: Outlet, body: dict[str, Any]) -> list[bytes] | None:
    """Ask an outlet, again while the hub does not know it yet; None when it refuses the request."""
    request = [str(outlet.epoch).encode(), msgpack.packb(body)]
    refused, answers = outlet.counts["bad request"], []

    def is_answered() -> bool:
        while stranger.poll(0):
            answers.append(stranger.recv_multipart())
            if msgpack.unpackb(answers[-1][1])["op"] == "unreachable":
                answers.pop()
                stranger.send_multipart(request)
        return bool(answers) or outlet.counts["bad request"] > refused

    stranger.send_multipart(request)
    serve_until(is_answered, outlets=[outlet])
    return answers[0] if answers else None


def test_a_request_that_would_keep_an_outlet_busy_is_refused_and_counted(wired: Bus) -> None:
    outlet = wired.outlet()
    for number in range(3):
        outlet.publish(transcript(number))
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.connect(ports(wired.address)[2])
        body = {"op": "history", "position": 0, "prefixes": ["x/"] * 5_000}
        assert asked(stranger, outlet, body) is None
        answer = asked(stranger, outlet, body | {"prefixes": ["transcript/"]})
        assert answer is not None
        assert len(answer) == 2 + 3 * 3


def test_more_prefixes_than_outlets_answer_for_are_refused() -> None:
    with pytest.raises(BusError, match=r"65 prefixes .* subscribe to a common beginning"):
        Inlet(free_address(), [f"emotion/s{number}/" for number in range(65)])


@pytest.mark.parametrize(
    "body",
    [
        {"op": "resend", "topic": "transcript/s1/mic.anna", "first": 2**64 - 1, "last": 2**64 - 1},
        {"op": "history", "prefixes": ["transcript/"], "position": 2**64 - 1, "seen": {}},
        {"op": "history", "prefixes": ["transcript/"], "position": 0, "seen": {"x": "1"}},
    ],
)
def test_numbers_that_no_journal_holds_stop_no_outlet(
    wired: Bus, tmp_path: Path, body: dict[str, Any]
) -> None:
    with closing(Journal(tmp_path / "journal")) as journal:
        outlet = wired.outlet(ring=journal)
        outlet.publish(transcript(0))
        with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
            stranger.connect(ports(wired.address)[2])
            answer = asked(stranger, outlet, body)
            assert answer is None or len(answer) == 2, "refused, or nothing found"
