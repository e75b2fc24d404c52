"""Which peer waits for which outlet's answers: the bytes of an answer count for who asked.

Knows: requests that were passed on and are not answered yet. Refuses to know: what was asked.
"""

from __future__ import annotations

from collections import Counter, OrderedDict


class OpenRequests:
    """Requests that are not answered yet.

    Args:
        most: connections of one peer that wait for an outlet; beyond it a peer pushes out its own.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._peers: dict[tuple[bytes, bytes], str] = {}
        self._counts: Counter[tuple[bytes, bytes]] = Counter()
        self._of_peer: dict[str, OrderedDict[tuple[bytes, bytes], None]] = {}

    def note(self, peer: str, identity: bytes, outlet: bytes) -> None:
        """A request of the peer's connection ``identity`` is passed on to ``outlet``."""
        key = (identity, outlet)
        if self._peers.get(key, peer) != peer:
            self._forget(key)
        self._peers[key] = peer
        self._counts[key] += 1
        own = self._of_peer.setdefault(peer, OrderedDict())
        own[key] = None
        own.move_to_end(key)
        if len(own) > self._most:
            self._forget(next(iter(own)))

    def answered(self, identity: bytes, outlet: bytes) -> str | None:
        """Return which peer waits for that answer, for one answer less from now on; None: nobody.

        Args:
            identity: where the answer goes.
            outlet: who answers.
        """
        key = (identity, outlet)
        peer = self._peers.get(key)
        if peer is not None:
            self._counts[key] -= 1
            if not self._counts[key]:
                self._forget(key)
        return peer

    def _forget(self, key: tuple[bytes, bytes]) -> None:
        peer = self._peers.pop(key)
        del self._counts[key], self._of_peer[peer][key]
