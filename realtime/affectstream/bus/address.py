"""One address, its three ports, and how a socket binds or connects to them.

Knows: what an address looks like, where it can be used without keys, and which limits and keys
all of our sockets have.
Refuses to know: what is sent, and where keys are kept (``security``).
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import zmq

from affectstream.bus.keys import Keys, open_keys
from affectstream.codec import MAX_PAYLOAD_BYTES
from affectstream.errors import AffectstreamError

DEFAULT_ADDRESS = "tcp://127.0.0.1:5570"
HIGH_WATER = 10_000
MAX_WIRE_FRAME_BYTES = 2 * MAX_PAYLOAD_BYTES
"""A message that is just too large is counted by who reads it; a larger one ends its connection."""

HANDSHAKE_MS = 5_000
"""How long somebody may take to show a key; strangers cannot keep connections open for longer."""

HANDSHAKES_FAILED = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
DOMAINS: dict[int, str] = {zmq.XPUB: "subscribe", zmq.XSUB: "publish", zmq.ROUTER: "request"}
"""What somebody who connects to a socket of the hub wants to do there."""

HEARTBEAT_MS = 2_000
SILENCE_MS = 10_000
"""A connection over which nothing came for this long is made anew. TCP alone would notice a cut
link after minutes, and once it is joined would wait for up to as long as it had been cut."""
STALLED_MS = 5_000
"""The hub has less patience: nothing more waits for a peer that does not answer. It connects anew
when it goes on."""
CONNECT_MS = 3_000
"""A connection not made in this time is tried again; TCP alone would ask ever more seldom."""

WAITING: dict[int, int] = {zmq.XPUB: 2_000, zmq.XSUB: 1_000, zmq.ROUTER: 100}
"""How many messages may wait for one subscriber, and answers for one reader.

A subscriber that reads nothing keeps what waits for it in the hub's memory; there may be hundreds.
What does not fit is dropped, and its reader asks for it when it reads again.
"""

SENT_BYTES = 256 * 1024
"""What may wait for one peer in the kernel, beside what waits here."""

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class BusError(AffectstreamError):
    """The bus cannot be used as asked; one sentence with a remedy."""


class NoHubError(BusError):
    """Nobody answers at an address."""


class AddressInUseError(BusError):
    """Somebody has the port, or has not let go of it yet."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a hub is, and the keys that it is run or reached with.

    Wherever an address is asked for, a plain string is one without keys: for loopback alone.
    """

    address: str = DEFAULT_ADDRESS
    keys: Keys | None = None

    @classmethod
    def of(cls, address: str | Endpoint) -> Endpoint:
        """Return ``address`` as an endpoint."""
        return address if isinstance(address, Endpoint) else cls(address)

    @classmethod
    def open(cls, address: str, folder: Path | None) -> Endpoint:
        """Return ``address`` with the keys in ``folder``; with None, without keys.

        Raises:
            SecurityError: the keys cannot be used.
        """
        return cls(address, open_keys(folder) if folder is not None else None)

    @property
    def options(self) -> tuple[str, ...]:
        """What a command of ours is told, so that it uses the same."""
        keys = ("--keys", str(self.keys.folder)) if self.keys else ()
        return ("--address", self.address, *keys)

    def __str__(self) -> str:
        return self.address


def ports(address: str | Endpoint) -> tuple[str, str, str]:
    """Return the endpoints for subscribers, publishers and requests of one ``address``.

    Raises:
        BusError: the address is neither ``tcp://HOST:PORT`` nor ``ipc://PATH``.
    """
    address = str(address)
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


def check_loopback(address: str | Endpoint) -> None:
    """Refuse to do without keys where strangers could listen, answer or connect.

    Raises:
        BusError: the endpoint has no keys, and others than this user can reach the address.
    """
    endpoint = Endpoint.of(address)
    if endpoint.keys is not None:
        return
    scheme, _, rest = endpoint.address.partition("://")
    if scheme == "tcp" and rest.rpartition(":")[0] not in _LOOPBACK:
        raise BusError(
            f"{address} can be reached by other machines; pass --keys FOLDER (made by "
            "`affectstream keys new`), or bind to tcp://127.0.0.1:PORT"
        )
    if scheme == "ipc":
        _check_folder(rest)


def _check_folder(path: str) -> None:
    """Refuse a socket's folder where another user could put a socket of the same name."""
    folder = Path(path).parent
    try:
        found = folder.stat()
    except OSError:
        return  # binding there says why it cannot
    shared = stat.S_IMODE(found.st_mode) & 0o022
    if path.startswith("@") or shared or found.st_uid not in (0, os.geteuid()):
        raise BusError(
            f"other users can put a socket at ipc://{path}; take a folder of your own "
            f"(chmod 700), or pass --keys FOLDER"
        )


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
        for kind, where in zip(DOMAINS, ports(endpoint), strict=True):
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
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
        socket.setsockopt(zmq.ZAP_DOMAIN, DOMAINS[kind].encode())
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without a gatekeeper nobody gets in
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
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


def _limit_each_peer(socket: zmq.Socket[bytes], kind: int) -> None:
    """Bound what waits for one peer of the hub, and for how long."""
    socket.setsockopt(zmq.SNDHWM, min(HIGH_WATER, WAITING[kind]))
    socket.setsockopt(zmq.SNDBUF, SENT_BYTES)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, STALLED_MS)
    socket.setsockopt(zmq.TCP_MAXRT, HEARTBEAT_MS + STALLED_MS)  # where no question gets through


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

    Whether its handshakes fail is said by ``handshakes.HandshakeWatch``; ``close`` ends both.

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
        socket.setsockopt(zmq.CURVE_SERVERKEY, keys.hub)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    socket.get_monitor_socket(HANDSHAKES_FAILED | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    try:
        check_loopback(Endpoint(where, keys))
        socket.connect(_own(where))
    except BusError:
        context.destroy(linger=0)
        raise
    except zmq.ZMQError as error:
        context.destroy(linger=0)
        raise BusError(
            f"cannot connect to {where}: {error}; write tcp://127.0.0.1:5570 or ipc://PATH"
        ) from error
    return socket


def close(socket: zmq.Socket[bytes], linger_ms: int = 0) -> None:
    """Close a socket that ``connect``, or ``bind_all`` with keys, returned, and its monitor."""
    if not socket.closed:
        monitor = socket.get_monitor_socket()
        socket.close(linger=linger_ms)
        monitor.close(linger=0)


def _own(where: str) -> str:
    """Return where to connect to what binds to every address of this host."""
    for every, one in (("*", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]")):
        where = where.replace(f"://{every}:", f"://{one}:")
    return where


def _limit(socket: zmq.Socket[bytes], where: str) -> None:
    socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
    socket.setsockopt(zmq.RCVHWM, HIGH_WATER)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_WIRE_FRAME_BYTES)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, SILENCE_MS)
    socket.setsockopt(zmq.HANDSHAKE_IVL, SILENCE_MS)
    socket.setsockopt(zmq.IPV6, int("[" in where))
