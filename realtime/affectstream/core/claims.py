"""Whose each stream and each outlet is.

Knows: who claimed what, when it was used last, and who may take it over.
Refuses to know: messages, clocks, and what a conflict costs (``peers``).

Rules:
1. What nobody has belongs to the peer that uses it first.
2. A claim ends when it was not used for as long as claims of its kind last.
3. A stream whose source is a peer's name, or ends with a dot and that name (``mic.anna`` of the
   peer ``anna``), is *named for* that peer. It takes the stream from any other that is not.
4. A peer that claims too much loses the oldest of its own claims, and nobody else's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

KEPT_CLAIMS = 1_000
"""So many claims of each peer, the latest, outlive the hub."""


@dataclass(slots=True)
class _Claim:
    owner: str
    used_ns: int


def is_named_for(stream: str, peer: str) -> bool:
    """Return whether the source of ``stream``, SESSION/SOURCE, is or ends with the peer's name."""
    source = stream.partition("/")[2]
    return source == peer or source.endswith(f".{peer}")


class Claims:
    """Who owns what.

    Args:
        most: claims of one peer.
        above: the peer that takes whatever it uses.

    Attributes:
        are_new: whether anything changed its owner since the caller last cleared this.
    """

    def __init__(self, most: int, above: str) -> None:
        self.are_new = False
        self._most, self._above = most, above
        self._claims: dict[str, _Claim] = {}
        self._of_peer: dict[str, OrderedDict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._claims)

    def owner_of(self, thing: str) -> str | None:
        """Return who has claimed ``thing`` last."""
        claim = self._claims.get(thing)
        return None if claim is None else claim.owner

    def may_use(self, peer: str, thing: str, now_ns: int, lasts_ns: int) -> bool:
        """Return whether ``thing`` is the peer's, or may become it.

        Args:
            lasts_ns: how long a claim of this kind lasts without use.
        """
        claim = self._claims.get(thing)
        if claim is None or peer in (claim.owner, self._above):
            return True
        if now_ns - claim.used_ns >= lasts_ns:
            return True
        return is_named_for(thing, peer) and not is_named_for(thing, claim.owner)

    def use(self, peer: str, thing: str, now_ns: int) -> None:
        """Note that the peer uses ``thing``, which is its own from now on."""
        claim = self._claims.get(thing)
        if claim is None or claim.owner != peer:
            if claim is not None:
                del self._of_peer[claim.owner][thing]
            claim = self._claims[thing] = _Claim(peer, now_ns)
            self.are_new = True
        claim.used_ns = now_ns
        own = self._of_peer.setdefault(peer, OrderedDict())
        own[thing] = None
        own.move_to_end(thing)
        if len(own) > self._most:
            oldest, _ = own.popitem(last=False)
            del self._claims[oldest]

    def kept(self) -> Iterator[tuple[str, str]]:
        """Yield peer and thing of the claims that outlive the hub."""
        for peer, things in self._of_peer.items():
            for thing in list(things)[-KEPT_CLAIMS:]:
                yield peer, thing

    def recall(self, kept: Iterable[tuple[str, str]], now_ns: int) -> None:
        """Take claims up again that an earlier hub kept, as if they were used just now."""
        for peer, thing in kept:
            self.use(peer, thing, now_ns)
        self.are_new = False
