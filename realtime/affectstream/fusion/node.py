"""The fusion node: messages in, estimates and their revisions out.

Knows: which dialogues are open, whose clock each lives by, and how to step many as one batch.
Refuses to know: sockets (``run``), alignment and context (``core.dialogue``), how a model computes
(``pretrained``), and what it reads (``evidence``).
"""

from __future__ import annotations

import heapq
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import msgspec

from affectstream.core.dialogue.aligned import Change
from affectstream.core.dialogue.emotions import Stamp
from affectstream.core.dialogue.isolated_steps import IsolatedSteps
from affectstream.core.dialogue.model import ContextModel
from affectstream.core.dialogue.watermark import MAX_STREAMS
from affectstream.errors import brief
from affectstream.fusion.evidence import (
    FRAMES_AS_STATISTICS,
    UNREADABLE,
    claims_to_be_read,
    evidence_of,
    readable,
)
from affectstream.fusion.session import NODE_SOURCE, DialogueSession
from affectstream.messages import (
    Acoustic,
    Emotion,
    Gap,
    Message,
    Observation,
    Progress,
    StreamClosed,
    StreamOpened,
    Transcript,
    UtteranceEnded,
    UtteranceStarted,
)

_log = logging.getLogger(__name__)

NODE_PREFIXES = (
    "stream.",
    "utterance.",
    "transcript/",
    "acoustic/",
    "mocap/",
    "observation/",
    "progress/",
    "gap/",
)
MAX_SESSIONS = 1_024
"""Dialogues that may be open at once."""

BEGINNINGS = (StreamOpened, UtteranceStarted, UtteranceEnded, Observation)
"""Messages that open a dialogue which is not open yet."""


class FusionNode:
    """The machine of the fusion node.

    A dialogue lives by the node's clock, or by that of a stream which says that it drives the
    clock. Such a dialogue is stepped exactly when its stream says what time it is, so that every
    revision is the same at any speed.

    Args:
        model: what estimates.
        look_ahead: L; None for the whole dialogue.
        stopwatch: measures how long the model takes, in ns.

    Attributes:
        sessions: the dialogues that are open, by name.
        reads: the kinds of frames that the model reads; others are not kept.
    """

    def __init__(
        self,
        model: ContextModel,
        look_ahead: int | None,
        stopwatch: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._model, self._look_ahead = model, look_ahead
        self._stopwatch = stopwatch
        self.reads = frozenset({FRAMES_AS_STATISTICS}) | model.frame_modalities
        self.sessions: dict[str, DialogueSession] = {}
        self._dirty: dict[str, DialogueSession] = {}
        self._plans: list[tuple[int, str]] = []  # a heap; what a session plans, or earlier
        self._refused: set[str] = set()
        self._aside: OrderedDict[str, None] = OrderedDict()  # dialogues that failed

    def receive(self, message: Message, now_ns: int) -> list[Message]:
        """Take one message in; only a session whose stream drives the clock is stepped here."""
        if message.source == NODE_SOURCE or isinstance(message, Emotion):
            return []
        if isinstance(message, StreamOpened) and message.modality == "emotion":
            return []
        if message.session in self._aside:
            return []  # that it was set aside was said
        said: list[Message] = []
        session = self.sessions.get(message.session)
        if session is None:
            if not isinstance(message, BEGINNINGS):
                return self._without_dialogue(message)
            session = self._begin(message.session, now_ns, said)
            if session is None:
                return said
        session.heard_ns = now_ns
        self._dirty[message.session] = session
        if isinstance(message, Gap):
            return self._pass_on(message)
        if isinstance(message, Observation | Acoustic) and not readable(message):
            return [*said, _gap(message, UNREADABLE)] if claims_to_be_read(message) else said
        self._track_streams(session, message)
        if session.driver is not None:
            message = msgspec.structs.replace(message, sent_ns=0)  # it is of another clock
        is_tick = isinstance(message, Progress) and message.source == session.driver
        if is_tick and isinstance(message, Progress) and message.now_ns is not None:
            session.clock_ns = max(session.clock_ns, message.now_ns)
        failed = self._guarded(session, partial(self._hand_over, session, message, now_ns))
        if failed:
            return said + failed
        if is_tick:
            said += self._step([session], session.clock_ns)
            said.append(_progress(message.session, session.clock_ns))
        if session.closing and session.driver is not None:
            said += self._step([session], session.clock_ns)
        return said

    def _hand_over(
        self, session: DialogueSession, message: Message, now_ns: int
    ) -> tuple[Message, ...]:
        session.aligner.receive(message, session.now(now_ns))
        return ()

    def _begin(self, name: str, now_ns: int, said: list[Message]) -> DialogueSession | None:
        if len(self.sessions) >= MAX_SESSIONS:
            if name in self._refused:
                return None
            self._refused = {name} if len(self._refused) > MAX_SESSIONS else self._refused | {name}
            reason = f"{MAX_SESSIONS} dialogues are open already; close some or start another node"
            said.append(_lost(name, "session", 1, reason))
            return None
        self._refused.discard(name)
        session = self.sessions[name] = DialogueSession(
            name, self._model.initial_state(), self._look_ahead, now_ns, self.reads
        )
        said.append(
            StreamOpened(
                session=name,
                source=NODE_SOURCE,
                modality="emotion",
                clock_id=self._model.identity.id,
            )
        )
        return session

    def _without_dialogue(self, message: Message) -> list[Message]:
        """Name the loss of a text whose dialogue has not begun, or was closed."""
        if not isinstance(message, Transcript) or not message.final:
            return []
        if message.session in self._refused:
            return []  # the dialogue was refused, and that was said
        return [_gap(message, "its dialogue is not open")]

    def _pass_on(self, gap: Gap) -> list[Message]:
        """Publish what our own inlet lost; a gap that a worker published is on the bus already."""
        if gap.epoch:
            return []
        _log.warning(
            "%s: lost %d %s of %s: %s", gap.session, gap.count, gap.lost, gap.of, gap.reason
        )
        return [msgspec.structs.replace(gap, source=NODE_SOURCE)]

    def _track_streams(self, session: DialogueSession, message: Message) -> None:
        if isinstance(message, StreamOpened):
            if len(session.open) < MAX_STREAMS:
                session.open.add(message.source)
            session.closing = False
            if message.drives_clock:
                session.driver = message.source
                session.clock_ns = message.start_ns
                session.aligner.watermarks.stall_ns = None
        elif isinstance(message, StreamClosed):
            session.open.discard(message.source)
            session.closing = not session.open

    def wake(self, now_ns: int) -> Iterator[Message]:
        """Step, as one batch, every dialogue on the node's clock that has something to do.

        Messages are yielded as soon as they are known; the step ends with the last of them.
        """
        return self.step(self.due(now_ns), now_ns)

    def due(self, now_ns: int) -> list[str]:
        """Return the dialogues that ``step`` must be called with now, and plan for the others."""
        while self._plans and self._plans[0][0] <= now_ns:
            planned_ns, name = heapq.heappop(self._plans)
            session = self.sessions.get(name)
            if session is not None and session.planned_ns == planned_ns:
                session.planned_ns = None
                self._dirty[name] = session
        dirty, self._dirty = self._dirty, {}
        due = []
        for name, session in dirty.items():
            if self.sessions.get(name) is not session:
                continue
            if session.driver is None or session.closing or session.is_idle(now_ns):
                due.append(name)
            else:
                self._plan(session)
        return due

    def step(self, names: Sequence[str], now_ns: int) -> Iterator[Message]:
        """Do what is due in some dialogues, as one batch."""
        sessions = [self.sessions[name] for name in names]
        for session in sessions:
            session.closing = session.closing or session.is_idle(now_ns)
        if sessions:
            yield from self._step(sessions, now_ns)
        for session in sessions:
            self._plan(session)

    def resume(self, name: str, left_ns: int, now_ns: int) -> None:
        """Go on with a dialogue that another node left at ``left_ns``."""
        session = self._dirty[name] = self.sessions[name]
        session.resume(left_ns, now_ns)

    def _plan(self, session: DialogueSession) -> None:
        """Plan to look at the dialogue again when it has something to do."""
        name, wake_ns = session.name, session.next_wake_ns()
        if name in self.sessions and (session.planned_ns is None or wake_ns < session.planned_ns):
            session.planned_ns = wake_ns
            heapq.heappush(self._plans, (wake_ns, name))

    def next_wake_ns(self) -> int | None:
        """Return when a dialogue may have something to do; it is never later than that."""
        return self._plans[0][0] if self._plans else None

    def close(self, now_ns: int) -> list[Message]:
        """Make final what is open and close every stream."""
        for session in self.sessions.values():
            session.closing = True
        return list(self._step(list(self.sessions.values()), now_ns))

    def abandon(self, session: str) -> None:
        """Let go of a dialogue without a word: another node has it."""
        self.sessions.pop(session, None)

    def _step(self, sessions: Sequence[DialogueSession], now_ns: int) -> Iterator[Message]:
        """Align, compute and say: first estimates before revisions of others."""
        for session in sessions:
            yield from self._guarded(session, partial(self._align, session, now_ns))
            if session.closing:
                session.context.close()
            for gap in session.aligner.gaps:
                yield msgspec.structs.replace(gap, source=NODE_SOURCE)
            session.aligner.gaps.clear()
        began = self._stopwatch()
        steps = IsolatedSteps([each.context for each in self._still_open(sessions)], self._model)
        for session in self._still_open(sessions):
            stamp = self._stamp(session, now_ns, began)
            yield from steps.say_first(session.context, stamp)
        steps.revise()
        for session in self._still_open(sessions):
            yield from steps.say_rest(session.context, self._stamp(session, now_ns, began))
            if session.context in steps.failures:
                yield from self._set_aside(session, steps.failures[session.context])
            elif session.closing:
                yield from self._end(session, now_ns)

    def _still_open(self, sessions: Sequence[DialogueSession]) -> list[DialogueSession]:
        return [each for each in sessions if self.sessions.get(each.name) is each]

    def _guarded(
        self, session: DialogueSession, do: Callable[[], Iterable[Message]]
    ) -> list[Message]:
        """Return what ``do`` returns; a dialogue in which it fails is set aside."""
        try:
            return list(do())
        except Exception as error:  # noqa: BLE001 - whatever it is, the other dialogues go on
            return self._set_aside(session, error)

    def _set_aside(self, session: DialogueSession, error: Exception) -> list[Message]:
        """Close a dialogue that fails, and say so; until it is forgotten nothing of it is heard."""
        _log.error("%s was set aside: %s", session.name, brief(error), exc_info=error)
        self.sessions.pop(session.name, None)
        self._aside[session.name] = None
        if len(self._aside) > MAX_SESSIONS:
            self._aside.popitem(last=False)
        reason = f"it failed and was set aside: {brief(error)}"[:400]
        return [
            _lost(session.name, "dialogue", 1, reason),
            StreamClosed(
                session=session.name, source=NODE_SOURCE, reason=reason, end_ns=session.heard_ns
            ),
        ]

    def _stamp(self, session: DialogueSession, now_ns: int, began: int) -> Stamp:
        """Return which model it was, when, and how long it took (not on another's clock)."""
        identity, sure_above = self._model.identity, self._model.sure_above
        if session.driver is not None:
            return Stamp(identity, session.clock_ns, sure_above=sure_above)
        model_ms = (self._stopwatch() - began) / 1e6
        return Stamp(identity, session.now(now_ns), {"model": model_ms}, sure_above)

    def _align(self, session: DialogueSession, now_ns: int) -> list[Message]:
        """Hand the context what is new; say how much came too late for some finals."""
        context = session.context
        known_late = context.late
        for change in self._changes(session, now_ns):
            context.receive(change)
        if context.late == known_late:
            return []
        reason = "it came after utterances that end later were final; they do not know of it"
        return [_lost(session.name, "utterance", context.late - known_late, reason)]

    def _changes(self, session: DialogueSession, now_ns: int) -> list[Change]:
        changes = session.aligner.wake(session.now(now_ns))
        if session.closing:
            changes += session.aligner.close(session.now(now_ns))
        frames = self._model.frame_modalities
        return [replace(c, utterance=evidence_of(c.utterance, frames)) for c in changes]

    def _end(self, session: DialogueSession, now_ns: int) -> list[Message]:
        name = session.name
        del self.sessions[name]
        end_ns = session.now(now_ns)
        return [
            _progress(name, end_ns),
            StreamClosed(
                session=name, source=NODE_SOURCE, reason="all its streams closed", end_ns=end_ns
            ),
        ]


def _progress(session: str, watermark_ns: int) -> Progress:
    return Progress(session=session, source=NODE_SOURCE, watermark_ns=watermark_ns)


def _lost(session: str, lost: str, count: int, reason: str) -> Gap:
    return Gap(
        session=session, source=NODE_SOURCE, of=NODE_SOURCE, lost=lost, count=count, reason=reason
    )


def _gap(message: Observation | Acoustic | Transcript, reason: str) -> Gap:
    return Gap(
        session=message.session,
        source=NODE_SOURCE,
        of=message.source,
        lost=message.kind,
        count=1,
        reason=reason,
    )
