"""The gatekeeper decides of every key that is shown to the hub whether its owner gets in.

Knows: the hub's list, which may change at any time, and the ZeroMQ Authentication Protocol (ZAP,
https://rfc.zeromq.org/spec/27/): ZeroMQ asks at an address inside the process, once for each
handshake, and does nothing before the answer.
Refuses to know: what those who get in say.

``zmq.auth`` speaks ZAP too. It is not used: it knows one refusal only (400), where a client is to
be told whether its key is unknown or blocked; its callback does not say from which address a key
came; and it lets clients without keys in unless told otherwise.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable

import zmq
from zmq.utils import z85

from affectstream.bus.handshakes import BLOCKED, NOT_ALLOWED
from affectstream.bus.keys import HUB_NAME, Keys, Peer, SecurityError, read_allowed

_log = logging.getLogger(__name__)

ZAP_ADDRESS = "inproc://zeromq.zap.01"
MAX_NAMED = 200
"""So many refused keys are logged one by one; further ones are only counted."""


class Gatekeeper:
    """Answers ZeroMQ's questions; it must be there before the hub's sockets are.

    Args:
        counts: where refusals are counted, by reason.
        is_blocked: tells of a peer's name whether it is to stay out for now.

    Attributes:
        gone: names of peers that were on the list and are not any more, or may do other things;
            the hub cuts them off and clears this.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        keys: Keys,
        counts: Counter[str],
        is_blocked: Callable[[str], bool],
    ) -> None:
        self.socket = context.socket(zmq.REP)
        self.socket.bind(ZAP_ADDRESS)
        self._keys = keys
        self._counts = counts
        self._is_blocked = is_blocked
        self._hub = Peer(HUB_NAME, keys.public)
        self._peers: dict[bytes, Peer] = {}
        self._revoked: dict[bytes, str] = {}
        self._named: set[bytes] = set()
        self._version: tuple[int, ...] | None = ()
        self.gone: list[str] = []
        self.refresh()

    def refresh(self) -> None:
        """Read the list if it has changed; a list that cannot be trusted lets nobody in."""
        version = self._stat()
        if version == self._version:
            return
        self._version = version
        try:
            peers = {peer.key: peer for peer in read_allowed(self._keys.folder)}
        except SecurityError as error:
            _log.error("nobody is let in: %s", error)
            peers = {}
        gone = [peer for key, peer in self._peers.items() if peers.get(key) != peer]
        self._revoked |= {peer.key: peer.name for peer in gone}
        self.gone += [peer.name for peer in gone]
        self._peers = peers
        self._named.clear()

    def answer(self) -> None:
        """Answer the questions that wait."""
        while self.socket.poll(0):
            frames = self.socket.recv_multipart()
            request = frames[1] if len(frames) > 1 else b""
            status, user = self._judge(frames)
            words = b"OK" if status == "200" else b"refused"
            reply = [b"1.0", request, status.encode(), words, user.encode(), b""]
            self.socket.send_multipart(reply)

    def _judge(self, frames: list[bytes]) -> tuple[str, str]:
        """Return ZAP's status, and the peer's name if it gets in."""
        if len(frames) != 7 or frames[0] != b"1.0" or frames[5] != b"CURVE":
            self._counts["refused: without keys"] += 1
            return NOT_ALLOWED, ""
        domain, address = frames[2].decode(), frames[3].decode(errors="replace")
        self.refresh()
        key = z85.encode(frames[6])
        peer = self._hub if key == self._keys.public else self._peers.get(key)
        if peer is None:
            reason = "revoked key" if key in self._revoked else "unknown key"
            who = f"{self._revoked.get(key, 'somebody')} at {address}"
            remedy = f"`affectstream keys allow NAME '{key.decode()}'` would let it in"
            return self._refuse(reason, key, f"{who} ({remedy})", NOT_ALLOWED)
        if domain != "request" and not peer.may(domain):
            who = f"{peer.name} at {address}, who may not {domain}"
            return self._refuse(f"may not {domain}", key + domain.encode(), who, NOT_ALLOWED)
        if self._is_blocked(peer.name):
            return self._refuse("blocked", key, f"{peer.name} at {address}", BLOCKED)
        return "200", peer.name

    def _refuse(self, reason: str, what: bytes, who: str, status: str) -> tuple[str, str]:
        """Count a refusal, and log it unless ``what`` was logged before."""
        self._counts[f"refused: {reason}"] += 1
        if what not in self._named and len(self._named) < MAX_NAMED:
            self._named.add(what)
            _log.warning("refused, %s: %s", reason, who)
        return status, ""

    def _stat(self) -> tuple[int, ...] | None:
        try:
            found = os.stat(self._keys.folder / "allowed")
        except FileNotFoundError:
            return None
        except OSError as error:  # a loop of links, a file in the folder's place, a disk that fails
            return (error.errno or 0,)
        return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode, found.st_uid

    def close(self) -> None:
        """Answer no more questions: from now on ZeroMQ lets nobody in."""
        self.socket.close(linger=0)
