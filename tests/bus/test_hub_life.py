"""A hub lives whatever happens to its files and ports; where it does not, its owner hears of it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import zmq

from affectstream.bus import BusError, Endpoint, Hub, Inlet, Outlet, guard, measure_clock_offset
from affectstream.bus import hub as hub_module
from affectstream.bus.kept_claims import read_claims, write_claims
from affectstream.bus.keys import SecurityError, allow, new_keys, read_allowed, revoke
from affectstream.commands import workers
from affectstream.messages import Message
from affectstream.run.processes import free_address
from bus_helpers import emotion, serve_until, transcript
from command_lines import wait_until


class Site:
    """A hub's keys, its address, and whom it lets in."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.keys = new_keys(tmp_path / "hub")
        self.endpoint = Endpoint(free_address(), self.keys)
        self.allowed = self.keys.folder / "allowed"

    def peer(self, name: str, role: str = "both") -> Endpoint:
        folder = self.folder / name
        keys = new_keys(folder, self.keys.public.decode())
        allow(self.keys.folder, name, keys.public.decode(), role)
        return Endpoint(self.endpoint.address, keys)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def is_let_in(endpoint: Endpoint) -> bool:
    try:
        return measure_clock_offset(endpoint, timeout_s=0.5).round_trip_ns > 0
    except BusError:
        return False


def loop_of_links(path: Path) -> None:
    path.symlink_to(path.name)


def folder(path: Path) -> None:
    path.mkdir(mode=0o700)


def pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def no_folder_at_all(path: Path) -> None:
    path.parent.rename(path.parent.with_name("away"))
    path.parent.write_text("")


@pytest.mark.parametrize("put", [loop_of_links, folder, pipe, no_folder_at_all])
def test_a_list_that_cannot_be_read_lets_nobody_in_and_the_hub_lives(
    site: Site, put: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    laptop = site.peer("laptop")
    kept = site.allowed.read_text()
    with Hub(site.endpoint) as hub:
        assert is_let_in(laptop)
        site.allowed.unlink()
        wait_until(lambda: not is_let_in(laptop), "the cut")
        put(site.allowed)
        with pytest.raises(SecurityError):
            read_allowed(site.keys.folder)
        wait_until(lambda: "nobody is let in" in caplog.text, "the word in the log")
        assert not is_let_in(laptop)
        assert is_let_in(site.endpoint)  # with its own key: it works
        hub.check()
        assert caplog.text.count("nobody is let in") == 1
        if put is no_folder_at_all:
            site.keys.folder.unlink()
            site.keys.folder.with_name("away").rename(site.keys.folder)
        elif put is folder:
            site.allowed.rmdir()
        else:
            site.allowed.unlink()
        site.allowed.touch(mode=0o600)
        site.allowed.write_text(kept)
        wait_until(lambda: is_let_in(laptop), "to be let in again")
        hub.check()


def test_ports_that_cannot_be_bound_again_for_a_while_do_not_end_the_hub(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    friend, foe = site.peer("friend"), site.peer("foe")
    with Hub(site.endpoint) as hub:
        assert is_let_in(foe)
        tried: list[int] = []
        bind_all = guard.bind_all

        def bind_at_last(*args: Any) -> list[zmq.Socket[bytes]]:
            tried.append(1)
            if len(tried) < 5:
                raise BusError("cannot bind there: Permission denied")
            return bind_all(*args)

        monkeypatch.setattr(guard, "bind_all", bind_at_last)
        revoke(site.keys.folder, "foe")
        wait_until(lambda: len(tried) >= 5, "the hub to come back")
        wait_until(lambda: is_let_in(friend), "the friend")
        assert not is_let_in(foe)
        hub.check()


def broken(self: object, outlet: object) -> None:
    raise RuntimeError("a fault of ours")


def test_a_hub_whose_thread_has_ended_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with Hub(site.endpoint) as hub:
        assert is_let_in(site.endpoint)
        hub.check()
        monkeypatch.setattr(guard.GuardedForwarder, "_tick", broken)
        wait_until(lambda: not hub._threads[0].is_alive(), "the thread's end")
        with pytest.raises(BusError, match="the hub has failed: a fault of ours; start it again"):
            hub.check()


def test_a_hub_without_keys_whose_thread_has_ended_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    with Hub(free_address()) as hub:
        hub.check()
        monkeypatch.setattr(hub_module, "switch", fail)
        for _ in range(2):  # the first request was waited for by the function as it was
            with suppress(BusError):
                measure_clock_offset(hub.address, probes=1, timeout_s=0.2)
        wait_until(lambda: len(hub._failures), "the failure")
        with pytest.raises(BusError, match="the hub has failed: a fault of ours"):
            hub.check()
        hub._threads[1].join()


class _Still:
    """A forwarder that hangs."""

    turns = 7


def test_a_hub_that_stands_still_says_so_but_not_because_it_was_suspended(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Hub(site.endpoint) as hub:
        now_s = time.monotonic()
        monkeypatch.setattr(hub, "_forwarder", _Still())
        monkeypatch.setattr("affectstream.bus.hub.time.monotonic", lambda: now_s)
        hub.check()
        now_s += 3_600.0
        hub.check()  # the process was suspended for an hour
        for _ in range(90):
            now_s += 0.1
            hub.check()
        now_s += 0.4
        hub.check()
        now_s += 0.4
        with pytest.raises(BusError, match="stood still for 10 s"):
            hub.check()
        monkeypatch.undo()


@pytest.mark.parametrize("command", ["hub", "fusion"])
def test_the_process_of_a_hub_that_has_failed_ends_with_an_error(
    site: Site, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It beats no more, so its supervisor starts it again; without one somebody sees it."""
    real_tick, turned = guard.GuardedForwarder._tick, []

    def fail_later(self: guard.GuardedForwarder, outlet: Outlet) -> None:
        real_tick(self, outlet)
        turned.append(1)
        if len(turned) > 3:
            broken(self, outlet)

    monkeypatch.setattr(guard.GuardedForwarder, "_tick", fail_later)
    run = {"hub": workers.hub, "fusion": workers.fusion}[command]
    with pytest.raises(BusError, match="a fault of ours"):
        run(address=site.endpoint.address, keys=site.keys.folder)


def test_a_role_that_changes_while_its_peer_is_connected_takes_effect(site: Site) -> None:
    laptop = site.peer("laptop", "publish")
    assert laptop.keys is not None
    with ExitStack() as stack:
        hub = stack.enter_context(Hub(site.endpoint))
        outlet = Outlet(laptop)
        stack.callback(outlet.close, linger_ms=0)
        inlet = Inlet(site.endpoint, ["transcript/"], from_start=True)
        stack.callback(inlet.close)
        got: list[Message] = []
        sent = 0

        def publish() -> None:
            nonlocal sent
            outlet._publisher.send_multipart([b"no message", b"", b""])
            outlet.publish(transcript(sent))
            sent += 1

        serve_until(
            lambda: publish() is None and len(got) > 3, outlets=[outlet], inlets=[(inlet, got)]
        )
        allow(site.keys.folder, "laptop", laptop.keys.public.decode(), "subscribe")

        def is_refused() -> bool:
            outlet._publisher.send_multipart([b"no message", b"", b""])
            return hub.counts["refused: may not publish"] > 0

        wait_until(is_refused, "the refusal")
        assert hub.counts["cut"] == 1
        heard = hub.counts["dropped: laptop"]
        for _ in range(20):
            outlet._publisher.send_multipart([b"no message", b"", b""])
            time.sleep(0.01)
        assert hub.counts["dropped: laptop"] == heard


def test_a_restart_of_the_hub_does_not_give_a_stream_to_whoever_comes_first(site: Site) -> None:
    owner, thief = site.peer("owner"), site.peer("thief")
    with ExitStack() as stack:
        outlet = Outlet(owner)
        stack.callback(outlet.close, linger_ms=0)
        got: list[Message] = []
        with Hub(site.endpoint):
            inlet = Inlet(site.endpoint, ["emotion/"], from_start=True)
            stack.callback(inlet.close)
            outlet.publish(emotion(0))
            serve_until(lambda: len(got) == 1, outlets=[outlet], inlets=[(inlet, got)])
            wait_until(lambda: len(read_claims(site.keys.folder)) >= 2, "the claims")
        forger = Outlet(thief)
        stack.callback(forger.close, linger_ms=0)
        with Hub(site.endpoint) as hub:

            def turn() -> bool:
                forger.publish(emotion(1))
                return hub.counts["dropped: thief"] > 3

            serve_until(turn, outlets=[forger], inlets=[(inlet, got)])
            outlet.publish(emotion(2))
            serve_until(lambda: len(got) > 1, outlets=[outlet, forger], inlets=[(inlet, got)])
        assert {message.epoch for message in got} == {outlet.epoch}


def test_claims_that_cannot_be_kept_or_read_are_said_and_the_hub_begins_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    claims = [("laptop", "s1/mic.anna"), ("laptop", "epoch 5")]
    write_claims(tmp_path, claims)
    assert read_claims(tmp_path) == claims
    assert (tmp_path / "claims").stat().st_mode & 0o077 == 0
    (tmp_path / "claims").unlink()
    assert read_claims(tmp_path) == []
    (tmp_path / "claims").mkdir()
    assert read_claims(tmp_path) == []
    write_claims(tmp_path, claims)
    assert "a restart of the hub will forget" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["claims"]
    shutil.rmtree(tmp_path)
    write_claims(tmp_path, claims)
    assert caplog.text.count("a restart of the hub will forget") == 2
