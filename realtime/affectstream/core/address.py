"""The address of a bus, as text.

Knows: how an address is written, and the three ports that belong to it.
Refuses to know: sockets, keys, and who may use an address (``bus``).

The hub binds three sockets:

========  ================  ========  ================================================
TCP port  path with ipc     socket    for
========  ================  ========  ================================================
PORT      ``PATH``          XPUB      subscribers connect SUB here
PORT + 1  ``PATH.in``       XSUB      outlets connect PUB here
PORT + 2  ``PATH.control``  ROUTER    requests: resend, history, state, clock
========  ================  ========  ================================================

The ROUTER is a switch: ``[to, *body]`` from one peer arrives as ``[from, *body]`` at another. An
outlet's name there is its epoch in decimal; what is sent to the empty name is for the hub itself.
"""

from __future__ import annotations

from affectstream.errors import BusError

DEFAULT_ADDRESS = "tcp://127.0.0.1:5570"


def ports(address: str) -> tuple[str, str, str]:
    """Return where the hub at ``address`` binds: for subscribers, for publishers, for requests.

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


def is_loopback(address: str) -> bool:
    """Return whether a TCP address can be reached from this host alone."""
    _, _, rest = address.partition("://")
    return rest.rpartition(":")[0] in ("127.0.0.1", "localhost", "[::1]")


def loopback_of(address: str) -> str:
    """Return where to connect to what binds to every address of this host, such as ``*``."""
    for every, one in (("*", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]")):
        address = address.replace(f"://{every}:", f"://{one}:")
    return address
