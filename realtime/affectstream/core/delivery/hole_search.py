"""Where a long hole ends, of which an outlet no longer has the beginning.

Knows: that an outlet forgets its oldest messages first, so what it still has of a hole is its end.
Refuses to know: requests in flight, and time (``reassembler``).

A hole may be as long as the number that somebody wrote into a heartbeat. So it is not asked for
page by page: once its first page is gone, the last one is asked for. If that is gone too, all is.
Otherwise halving finds the first message that is still there, in at most 64 requests.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class HoleSearch:
    """The search in one hole.

    Attributes:
        last: the hole's last number.
        lost_to: everything up to this number is gone.
        kept_from: something is there from this number on; None: nothing was found yet.
    """

    last: int
    lost_to: int
    kept_from: int | None = None

    def is_over(self) -> bool:
        """Return whether ``first..lost_to`` is all that is gone at the hole's beginning."""
        end = self.last if self.kept_from is None else self.kept_from - 1
        return self.lost_to >= end

    def next_page(self, most: int) -> tuple[int, int]:
        """Return the first and the last message to ask for, at most ``most``."""
        if self.kept_from is None:
            return max(self.lost_to + 1, self.last - most + 1), self.last
        first = self.lost_to + 1 + (self.kept_from - 1 - self.lost_to) // 2
        if first >= self.kept_from:
            first = self.lost_to + 1
        return first, min(first + most - 1, self.kept_from - 1)

    def note(self, first: int, last: int, lowest: int | None) -> None:
        """Note the lowest number of ``first..last`` that is still there; None: none is."""
        if lowest is None:
            self.lost_to = max(self.lost_to, last)
            return
        self.kept_from = lowest
        if lowest > first:  # what is older than something that is gone is gone too
            self.lost_to = lowest - 1
