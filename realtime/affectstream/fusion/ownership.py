"""Which of several fusion nodes at one hub has a dialogue: one of them, never two.

Knows: who has claimed a dialogue, who holds it, and for how long that is believed.
Refuses to know: how a node computes, sockets, and who else is at the hub.

Rules:
1. Before a node begins a dialogue it publishes a *claim*, under a name of its own, and for
   ``CLAIMED_NS`` lets the dialogue's messages wait. The earliest claim holds, by the hub's clock.
2. A node that has just started may not know what others hold, and have done. So for its first
   ``LISTENED_NS`` all its claims wait; every stream's heartbeat is heard within that time.
3. A node that hears another hold a dialogue refuses it: one line in the log, and one gap. It may
   claim it once the other has not been heard to hold it for ``LAPSES_NS``.
4. Two that hold one dialogue all the same, as after one was suspended: the one with the higher
   epoch gives it up.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from affectstream.fusion.node import BEGINNINGS
from affectstream.fusion.session import CLAIM_SOURCE, NODE_SOURCE
from affectstream.messages import Gap, Message, Progress, StreamClosed, StreamOpened
from affectstream.timebase import NS_PER_MS, NS_PER_S

_V = TypeVar("_V")
_log = logging.getLogger(__name__)

LISTENED_NS = 1_200 * NS_PER_MS
"""More than two heartbeats."""
CLAIMED_NS = 100 * NS_PER_MS
"""More than a message takes from node to node, and than their clocks differ."""
LAPSES_NS = 10 * NS_PER_S
MAX_KNOWN = 4_096
"""Dialogues of which it is remembered who holds them."""
MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Messages that wait for claims; when there are more, the node no longer only listens."""

_OTHER = "another fusion node at this hub has the dialogue; this one leaves it alone"


class DialogueMachine(Protocol):
    """A fusion node, with a journal or without."""

    def receive(self, message: Message, now_ns: int) -> list[Message]:
        """Take one message in."""

    def wake(self, now_ns: int) -> Iterable[Message]:
        """Do what is due."""

    def next_wake_ns(self) -> int | None:
        """Return when something will be due."""

    def close(self, now_ns: int) -> list[Message]:
        """Say the last words."""

    def abandon(self, session: str) -> None:
        """Leave a dialogue to another node."""


@dataclass(slots=True)
class _Claim:
    """A dialogue that this node would hold.

    Attributes:
        since_ns: when it was claimed.
        held: what was heard of the dialogue meanwhile.
    """

    since_ns: int
    held: list[Message] = field(default_factory=list)


@dataclass(slots=True)
class _Rival:
    """Another node that holds a dialogue, and when it was last heard of."""

    epoch: int
    heard_ns: int
    said: bool = False


class OwnedDialogues:
    """The machine of a fusion node that shares its hub with others.

    Args:
        machine: the node; it is given the messages of those dialogues alone that this node holds.
        epoch: that of the outlet which publishes what it says.
        open_dialogues: those that it holds from the start, as from a journal.
        now_ns: processing time.
    """

    def __init__(
        self, machine: DialogueMachine, epoch: int, open_dialogues: Iterable[str], now_ns: int
    ) -> None:
        self._machine, self._epoch = machine, epoch
        self._settled_ns = now_ns + LISTENED_NS
        self._ours: dict[str, None] = dict.fromkeys(open_dialogues)
        self._claims: dict[str, _Claim] = {}
        self._rivals: dict[str, _Rival] = {}
        self._held_bytes = 0

    def receive(self, message: Message, now_ns: int) -> list[Message]:
        """Take one message in, or let it wait until it is known who holds its dialogue."""
        name = message.session
        if message.source == CLAIM_SOURCE:
            return self._hear_claim(message, now_ns)
        if message.source == NODE_SOURCE:
            said = self._hear_node(message, now_ns)
            return said + self._machine.receive(message, now_ns)
        if name in self._ours:
            return self._noted(self._machine.receive(message, now_ns))
        if (claim := self._claims.get(name)) is not None:
            self._hold(claim, message)
            return []
        if self._rival(name, now_ns) is not None:
            return self._refuse(name)
        if not isinstance(message, BEGINNINGS) or getattr(message, "modality", "") == "emotion":
            return self._machine.receive(message, now_ns)
        claim = self._claims[name] = _Claim(now_ns)
        self._hold(claim, message)
        return [
            StreamOpened(
                session=name, source=CLAIM_SOURCE, modality="emotion", start_ns=claim.since_ns
            )
        ]

    def _hold(self, claim: _Claim, message: Message) -> None:
        claim.held.append(message)
        self._held_bytes += _size(message)

    def wake(self, now_ns: int) -> Iterator[Message]:
        """Begin the dialogues whose claims have held, and do what the node has to do."""
        for name in [n for n, claim in self._claims.items() if self._holds(claim, now_ns)]:
            claim = self._drop_claim(name)
            _remember(self._ours, name, None)
            for message in claim.held:
                yield from self._noted(self._machine.receive(message, now_ns))
            yield _claim_closed(name)
        for message in self._machine.wake(now_ns):
            yield from self._noted([message])

    def next_wake_ns(self) -> int | None:
        """Return when something will be due."""
        due = [self._due_ns(claim) for claim in self._claims.values()]
        own_ns = self._machine.next_wake_ns()
        return min(due if own_ns is None else [*due, own_ns], default=None)

    def close(self, now_ns: int) -> list[Message]:
        """Say the last words."""
        return self._machine.close(now_ns)

    def _due_ns(self, claim: _Claim) -> int:
        if self._held_bytes > MAX_WAITING_BYTES:
            return claim.since_ns
        return max(claim.since_ns + CLAIMED_NS, self._settled_ns)

    def _holds(self, claim: _Claim, now_ns: int) -> bool:
        return now_ns >= self._due_ns(claim)

    def _drop_claim(self, name: str) -> _Claim:
        claim = self._claims.pop(name)
        self._held_bytes -= sum(map(_size, claim.held))
        return claim

    def _noted(self, said: list[Message]) -> list[Message]:
        for message in said:
            if isinstance(message, StreamClosed) and message.source == NODE_SOURCE:
                self._ours.pop(message.session, None)
        return said

    # What other nodes say

    def _hear_claim(self, message: Message, now_ns: int) -> list[Message]:
        since_ns = _claimed_ns(message)
        claim = self._claims.get(message.session)
        if since_ns is None or message.epoch == self._epoch or message.session in self._ours:
            return []
        if claim is not None and (claim.since_ns, self._epoch) < (since_ns, message.epoch):
            return []
        return self._leave(message.session, message.epoch, now_ns)

    def _hear_node(self, message: Message, now_ns: int) -> list[Message]:
        name, epoch = message.session, message.epoch
        if epoch in (0, self._epoch):
            return []
        if not _holds_it(message):
            has_had_it = isinstance(message, Progress) and "stream.closed" in message.heads
            if name in self._ours or not has_had_it or now_ns >= self._settled_ns:
                return []
        if name not in self._ours:
            return self._leave(name, epoch, now_ns)
        if self._epoch < epoch:
            return []
        del self._ours[name]
        self._machine.abandon(name)
        closed = StreamClosed(session=name, source=NODE_SOURCE, reason=_OTHER)
        return [*self._leave(name, epoch, now_ns), *self._refuse(name), closed]

    def _leave(self, name: str, epoch: int, now_ns: int) -> list[Message]:
        """Note that another node holds a dialogue."""
        known = self._rivals.get(name)
        rival = _Rival(epoch, now_ns, known is not None and known.said)
        _remember(self._rivals, name, rival)
        if name not in self._claims:
            return []
        self._drop_claim(name)
        return self._refuse(name)

    def _rival(self, name: str, now_ns: int) -> _Rival | None:
        rival = self._rivals.get(name)
        if rival is not None and now_ns - rival.heard_ns > LAPSES_NS:
            del self._rivals[name]
            return None
        return rival

    def _refuse(self, name: str) -> list[Message]:
        """Say, once, that a dialogue is left to the node that holds it."""
        rival = self._rivals[name]
        if rival.said:
            return []
        rival.said = True
        _log.warning("%s: %s", name, _OTHER)
        return [
            Gap(
                session=name,
                source=CLAIM_SOURCE,
                of=NODE_SOURCE,
                lost="session",
                count=1,
                reason=_OTHER,
            ),
            _claim_closed(name),
        ]


def _holds_it(message: Message) -> bool:
    """Return whether a message of another node says that it holds the dialogue now."""
    if isinstance(message, Progress):
        heads = message.heads
        return heads.get("stream.opened", 0) > heads.get("stream.closed", 0)
    return isinstance(message, StreamOpened)


def _claimed_ns(message: Message) -> int | None:
    """Return when another node claimed a dialogue, if that is what its message says."""
    if isinstance(message, StreamOpened):
        return message.start_ns
    return message.watermark_ns if isinstance(message, Progress) and _holds_it(message) else None


def _claim_closed(name: str) -> StreamClosed:
    return StreamClosed(session=name, source=CLAIM_SOURCE, reason="it is known who has it")


def _size(message: Message) -> int:
    return 1_024 + len(getattr(message, "payload", b""))


def _remember(known: dict[str, _V], name: str, value: _V) -> None:
    """Note something of a dialogue; what was noted first makes room."""
    known.pop(name, None)
    known[name] = value
    if len(known) > MAX_KNOWN:
        del known[next(iter(known))]
