"""A hub with keys over real sockets: who gets in, who does not, and what misbehaving costs.

Every client here has a ZeroMQ context of its own, as another process would.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import zmq

from affectstream.bus import BusError, Endpoint, Hub, Inlet, Outlet, measure_clock_offset, ports
from affectstream.bus.handshakes import failures
from affectstream.bus.keys import Keys, allow, new_keys, open_keys, revoke, trust_hub
from affectstream.bus.sockets import bind_all, close
from affectstream.client import Subscriber
from affectstream.commands import doctor
from affectstream.core.limits import PeerLimits
from affectstream.core.peers import PeerGuard
from affectstream.messages import Gap, Message, Transcript
from affectstream.run.processes import free_address
from bus_helpers import (
    DEADLINE_S,
    Tally,
    emotion,
    of_kind,
    serve_until,
    transcript,
)
from command_lines import run, wait_until

SOCKETS = {"subscribe": (zmq.SUB, 0), "publish": (zmq.PUB, 1), "request": (zmq.DEALER, 2)}
SECRET = b"secret words"


class Guarded:
    """A hub with keys and what connects to it; all is closed at the end of the test."""

    def __init__(self, stack: ExitStack, tmp_path: Path, limits: PeerLimits | None = None) -> None:
        self._stack, self._tmp_path = stack, tmp_path
        self.keys = new_keys(tmp_path / "hub")
        self.endpoint = Endpoint(free_address(), self.keys)
        self.hub = Hub(self.endpoint, limits=limits)
        stack.callback(lambda: self.hub.close())

    def stranger(self, name: str) -> Keys:
        """Keys that trust the hub and that the hub does not know."""
        return new_keys(self._tmp_path / name, self.keys.public.decode())

    def peer(self, name: str, role: str = "both") -> Endpoint:
        """The endpoint as somebody on the list has it."""
        keys = self.stranger(name)
        allow(self.keys.folder, name, keys.public.decode(), role)
        return Endpoint(self.endpoint.address, keys)

    def outlet(self, endpoint: Endpoint, **options: Any) -> Outlet:
        outlet = Outlet(endpoint, **options)
        self._stack.callback(outlet.close, linger_ms=0)
        return outlet

    def inlet(self, endpoint: Endpoint, *prefixes: str, from_start: bool = True) -> Inlet:
        inlet = Inlet(endpoint, prefixes, from_start=from_start)
        self._stack.callback(inlet.close)
        return inlet

    def raw(self, use: str, keys: Keys | None = None, **options: bytes) -> zmq.Socket[bytes]:
        """A bare socket at one of the three ports."""
        kind, port = SOCKETS[use]
        context = zmq.Context(io_threads=1)
        self._stack.callback(context.term)
        raw = context.socket(kind)
        self._stack.callback(raw.close)
        raw.setsockopt(zmq.LINGER, 0)
        raw.setsockopt(zmq.RECONNECT_IVL, 30)
        if keys is not None:
            raw.curve_serverkey, raw.curve_publickey, raw.curve_secretkey = (
                keys.hub,
                keys.public,
                keys.secret,
            )
        for name, value in options.items():
            setattr(raw, name, value)
        if kind == zmq.SUB:
            raw.subscribe(b"")
        raw.connect(ports(self.endpoint.address)[port])
        return raw

    def refusals(self) -> int:
        return sum(n for reason, n in self.hub.counts.items() if reason.startswith("refused"))


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    with ExitStack() as stack:
        yield Guarded(stack, tmp_path)


def texts(messages: list[Message]) -> list[int]:
    return [m.seq for m in of_kind(messages, Transcript)]


def test_somebody_on_the_list_gets_everything_in_order(guarded: Guarded) -> None:
    outlet = guarded.outlet(guarded.peer("laptop"))
    inlet = guarded.inlet(guarded.peer("reader"), "transcript/")
    got: list[Message] = []
    for number in range(300):
        outlet.publish(transcript(number))
    serve_until(lambda: len(got) >= 300, outlets=[outlet], inlets=[(inlet, got)])
    assert texts(got) == list(range(300))
    assert measure_clock_offset(guarded.endpoint).round_trip_ns > 0
    assert not guarded.hub.counts


# Refused: nothing goes in, nothing comes out, and it is counted


def refused(guarded: Guarded, use: str, **how: Any) -> str:
    """Show that ``use`` of a socket made so is refused; return what it was counted as."""
    friend = guarded.peer("friend")
    outlet, inlet = guarded.outlet(friend), guarded.inlet(friend, "transcript/")
    got: list[Message] = []
    outlet.publish(transcript(0))
    serve_until(lambda: len(got) == 1, outlets=[outlet], inlets=[(inlet, got)])
    before = dict(guarded.hub.counts)
    raw = guarded.raw(use, **how)

    def turn() -> bool:
        if use == "publish":
            raw.send_multipart([b"transcript/s1/evil", SECRET, b""], zmq.DONTWAIT)
        elif use == "request":
            try:
                raw.send_multipart([b"", b""], zmq.DONTWAIT)
            except zmq.Again:
                assert not raw.poll(0)
        outlet.publish(transcript(1))
        return guarded.refusals() > sum(n for r, n in before.items() if r.startswith("refused"))

    serve_until(turn, outlets=[outlet], inlets=[(inlet, got)])
    for number in range(3):
        outlet.publish(transcript(2 + number))
    serve_until(
        lambda: getattr(got[-1], "utterance", "") == "anna-0004",
        outlets=[outlet],
        inlets=[(inlet, got)],
    )
    if use != "publish":
        assert not raw.poll(100), raw.recv_multipart()  # neither messages nor an answer
    assert not [m for m in got if m.source == "evil"]
    assert not inlet.counts["not MessagePack"]
    assert not [reason for reason in guarded.hub.counts if reason.startswith("dropped")]
    new = {r for r, n in guarded.hub.counts.items() if n > before.get(r, 0)}
    return " / ".join(sorted(new))


@pytest.mark.parametrize("use", SOCKETS)
def test_without_keys_nobody_gets_in(guarded: Guarded, use: str) -> None:
    said = refused(guarded, use)
    assert "without keys" in said or "broken off" in said  # by whichever end saw it first


@pytest.mark.parametrize("use", SOCKETS)
def test_a_password_does_not_get_in(guarded: Guarded, use: str) -> None:
    said = refused(guarded, use, plain_username=b"laptop", plain_password=b"please")
    assert "without keys" in said or "broken off" in said


@pytest.mark.parametrize("use", SOCKETS)
def test_a_key_that_is_not_on_the_list_does_not_get_in(
    guarded: Guarded, use: str, caplog: pytest.LogCaptureFixture
) -> None:
    keys = guarded.stranger("stranger")
    assert refused(guarded, use, keys=keys) == "refused: unknown key"
    assert f"affectstream keys allow NAME '{keys.public.decode()}'" in caplog.text
    assert "127.0.0.1" in caplog.text


@pytest.mark.parametrize("use", SOCKETS)
def test_a_key_that_was_revoked_does_not_get_in(
    guarded: Guarded, use: str, caplog: pytest.LogCaptureFixture
) -> None:
    was = guarded.peer("laptop")
    assert measure_clock_offset(was).round_trip_ns > 0
    revoke(guarded.keys.folder, "laptop")
    wait_until(lambda: guarded.hub.counts["cut"], "the cut")
    assert refused(guarded, use, keys=was.keys) == "refused: revoked key"
    assert "revoked key: laptop at 127.0.0.1" in caplog.text


@pytest.mark.parametrize("use", SOCKETS)
def test_who_takes_somebody_elses_hub_for_this_one_does_not_get_in(
    guarded: Guarded, tmp_path: Path, use: str
) -> None:
    keys = guarded.peer("laptop").keys
    assert keys is not None
    trust_hub(keys.folder, new_keys(tmp_path / "other hub").public.decode())
    assert "for another hub's key" in refused(guarded, use, keys=open_keys(keys.folder))


@pytest.mark.parametrize(
    ("role", "use", "said"),
    [("subscribe", "publish", "may not publish"), ("publish", "subscribe", "may not subscribe")],
)
def test_a_role_is_kept_to(guarded: Guarded, role: str, use: str, said: str) -> None:
    endpoint = guarded.peer("laptop", role)
    assert refused(guarded, use, keys=endpoint.keys) == f"refused: {said}"
    assert measure_clock_offset(endpoint).round_trip_ns > 0  # the rest it may do


def test_without_a_gatekeeper_nobody_gets_in(tmp_path: Path) -> None:
    endpoint = Endpoint(free_address(), new_keys(tmp_path / "keys"))
    context = zmq.Context(io_threads=1)
    sockets = bind_all(context, endpoint)
    try:
        with pytest.raises(BusError):
            measure_clock_offset(endpoint, timeout_s=0.5)
        router = sockets[2]
        assert list(failures(router.get_monitor_socket()))
        assert not router.poll(0)
    finally:
        for socket in sockets:
            close(socket)
        context.term()


# What the one who is refused is told


def told(use: Callable[[], object]) -> str:
    """Return what the error says that comes of ``use``, tried until it comes."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        try:
            use()
        except BusError as error:
            return str(error)
        time.sleep(0.01)
    raise AssertionError("it was not refused")


@pytest.fixture(params=["Outlet", "Inlet", "Subscriber", "clock"])
def client(request: pytest.FixtureRequest) -> Iterator[Callable[[str | Endpoint], str]]:
    """Return a function that connects to an endpoint and returns what the refusal says."""
    with ExitStack() as stack:

        def connect(endpoint: str | Endpoint) -> str:
            if request.param == "clock":
                return told(lambda: measure_clock_offset(endpoint, timeout_s=DEADLINE_S))
            if request.param == "Subscriber":
                subscriber = stack.enter_context(Subscriber(endpoint))
                return told(lambda: subscriber.receive(timeout_s=0.05))
            if request.param == "Outlet":
                outlet = Outlet(endpoint)
                stack.callback(outlet.close, linger_ms=0)
                return told(outlet.service)
            inlet = Inlet(endpoint, ["emotion/"])
            stack.callback(inlet.close)
            return told(inlet.read)

        yield connect


Client = Callable[[str | Endpoint], str]


def test_a_client_is_told_that_its_key_is_not_allowed(guarded: Guarded, client: Client) -> None:
    keys = guarded.stranger("stranger")
    said = client(Endpoint(guarded.endpoint.address, keys))
    assert "refused this key for what it is used for" in said
    assert f"affectstream keys allow NAME '{keys.public.decode()}'" in said


def test_a_client_without_keys_is_told_to_use_some(guarded: Guarded, client: Client) -> None:
    assert "wants keys" in client(guarded.endpoint.address)


def test_a_client_with_keys_does_not_talk_to_a_hub_without(
    guarded: Guarded, client: Client
) -> None:
    with Hub(free_address()) as bare:
        said = client(Endpoint(bare.address, guarded.keys))
    assert "has no keys" in said or "is not the hub whose key is trusted" in said


def test_a_client_does_not_talk_to_another_hub(
    guarded: Guarded, tmp_path: Path, client: Client
) -> None:
    other = new_keys(tmp_path / "elsewhere", new_keys(tmp_path / "other").public.decode())
    said = client(Endpoint(guarded.endpoint.address, other))
    assert "is not the hub whose key is trusted here" in said


def test_the_commands_say_it_in_one_sentence(guarded: Guarded) -> None:
    keys = guarded.stranger("stranger")
    where = ("--address", guarded.endpoint.address, "--keys", str(keys.folder))
    result = run("subscribe", *where)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "affectstream keys allow" in result.stderr


def test_doctor_tells_of_keys_and_of_a_hub_that_refuses_them(guarded: Guarded) -> None:
    keys = guarded.stranger("stranger")
    address = guarded.endpoint.address
    assert "trusts the hub" in doctor._keys(keys.folder).seen
    refused = doctor._ports(address, keys.folder)
    assert not refused.ok
    assert "affectstream keys allow" in refused.seen
    assert "lets 0 in" in doctor._keys(guarded.keys.folder).seen
    assert "a hub answers" in doctor._ports(address, guarded.keys.folder).seen
    guarded.keys.folder.chmod(0o755)
    found = doctor._keys(guarded.keys.folder)
    assert not found.ok
    assert "chmod 700" in found.seen


# The list changes while the hub runs


def test_who_is_allowed_later_gets_in_without_a_restart(guarded: Guarded) -> None:
    keys = guarded.stranger("laptop")
    endpoint = Endpoint(guarded.endpoint.address, keys)
    with pytest.raises(BusError, match="affectstream keys allow"):
        measure_clock_offset(endpoint)
    allow(guarded.keys.folder, "laptop", keys.public.decode())
    assert measure_clock_offset(endpoint).round_trip_ns > 0
    assert not guarded.hub.counts["cut"]


def test_who_is_revoked_is_cut_off_on_every_socket_and_others_miss_nothing(
    guarded: Guarded,
) -> None:
    friend, foe = guarded.peer("friend"), guarded.peer("foe")
    outlet, inlet = guarded.outlet(friend), guarded.inlet(friend, "transcript/")
    got: list[Message] = []
    publisher, reader = guarded.raw("publish", foe.keys), guarded.raw("subscribe", foe.keys)
    asker = guarded.raw("request", foe.keys)
    sent = 0

    def publish() -> None:
        nonlocal sent
        outlet.publish(transcript(sent))
        sent += 1

    def all_are_connected() -> bool:
        publish()
        asker.send_multipart([b"", b""])
        publisher.send_multipart(encoded(emotion(1, source="foe")))
        return bool(reader.poll(0)) and bool(asker.poll(0))

    serve_until(all_are_connected, outlets=[outlet], inlets=[(inlet, got)])
    revoke(guarded.keys.folder, "foe")
    serve_until(
        lambda: publish() is None and guarded.hub.counts["refused: revoked key"] >= 3,
        outlets=[outlet],
        inlets=[(inlet, got)],
    )
    for socket in (reader, asker):
        while socket.poll(0):
            socket.recv_multipart()
    for _ in range(50):
        publish()
    serve_until(lambda: len(got) >= sent, outlets=[outlet], inlets=[(inlet, got)])
    assert texts(got) == list(range(sent))
    assert not reader.poll(0)
    assert not asker.poll(0)


def test_a_list_that_others_can_change_lets_nobody_in(
    guarded: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    laptop = guarded.peer("laptop")
    assert measure_clock_offset(laptop).round_trip_ns > 0
    (guarded.keys.folder / "allowed").chmod(0o666)

    def is_refused() -> bool:
        with pytest.raises(BusError) as caught:
            measure_clock_offset(laptop)
        return "refused this key" in str(caught.value)

    wait_until(is_refused, "the refusal")  # the cut may take the first answer with it
    assert "nobody is let in: others can look into" in caplog.text
    wait_until(lambda: guarded.hub.counts["cut"], "the cut")  # or it could lose the next probe
    (guarded.keys.folder / "allowed").chmod(0o600)
    assert measure_clock_offset(laptop).round_trip_ns > 0


# Misbehaving


def encoded(message: Message) -> list[bytes]:
    from affectstream.codec import encode

    return encode(message)


def test_a_flood_of_one_peer_blocks_it_and_leaves_anothers_messages_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limits = PeerLimits(messages_per_s=300, burst_s=1, strikes=50)
    with ExitStack() as stack:
        guarded = Guarded(stack, tmp_path, limits)
        friend, flood = guarded.peer("friend"), guarded.peer("flood")
        outlet = guarded.outlet(friend)
        inlet = guarded.inlet(friend, "transcript/", "gap/", "progress/hub/")
        raw = guarded.raw("publish", flood.keys)
        got: list[Message] = []
        junk = encoded(transcript(0, source="flood", session="s2"))
        sent = 0

        def whole() -> list[int]:
            return texts([message for message in got if message.source == "mic.anna"])

        def turn() -> bool:
            nonlocal sent
            for _ in range(100):
                raw.send_multipart(junk)
            if sent < 200:
                outlet.publish(transcript(sent))
                sent += 1
            gaps = [gap for gap in of_kind(got, Gap) if gap.session == "hub"]
            return (
                len(whole()) >= 200
                and guarded.hub.counts["refused: blocked"] > 0
                and any(gap.of == "flood" for gap in gaps)
            )

        serve_until(turn, outlets=[outlet], inlets=[(inlet, got)])
        assert whole() == list(range(200))
        gap = next(gap for gap in of_kind(got, Gap) if gap.of == "flood")
        assert gap.reason == "more than 300 messages a second"
        assert gap.lost == "transcript of s2/flood"
        assert guarded.hub.counts["dropped: flood"] >= gap.count > 0
        assert guarded.hub.counts["blocked"] == 1
        assert not guarded.hub.counts["dropped: friend"]
        assert "flood is blocked for 10 s: more than 300 messages a second" in caplog.text
        with pytest.raises(BusError, match="has blocked this key for a while"):
            measure_clock_offset(flood)


def test_what_is_too_large_too_deep_or_no_message_does_not_pass_and_its_sender_is_named(
    guarded: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    from bus_helpers import frames_of

    foe, friend = guarded.peer("foe"), guarded.peer("friend")
    raw = guarded.raw("publish", foe.keys)
    inlet = guarded.inlet(friend, "")
    good = {"session": "s1", "source": "foe", "epoch": 5, "watermark_ns": 1}
    deep: Any = [[[[[[[[1]]]]]]]]
    bad = [
        frames_of("progress", good, bytes(5 * 1024 * 1024)),
        frames_of("progress", good | {"extra": deep}),
        [b"progress/s1/foe", b"\x80" * 70_000, b""],
        [b"x", b"y"],
    ]
    got: list[Message] = []

    def turn() -> bool:
        raw.send_multipart(frames_of("progress", good))
        return good["epoch"] in inlet._reassembler._outlets  # what is good passes

    serve_until(turn, inlets=[(inlet, got)])
    for frames in bad:
        raw.send_multipart(frames)
    serve_until(  # they are said once a second, in one second or in two
        lambda: sum(gap.count for gap in of_kind(got, Gap)) >= 4, inlets=[(inlet, got)]
    )
    assert guarded.hub.counts["dropped: foe"] == 4
    assert not {"too large", "frames", "not MessagePack"} & set(inlet.counts)
    reasons = {gap.reason for gap in of_kind(got, Gap)}
    assert reasons == {"it is no message (too large)", "it is no message (frames)"}
    assert "from foe: it is no message (too large)" in caplog.text


def test_each_peer_s_subscriptions_are_seen_though_another_has_the_same(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str | None, bytes]] = []
    judge = PeerGuard.subscription

    def watched(self: PeerGuard, name: str | None, frame: bytes, now_ns: int) -> str | None:
        seen.append((name, frame))
        return judge(self, name, frame, now_ns)

    monkeypatch.setattr(PeerGuard, "subscription", watched)
    for name in ("first", "second"):
        guarded.raw("subscribe", guarded.peer(name).keys).subscribe(b"emotion/")
        wait_until(lambda name=name: (name, b"\1emotion/") in seen, f"{name}'s subscription")


def test_nobody_speaks_for_anothers_stream(guarded: Guarded) -> None:
    owner, thief = guarded.peer("owner"), guarded.peer("thief")
    outlet, inlet = guarded.outlet(owner), guarded.inlet(guarded.peer("reader"), "emotion/")
    forger = guarded.outlet(thief)
    got: list[Message] = []
    outlet.publish(emotion(0))
    serve_until(lambda: len(got) == 1, outlets=[outlet], inlets=[(inlet, got)])

    forged = 0

    def turn() -> bool:
        nonlocal forged
        if forged < 30:  # fewer than it is blocked for
            forger.publish(emotion(1))
            forged += 1
        return guarded.hub.counts["dropped: thief"] > 3

    serve_until(turn, outlets=[outlet, forger], inlets=[(inlet, got)])
    assert {message.epoch for message in got} == {outlet.epoch}


# Where keys are needed, and where not


@pytest.mark.parametrize("use", [Outlet, Inlet, measure_clock_offset, Hub])
def test_off_loopback_nothing_is_done_without_keys(use: Callable[[str], Any]) -> None:
    with pytest.raises(BusError, match=r"other machines; pass --keys FOLDER"):
        use("tcp://192.0.2.1:5570")


def test_a_hub_with_keys_may_bind_to_every_address(tmp_path: Path) -> None:
    keys = new_keys(tmp_path / "keys")
    port = free_address().rpartition(":")[2]
    for host in ("*", "0.0.0.0"):
        endpoint = Endpoint(f"tcp://{host}:{port}", keys)
        with Hub(endpoint):
            assert measure_clock_offset(endpoint).round_trip_ns > 0
            local = Endpoint(f"tcp://127.0.0.1:{port}", keys)
            assert measure_clock_offset(local).round_trip_ns > 0


def test_keys_that_trust_another_hub_run_none(tmp_path: Path) -> None:
    keys = new_keys(tmp_path / "keys", new_keys(tmp_path / "hub").public.decode())
    with pytest.raises(BusError, match="trust another hub"):
        Hub(Endpoint(free_address(), keys))


def test_a_unix_socket_in_a_folder_of_everybodys_needs_keys(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    address = f"ipc://{os.path.relpath(folder)}/bus"
    folder.chmod(0o777)
    for use in (Hub, Outlet, Inlet):
        with pytest.raises(BusError, match="other users can put a socket at"):
            use(address)
    keys = new_keys(tmp_path / "keys")
    with Hub(Endpoint(address, keys)):
        assert measure_clock_offset(Endpoint(address, keys)).round_trip_ns > 0
    folder.chmod(0o700)
    with Hub(address):
        assert measure_clock_offset(address).round_trip_ns > 0
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_the_hub_closes_within_a_second_and_can_be_started_again(guarded: Guarded) -> None:
    outlet = guarded.outlet(guarded.peer("laptop"))
    for number in range(500):
        outlet.publish(transcript(number))
    started = time.monotonic()
    guarded.hub.close()
    assert time.monotonic() - started < 1.0
    assert not any(thread.is_alive() for thread in guarded.hub._threads)
    guarded.hub = Hub(guarded.endpoint)
    inlet = guarded.inlet(guarded.endpoint, "transcript/")
    got: list[Message] = []
    serve_until(lambda: len(got) >= 500, outlets=[outlet], inlets=[(inlet, got)])
    tally = Tally()
    tally.take(got, ("transcript/",))
    assert not tally.lost


def test_processes_of_two_hosts_by_their_commands(tmp_path: Path) -> None:
    """The recipe of the docs: a hub here, a subscriber with keys of its own there."""
    hub, laptop = new_keys(tmp_path / "hub"), None
    laptop = new_keys(tmp_path / "laptop", hub.public.decode())
    allow(hub.folder, "laptop", laptop.public.decode())
    endpoint = Endpoint(free_address(), hub)
    command = [sys.executable, "-m", "affectstream"]
    with subprocess.Popen([*command, "hub", *endpoint.options], stderr=subprocess.PIPE) as process:
        try:
            with ExitStack() as stack:
                outlet = Outlet(Endpoint(endpoint.address, laptop))
                stack.callback(outlet.close, linger_ms=0)
                reader = stack.enter_context(Subscriber(endpoint.address, keys=laptop.folder))
                events: list[object] = []

                def turn() -> bool:
                    outlet.publish(emotion(len(events)))
                    event = reader.receive(timeout_s=0.05)
                    events.extend([event] if event else [])
                    return len(events) >= 2

                serve_until(turn, outlets=[outlet])
        finally:
            process.terminate()
