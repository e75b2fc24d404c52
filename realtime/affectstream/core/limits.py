"""How much one peer of a hub may do, and how a rate is limited.

Knows: the limits, and the token bucket of traffic shaping.
Refuses to know: peers, clocks, and what happens to one that does more (``peers``).
"""

from __future__ import annotations

from dataclasses import dataclass

from affectstream.timebase import NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLimits:
    """How much one peer may do; far more than any worker of ours does at the pace of speech.

    Attributes:
        messages_per_s, bytes_per_s: what it may publish, and bytes also in requests and answers.
        requests_per_s: what it may ask outlets and the hub.
        burst_s: so many seconds' worth of messages and bytes may come at once.
        request_burst: so many requests may come at once.
        subscriptions: at the same time.
        names: streams and epochs that belong to it; the longest unused are given up.
        outlets_per_s: new outlets (epochs) in the long run; every reader keeps and asks each.
        outlets: new outlets at once.
        losses_said_per_s, losses_said: lines of the log, and gaps, about what it lost: in the long
            run, and at once.
        frames: of one request or answer.
        strikes: faults that are suffered at once.
        strikes_forgiven_per_s: faults that are suffered in the long run.
        block_ns, longest_block_ns: how long the first block lasts, and the longest.
        forget_ns: after so long without a block the next one is a first one again.
        silent_ns: a stream that was not published for so long may be taken by another peer.
        outlet_silent_ns: the same of an outlet (epoch). Its owner may be started again with its
            journal, so this is longer.
    """

    messages_per_s: float = 5_000.0
    bytes_per_s: float = 64.0 * 1024 * 1024
    requests_per_s: float = 200.0
    burst_s: float = 2.0
    request_burst: float = 2_000.0
    subscriptions: int = 1_000
    names: int = 8_192
    outlets_per_s: float = 1.0
    outlets: float = 256.0
    losses_said_per_s: float = 1.0
    losses_said: float = 20.0
    frames: int = 16_384
    strikes: float = 100.0
    strikes_forgiven_per_s: float = 10.0
    block_ns: int = 10 * NS_PER_S
    longest_block_ns: int = 600 * NS_PER_S
    forget_ns: int = 3_600 * NS_PER_S
    silent_ns: int = 10 * NS_PER_S
    outlet_silent_ns: int = 3_600 * NS_PER_S


class TokenBucket:
    """Lets ``rate`` a second pass, and ``size`` at once.

    An amount passes whole or not at all. It may be larger than what is left, even than ``size``;
    then nothing passes until the debt is made up.

    Args:
        rate: amount a second.
        size: the most that may be saved up.
    """

    def __init__(self, rate: float, size: float) -> None:
        self._rate, self._size = rate, size
        self._level = size
        self._filled_ns: int | None = None

    def take(self, amount: float, now_ns: int) -> bool:
        """Return whether anything was left, and then take ``amount``."""
        if self._filled_ns is None:
            self._filled_ns = now_ns
        elif now_ns > self._filled_ns:
            gained = self._rate * (now_ns - self._filled_ns) / NS_PER_S
            self._level = min(self._size, self._level + gained)
            self._filled_ns = now_ns
        if self._level <= 0:
            return False
        self._level -= amount
        return True

    def charge(self, amount: float) -> None:
        """Take ``amount`` whether or not it is there."""
        self._level -= amount
