"""A subscriber for tests that run real processes: it collects, with deadlines."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from typing import TypeVar

from affectstream.bus import Inlet
from affectstream.messages import Message

M = TypeVar("M", bound=Message)


class Listener:
    """Collects everything that a session publishes."""

    def __init__(self, address: str) -> None:
        self._inlet = Inlet(address, [""], from_start=True)
        self.messages: list[Message] = []

    def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds} s; last: {self.messages[-3:]}"
            self._inlet.sockets[0].poll(50)
            self.messages += self._inlet.read()

    def for_seconds(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, seconds + 5)

    def of(self, kind: type[M]) -> list[M]:
        return [message for message in self.messages if isinstance(message, kind)]

    def close(self) -> None:
        self._inlet.close()


def free_address() -> str:
    """Return an address whose three ports are free, outside the range that the system gives out."""
    first = random.Random().randrange(20_000, 30_000, 3)
    for port in range(first, 32_000, 3):
        if all(_is_free(port + offset) for offset in range(3)):
            return f"tcp://127.0.0.1:{port}"
    raise RuntimeError("no three ports in a row are free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
