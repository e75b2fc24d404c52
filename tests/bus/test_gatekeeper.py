"""The gatekeeper says who is to be cut off when the list changes, and a running hub does it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from affectstream.bus import Endpoint, Hub, measure_clock_offset
from affectstream.bus.gatekeeper import Gatekeeper
from affectstream.bus.keys import Keys, allow, new_keys, revoke
from affectstream.run.processes import free_address
from command_lines import wait_until


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return new_keys(tmp_path / "hub")


@pytest.fixture
def gatekeeper(keys: Keys) -> Iterator[Gatekeeper]:
    context = zmq.Context(io_threads=1)
    gatekeeper = Gatekeeper(context, keys, Counter(), lambda name: False)
    yield gatekeeper
    gatekeeper.close()
    context.term()


def gone(gatekeeper: Gatekeeper) -> list[str]:
    """Return who is to be cut off since this was last asked."""
    gatekeeper.refresh()
    names = gatekeeper.gone[:]
    gatekeeper.gone.clear()
    return names


def test_whose_role_is_changed_is_cut_off_and_nobody_else(
    gatekeeper: Gatekeeper, keys: Keys, tmp_path: Path
) -> None:
    laptop = new_keys(tmp_path / "laptop", keys.public.decode()).public.decode()
    friend = new_keys(tmp_path / "friend", keys.public.decode()).public.decode()
    allow(keys.folder, "laptop", laptop)
    allow(keys.folder, "friend", friend)
    assert gone(gatekeeper) == []  # they are new
    allow(keys.folder, "laptop", laptop, "subscribe")
    assert gone(gatekeeper) == ["laptop"]
    allow(keys.folder, "laptop", laptop, "subscribe")  # as it was
    assert gone(gatekeeper) == []
    allow(keys.folder, "laptop", laptop, "both")
    assert gone(gatekeeper) == ["laptop"]
    revoke(keys.folder, "friend")
    assert gone(gatekeeper) == ["friend"]


def test_a_running_hub_cuts_off_whose_role_is_changed(keys: Keys, tmp_path: Path) -> None:
    laptop = new_keys(tmp_path / "laptop", keys.public.decode())
    allow(keys.folder, "laptop", laptop.public.decode())
    endpoint = Endpoint(free_address(), keys)
    with Hub(endpoint) as hub:
        assert measure_clock_offset(Endpoint(endpoint.address, laptop)).round_trip_ns > 0
        assert hub.counts["cut"] == 0
        allow(keys.folder, "laptop", laptop.public.decode(), "publish")
        wait_until(lambda: hub.counts["cut"] == 1, "the cut")
