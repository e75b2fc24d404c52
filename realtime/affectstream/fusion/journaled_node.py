"""A fusion node whose dialogues outlive it.

Knows: what must be in the journal before anything is published, and how a dialogue is restored:
its saved state, and then once more all that happened to it since.
Refuses to know: how the node computes, sockets, and SQLite.

A restored dialogue says again what it said since its state was saved. That is compared with what
the journal says was published. What is missing there was computed but never published, and is
published now. So nobody hears anything twice and nothing is left out, at whatever moment the node
was killed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from affectstream.bus import Endpoint, HubClock
from affectstream.bus.database import JournalError
from affectstream.bus.journal import Journal
from affectstream.bus.outlet import RING_BYTES
from affectstream.core.delivery.retention import MessageStore, Ring
from affectstream.core.dialogue.model import JournaledModel
from affectstream.core.dialogue.snapshot import decode_snapshot, encode_snapshot
from affectstream.fusion.dialogue_journal import DialogueJournal, Kept
from affectstream.fusion.node import NODE_PREFIXES, FusionNode
from affectstream.fusion.ownership import DialogueMachine, OwnedDialogues
from affectstream.fusion.session import NODE_SOURCE, DialogueSession
from affectstream.messages import Emotion, Gap, Message, Progress, StreamClosed
from affectstream.run.loop import run

_log = logging.getLogger(__name__)

SAVE_AFTER_ESTIMATES = 64
"""A dialogue is saved after so many: at most these are computed again after a start."""

SAVE_AFTER_BYTES = 1024 * 1024
"""A dialogue is saved after so much was heard, or as much as its saved state has, if that is more:
saving costs in proportion to what is new."""

_STEP_BYTES = 64


class JournaledNode:
    """The machine of a fusion node with a journal.

    Args:
        node: without dialogues yet; those in the journal are restored here.
        journal: what the node's outlet publishes through, too.

    Raises:
        JournalError: its dialogues were begun with another model, or it cannot be written.
    """

    def __init__(
        self, node: FusionNode, model: JournaledModel, journal: Journal, now_ns: int
    ) -> None:
        self._node, self._journal = node, journal
        self._dialogues = DialogueJournal(journal)
        self._model = model
        self._estimates: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._saved_bytes: dict[str, int] = {}  # how large each saved state is
        self._noted: set[str] = set()  # the dialogues in the journal
        self._touched: set[str] = set()  # those of them that something happened to of late
        self._unpublished: list[Message] = []
        known = journal.meta("model", model.identity.sha256)
        if known != model.identity.sha256:
            raise JournalError(
                f"the journal {journal.path} was begun with another checkpoint than "
                f"{model.identity.id}; take that one, or choose another --journal"
            )
        self.positions = self._dialogues.positions()
        for kept in self._dialogues.kept():
            self._noted.add(kept.session)
            self._touched.add(kept.session)
            self._unpublished += self._restore(kept, now_ns)
        journal.commit()

    def _restore(self, kept: Kept, now_ns: int) -> list[Message]:
        """Bring a dialogue back; return what it had computed, but not published."""
        name = kept.session
        try:
            said = self._repeat(kept)
        except Exception as error:  # noqa: BLE001 - one dialogue keeps no other from going on
            self._node.sessions.pop(name, None)
            _log.warning("%s cannot be restored: %s", name, error)
            return [_lost(name, f"its saved state cannot be used: {error}"), _closed(name)]
        anew = [message for message in said if not isinstance(message, Progress)]
        known, rest = kept.published, anew[len(kept.published) :]
        if [_same(m) for m in known] != [_same(m) for m in anew[: len(known)]]:
            _log.warning("%s was not restored exactly; its revisions may repeat", name)
            rest = [_lost(name, "it was not restored exactly"), *rest]
        if name in self._node.sessions:
            self._node.resume(name, kept.left_ns, now_ns)
            self._dialogues.resumed(name, now_ns)
        return rest

    def _repeat(self, kept: Kept) -> list[Message]:
        """Let everything that happened since the state was saved happen once more."""
        name, said, before_ns = kept.session, list[Message](), kept.saved_ns
        if kept.state is not None:
            saved = decode_snapshot(kept.state)
            self._node.sessions[name] = DialogueSession.restored(
                saved, self._model, self._node.reads
            )
        for happened in kept.happened:
            now_ns = happened.now_ns
            if happened.message is not None:
                said += self._node.receive(happened.message, now_ns)
            elif happened.resumed:
                self._node.resume(name, before_ns, now_ns)
            else:
                said += self._node.step([name], now_ns)
            before_ns = now_ns
        return said

    def receive(self, message: Message, now_ns: int) -> list[Message]:
        """Take one message in; it is noted with what the node says to it."""
        unpublished = self._begin_turn()
        known = message.session in self._node.sessions
        said = self._node.receive(message, now_ns)
        self._dialogues.had(message)
        if known or message.session in self._node.sessions:
            self._note(message.session, now_ns)
            self._bytes[message.session] += self._dialogues.told(message, now_ns)
            self._count(said)
        return unpublished + said

    def wake(self, now_ns: int) -> Iterator[Message]:
        """Step what is due; what a dialogue says is published before its state is saved.

        Raises:
            JournalError: the journal is no longer in its place, or cannot be written.
        """
        self._journal.check_in_place()
        yield from self._begin_turn()
        due = self._node.due(now_ns)
        for name in due:
            self._note(name, now_ns)
            self._dialogues.stepped(name, now_ns)
            self._bytes[name] += _STEP_BYTES
        for message in self._node.step(due, now_ns):
            self._count((message,))
            yield message
        self._forget_ended()
        self._save([name for name in self._touched if self._has_much(name)], now_ns)
        self._touched.clear()

    def next_wake_ns(self) -> int | None:
        """Return when a session may have something to do."""
        return 0 if self._unpublished else self._node.next_wake_ns()

    def close(self, now_ns: int) -> list[Message]:
        """Leave the dialogues as they are, for the node that goes on with them."""
        self._forget_ended()
        self._save(list(self._noted), now_ns)
        self._journal.commit()
        return []

    def abandon(self, session: str) -> None:
        """Let go of a dialogue without a word: another node has it."""
        self._node.abandon(session)
        self._touched.add(session)

    def _begin_turn(self) -> list[Message]:
        """Return what must be published first. All that was returned before is published by now."""
        unpublished, self._unpublished = self._unpublished, []
        if not unpublished:
            self._forget_ended()
        return unpublished

    def _has_much(self, name: str) -> bool:
        if self._estimates[name] >= SAVE_AFTER_ESTIMATES:
            return True
        return self._bytes[name] >= max(SAVE_AFTER_BYTES, self._saved_bytes.get(name, 0))

    def _note(self, name: str, now_ns: int) -> None:
        self._touched.add(name)
        if name not in self._noted:
            self._noted.add(name)
            self._dialogues.begin(name, now_ns)

    def _count(self, said: Iterable[Message]) -> None:
        self._estimates.update(m.session for m in said if isinstance(m, Emotion))

    def _forget_ended(self) -> None:
        """Everything that an ended dialogue said has been published by now."""
        for name in [name for name in self._touched if name not in self._node.sessions]:
            self._touched.discard(name)
            self._noted.discard(name)
            self._dialogues.forget(name)
            del self._estimates[name], self._bytes[name]
            self._saved_bytes.pop(name, None)

    def _save(self, names: Sequence[str], now_ns: int) -> None:
        for name in names:
            saved = encode_snapshot(self._node.sessions[name].snapshot(self._model))
            self._dialogues.save(name, saved, now_ns)
            self._saved_bytes[name] = len(saved)
            self._estimates[name] = self._bytes[name] = 0


def run_fusion(
    node: FusionNode,
    model: JournaledModel,
    address: str | Endpoint,
    journal: Path | None,
    stopping: Callable[[], bool],
) -> None:
    """Run a fusion node until ``stopping()``, with a journal or without.

    Raises:
        JournalError: the journal cannot be used, now or at some time; what was published is in it.
    """
    with ExitStack() as stack:
        kept = None if journal is None else stack.enter_context(closing(Journal(journal)))
        clock = stack.enter_context(HubClock(address))
        if not clock.wait(stopping):
            return
        machine: DialogueMachine = node
        positions = None
        if kept is not None:
            machine = journaled = JournaledNode(node, model, kept, clock.now_ns())
            positions = journaled.positions
        ring: MessageStore = kept or Ring(RING_BYTES)
        run(
            OwnedDialogues(machine, ring.epoch, node.sessions, clock.now_ns()),
            address=address,
            prefixes=NODE_PREFIXES,
            positions=positions,
            ring=ring,
            clock=clock,
            stopping=stopping,
        )


def _same(message: Message) -> tuple[object, ...]:
    """Return what must be the same of a message that is said again."""
    if isinstance(message, Emotion):
        return message.kind, message.utterance, message.revision, message.status, message.look_ahead
    return (message.kind,)


def _lost(session: str, reason: str) -> Message:
    return Gap(
        session=session, source=NODE_SOURCE, of=NODE_SOURCE, lost="dialogue", count=1, reason=reason
    )


def _closed(session: str) -> Message:
    return StreamClosed(
        session=session, source=NODE_SOURCE, reason="it cannot be restored", end_ns=0
    )
