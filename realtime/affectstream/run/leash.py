"""What ties a process to the one that started it: a leash and a pulse, two pipes.

Knows: when a process is to stop, and how it shows its parent that it has not hung.
Refuses to know: who starts whom, and what follows from silence (``core.restart_policy``).

A child holds the reading end of the leash: when the parent ends, however it ends, that pipe
closes. It holds the writing end of its pulse: a byte at most every half second, written by the
loop itself, so that a process which is alive but hangs falls silent.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LEASH = "AFFECTSTREAM_LEASH"
PULSE = "AFFECTSTREAM_PULSE"
BEAT_S = 0.5


def parent_gone() -> bool:
    """Return whether the process that started this one, and holds its leash, has ended."""
    leash = os.environ.get(LEASH)
    if leash is None:
        return False
    readable, _, _ = select.select([int(leash)], [], [], 0)
    return bool(readable)  # nothing is ever written: readable means closed


@contextmanager
def stop_when_told() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether a signal to end has come, or the parent has ended.

    Such are SIGINT (Ctrl-C), SIGTERM, and SIGHUP (the terminal was closed) unless it is ignored, as
    ``nohup`` has it.
    """
    signalled = threading.Event()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, lambda *_: signalled.set()) for number in numbers}
    try:
        yield lambda: signalled.is_set() or parent_gone()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Pulse:
    """Shows the parent, if there is one, that this process has not hung."""

    def __init__(self) -> None:
        end = os.environ.get(PULSE)
        self._end = None if end is None else int(end)
        self._next_s = 0.0
        if self._end is not None:
            os.set_blocking(self._end, False)

    def beat(self) -> None:
        """Write a byte if the last is half a second old; called often, it costs next to nothing."""
        if self._end is None or (now_s := time.monotonic()) < self._next_s:
            return
        self._next_s = now_s + BEAT_S
        try:
            os.write(self._end, b".")
        except BlockingIOError:
            return  # the parent has not listened for hours: one beat more says nothing new
        except BrokenPipeError:
            self._end = None  # the parent has gone, which the leash says too
