"""The one loop, with machines and inputs that are written by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from affectstream.bus import BusError, Hub, HubClock, Inlet, Outlet
from affectstream.bus.wall_clock import WallClock
from affectstream.messages import Gap, Message, StreamClosed, Transcript
from affectstream.run.leash import PULSE, stop_when_told
from affectstream.run.loop import run, run_listener
from affectstream.run.processes import free_address
from affectstream.timebase import NS_PER_MS
from bus_helpers import (
    DEADLINE_S,
    SPAWN,
    closed,
    of_kind,
    opened,
    process,
    serve_until,
    subscribe_in_a_process,
    transcript,
)


class Scribe:
    """A machine that publishes what it takes in, numbered, and notes when it was woken."""

    def __init__(self, wake_every_ns: int | None = None) -> None:
        self.taken: list[Any] = []
        self.wakes: list[int] = []
        self.closed_at: int | None = None
        self._every_ns = wake_every_ns
        self._next_ns: int | None = 0 if wake_every_ns else None

    def receive(self, message: Any, now_ns: int) -> list[Message]:
        self.taken.append(message)
        return [transcript(len(self.taken))]

    def wake(self, now_ns: int) -> list[Message]:
        if self._next_ns is not None and self._every_ns and now_ns >= self._next_ns:
            self.wakes.append(now_ns)
            self._next_ns = now_ns + self._every_ns
        return []

    def next_wake_ns(self) -> int | None:
        return self._next_ns

    def close(self, now_ns: int) -> list[Message]:
        self.closed_at = now_ns
        return [closed()]


class Paced:
    """A file at its own pace: item n is due n * ``every_ns`` after the first look at it."""

    def __init__(self, count: int, every_ns: int) -> None:
        self._left = list(range(count))
        self._every_ns = every_ns
        self._due_ns = WallClock().now_ns()
        self.reads = 0
        self.was_closed = False
        self.late_ns: list[int] = []

    @property
    def exhausted(self) -> bool:
        return not self._left

    def fileno(self) -> int:
        return -1

    def next_read_ns(self) -> int | None:
        return self._due_ns if self._left else None

    def read(self, now_ns: int) -> Iterable[object]:
        self.reads += 1
        while self._left and now_ns >= self._due_ns:
            self.late_ns.append(now_ns - self._due_ns)
            self._due_ns += self._every_ns
            yield self._left.pop(0)

    def close(self) -> None:
        self.was_closed = True


class Pipe:
    """A device with a descriptor; what is written to ``writer`` can be read."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self.exhausted = False
        self.reads = 0

    def fileno(self) -> int:
        return self._reader

    def read(self, now_ns: int) -> Iterable[object]:
        self.reads += 1
        try:
            data = os.read(self._reader, 65_536)
        except BlockingIOError:
            return []
        self.exhausted = self.exhausted or not data
        return [data] if data else []

    def close(self) -> None:
        if self._reader >= 0:
            os.close(self._reader)
            self._reader = -1


@pytest.fixture
def address() -> Iterator[str]:
    where = free_address()
    with Hub(where):
        yield where


@pytest.fixture
def open_contexts(monkeypatch: pytest.MonkeyPatch) -> list[zmq.Context[Any]]:
    """The contexts that outlets and inlets made, to see that they were ended."""
    made: list[zmq.Context[Any]] = []

    class Watched(zmq.Context):  # type: ignore[type-arg]
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            made.append(self)

    monkeypatch.setattr(zmq, "Context", Watched)
    return made


def in_a_thread(task: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=task, daemon=True)
    thread.start()
    return thread


def test_a_paced_input_is_read_when_it_is_due_and_its_end_ends_the_loop(address: str) -> None:
    machine, source = Scribe(), Paced(count=10, every_ns=10 * NS_PER_MS)
    started = time.monotonic()
    run(machine, address=address, inputs=[source])
    assert machine.taken == list(range(10))
    assert machine.closed_at is not None
    assert source.was_closed
    assert time.monotonic() - started > 0.09
    assert source.reads < 40  # it waits, it does not spin


def test_an_input_with_a_descriptor_is_read_when_it_is_readable(address: str) -> None:
    machine, source = Scribe(), Pipe()

    def feed() -> None:
        deadline = time.monotonic() + DEADLINE_S
        for number in range(5):
            os.write(source.writer, b"%d" % number)
            while len(machine.taken) <= number and time.monotonic() < deadline:
                os.sched_yield()
        os.close(source.writer)

    thread = in_a_thread(feed)
    run(machine, address=address, inputs=[source])
    thread.join(timeout=DEADLINE_S)
    assert machine.taken == [b"0", b"1", b"2", b"3", b"4"]
    assert machine.closed_at is not None


def test_an_input_at_its_end_does_not_make_the_loop_spin_while_others_go_on(
    address: str,
) -> None:
    ended, paced = Pipe(), Paced(count=4, every_ns=50 * NS_PER_MS)
    os.close(ended.writer)
    run(Scribe(), address=address, inputs=[ended, paced])
    assert paced.exhausted
    assert ended.reads < 30


def test_a_machine_is_woken_when_it_asked_to_be(address: str) -> None:
    machine, source = Scribe(wake_every_ns=20 * NS_PER_MS), Paced(2, 200 * NS_PER_MS)
    run(machine, address=address, inputs=[source])
    assert 3 <= len(machine.wakes) <= 15
    waits = [b - a for a, b in zip(machine.wakes, machine.wakes[1:], strict=False)]
    assert min(waits) >= 20 * NS_PER_MS


def test_a_stop_ends_the_loop_within_300_ms(address: str) -> None:
    machine, stop = Scribe(wake_every_ns=1), threading.Event()
    thread = in_a_thread(
        lambda: run(machine, address=address, prefixes=["audio/"], stopping=stop.is_set)
    )
    inlet = Inlet(address, ["stream."], from_start=True)
    while not machine.wakes:
        time.sleep(0.01)
    stop.set()
    started = time.monotonic()
    thread.join(timeout=5)
    took_s = time.monotonic() - started
    inlet.close()
    assert machine.closed_at is not None
    assert took_s < 0.3


ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", ENDS)
def test_signals_stop_and_the_previous_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_when_told() as stopping:
        assert not stopping()
        signal.raise_signal(number)
        assert stopping()
    assert signal.getsignal(number) is before


def test_a_hang_up_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_when_told() as stopping:
            signal.raise_signal(signal.SIGHUP)
            assert not stopping()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


WORKER = """
import sys
from affectstream.run.leash import stop_when_told
from affectstream.run.loop import run
from bus_helpers import opened, closed
class Worker:
    said = False
    def receive(self, message, now_ns): return []
    def wake(self, now_ns):
        said, self.said = self.said, True
        return [] if said else [opened()]
    def next_wake_ns(self): return None
    def close(self, now_ns): return [closed()]
with stop_when_told() as stopping:
    run(Worker(), address=sys.argv[1], stopping=stopping)
"""


@pytest.mark.parametrize("number", ENDS)
def test_a_signal_to_a_worker_s_process_makes_it_say_its_last_words(
    address: str, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)
    worker = subprocess.Popen([sys.executable, "-c", WORKER, address])
    inlet = Inlet(address, ["stream."], from_start=True)
    got: list[Message] = []
    try:
        serve_until(lambda: len(got) == 1, inlets=[(inlet, got)])
        worker.send_signal(number)
        started = time.monotonic()
        serve_until(lambda: len(got) == 2, inlets=[(inlet, got)])
        assert worker.wait(timeout=DEADLINE_S) == 0
        assert time.monotonic() - started < 2.0  # it is a whole interpreter that ends
    finally:
        worker.kill()
        worker.wait()
        inlet.close()
    assert isinstance(got[1], StreamClosed)


def test_last_words_reach_a_subscriber_in_another_process(address: str) -> None:
    results = SPAWN.Queue()
    arguments = (address, ["transcript/", "stream."], True, 6, results)
    with process(subscribe_in_a_process, *arguments):
        assert results.get(timeout=DEADLINE_S) == "ready"
        run(Scribe(), address=address, inputs=[Paced(5, 20 * NS_PER_MS)])
        got = results.get(timeout=DEADLINE_S)
    topics = [topic for topic, _, _ in got]
    assert topics.count("transcript/s1/mic.anna") == 5
    assert topics.count("stream.closed/s1/mic.anna") == 1


def test_what_others_publish_is_given_to_the_machine_and_its_answers_published(
    address: str,
) -> None:
    machine, stop = Scribe(), threading.Event()
    thread = in_a_thread(
        lambda: run(machine, address=address, prefixes=["stream."], stopping=stop.is_set)
    )
    outlet, inlet = Outlet(address), Inlet(address, ["transcript/"], from_start=True)
    got: list[Message] = []
    try:
        outlet.publish(opened("mic.ben"))
        serve_until(lambda: len(got) == 1, outlets=[outlet], inlets=[(inlet, got)])
    finally:
        stop.set()
        thread.join(timeout=5)
        outlet.close()
        inlet.close()
    assert [m.source for m in machine.taken] == ["mic.ben"]
    assert of_kind(got, Transcript)


def test_an_answer_that_cannot_be_sent_is_a_gap_and_the_loop_goes_on(address: str) -> None:
    class Verbose(Scribe):
        def receive(self, message: Any, now_ns: int) -> list[Message]:
            self.taken.append(message)
            size = 100_000 if len(self.taken) == 2 else 1
            return [transcript(len(self.taken), size=size)]

    machine = Verbose()
    inlet = Inlet(address, ["transcript/", "gap/"], from_start=True)
    got: list[Message] = []
    thread = in_a_thread(lambda: run(machine, address=address, inputs=[Paced(4, 1)]))
    try:
        serve_until(lambda: len(got) >= 4, inlets=[(inlet, got)])
    finally:
        thread.join(timeout=5)
        inlet.close()
    assert len(machine.taken) == 4
    assert machine.closed_at is not None
    assert [m.text.rstrip("x") for m in of_kind(got, Transcript)] == ["1", "3", "4"]
    (gap,) = of_kind(got, Gap)
    assert gap.lost == "transcript"


def test_an_exception_in_a_machine_comes_out_and_everything_is_closed(
    address: str, open_contexts: list[zmq.Context[Any]]
) -> None:
    class Broken(Scribe):
        def receive(self, message: Any, now_ns: int) -> list[Message]:
            raise ZeroDivisionError("broken")

    source = Paced(1, 1)
    with pytest.raises(ZeroDivisionError, match="broken"):
        run(Broken(), address=address, prefixes=["audio/"], inputs=[source])
    assert source.was_closed
    assert len(open_contexts) == 3  # the clock's, the outlet's and the inlet's
    assert all(context.closed for context in open_contexts)


def test_inputs_are_closed_when_the_bus_cannot_be_used() -> None:
    source = Paced(1, 1)
    with pytest.raises(BusError, match="is not an address"):
        run(Scribe(), address="nonsense", inputs=[source])
    assert source.was_closed


def test_everything_is_closed_at_the_end(
    address: str, open_contexts: list[zmq.Context[Any]]
) -> None:
    run(Scribe(), address=address, prefixes=["audio/"], inputs=[Paced(1, 1)])
    assert len(open_contexts) == 3  # the clock's, the outlet's and the inlet's
    assert all(context.closed for context in open_contexts)


def test_a_clock_that_stands_still_does_not_keep_the_loop_from_ending(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, source = Scribe(), Paced(1, 1)
    now_ns = WallClock().now_ns()
    with HubClock(address) as clock:
        monkeypatch.setattr(clock, "now_ns", lambda: now_ns)
        run(machine, address=address, inputs=[source], clock=clock)
    assert machine.closed_at == now_ns


def test_a_machine_does_not_live_before_the_hub_has_said_what_time_it_is() -> None:
    machine, stop, where = Scribe(wake_every_ns=1), threading.Event(), free_address()
    thread = in_a_thread(lambda: run(machine, address=where, stopping=stop.is_set))
    thread.join(timeout=0.3)
    assert thread.is_alive()
    assert machine.wakes == []
    with Hub(where):
        while not machine.wakes:
            time.sleep(0.01)
        stop.set()
        thread.join(timeout=5)
    assert machine.closed_at is not None


def test_a_listener_hears_what_others_publish_and_makes_no_outlet(
    address: str, open_contexts: list[zmq.Context[Any]]
) -> None:
    heard: list[Message] = []
    stop = threading.Event()
    inlet, outlet = Inlet(address, ["transcript/"], from_start=True), Outlet(address)
    thread = in_a_thread(lambda: run_listener(inlet, on_message=heard.append, stopping=stop.is_set))
    try:
        for number in range(3):
            outlet.publish(transcript(number))
        serve_until(lambda: len(heard) == 3, outlets=[outlet])
    finally:
        stop.set()
        thread.join(timeout=5)
        inlet.close()
        outlet.close()
    assert [m.kind for m in heard] == ["transcript"] * 3
    assert len(open_contexts) == 2  # the inlet's and the outlet's of this test


def test_a_listener_without_a_bus_is_woken_ten_times_a_second_and_stops_soon() -> None:
    woken: list[float] = []
    stop = threading.Event()
    thread = in_a_thread(
        lambda: run_listener(on_wake=lambda: woken.append(time.monotonic()), stopping=stop.is_set)
    )
    while len(woken) < 4:
        time.sleep(0.01)
    stop.set()
    started = time.monotonic()
    thread.join(timeout=5)
    assert time.monotonic() - started < 0.3
    assert 0.25 < woken[3] - woken[0] < 3.0  # 0.3 s on a calm machine


def test_an_exception_of_what_a_listener_calls_comes_out() -> None:
    def fail() -> None:
        raise ZeroDivisionError("broken")

    with pytest.raises(ZeroDivisionError, match="broken"):
        run_listener(on_wake=fail, stopping=lambda: False)


def test_a_listener_shows_its_parent_that_it_has_not_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    felt, beating = os.pipe()
    monkeypatch.setenv(PULSE, str(beating))
    woken: list[bool] = []
    run_listener(on_wake=lambda: woken.append(True), stopping=lambda: len(woken) > 1)
    os.close(beating)
    assert os.read(felt, 10) == b"."
    os.close(felt)
