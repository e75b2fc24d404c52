"""The loop: it waits for sockets, devices and deadlines at once, and hands a machine what comes.

Knows: how long to wait, in which order things are done after that, and when to stop.
Refuses to know: what the machine does.

``run`` is for a machine that publishes on the bus, ``run_listener`` for what only shows or counts
what it hears. ``virtual_time`` runs the same machines without sockets and without waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import zmq

from affectstream.bus import Endpoint, HubClock, Inlet, Outlet
from affectstream.bus.wall_clock import WallClock
from affectstream.core.delivery.reassembler import Positions
from affectstream.core.delivery.retention import MessageStore
from affectstream.messages import Message
from affectstream.run.leash import Pulse
from affectstream.timebase import NS_PER_MS

LONGEST_WAIT_NS = 100 * NS_PER_MS
"""A stop is noticed, and a machine woken, after at most this long."""

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


class MessageReader(Protocol):
    """What messages of others are read from, such as an ``Inlet``."""

    @property
    def sockets(self) -> Sequence[zmq.Socket[bytes]]:
        """One of them is readable when there is something to read."""

    def read(self) -> Sequence[Message]:
        """Return the messages that there are, without waiting."""

    def next_wake_ns(self) -> int | None:
        """Return when to read though nothing has arrived."""


def run(
    machine: Machine,
    *,
    address: str | Endpoint,
    prefixes: Sequence[str] = (),
    from_start: bool = True,
    positions: Positions | None = None,
    inputs: Sequence[InputDevice] = (),
    clock: HubClock | None = None,
    ring: MessageStore | None = None,
    regenerated: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Run ``machine`` on the bus until ``stopping()``, or until all of its inputs are exhausted.

    Args:
        address: the hub's.
        prefixes, from_start, positions: what is heard, and from where on, see ``Inlet``.
        inputs: devices and files; closed in the end.
        clock: what is stamped by. None makes one; either is waited for, so that all hosts of a
            bus stamp by the hub's clock.
        ring, regenerated: where what is published is kept, see ``Outlet``.
        stopping: whether to end early.
    """
    with ExitStack() as stack:
        for source in inputs:
            stack.callback(source.close)
        clock = clock or stack.enter_context(HubClock(address))
        if not clock.wait(stopping):
            return
        outlet = Outlet(address, ring=ring, regenerated=regenerated, clock=clock.now_ns)
        stack.callback(outlet.close)
        reader = None
        if prefixes:
            reader = _inlet(address, prefixes, from_start, positions, clock)
            stack.callback(reader.close)
        _Loop(machine, clock.now_ns, inputs, reader, outlet, clock).run(stopping)
        _linger(outlet, LINGER_S if stopping() else LINGER_AT_END_S)


def run_listener(
    reader: MessageReader | None = None,
    *,
    on_message: Callable[[Any], None] = lambda message: None,
    on_wake: Callable[[], None] = lambda: None,
    stopping: Callable[[], bool],
) -> None:
    """Hear messages, and publish nothing, until ``stopping()``.

    Args:
        reader: where messages come from; not closed here. None: nothing is heard.
        on_message: called with each message.
        on_wake: called after each batch of messages, and at least ten times a second.
        stopping: whether to end.
    """
    _Loop(_Listener(on_message, on_wake), WallClock().now_ns, reader=reader).run(stopping)


@dataclass(frozen=True, slots=True)
class _Listener:
    """A machine that publishes nothing."""

    on_message: Callable[[Any], None]
    on_wake: Callable[[], None]

    def receive(self, message: Any, now_ns: int) -> list[Message]:
        self.on_message(message)
        return []

    def wake(self, now_ns: int) -> list[Message]:
        self.on_wake()
        return []

    def next_wake_ns(self) -> int | None:
        return None

    def close(self, now_ns: int) -> list[Message]:
        return []


class _Loop:
    """One machine, what feeds it, and where that which it says goes."""

    def __init__(
        self,
        machine: Machine,
        now: Callable[[], int],
        inputs: Sequence[InputDevice] = (),
        reader: MessageReader | None = None,
        outlet: Outlet | None = None,
        hub_clock: HubClock | None = None,
    ) -> None:
        self._machine, self._now, self._inputs = machine, now, inputs
        self._reader, self._outlet, self._hub_clock = reader, outlet, hub_clock
        self._pulse = Pulse()
        self._poller = zmq.Poller()
        self._due: list[Callable[[], int | None]] = [machine.next_wake_ns]
        if reader is not None:
            self._attend(reader.next_wake_ns, *reader.sockets)
        if outlet is not None:
            self._attend(outlet.next_wake_ns, outlet.socket)
        if hub_clock is not None:
            self._attend(hub_clock.next_wake_ns, hub_clock.socket)
        for source in inputs:
            if isinstance(source, PacedInput):
                self._due.append(source.next_read_ns)
            if source.fileno() >= 0:
                self._poller.register(source.fileno(), zmq.POLLIN)

    def _attend(self, due: Callable[[], int | None], *sockets: zmq.Socket[bytes]) -> None:
        """Wake when that is due, and when one of the sockets is readable."""
        self._due.append(due)
        for socket in sockets:
            self._poller.register(socket, zmq.POLLIN)

    def run(self, stopping: Callable[[], bool]) -> None:
        """Go on until told to stop or, if there are inputs, until all are exhausted."""
        while not stopping():
            self._wait()
            self._serve()
            if self._inputs and all(source.exhausted for source in self._inputs):
                break
        self._publish(self._machine.close(self._now()))

    def _wait(self) -> None:
        """Wait for sockets and devices until something is due."""
        now_ns = self._now()
        due = [next_ns() for next_ns in self._due]
        earliest_ns = min((d for d in due if d is not None), default=now_ns + LONGEST_WAIT_NS)
        wait_ns = min(max(0, earliest_ns - now_ns), LONGEST_WAIT_NS)
        wait_ms = -(-wait_ns // NS_PER_MS)  # rounded up: waking early would spin
        if self._poller.sockets:
            self._poller.poll(wait_ms)
        else:
            time.sleep(wait_ms / 1_000)  # a poller of nothing does not wait

    def _serve(self) -> None:
        """Do once what there is to do."""
        if self._hub_clock is not None:
            self._hub_clock.service()
        self._pulse.beat()
        if self._outlet is not None:
            self._outlet.service()
        if self._reader is not None:
            self._take_in(self._reader.read())
        for source in self._inputs:
            self._take_in(source.read(self._now()))
            if source.exhausted and source.fileno() in self._poller:
                self._poller.unregister(source.fileno())  # a file at its end is readable for ever
        self._publish(self._machine.wake(self._now()))

    def _take_in(self, items: Iterable[object]) -> None:
        for item in items:
            self._publish(self._machine.receive(item, self._now()))
            self._pulse.beat()  # a backlog may take long

    def _publish(self, messages: Iterable[Message]) -> None:
        for message in messages:
            assert self._outlet is not None, "a listener has nothing to publish"
            self._outlet.publish_or_say_lost(message)


def _inlet(
    address: str | Endpoint,
    prefixes: Sequence[str],
    from_start: bool,
    positions: Positions | None,
    clock: HubClock,
) -> Inlet:
    return Inlet(
        address,
        prefixes,
        from_start=from_start,
        positions=positions,
        in_order=True,
        clock=clock.now_ns,
    )


def _linger(outlet: Outlet, seconds: float) -> None:
    """Stay long enough to answer a reader that missed the last messages."""
    end_s = time.monotonic() + seconds
    while (left_s := end_s - time.monotonic()) > 0:
        outlet.service()
        outlet.socket.poll(min(10, int(1000 * left_s) + 1))
