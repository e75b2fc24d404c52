"""A subscriber for tests that run real processes: it collects, with deadlines."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from affectstream.bus import Inlet
from affectstream.messages import Message
from bus_helpers import DEADLINE_S

M = TypeVar("M", bound=Message)


class Listener:
    """Collects everything that a session publishes."""

    def __init__(self, address: str) -> None:
        self._inlet = Inlet(address, [""], from_start=True)
        self.messages: list[Message] = []

    def until(self, condition: Callable[[], bool], seconds: float = DEADLINE_S) -> None:
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
