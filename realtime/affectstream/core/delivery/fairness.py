"""Whose request is answered next, and when.

Knows: who has asked, what answering each has cost of late, and that nobody may keep the answerer
from its work.
Refuses to know: what is asked, sockets and clocks.

A request waits for its turn. Whoever was answered rests nineteen times as long as that took, while
others are answered: one reader takes about a twentieth of the answerer's time, however often it
asks (the hub, which passes the answers on, has more work with them than who gives them), and one
that asks for little hardly waits. Nobody rests so long that it would give its request up.
"""

from __future__ import annotations

from collections import OrderedDict

from affectstream.timebase import NS_PER_MS

REST = 19
LONGEST_REST_NS = 50 * NS_PER_MS
"""Much less than ``patience.REPEAT_NS``."""
MAX_QUEUED_REQUESTS = 1_000
MAX_RESTING = 1_024


class FairQueue:
    """Requests that wait, as bytes, and readers that rest."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[bytes, bytes], None] = OrderedDict()
        self._rested_ns: OrderedDict[bytes, int] = OrderedDict()

    def ask(self, reader: bytes, request: bytes) -> bool:
        """Let a request wait; return False where there is no room: the reader will ask again.

        One that waits already is not answered twice.
        """
        if len(self._waiting) >= MAX_QUEUED_REQUESTS:
            return False
        self._waiting[reader, request] = None
        return True

    def next(self, now_ns: int) -> tuple[bytes, bytes] | None:
        """Return the reader and the request whose turn it is, if there is one."""
        ready = (asked for asked in self._waiting if self._rested_ns.get(asked[0], 0) <= now_ns)
        asked = next(ready, None)
        if asked is not None:
            del self._waiting[asked]
        return asked

    def answered(self, reader: bytes, took_ns: int, now_ns: int) -> None:
        """Note what an answer took; its reader rests."""
        self._rested_ns[reader] = now_ns + min(REST * took_ns, LONGEST_REST_NS)
        self._rested_ns.move_to_end(reader)
        if len(self._rested_ns) > MAX_RESTING:
            self._rested_ns.popitem(last=False)

    def next_wake_ns(self) -> int | None:
        """Return when the next request can be answered; None if none waits."""
        waiting = (self._rested_ns.get(reader, 0) for reader, _ in self._waiting)
        return min(waiting, default=None)
