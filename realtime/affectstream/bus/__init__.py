"""The bus: one hub that binds, outlets that publish, inlets that subscribe.

Knows: ZeroMQ sockets and how the three ports of one address are used.
Refuses to know: what messages mean. Order, resends and state are ``core.delivery``'s.

An address is ``tcp://HOST:PORT`` (or ``ipc://PATH``). The hub binds three sockets there:

========  ======  ==========================================================
port      socket  for
========  ======  ==========================================================
PORT      XPUB    subscribers connect SUB here
PORT + 1  XSUB    outlets connect PUB here
PORT + 2  ROUTER  resend, state and clock requests between inlets and outlets
========  ======  ==========================================================

The ROUTER is a switch: ``[to, *body]`` from one peer arrives as ``[from, *body]`` at another.
An outlet's name there is its epoch in decimal; requests to the empty name go to the hub.

Where the hub has keys (``Endpoint``), every connection is encrypted and shows a key (CURVE), and
what comes over it has a sender (``guarded``). Without keys nothing leaves the host.
"""

from affectstream.bus.clock import HubClock
from affectstream.bus.endpoint import Endpoint, NoHubError, check_loopback
from affectstream.bus.hub import Hub, measure_clock_offset
from affectstream.bus.inlet import Inlet
from affectstream.bus.outlet import Outlet
from affectstream.core.address import DEFAULT_ADDRESS, ports
from affectstream.errors import BusError

__all__ = [
    "DEFAULT_ADDRESS",
    "BusError",
    "Endpoint",
    "Hub",
    "HubClock",
    "Inlet",
    "NoHubError",
    "Outlet",
    "check_loopback",
    "measure_clock_offset",
    "ports",
]
