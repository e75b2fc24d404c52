"""Whose request an outlet answers next, and when.

Knows: who has asked, and what answering each reader has cost of late.
Refuses to know: what is asked, sockets and clocks.

Requests wait in a queue. A reader that was answered rests ``REST_FACTOR`` times as long as its
answer took, while others are answered. So one reader takes about a twentieth of the outlet's time
however often it asks, and a reader that asks for little hardly waits. (Passing answers on costs the
hub more than giving them costs the outlet.) No reader rests so long that it would ask again.
"""

from __future__ import annotations

from collections import OrderedDict

from affectstream.timebase import NS_PER_MS

REST_FACTOR = 19
LONGEST_REST_NS = 50 * NS_PER_MS
"""Much less than ``retry.FIRST_REPEAT_NS``, after which a reader asks again."""

MAX_QUEUED_REQUESTS = 1_000
MAX_RESTING = 1_024


class FairQueue:
    """Requests that wait, as bytes, and the readers that rest."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[bytes, bytes], None] = OrderedDict()
        self._rests_until_ns: OrderedDict[bytes, int] = OrderedDict()

    def add(self, reader: bytes, request: bytes) -> bool:
        """Let a request wait; return False where there is no room: the reader will ask again.

        The same request of the same reader waits once.
        """
        if len(self._waiting) >= MAX_QUEUED_REQUESTS:
            return False
        self._waiting[reader, request] = None
        return True

    def take(self, now_ns: int) -> tuple[bytes, bytes] | None:
        """Return the reader and the request to be answered now; None if there is none."""
        ready = (it for it in self._waiting if self._rests_until_ns.get(it[0], 0) <= now_ns)
        taken = next(ready, None)
        if taken is not None:
            del self._waiting[taken]
        return taken

    def answered(self, reader: bytes, took_ns: int, now_ns: int) -> None:
        """Note how long an answer took; its reader rests."""
        self._rests_until_ns[reader] = now_ns + min(REST_FACTOR * took_ns, LONGEST_REST_NS)
        self._rests_until_ns.move_to_end(reader)
        if len(self._rests_until_ns) > MAX_RESTING:
            self._rests_until_ns.popitem(last=False)

    def next_wake_ns(self) -> int | None:
        """Return when the next request can be answered; None if none waits."""
        waiting = (self._rests_until_ns.get(reader, 0) for reader, _ in self._waiting)
        return min(waiting, default=None)
