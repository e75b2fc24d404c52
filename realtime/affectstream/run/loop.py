"""The one loop: sockets + timer + a pure machine.

Knows: how to wait for sockets, devices and deadlines at once, and when to stop.
Refuses to know: what the machine does. Every process of the project that runs a machine runs it
here.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, runtime_checkable

import zmq

from affectstream.bus import Endpoint, HubClock, Inlet, Outlet
from affectstream.core.delivery.reassembler import Positions
from affectstream.core.delivery.retention import MessageStore
from affectstream.messages import Message
from affectstream.run.leash import Pulse
from affectstream.timebase import NS_PER_MS

LONGEST_WAIT_NS = 100 * NS_PER_MS
"""A stop is noticed after at most this long."""

LINGER_S = 0.15
"""How long, after a stop, readers that missed the last messages can still ask for them."""

LINGER_AT_END_S = 1.0
"""The same where all inputs have ended and nobody waits for us to go."""


class Machine(Protocol):
    """A pure machine: time is an argument, messages come back."""

    def receive(self, message: Any, now_ns: int) -> list[Message]:
        """Take one message or captured block in."""

    def wake(self, now_ns: int) -> Iterable[Message]:
        """Do what is due; messages may be yielded one by one, each is published at once."""

    def next_wake_ns(self) -> int | None:
        """Return when something will be due."""

    def close(self, now_ns: int) -> list[Message]:
        """Say the last words."""


class Sleeper(Protocol):
    """What has something to do at times though nothing arrives."""

    def next_wake_ns(self) -> int | None:
        """Return when that is."""


class InputDevice(Protocol):
    """A device or file that feeds a machine."""

    @property
    def exhausted(self) -> bool:
        """Whether nothing more will come."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when there is something to read, or -1."""

    def read(self, now_ns: int) -> Iterable[object]:
        """Return what there is, without waiting."""

    def close(self) -> None:
        """Let go of the device."""


@runtime_checkable
class PacedInput(Protocol):
    """An input that knows when its next block is due, such as a file played at its own pace."""

    def next_read_ns(self) -> int | None:
        """Return the processing time at which there will be something to read."""


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether SIGINT or SIGTERM has come."""
    stopped = threading.Event()
    previous = {
        number: signal.signal(number, lambda *_: stopped.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stopped.is_set
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def run(
    machine: Machine,
    *,
    address: str | Endpoint,
    prefixes: Sequence[str] = (),
    from_start: bool = True,
    inputs: Sequence[InputDevice] = (),
    clock: HubClock | Callable[[], int] | None = None,
    stopping: Callable[[], bool] = lambda: False,
    ring: MessageStore | None = None,
    regenerated: bool = False,
    positions: Positions | None = None,
) -> None:
    """Run ``machine`` until ``stopping()`` or, if it has inputs, until all are exhausted.

    Args:
        machine: what hears ``prefixes`` and ``inputs``, and speaks.
        address: the hub's.
        prefixes, from_start, positions: what is heard, and from where on, see ``Inlet``.
        inputs: devices and files; closed in the end.
        clock: nanoseconds since 1970. None follows the hub's clock, which is waited for, so that
            all hosts of a bus stamp by one clock.
        stopping: whether to end early.
        ring, regenerated: where what is published is kept, see ``Outlet``.
    """
    pulse = Pulse()
    with ExitStack() as stack:
        for source in inputs:
            stack.callback(source.close)
        clock = stack.enter_context(HubClock(address)) if clock is None else clock
        hub_clock = clock if isinstance(clock, HubClock) else None
        now = clock.now_ns if isinstance(clock, HubClock) else clock
        if hub_clock is not None and not hub_clock.wait(stopping):
            return
        outlet = Outlet(address, ring=ring, regenerated=regenerated, clock=now)
        stack.callback(outlet.close)
        inlet = None
        if prefixes:
            inlet = Inlet(
                address,
                prefixes,
                from_start=from_start,
                positions=positions,
                in_order=True,
                clock=now,
            )
            stack.callback(inlet.close)
        poller = _poller(outlet, inlet, hub_clock, inputs)
        sleepers = [machine, outlet, *(part for part in (inlet, hub_clock) if part is not None)]
        paced = [source for source in inputs if isinstance(source, PacedInput)]
        while not stopping():
            poller.poll(_wait_ms(now(), sleepers, paced))
            if hub_clock is not None:
                hub_clock.service()
            _turn(machine, outlet, inlet, inputs, now, pulse)
            _unregister_exhausted(poller, inputs)
            if inputs and all(source.exhausted for source in inputs):
                break
        _publish(outlet, machine.close(now()))
        _linger(outlet, LINGER_S if stopping() else LINGER_AT_END_S)


def _poller(
    outlet: Outlet, inlet: Inlet | None, hub_clock: HubClock | None, inputs: Sequence[InputDevice]
) -> zmq.Poller:
    poller = zmq.Poller()
    sockets = [outlet.socket, *(inlet.sockets if inlet else ())]
    for socket in [*sockets, hub_clock.socket] if hub_clock else sockets:
        poller.register(socket, zmq.POLLIN)
    for source in inputs:
        if source.fileno() >= 0:
            poller.register(source.fileno(), zmq.POLLIN)
    return poller


def _unregister_exhausted(poller: zmq.Poller, inputs: Sequence[InputDevice]) -> None:
    """Stop polling what has ended: a file at its end is readable for ever."""
    for source in inputs:
        if source.exhausted and source.fileno() in poller:
            poller.unregister(source.fileno())


def _wait_ms(now_ns: int, sleepers: Sequence[Sleeper], paced: Sequence[PacedInput]) -> int:
    due = [sleeper.next_wake_ns() for sleeper in sleepers]
    due += [source.next_read_ns() for source in paced]
    earliest_ns = min((d for d in due if d is not None), default=now_ns + LONGEST_WAIT_NS)
    wait_ns = min(max(0, earliest_ns - now_ns), LONGEST_WAIT_NS)
    return -(-wait_ns // NS_PER_MS)  # rounded up: waking early would spin


def _turn(
    machine: Machine,
    outlet: Outlet,
    inlet: Inlet | None,
    inputs: Sequence[InputDevice],
    now: Callable[[], int],
    pulse: Pulse,
) -> None:
    pulse.beat()
    outlet.service()
    if inlet is not None:
        for message in inlet.read():
            _publish(outlet, machine.receive(message, now()))
            pulse.beat()  # a backlog may take long
    for source in inputs:
        for item in source.read(now()):
            _publish(outlet, machine.receive(item, now()))
            pulse.beat()
    _publish(outlet, machine.wake(now()))


def _publish(outlet: Outlet, messages: Iterable[Message]) -> None:
    for message in messages:
        outlet.publish(message)


def _linger(outlet: Outlet, seconds: float) -> None:
    """Stay long enough to answer a reader that missed the last messages."""
    end_s = time.monotonic() + seconds
    while (left_s := end_s - time.monotonic()) > 0:
        outlet.service()
        outlet.socket.poll(min(10, int(1000 * left_s) + 1))
