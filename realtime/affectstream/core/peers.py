"""What each peer of a hub may do, and what happens to one that does more.

Knows: limits per peer of messages, bytes, requests, subscriptions and names; whose a stream is;
strikes and blocks.
Refuses to know: sockets, keys, clocks, and what a message means beyond its header.

Rules:
1. A peer has a name: that of its key on the hub's list. All of its connections count together.
2. What is over a limit, is no message, or speaks for another peer's stream is dropped, counted
   and named. Each such fault is a strike; a peer with ``strikes`` of them in short order is
   blocked. A conflict about a stream or an outlet is a strike only against a peer that uses a
   stream which is named for its owner: of others nobody can say which of the two is right.
3. A block lasts ``block_ns``, and twice as long each time, until the peer was not blocked for
   ``forget_ns``.
4. A stream (session and source) belongs to the peer that publishes it until that peer has not
   published it for ``silent_ns``, an outlet (epoch) for ``outlet_silent_ns``; see ``claims``.
5. The bytes of an answer count for the peer that asked, not for the outlet that answers. What
   nobody asked for counts for who sent it, and so does what is longer than an answer may be.
6. The hub's own key is above all this: whoever has it is the hub.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from affectstream.codec import MAX_PAYLOAD_BYTES, MAX_TOPIC_BYTES, DecodeError, read_header
from affectstream.core.claims import Claims, is_named_for
from affectstream.core.limits import PeerLimits, TokenBucket
from affectstream.core.open_requests import OpenRequests
from affectstream.timebase import NS_PER_S

HUB_SESSION = "hub"
"""The session under which the hub itself says what it dropped."""

MAX_LOSSES = 256
"""Kinds of loss that are told apart between two reports; the rest is counted together."""

MAX_ANSWER_BYTES = 2 * MAX_PAYLOAD_BYTES
"""So much of an answer counts for the peer that asked."""

_NAMES = re.compile(r"[^/\s]{1,120}/[^/\s]{1,120}")


@dataclass(frozen=True, slots=True)
class PeerBlock:
    """A peer that is cut off, what for, and for how many seconds."""

    peer: str
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Loss:
    """What was dropped of a peer: ``lost`` says which messages, ``reason`` why."""

    peer: str
    lost: str
    reason: str


@dataclass(slots=True)
class _Peer:
    messages: TokenBucket
    bytes: TokenBucket
    requests: TokenBucket
    outlets: TokenBucket
    said: TokenBucket
    strikes: TokenBucket
    blocked_until_ns: int = 0
    blocks: int = 0
    subscriptions: int = 0


class PeerGuard:
    """Judges what each peer sends: returns None for what passes, else why it is dropped.

    Args:
        exempt: the peer that may do everything.

    Attributes:
        losses: what was dropped, and how often, and has not been said; see ``take_losses``.
        blocks: who was blocked since the caller last cleared it.
        claims: whose each stream and each outlet is.
    """

    def __init__(self, limits: PeerLimits, exempt: str) -> None:
        self.losses: Counter[Loss] = Counter()
        self.blocks: list[PeerBlock] = []
        self._limits = limits
        self._exempt = exempt
        self._peers: dict[str, _Peer] = {}
        self.claims = Claims(limits.names, above=exempt)
        self._requests = OpenRequests(limits.names)
        self._subscribers: dict[bytes, Counter[str]] = {}

    def publication(self, name: str, frames: Sequence[bytes], now_ns: int) -> str | None:
        """Judge a message that ``name`` publishes: topic, header, payload."""
        peer = self._peer(name)
        if name == self._exempt:
            self._judge_message(name, frames, now_ns)  # so that its streams belong to it
            return None
        size = sum(map(len, frames))
        fault, is_strike = self._over_rate(peer, size, now_ns), True
        if fault is None:
            fault, is_strike = self._judge_message(name, frames, now_ns)
        if fault is not None:
            kind, _, stream = frames[0][:MAX_TOPIC_BYTES].decode(errors="replace").partition("/")
            named = kind.isprintable() and _is_stream(stream)
            lost = f"{kind} of {stream}" if named else "messages"
            self._drop(name, peer, lost, fault, now_ns, is_strike)
        return fault

    def request(self, name: str, frames: Sequence[bytes], now_ns: int) -> str | None:
        """Judge what ``name`` sends to the switch: its identity, to whom, body."""
        identity, to = frames[0], frames[1] if len(frames) > 1 else b""
        peer = self._peer(name)
        size = sum(map(len, frames))
        owner = self.claims.owner_of(_outlet(identity.decode(errors="replace")))
        if owner == name and len(frames) <= self._limits.frames:
            asker = self._requests.answered(to, identity)
            if asker is not None:
                self._peer(asker).bytes.charge(min(size, MAX_ANSWER_BYTES))
                if name != self._exempt:
                    peer.bytes.charge(max(0, size - MAX_ANSWER_BYTES))
                return None
        fault = None
        if name != self._exempt:
            fault = self._over_request_rate(peer, frames, size, now_ns)
        if owner not in (None, name):
            fault = f"it answers as an outlet of {owner}"
        if fault is not None:
            self._drop(name, peer, "requests", fault, now_ns, is_strike=True)
            return fault
        if to:  # and not the hub itself, which answers at once
            self._requests.note(name, identity, to)
        return None

    def subscription(self, name: str | None, frame: bytes, now_ns: int) -> str | None:
        """Judge ``\\x01`` + prefix, which subscribes, or ``\\x00`` + prefix, which ends that.

        Args:
            name: None where a connection ended; ZeroMQ does not say whose. Then one subscription is
                taken off any peer that has the prefix, so that their sum is right.
        """
        begins, prefix = frame[:1], frame[1:]
        if begins == b"\0":
            self._unsubscribe(prefix, name)
            return None
        if name is None or name == self._exempt:
            return None
        peer = self._peer(name)
        fault = None
        if begins != b"\1" or len(prefix) > MAX_TOPIC_BYTES:
            fault = "it is no subscription"
        elif peer.subscriptions >= self._limits.subscriptions:
            fault = f"more than {self._limits.subscriptions} subscriptions"
        if fault is not None:  # ZeroMQ has taken it already: only a cut undoes it
            self.losses[Loss(name, "subscriptions", fault)] += 1
            self._block(name, peer, fault, now_ns)
            return fault
        self._subscribers.setdefault(prefix, Counter())[name] += 1
        peer.subscriptions += 1
        return None

    def forget_subscriptions(self) -> None:
        """Begin anew: every connection was cut."""
        self._subscribers.clear()
        for peer in self._peers.values():
            peer.subscriptions = 0

    def take_losses(self, now_ns: int) -> list[tuple[Loss, int]]:
        """Return what is to be said now of ``losses``, and take it off.

        Of each peer so much is said as the limits allow; the rest is counted until later.
        """
        said = [e for e in self.losses.items() if self._peer(e[0].peer).said.take(1, now_ns)]
        for loss, _ in said:
            del self.losses[loss]
        return said

    def is_blocked(self, name: str, now_ns: int) -> bool:
        """Return whether ``name`` is blocked now."""
        peer = self._peers.get(name)
        return peer is not None and peer.blocked_until_ns > now_ns

    def _peer(self, name: str) -> _Peer:
        peer = self._peers.get(name)
        if peer is None:
            limits = self._limits
            peer = self._peers[name] = _Peer(
                TokenBucket(limits.messages_per_s, limits.messages_per_s * limits.burst_s),
                TokenBucket(limits.bytes_per_s, limits.bytes_per_s * limits.burst_s),
                TokenBucket(limits.requests_per_s, limits.request_burst),
                TokenBucket(limits.outlets_per_s, limits.outlets),
                TokenBucket(limits.losses_said_per_s, limits.losses_said),
                TokenBucket(limits.strikes_forgiven_per_s, limits.strikes),
            )
        return peer

    def _over_rate(self, peer: _Peer, size: int, now_ns: int) -> str | None:
        if peer.blocked_until_ns > now_ns:
            return "it is blocked"
        if not peer.messages.take(1, now_ns):
            return f"more than {self._limits.messages_per_s:g} messages a second"
        if not peer.bytes.take(size, now_ns):
            return f"more than {self._limits.bytes_per_s:g} bytes a second"
        return None

    def _over_request_rate(
        self, peer: _Peer, frames: Sequence[bytes], size: int, now_ns: int
    ) -> str | None:
        limits = self._limits
        if peer.blocked_until_ns > now_ns:
            return "it is blocked"
        if len(frames) > limits.frames:
            return f"more than {limits.frames} frames"
        if not peer.requests.take(1, now_ns):
            return f"more than {limits.requests_per_s:g} requests a second"
        if not peer.bytes.take(size, now_ns):
            return f"more than {limits.bytes_per_s:g} bytes a second"
        return None

    def _judge_message(
        self, name: str, frames: Sequence[bytes], now_ns: int
    ) -> tuple[str | None, bool]:
        """Return what is wrong with a message, and whether that is a strike."""
        try:
            header = read_header(frames)
        except DecodeError as error:
            return f"it is no message ({error.reason})", True
        stream = f"{header.get('session')}/{header.get('source')}"
        if frames[0] != f"{header.get('kind')}/{stream}".encode():
            return "its topic is not its header's", True
        if not _is_stream(stream):
            return "its session or source is no name", True
        if header.get("session") == HUB_SESSION and name != self._exempt:
            return f"the session {HUB_SESSION} is the hub's", True
        return self._claim(name, _outlet(header.get("epoch")), stream, now_ns)

    def _claim(self, name: str, outlet: str, stream: str, now_ns: int) -> tuple[str | None, bool]:
        """Claim an outlet and a stream, both or neither; return as ``_judge_message`` does."""
        claims, limits = self.claims, self._limits
        if not claims.may_use(name, outlet, now_ns, limits.outlet_silent_ns):
            return f"its epoch belongs to {claims.owner_of(outlet)}", False
        if not claims.may_use(name, stream, now_ns, limits.silent_ns):
            owner = str(claims.owner_of(stream))
            is_strike = is_named_for(stream, owner) and not is_named_for(stream, name)
            return f"{stream} belongs to {owner}", is_strike
        is_new = claims.owner_of(outlet) != name and name != self._exempt
        if is_new and not self._peer(name).outlets.take(1, now_ns):
            return f"more than {limits.outlets:g} new epochs at once", True
        claims.use(name, outlet, now_ns)
        claims.use(name, stream, now_ns)
        return None, False

    def _drop(
        self, name: str, peer: _Peer, lost: str, reason: str, now_ns: int, is_strike: bool
    ) -> None:
        loss = Loss(name, lost, reason)
        if loss not in self.losses and len(self.losses) >= MAX_LOSSES:
            loss = Loss(name, "messages", "of many kinds, for many reasons")
        self.losses[loss] += 1
        if is_strike and peer.blocked_until_ns <= now_ns and not peer.strikes.take(1, now_ns):
            self._block(name, peer, reason, now_ns)

    def _block(self, name: str, peer: _Peer, reason: str, now_ns: int) -> None:
        limits = self._limits
        if now_ns - peer.blocked_until_ns > limits.forget_ns:
            peer.blocks = 0
        length_ns = min(limits.block_ns << min(peer.blocks, 32), limits.longest_block_ns)
        peer.blocks += 1
        peer.blocked_until_ns = now_ns + length_ns
        peer.strikes = TokenBucket(limits.strikes_forgiven_per_s, limits.strikes)
        self.blocks.append(PeerBlock(name, reason, length_ns / NS_PER_S))

    def _unsubscribe(self, prefix: bytes, name: str | None) -> None:
        holders = self._subscribers.get(prefix)
        if holders is None:
            return
        holder = name if name is not None and name in holders else next(iter(holders))
        self._peer(holder).subscriptions -= 1
        holders[holder] -= 1
        if not holders[holder]:
            del holders[holder]
        if not holders:
            del self._subscribers[prefix]


def _outlet(epoch: object) -> str:
    """Return under which name an outlet is claimed; no stream can have it."""
    return f"epoch {epoch}"


def _is_stream(text: str) -> bool:
    """Return whether ``text`` is SESSION/SOURCE and can be printed."""
    return _NAMES.fullmatch(text) is not None and text.isprintable()
