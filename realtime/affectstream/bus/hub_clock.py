"""A process's clock that follows the hub's, so that all hosts of a bus stamp by one clock.

Knows: how the hub is asked for its time, how often, and that nothing is stamped before it answered.
Refuses to know: what answers prove, and how a clock follows another (``core.clocks``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Self

import zmq

from affectstream.bus.endpoint import Endpoint
from affectstream.bus.sockets import close, connect
from affectstream.bus.wall_clock import WallClock
from affectstream.codec import unpack_map
from affectstream.core.address import DEFAULT_ADDRESS, ports
from affectstream.core.clocks import MAX_SLEW, ClockEstimate, ClockFilter, OffsetCourse
from affectstream.timebase import NS_PER_MS, NS_PER_S, ClockProbe

_log = logging.getLogger(__name__)

FIRST_ANSWERS = 8
"""So many answers are waited for before anything is stamped."""

FIRST_WAIT_NS = 2 * NS_PER_S
"""After this time fewer answers are enough, but at least one."""

FIRST_PROBES = 24
"""So many probes follow each other soon; later ones more seldom."""

FIRST_PROBE_EVERY_NS = 250 * NS_PER_MS
PROBE_EVERY_NS = 2 * NS_PER_S

FAR_NS = NS_PER_S
"""A difference of this size, which takes minutes to be corrected, is logged."""

UNCONNECTED_NS = 50 * NS_PER_MS
"""While there is no connection to the hub, a probe is tried so often."""

_POLL_MS = 20


class HubClock:
    """Nanoseconds since 1970 by the hub's clock; they never run backwards and never jump.

    One thread calls ``service`` when ``socket`` is readable and at ``next_wake_ns``; ``run.loop``
    does. ``now_ns`` may be called from any thread.

    Args:
        address: the hub's.
        local: our own clock, in ns; default: this machine's.

    Raises:
        BusError: ``address`` is not an address.
    """

    def __init__(
        self, address: str | Endpoint = DEFAULT_ADDRESS, *, local: Callable[[], int] | None = None
    ) -> None:
        endpoint = Endpoint.of(address)
        _, _, control = ports(endpoint.address)
        self.address = endpoint.address
        self._local = local or WallClock().now_ns
        self._context = zmq.Context(io_threads=1)
        self.socket = connect(self._context, zmq.DEALER, control, keys=endpoint.keys, ahead=False)
        self._filter = ClockFilter()
        self._course: OffsetCourse | None = None
        self._asked = self._answered = 0
        self._ask_ns = self._local()
        self._said_far = False

    def now_ns(self) -> int:
        """Return the time now by the hub's clock, as far as it is known."""
        local_ns = self._local()
        return local_ns + (self._course.correction_ns(local_ns) if self._course else 0)

    def estimate(self) -> ClockEstimate | None:
        """Return where the hub's clock is, seen from our own; None before its first answer."""
        return self._filter.estimate(self._local())

    def wait(self, stopping: Callable[[], bool] = lambda: False) -> bool:
        """Wait until the hub has said what time it is; return False if told to stop before.

        Nothing is stamped earlier: a clock that was read once cannot be set without a jump.
        """
        began_ns = self._local()
        warned = False
        while self._course is None and not stopping():
            self.socket.poll(_POLL_MS)
            answered = self._read()
            waited_ns = self._local() - began_ns
            enough = 1 if waited_ns >= FIRST_WAIT_NS else FIRST_ANSWERS
            if self._answered >= enough:
                self._course = OffsetCourse().toward(self._aim(), self._local()).arrived()
            elif answered or self._local() >= self._ask_ns:
                self._ask()
            if not self._answered and not warned and waited_ns >= FIRST_WAIT_NS:
                _log.warning("no hub answers at %s yet; waiting for it", self.address)
                warned = True
        return self._course is not None

    def service(self) -> None:
        """Read answers, follow what they prove, and ask again when it is time."""
        if self._read() and self._course is not None:
            self._course = self._course.toward(self._aim(), self._local())
            self._say_far(self._course.behind_ns)
        if self._local() >= self._ask_ns:
            self._ask()

    def next_wake_ns(self) -> int:
        """Return when ``service`` has something to do, by this clock."""
        return self.now_ns() + self._ask_ns - self._local()

    def _aim(self) -> ClockEstimate:
        aim = self._filter.correction(self._local())
        assert aim is not None, "asked for before the first answer"
        return aim

    def _ask(self) -> None:
        """Send a probe; our time travels with it and comes back, so that nothing is remembered."""
        local_ns = self._local()
        try:
            self.socket.send_multipart([b"", b"", local_ns.to_bytes(8)], zmq.DONTWAIT)
        except zmq.Again:
            self._ask_ns = local_ns + UNCONNECTED_NS  # a probe that waits would prove nothing
            return
        self._asked += 1
        often = self._asked < FIRST_PROBES
        self._ask_ns = local_ns + (FIRST_PROBE_EVERY_NS if often else PROBE_EVERY_NS)

    def _read(self) -> int:
        """Read the answers that have come; return how many."""
        count = 0
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                self._answered += count
                return count
            received_ns = self._local()
            try:
                _, packed, sent = frames
                remote_ns = unpack_map(packed)["now_ns"]
                if not isinstance(remote_ns, int) or len(sent) != 8:
                    raise TypeError("it does not say the time, or not when it was asked")
                self._filter.receive(ClockProbe(int.from_bytes(sent), remote_ns, received_ns))
                count += 1
            except (KeyError, TypeError, ValueError) as error:
                _log.warning("dropped an answer of the hub's clock that cannot be read: %s", error)

    def _say_far(self, behind_ns: int) -> None:
        """Warn once of a difference that takes minutes to be corrected."""
        if abs(behind_ns) >= FAR_NS and not self._said_far:
            _log.warning(
                "the hub's clock jumped by %.1f s and is followed by %.0f ms a second; "
                "restart this process to follow at once",
                behind_ns / NS_PER_S,
                1000 * MAX_SLEW,
            )
        self._said_far = abs(behind_ns) >= FAR_NS

    def close(self) -> None:
        """Disconnect; the clock goes on as it was last set."""
        close(self.socket)
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
