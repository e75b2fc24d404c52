"""The hub: the only thing that binds; it forwards and keeps nothing.

Knows: how messages go from publishers to subscribers, and requests from peer to peer.
Refuses to know: what either of them says.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

import msgpack
import zmq

from affectstream.bus import address as addresses
from affectstream.bus.address import DEFAULT_ADDRESS, BusError, check_loopback, connect, ports
from affectstream.codec import unpack_map
from affectstream.timebase import ClockProbe, WallClock, best_offset_ns


class Hub:
    """The only thing that binds. Two threads forward messages and requests; no state.

    Raises:
        BusError: a port is in use, or the address is not on loopback.
    """

    def __init__(self, address: str = DEFAULT_ADDRESS) -> None:
        check_loopback(address)
        self.address = address
        places = ports(address)
        self._context = zmq.Context(io_threads=1)
        kinds = (zmq.XPUB, zmq.XSUB, zmq.ROUTER)
        sockets = [self._bind(kind, where) for kind, where in zip(kinds, places, strict=True)]
        backend, frontend, router = sockets
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._threads = [
            threading.Thread(target=_forward, args=(frontend, backend), daemon=True),
            threading.Thread(target=_switch, args=(router,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _bind(self, kind: int, where: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, addresses.HIGH_WATER)
        socket.setsockopt(zmq.RCVHWM, addresses.HIGH_WATER)
        socket.setsockopt(zmq.MAXMSGSIZE, addresses.MAX_FRAME_BYTES)
        socket.setsockopt(zmq.IPV6, int("[" in where))
        try:
            socket.bind(where)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            if error.errno == zmq.EADDRINUSE:
                raise BusError(
                    f"{where} is in use; stop what runs there or choose another --address"
                ) from error
            raise BusError(f"cannot bind {where}: {error}; choose another --address") from error
        return socket

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
            sender, to, *body = _pad(router.recv_multipart())
            if not to:
                answer = [sender, b"", msgpack.packb({"op": "clock", "now_ns": clock.now_ns()})]
                _send(router, [*answer, *body[1:]])
            elif not _send(router, [to, sender, *body]):
                _send(router, [sender, to, msgpack.packb({"op": "unreachable"})])
    except zmq.ContextTerminated:
        router.close()


def _pad(frames: list[bytes]) -> list[bytes]:
    return frames if len(frames) >= 2 else [*frames, b""]


def _send(router: zmq.Socket[bytes], frames: list[bytes]) -> bool:
    try:
        router.send_multipart(frames, zmq.DONTWAIT)
    except zmq.ContextTerminated:
        raise
    except zmq.ZMQError:
        return False
    return True


def measure_clock_offset(address: str, probes: int = 4, timeout_s: float = 1.0) -> ClockProbe:
    """Compare this host's clock with the hub's, as NTP does; the lowest round trip wins.

    Raises:
        BusError: no hub answers at the address.
    """
    clock = WallClock()
    control = ports(address)[2]
    context = zmq.Context(io_threads=1)
    socket = connect(context, zmq.DEALER, control)
    answered: list[ClockProbe] = []
    deadline = time.monotonic() + timeout_s
    try:
        for _ in range(probes):
            sent_ns = clock.now_ns()
            socket.send_multipart([b"", b""])
            if not socket.poll(max(0, int(1000 * (deadline - time.monotonic())))):
                break
            answer = unpack_map(socket.recv_multipart()[1])
            answered.append(ClockProbe(sent_ns, int(answer["now_ns"]), clock.now_ns()))
    finally:
        socket.close(linger=0)
        context.term()
    if not answered:
        raise BusError(f"no hub answers at {address}; start one with `affectstream fusion`")
    best = best_offset_ns(answered)
    return next(probe for probe in answered if probe.offset_ns == best)
