"""What an address of a bus looks like."""

from __future__ import annotations

import pytest

from affectstream.core.address import DEFAULT_ADDRESS, is_loopback, loopback_of, ports
from affectstream.errors import BusError


def test_an_address_has_three_ports() -> None:
    assert ports("tcp://127.0.0.1:5570") == (
        "tcp://127.0.0.1:5570",
        "tcp://127.0.0.1:5571",
        "tcp://127.0.0.1:5572",
    )
    assert ports("ipc:///run/bus") == (
        "ipc:///run/bus",
        "ipc:///run/bus.in",
        "ipc:///run/bus.control",
    )


@pytest.mark.parametrize(
    "address",
    ["", "5570", "tcp://:5570", "tcp://host", "tcp://host:0", "tcp://host:65534", "ipc://"],
)
def test_what_is_no_address_is_refused_with_an_example(address: str) -> None:
    with pytest.raises(BusError, match="is not an address; write tcp://"):
        ports(address)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        (DEFAULT_ADDRESS, True),
        ("tcp://localhost:1", True),
        ("tcp://[::1]:1", True),
        ("tcp://*:1", False),
        ("tcp://192.168.1.5:1", False),
        ("tcp://127.0.0.1.evil.org:1", False),
    ],
)
def test_loopback_is_told_from_what_others_can_reach(address: str, local: bool) -> None:
    assert is_loopback(address) is local


def test_what_binds_to_every_address_is_connected_to_on_loopback() -> None:
    assert loopback_of("tcp://*:5570") == "tcp://127.0.0.1:5570"
    assert loopback_of("tcp://0.0.0.0:5570") == "tcp://127.0.0.1:5570"
    assert loopback_of("tcp://[::]:5570") == "tcp://[::1]:5570"
    assert loopback_of("tcp://10.0.0.1:5570") == "tcp://10.0.0.1:5570"
