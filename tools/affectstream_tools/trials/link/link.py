"""A bad link: packets are delayed, lost or overtaken, and at times nothing gets through.

It says when each packet comes out at the other end, by chance that a seed decides. Packets are
whole IP packets, so the hosts' own TCP sends again what is lost.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass

from affectstream.timebase import NS_PER_MS

MAX_UNDER_WAY = 10_000
"""So many packets are under way at most; more are dropped, as by a router."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """What a link does to packets, in each direction.

    Attributes:
        delay_ms: how long every packet is under way at least.
        jitter_ms: a uniformly random time up to this is added, to each packet by itself, so that
            packets overtake one another.
        loss: probability that a packet is lost.
        reorder: probability that a packet is not delayed at all.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    reorder: float = 0.0


class LinkScheduler:
    """The packets that are under way between ends 0 and 1.

    Args:
        impairment: what happens to packets.
        seed: decides to which of them.
    """

    def __init__(self, impairment: Impairment, seed: int = 0) -> None:
        self.impairment = impairment
        self.cut = False
        self.counts: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._under_way: list[tuple[int, int, int, bytes]] = []
        self._number = 0

    def offer(self, end: int, packet: bytes, now_ns: int) -> None:
        """Take a packet in at ``end`` (0 or 1); it comes out at the other, or not."""
        chance, kind = self._random, self.impairment
        lost, late, overtakes = chance.random(), chance.random(), chance.random()
        if self.cut:
            self.counts["cut"] += 1
        elif lost < kind.loss:
            self.counts["lost"] += 1
        elif len(self._under_way) >= MAX_UNDER_WAY:
            self.counts["full"] += 1
        else:
            delay_ms = kind.delay_ms + late * kind.jitter_ms if overtakes >= kind.reorder else 0.0
            due_ns = now_ns + round(delay_ms * NS_PER_MS)
            heapq.heappush(self._under_way, (due_ns, self._number, 1 - end, packet))
            self._number += 1

    def due(self, now_ns: int) -> list[tuple[int, bytes]]:
        """Return the packets that come out now, each with the end where it does."""
        found = []
        while self._under_way and self._under_way[0][0] <= now_ns:
            _, _, end, packet = heapq.heappop(self._under_way)
            if self.cut:
                self.counts["cut"] += 1
                continue
            self.counts["carried"] += 1
            found.append((end, packet))
        return found

    def next_wake_ns(self) -> int | None:
        """Return when the next packet comes out."""
        return self._under_way[0][0] if self._under_way else None
