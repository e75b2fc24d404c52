"""How a socket of the bus binds or connects, and what may wait in it.

Knows: the limits, time-outs and keys that all of our sockets have.
Refuses to know: what is sent, and who is let in (``gatekeeper``).
"""

from __future__ import annotations

import os
from contextlib import suppress

import zmq

from affectstream.bus.endpoint import AddressInUseError, Endpoint, check_loopback
from affectstream.bus.keys import Keys
from affectstream.codec import MAX_PAYLOAD_BYTES
from affectstream.core.address import loopback_of, ports
from affectstream.errors import BusError

HIGH_WATER = 10_000
"""How many messages may wait in a socket; what does not fit is dropped and asked for again."""

MAX_WIRE_FRAME_BYTES = 2 * MAX_PAYLOAD_BYTES
"""A message that is just too large is counted by who reads it; a larger one ends its connection."""

HANDSHAKE_MS = 5_000
"""How long a client of a hub with keys may take to show one; then its connection is closed."""

HANDSHAKES_FAILED = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)

ZAP_DOMAINS: dict[int, str] = {zmq.XPUB: "subscribe", zmq.XSUB: "publish", zmq.ROUTER: "request"}
"""The hub's three sockets, and what a client wants to do that connects to each."""

HEARTBEAT_MS = 2_000
"""How often either end of a connection asks whether the other is still there."""

SILENCE_MS = 10_000
"""A client makes a connection anew over which nothing came for so long.

TCP alone would notice a cut link after minutes, and would wait as long again once it is joined.
"""

STALLED_MS = 5_000
"""A hub closes a connection over which nothing came for so long.

That is less than ``SILENCE_MS``: what waits for a peer that does not answer costs the hub memory.
The peer connects again when it goes on.
"""

CONNECT_MS = 3_000
"""A connection not made in this time is tried again; TCP alone would ask ever more seldom."""

MAX_WAITING: dict[int, int] = {zmq.XPUB: 2_000, zmq.XSUB: 1_000, zmq.ROUTER: 100}
"""How many messages of each of the hub's sockets may wait for one peer.

A subscriber that reads nothing keeps what waits for it in the hub's memory; there may be hundreds.
What does not fit is dropped, and its reader asks for it when it reads again.
"""

SENT_BYTES = 256 * 1024
"""What may wait for one peer in the kernel, beside what waits here."""


def bind_all(
    context: zmq.Context[zmq.Socket[bytes]], endpoint: Endpoint
) -> list[zmq.Socket[bytes]]:
    """Return the hub's XPUB, XSUB and ROUTER; with keys only those on the hub's list get in.

    Raises:
        AddressInUseError: a port is in use, or was let go of only just now.
        BusError: nothing can be bound there.
    """
    bound: list[zmq.Socket[bytes]] = []
    try:
        for kind, where in zip(ZAP_DOMAINS, ports(endpoint.address), strict=True):
            bound.append(_bind(context, kind, where, endpoint.keys))
    except BaseException:
        for socket in bound:
            close(socket) if endpoint.keys else socket.close()
        raise
    bound[2].setsockopt(zmq.ROUTER_MANDATORY, 1)
    # A peer that comes back under its name takes the place of its own dead connection.
    bound[2].setsockopt(zmq.ROUTER_HANDOVER, 1)
    return bound


def _bind(
    context: zmq.Context[zmq.Socket[bytes]], kind: int, where: str, keys: Keys | None
) -> zmq.Socket[bytes]:
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    _limit(socket, where)
    _limit_each_peer(socket, kind)
    if keys is not None:
        _serve_keys(socket, kind, keys)
    try:
        socket.bind(where)
        if where.startswith("ipc://") and not where.startswith("ipc://@"):
            os.chmod(where.removeprefix("ipc://"), 0o600)
    except zmq.ContextTerminated:
        socket.close()
        raise
    except (zmq.ZMQError, OSError) as error:
        socket.close()
        if error.errno == zmq.EADDRINUSE:
            raise AddressInUseError(
                f"{where} is in use; stop what runs there or choose another --address"
            ) from error
        raise BusError(f"cannot bind {where}: {error}; choose another --address") from error
    if keys is not None:
        try:
            socket.get_monitor_socket(HANDSHAKES_FAILED)
        except zmq.ZMQError:  # the context ends, which it cannot while a socket is open
            socket.close()
            raise
    return socket


def _serve_keys(socket: zmq.Socket[bytes], kind: int, keys: Keys) -> None:
    """Let nobody in over this socket whom the gatekeeper does not let in."""
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAINS[kind].encode())
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without a gatekeeper nobody gets in
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)


def _limit_each_peer(socket: zmq.Socket[bytes], kind: int) -> None:
    """Bound what waits for one peer of the hub, and for how long."""
    socket.setsockopt(zmq.SNDHWM, min(HIGH_WATER, MAX_WAITING[kind]))
    socket.setsockopt(zmq.SNDBUF, SENT_BYTES)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, STALLED_MS)
    socket.setsockopt(zmq.TCP_MAXRT, HEARTBEAT_MS + STALLED_MS)  # where no heartbeat gets through


def connect(
    context: zmq.Context[zmq.Socket[bytes]],
    kind: int,
    where: str,
    *,
    keys: Keys | None = None,
    name: bytes = b"",
    ahead: bool = True,
) -> zmq.Socket[bytes]:
    """Return a socket that connects to ``where``, now or as soon as somebody binds there.

    ``handshakes.HandshakeWatch`` tells whether its handshakes fail. The socket and its monitor are
    closed by ``close``.

    Args:
        keys: what is shown, and expected of the hub.
        name: its name at a ROUTER.
        ahead: whether what is sent before the connection is made waits for it.

    Raises:
        BusError: nothing can be connected to such an address, or only with keys. The context is
            destroyed.
    """
    socket = context.socket(kind)
    _limit(socket, where)
    socket.setsockopt(zmq.RECONNECT_IVL, 50)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1_000)
    socket.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MS)
    socket.setsockopt(zmq.IMMEDIATE, int(not ahead))
    if name:
        socket.setsockopt(zmq.ROUTING_ID, name)
    if keys is not None:
        _show_keys(socket, keys)
    socket.get_monitor_socket(HANDSHAKES_FAILED | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    try:
        check_loopback(Endpoint(where, keys))
        socket.connect(loopback_of(where))
    except BusError:
        context.destroy(linger=0)
        raise
    except zmq.ZMQError as error:
        context.destroy(linger=0)
        raise BusError(
            f"cannot connect to {where}: {error}; write tcp://127.0.0.1:5570 or ipc://PATH"
        ) from error
    return socket


def _show_keys(socket: zmq.Socket[bytes], keys: Keys) -> None:
    """Show this host's key over this socket, and talk to the trusted hub alone."""
    socket.setsockopt(zmq.CURVE_SERVERKEY, keys.hub)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)


def close(socket: zmq.Socket[bytes], linger_ms: int = 0) -> None:
    """Close a socket that ``connect``, or ``bind_all`` with keys, returned, and its monitor.

    Args:
        linger_ms: how long what was sent may take to leave.
    """
    if not socket.closed:
        monitor = socket.get_monitor_socket()
        with suppress(zmq.ContextTerminated):  # its thread waits for nobody any more
            # Or ZeroMQ's thread waits for ever when it reports to a monitor that is closed.
            socket.disable_monitor()
        socket.close(linger=linger_ms)
        monitor.close(linger=0)


def _limit(socket: zmq.Socket[bytes], where: str) -> None:
    socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
    socket.setsockopt(zmq.RCVHWM, HIGH_WATER)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_WIRE_FRAME_BYTES)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, SILENCE_MS)
    socket.setsockopt(zmq.HANDSHAKE_IVL, SILENCE_MS)
    socket.setsockopt(zmq.IPV6, int("[" in where))
