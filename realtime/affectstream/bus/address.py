"""One address, its three ports, and how a socket connects to them.

Knows: what an address looks like and which sockets' limits all of us share.
Refuses to know: what is sent.
"""

from __future__ import annotations

import zmq

from affectstream.errors import AffectstreamError

DEFAULT_ADDRESS = "tcp://127.0.0.1:5570"
HIGH_WATER = 10_000
MAX_FRAME_BYTES = 64 * 1024 * 1024
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class BusError(AffectstreamError):
    """The bus cannot be used as asked; one sentence with a remedy."""


def ports(address: str) -> tuple[str, str, str]:
    """Return the endpoints for subscribers, publishers and requests of one ``address``.

    Raises:
        BusError: the address is neither ``tcp://HOST:PORT`` nor ``ipc://PATH``.
    """
    scheme, _, rest = address.partition("://")
    if scheme == "ipc" and rest:
        return address, f"{address}.in", f"{address}.control"
    host, _, port = rest.rpartition(":")
    if scheme != "tcp" or not host or not port.isdecimal() or not 0 < int(port) < 65_534:
        raise BusError(f"{address!r} is not an address; write tcp://127.0.0.1:5570 or ipc://PATH")
    first = int(port)
    return address, f"tcp://{host}:{first + 1}", f"tcp://{host}:{first + 2}"


def is_told(count: int) -> bool:
    """Return whether the ``count``-th of its kind is worth a line: a flood must not fill a log."""
    return count in (1, 10, 100) or count % 1000 == 0


def check_loopback(address: str) -> None:
    """Refuse to bind where strangers could connect.

    Raises:
        BusError: the address is not on the loopback interface.
    """
    scheme, _, rest = address.partition("://")
    if scheme == "tcp" and rest.rpartition(":")[0] not in _LOOPBACK:
        raise BusError(
            f"{address} can be reached by other machines, and this version has no keys to tell "
            "them apart; bind to tcp://127.0.0.1:PORT"
        )


def connect(
    context: zmq.Context[zmq.Socket[bytes]], kind: int, where: str, *, name: bytes = b""
) -> zmq.Socket[bytes]:
    """Return a socket that connects to ``where``, now or as soon as somebody binds there.

    Raises:
        BusError: nothing can be connected to such an address.
    """
    socket = context.socket(kind)
    socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
    socket.setsockopt(zmq.RCVHWM, HIGH_WATER)
    socket.setsockopt(zmq.RECONNECT_IVL, 50)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1_000)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
    socket.setsockopt(zmq.IPV6, int("[" in where))
    if name:
        socket.setsockopt(zmq.ROUTING_ID, name)
    try:
        socket.connect(where)
    except zmq.ZMQError as error:
        context.destroy(linger=0)
        raise BusError(
            f"cannot connect to {where}: {error}; write tcp://127.0.0.1:5570 or ipc://PATH"
        ) from error
    return socket
