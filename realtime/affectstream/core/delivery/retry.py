"""How long a reader waits for one outlet's answer before it says that data are lost.

Knows: when a request is repeated, and what tells an outlet that is gone from a link that is cut.
Refuses to know: what was asked (``reassembler``), and how it travels.

Rules:
1. A request is repeated after twice the time that the last answer took, then after twice as long
   each time: on a slow link an answer that is under way is not asked for again and again.
2. It is given up after ``GIVE_UP_NS``: a link may be cut for half a minute, and an outlet's
   connection takes some seconds to be made again.
3. It is given up earlier, ``ABSENT_NS`` after the hub said that it does not know the outlet, if the
   outlet was heard within ``HEARD_LATELY_NS`` before that. Then the outlet has ended, or never
   reached the hub's ROUTER. With a cut link the outlet falls silent long before the hub notices.
"""

from __future__ import annotations

from dataclasses import dataclass

from affectstream.timebase import NS_PER_MS, NS_PER_S

FIRST_REPEAT_NS = 250 * NS_PER_MS
MAX_REPEAT_NS = 4 * NS_PER_S
GIVE_UP_NS = 60 * NS_PER_S
ABSENT_NS = 10 * NS_PER_S
HEARD_LATELY_NS = 5 * NS_PER_S


@dataclass(slots=True)
class RetryTimer:
    """When the open request to one outlet is repeated, and when it is given up.

    Attributes:
        repeat_at_ns: when the request is to be repeated, or given up.
    """

    repeat_at_ns: int = 0
    _started_ns: int = 0
    _took_ns: int = 0
    _wait_ns: int = FIRST_REPEAT_NS
    _heard_ns: int | None = None
    _unreachable_ns: int | None = None

    def start(self, now_ns: int) -> None:
        """A request is sent for the first time."""
        self._started_ns, self._unreachable_ns = now_ns, None
        self._wait_ns = max(FIRST_REPEAT_NS, min(2 * self._took_ns, MAX_REPEAT_NS))
        self.repeat_at_ns = now_ns + self._wait_ns

    def repeat(self, now_ns: int) -> None:
        """The request is sent once more."""
        self._wait_ns = min(2 * self._wait_ns, MAX_REPEAT_NS)
        self.repeat_at_ns = now_ns + self._wait_ns

    def heard(self, now_ns: int) -> None:
        """A message of the outlet came."""
        self._heard_ns = now_ns

    def answered(self, now_ns: int) -> None:
        """The request was answered."""
        self._took_ns = max(0, now_ns - self._started_ns)
        self.heard(now_ns)

    def unreachable(self, now_ns: int) -> None:
        """The hub said that it knows no such outlet."""
        if self._unreachable_ns is None:
            self._unreachable_ns = now_ns

    def expired(self, now_ns: int) -> bool:
        """Return whether the request is to be given up rather than repeated."""
        if now_ns - self._started_ns >= GIVE_UP_NS:
            return True
        if self._unreachable_ns is None or self._heard_ns is None:
            return False
        return (
            self._unreachable_ns - self._heard_ns <= HEARD_LATELY_NS
            and now_ns - self._unreachable_ns >= ABSENT_NS
        )
