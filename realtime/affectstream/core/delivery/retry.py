"""How long a reader waits for one outlet's answer before it says that data are lost.

Knows: when a question is repeated, and what tells an outlet that is gone from a link that is cut.
Refuses to know: what was asked (``delivery``), and how it travels.

Rules:
1. A question is repeated after twice the time that the last answer took, then after twice as long
   each time: on a slow link an answer that is under way is not asked for again and again.
2. A link may be cut for half a minute, and an outlet's connection needs some seconds to be made
   again: a question is asked for ``LONGEST_NS``.
3. An outlet that was heard a moment ago, and that the hub knows no longer, has ended: a cut link
   falls silent long before the hub notices. So has one that is heard but never reached the hub's
   ROUTER. It is given ``ABSENT_NS`` to come back.
"""

from __future__ import annotations

from dataclasses import dataclass

from affectstream.timebase import NS_PER_MS, NS_PER_S

FIRST_REPEAT_NS = 250 * NS_PER_MS
MAX_REPEAT_NS = 4 * NS_PER_S
LONGEST_NS = 60 * NS_PER_S
ABSENT_NS = 10 * NS_PER_S
LATELY_NS = 5 * NS_PER_S


@dataclass(slots=True)
class RetryTimer:
    """What a reader knows of one outlet's willingness to answer.

    Attributes:
        repeat_at_ns: when the open question is to be repeated, or given up.
    """

    repeat_at_ns: int = 0
    _asked_ns: int = 0
    _took_ns: int = 0
    _wait_ns: int = FIRST_REPEAT_NS
    _heard_ns: int | None = None
    _missing_ns: int | None = None

    def ask(self, now_ns: int) -> None:
        """A question is asked for the first time."""
        self._asked_ns, self._missing_ns = now_ns, None
        self._wait_ns = max(FIRST_REPEAT_NS, min(2 * self._took_ns, MAX_REPEAT_NS))
        self.repeat_at_ns = now_ns + self._wait_ns

    def repeat(self, now_ns: int) -> None:
        """The question is asked once more."""
        self._wait_ns = min(2 * self._wait_ns, MAX_REPEAT_NS)
        self.repeat_at_ns = now_ns + self._wait_ns

    def hear(self, now_ns: int) -> None:
        """The outlet was heard."""
        self._heard_ns = now_ns

    def answer(self, now_ns: int) -> None:
        """The question was answered."""
        self._took_ns = max(0, now_ns - self._asked_ns)
        self.hear(now_ns)

    def miss(self, now_ns: int) -> None:
        """The hub said that it knows no such outlet."""
        if self._missing_ns is None:
            self._missing_ns = now_ns

    def ended(self, now_ns: int) -> bool:
        """Return whether the question is to be given up rather than repeated."""
        if now_ns - self._asked_ns >= LONGEST_NS:
            return True
        if self._missing_ns is None or self._heard_ns is None:
            return False
        return (
            self._missing_ns - self._heard_ns <= LATELY_NS
            and now_ns - self._missing_ns >= ABSENT_NS
        )
