"""A clock that follows a hub's, over real sockets; the clocks themselves are made up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import zmq

from affectstream.bus import BusError, Hub, HubClock, hub_clock, ports
from affectstream.bus.wall_clock import WallClock
from affectstream.run.processes import free_address
from affectstream.timebase import NS_PER_MS, NS_PER_S


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub(free_address()) as running:
        yield running


def away(ahead_s: float) -> Callable[[], int]:
    """Return a clock that is ahead of this machine's."""
    wall = WallClock()
    return lambda: wall.now_ns() + round(ahead_s * NS_PER_S)


@pytest.mark.parametrize("ahead_s", [5.0, -5.0])
def test_a_clock_elsewhere_shows_the_hub_s_time_from_the_first_reading(
    hub: Hub, ahead_s: float
) -> None:
    with HubClock(hub.address, local=away(ahead_s)) as clock:
        assert clock.wait()
        estimate = clock.estimate()
        assert estimate is not None
        off_ns = abs(clock.now_ns() - WallClock().now_ns())
        assert off_ns <= estimate.error_ns + 10 * NS_PER_MS
        assert abs(estimate.offset_ns + ahead_s * NS_PER_S) <= estimate.error_ns + NS_PER_MS


def test_a_clock_on_the_hub_s_own_machine_is_not_touched(hub: Hub) -> None:
    wall = WallClock()
    with HubClock(hub.address, local=wall.now_ns) as clock:
        assert clock.wait()
        before, shown, after = wall.now_ns(), clock.now_ns(), wall.now_ns()
    assert before <= shown <= after


def test_a_clock_that_is_told_to_stop_does_not_wait_for_a_hub(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_clock, "FIRST_WAIT_NS", 100 * NS_PER_MS)
    stop, address = threading.Event(), free_address()
    threading.Timer(0.3, stop.set).start()
    with caplog.at_level(logging.WARNING), HubClock(address) as clock:
        assert not clock.wait(stop.is_set)
        assert clock.estimate() is None
    assert [r.message for r in caplog.records] == [
        f"no hub answers at {address} yet; waiting for it"
    ]


def test_probes_go_on_and_answers_that_cannot_be_read_are_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    where, asked = free_address(), 0
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.bind(ports(where)[2])
    try:
        with HubClock(where) as clock:
            deadline = time.monotonic() + 10
            while asked < 3 and time.monotonic() < deadline:
                clock.service()
                if router.poll(20):
                    sender, *_ = router.recv_multipart()
                    router.send_multipart([sender, b"", b"garbage", b"12345678"])
                    asked += 1
            while not caplog.records and time.monotonic() < deadline:
                clock.service()
            assert clock.estimate() is None
    finally:
        context.destroy(linger=0)
    assert asked == 3
    assert "dropped an answer of the hub's clock" in caplog.text


def test_a_hub_that_jumped_is_followed_slowly_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hub_clock, "FIRST_PROBE_EVERY_NS", 10 * NS_PER_MS)
    here = [0.0]
    wall = WallClock()
    with (
        Hub(free_address()) as hub,
        HubClock(hub.address, local=lambda: wall.now_ns() + int(here[0] * NS_PER_S)) as clock,
    ):
        assert clock.wait()
        before_ns, here[0] = clock.now_ns(), -3.0  # as seen from us, the hub jumped ahead
        deadline = time.monotonic() + 5
        while not caplog.records and time.monotonic() < deadline:
            clock.service()
        for _ in range(20):
            clock.service()
        assert clock.now_ns() - before_ns < 3 * NS_PER_S
    assert len(caplog.records) == 1
    assert "the hub's clock jumped by 3.0 s" in caplog.text


def test_a_bad_address_is_said_in_one_sentence() -> None:
    with pytest.raises(BusError, match="is not an address"):
        HubClock("nonsense")
