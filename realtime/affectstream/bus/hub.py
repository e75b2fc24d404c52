"""The hub: the only thing that binds; it forwards and keeps nothing.

Knows: how messages go from publishers to subscribers, and requests from peer to peer.
Refuses to know: what either of them says.

Its threads have loops of their own, apart from ``run.loop``: they pass frames on unread, and must
not wait for the machine that may run in the same process.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

import zmq

from affectstream.bus.endpoint import Endpoint, NoHubError, check_loopback
from affectstream.bus.guard import GuardedForwarder, switch
from affectstream.bus.handshakes import HandshakeWatch
from affectstream.bus.sockets import bind_all, close, connect
from affectstream.bus.wall_clock import WallClock
from affectstream.codec import unpack_map
from affectstream.core.address import DEFAULT_ADDRESS, ports
from affectstream.core.limits import PeerLimits
from affectstream.errors import BusError, brief
from affectstream.timebase import ClockProbe, best_probe

_log = logging.getLogger(__name__)

STILL_S = 10.0
"""A hub that has not looked at its sockets for so long forwards nothing."""

CLOSING_S = 5.0
"""How long the hub's threads may take to let go of their sockets."""

LOOKED_S = 0.5
"""Between two looks at the hub at most this much counts as time in which it stood still.

Both may have been suspended.
"""


class Hub:
    """The only thing that binds. Threads forward messages and requests; no state.

    On loopback without keys everybody is let in, and messages go through in C. With keys every
    message's sender is known, and is held to ``limits``.

    Args:
        limits: of each peer, where there are keys.

    Raises:
        BusError: a port is in use, or others than this user could connect and there are no keys.
    """

    def __init__(
        self, address: str | Endpoint = DEFAULT_ADDRESS, *, limits: PeerLimits | None = None
    ) -> None:
        endpoint = Endpoint.of(address)
        check_loopback(endpoint)
        self.address = endpoint.address
        self.counts: Counter[str] = Counter()
        """Who was refused and what was dropped, by reason; empty without keys."""
        self._failures: list[Exception] = []
        self._forwarder: GuardedForwarder | None = None
        self._turns, self._looked_s, self._still_s = 0, time.monotonic(), 0.0
        self._context = zmq.Context(io_threads=1)
        try:
            self._threads = self._guarded(endpoint, limits) if endpoint.keys else self._open()
        except BusError:
            self._context.destroy(linger=0)
            raise
        for thread in self._threads:
            thread.start()

    def _open(self) -> list[threading.Thread]:
        backend, frontend, router = bind_all(self._context, Endpoint(self.address))
        return [
            self._thread(lambda: _forward(frontend, backend)),
            self._thread(lambda: _switch(router)),
        ]

    def _guarded(self, endpoint: Endpoint, limits: PeerLimits | None) -> list[threading.Thread]:
        keys = endpoint.keys
        assert keys is not None
        if keys.hub != keys.public:
            raise BusError(
                f"the keys in {keys.folder} trust another hub; run that one, or remove "
                f"{keys.folder / 'hub.key'}"
            )
        self._forwarder = GuardedForwarder(
            self._context, endpoint, keys, limits or PeerLimits(), self.counts
        )
        return [self._thread(self._forwarder.run)]

    def _thread(self, work: Callable[[], None]) -> threading.Thread:
        """Return a thread that does ``work``, and leaves a word for ``check`` if it fails."""

        def run() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 whatever it is, its owner must know
                _log.error("the hub has failed: %s", brief(repr(error)))
                self._failures.append(error)

        return threading.Thread(target=run, daemon=True)

    def check(self) -> None:
        """Make sure that the hub works: its owner is alive only as long as this raises nothing.

        Raises:
            BusError: a thread of the hub has ended, or has stood still for ``STILL_S``.
        """
        if self._failures:
            said = brief(self._failures[0])
            raise BusError(f"the hub has failed: {said}; start it again") from self._failures[0]
        if not all(thread.is_alive() for thread in self._threads):
            raise BusError("the hub has stopped; start it again")
        now_s = time.monotonic()
        if self._forwarder is not None:  # without keys it forwards in C, and ends or works
            stands = self._forwarder.turns == self._turns
            waited_s = min(now_s - self._looked_s, LOOKED_S)
            self._still_s = self._still_s + waited_s if stands else 0.0
            self._turns = self._forwarder.turns
        self._looked_s = now_s
        if self._still_s > STILL_S:
            raise BusError(f"the hub has stood still for {STILL_S:g} s; start it again")

    def close(self) -> None:
        """Stop forwarding and free the ports."""
        ending = threading.Thread(target=self._context.term, daemon=True)
        ending.start()
        ending.join(CLOSING_S)  # it waits for ever for a thread that hangs
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
            switch(router, router.recv_multipart(), clock.now_ns)
    except zmq.ContextTerminated:
        pass
    finally:
        router.close()


def measure_clock_offset(
    address: str | Endpoint, probes: int = 4, timeout_s: float = 1.0
) -> ClockProbe:
    """Compare this host's clock with the hub's, as NTP does; the lowest round trip wins.

    Raises:
        NoHubError: no hub answers at the address.
        BusError: it refuses us, or that is no address.
    """
    clock = WallClock()
    endpoint = Endpoint.of(address)
    control = ports(endpoint.address)[2]
    context = zmq.Context(io_threads=1)
    socket = connect(context, zmq.DEALER, control, keys=endpoint.keys)
    watch = HandshakeWatch(endpoint, [socket])
    answered: list[ClockProbe] = []
    deadline = time.monotonic() + timeout_s
    try:
        for _ in range(probes):
            sent_ns = clock.now_ns()
            socket.send_multipart([b"", b""])
            if not _answered(socket, watch, deadline):
                break
            answer = unpack_map(socket.recv_multipart()[1])
            answered.append(ClockProbe(sent_ns, int(answer["now_ns"]), clock.now_ns()))
    finally:
        close(socket)
        context.term()
    if not answered:
        raise NoHubError(f"no hub answers at {address}; start one with `affectstream fusion`")
    return best_probe(answered)


def _answered(socket: zmq.Socket[bytes], watch: HandshakeWatch, deadline_s: float) -> bool:
    """Wait for an answer; return whether there is one, or raise if there cannot be."""
    while True:
        left_ms = int(1000 * (deadline_s - time.monotonic()))
        if socket.poll(min(20, max(0, left_ms))):
            return True
        watch.check()
        if left_ms <= 0:
            return False
