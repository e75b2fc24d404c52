"""The bus: one hub binds, outlets publish, inlets subscribe; all by ZeroMQ.

Others use what is exported here, ``keys`` (who may connect) and ``journal`` (an outlet's messages
on disk). Order, resends and loss are ``core.delivery``'s; the ports of an address are
``core.address``'s, and ``docs/wire.md`` says what travels over them.
"""

from affectstream.bus.endpoint import Endpoint, NoHubError, check_loopback
from affectstream.bus.hub import Hub, measure_clock_offset
from affectstream.bus.hub_clock import HubClock
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
