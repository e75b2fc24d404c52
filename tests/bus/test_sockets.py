"""What the hub's sockets do not take: handshakes without an end, and frames without a bound."""

from __future__ import annotations

import socket as sockets_of_the_system
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from affectstream.bus import sockets
from affectstream.bus.endpoint import Endpoint
from affectstream.bus.keys import new_keys
from affectstream.bus.sockets import bind_all, close, connect
from affectstream.core.address import ports
from affectstream.run.processes import free_address
from command_lines import wait_until


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    context = zmq.Context(io_threads=1)
    yield context
    context.destroy(linger=0)


@pytest.mark.parametrize("port", [0, 1, 2])
def test_who_shows_no_key_in_time_is_disconnected(
    context: zmq.Context[zmq.Socket[bytes]],
    tmp_path: Path,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "HANDSHAKE_MS", 100)
    monkeypatch.setattr(sockets, "SILENCE_MS", 3_600_000)
    endpoint = Endpoint(free_address(), new_keys(tmp_path / "keys"))
    bound = bind_all(context, endpoint)
    host, _, number = ports(endpoint.address)[port].removeprefix("tcp://").rpartition(":")
    with sockets_of_the_system.create_connection((host, int(number)), timeout=30) as silent:
        while silent.recv(1_000):  # the hub's greeting, and then the end of the connection
            pass
    for socket in bound:
        close(socket)


def test_a_frame_larger_than_any_message_does_not_come_in(
    context: zmq.Context[zmq.Socket[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint(free_address())
    client = connect(context, zmq.DEALER, ports(endpoint.address)[2])  # this end takes any size
    monkeypatch.setattr(sockets, "MAX_WIRE_FRAME_BYTES", 1_000)
    bound = bind_all(context, endpoint)
    router = bound[2]
    came: list[bytes] = []

    def comes(frame: bytes) -> bool:
        client.send(frame)
        while router.poll(20):
            came.append(router.recv_multipart()[-1])
        return frame in came

    wait_until(lambda: comes(b"before" + bytes(900)), "a frame of a usual size")
    client.send(bytes(1_001))
    wait_until(lambda: comes(b"after"), "a frame after the one that ended the connection")
    assert bytes(1_001) not in came
    close(client)
    for socket in bound:
        socket.close()


def test_neither_end_of_a_connection_takes_more_than_a_message(
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    endpoint = Endpoint(free_address())
    client = connect(context, zmq.DEALER, ports(endpoint.address)[2])
    bound = bind_all(context, endpoint)
    for socket in (client, *bound):
        assert socket.getsockopt(zmq.MAXMSGSIZE) == sockets.MAX_WIRE_FRAME_BYTES
    close(client)
    for socket in bound:
        socket.close()
