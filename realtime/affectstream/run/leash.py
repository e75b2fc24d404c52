"""What ties a process to the one that started it: a leash and a pulse, two pipes.

Knows: how a child sees that its parent has gone, and how it shows that it still turns.
Refuses to know: who starts whom, and what follows from silence (``core.supervision``).

A child holds the reading end of the leash: when the parent goes, however it goes, that pipe
closes. It holds the writing end of its pulse: a byte at most every half second, written by the
loop itself, so that a process which is alive but hangs falls silent.
"""

from __future__ import annotations

import os
import select
import time

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


class Pulse:
    """Shows the parent, if there is one, that this process still turns."""

    def __init__(self) -> None:
        end = os.environ.get(PULSE)
        self._end = None if end is None else int(end)
        self._next_s = 0.0
        if self._end is not None:
            os.set_blocking(self._end, False)

    def beat(self) -> None:
        """Be called at every turn and in the middle of long ones; costs next to nothing."""
        if self._end is None or (now_s := time.monotonic()) < self._next_s:
            return
        self._next_s = now_s + BEAT_S
        try:
            os.write(self._end, b".")
        except BlockingIOError:
            return  # the parent has not listened for hours: one beat more says nothing new
        except BrokenPipeError:
            self._end = None  # the parent has gone, which the leash says too
