"""The hub: the only thing that binds; it forwards and keeps nothing.

Knows: how messages go from publishers to subscribers, and requests from peer to peer.
Refuses to know: what either of them says.

Its threads have loops of their own, apart from ``run.loop``: they pass frames on unread, and must
not wait for the machine that may run in the same process.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
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
from affectstream.errors import BusError
from affectstream.timebase import ClockProbe, best_probe


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
            threading.Thread(target=_forward, args=(frontend, backend), daemon=True),
            threading.Thread(target=_switch, args=(router,), daemon=True),
        ]

    def _guarded(self, endpoint: Endpoint, limits: PeerLimits | None) -> list[threading.Thread]:
        keys = endpoint.keys
        assert keys is not None
        if keys.hub != keys.public:
            raise BusError(
                f"the keys in {keys.folder} trust another hub; run that one, or remove "
                f"{keys.folder / 'hub.key'}"
            )
        forwarder = GuardedForwarder(
            self._context, endpoint, keys, limits or PeerLimits(), self.counts
        )
        return [threading.Thread(target=forwarder.run, daemon=True)]

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
            switch(router, router.recv_multipart(), clock.now_ns)
    except zmq.ContextTerminated:
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
