"""Joins the bus, the core and a model: utterances in, estimates and their revisions out.

Knows: which dialogues are open, whose clock each lives by, and how to step many as one batch.
Refuses to know: sockets (``runner``), alignment and context (``core``), how a model computes
(``pretrained``), and what it reads (``evidence``).
"""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import msgspec

from affectstream.core.aligned import Change
from affectstream.core.aligner import UtteranceAligner
from affectstream.core.dialogue import Dialogue
from affectstream.core.emotions import Stamp
from affectstream.core.model import ContextModel
from affectstream.core.revising import advance, estimate_newest, estimate_windows
from affectstream.evidence import UNREADABLE, claims_to_be_read, evidence_of, readable
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
from affectstream.timebase import NS_PER_S

log = logging.getLogger(__name__)

PREFIXES = (
    "stream.",
    "utterance.",
    "transcript/",
    "acoustic/",
    "mocap/",
    "observation/",
    "progress/",
    "gap/",
)
SOURCE = "fusion"
MAX_SESSIONS = 1_024
IDLE_NS = 600 * NS_PER_S
_BEGINNINGS = (StreamOpened, UtteranceStarted, UtteranceEnded, Observation)


class _Session:
    """One dialogue at the node."""

    def __init__(self, name: str, model: ContextModel, look_ahead: int | None, now_ns: int) -> None:
        self.aligner = UtteranceAligner(name)
        self.dialogue = Dialogue(name, model.initial_state(), look_ahead, SOURCE)
        self.open: set[str] = set()
        self.driver: str | None = None
        self.clock_ns = now_ns
        self.heard_ns = now_ns
        self.closing = False
        self.planned_ns: int | None = None

    def next_wake_ns(self) -> int:
        """Return when the dialogue has something to do though nothing arrives."""
        idle_ns = self.heard_ns + IDLE_NS
        wake_ns = None if self.driver is not None else self.aligner.next_wake_ns()
        return idle_ns if wake_ns is None else min(wake_ns, idle_ns)


class FusionNode:
    """The machine of the fusion node; ``runner.run`` runs it.

    A session lives by the node's clock, or by that of a stream which says that it drives the
    clock. Such a session is stepped exactly when its stream says what time it is, so that every
    revision is the same at any speed.

    Args:
        model: what estimates.
        look_ahead: L; None for the whole dialogue.
        stopwatch: measures how long the model takes, in ns.
    """

    def __init__(
        self,
        model: ContextModel,
        look_ahead: int | None,
        stopwatch: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._model, self._look_ahead = model, look_ahead
        self._stopwatch = stopwatch
        self._sessions: dict[str, _Session] = {}
        self._dirty: dict[str, _Session] = {}
        self._plans: list[tuple[int, str]] = []  # a heap; what a session plans, or earlier
        self._refused: set[str] = set()

    def receive(self, message: Message, now_ns: int) -> list[Message]:
        """Take one message in; only a session whose stream drives the clock is stepped here."""
        if message.source == SOURCE or isinstance(message, Emotion):
            return []
        if isinstance(message, StreamOpened) and message.modality == "emotion":
            return []
        said: list[Message] = []
        session = self._sessions.get(message.session)
        if session is None:
            if not isinstance(message, _BEGINNINGS):
                return self._homeless(message)
            session = self._begin(message.session, now_ns, said)
            if session is None:
                return said
        session.heard_ns = now_ns
        self._dirty[message.session] = session
        if isinstance(message, Gap):
            return self._repeat(message)
        if isinstance(message, Observation | Acoustic) and not readable(message):
            return [*said, _gap(message, UNREADABLE)] if claims_to_be_read(message) else said
        self._track_streams(session, message)
        if session.driver is not None:
            message = msgspec.structs.replace(message, sent_ns=0)  # another clock
        is_tick = isinstance(message, Progress) and message.source == session.driver
        if is_tick and isinstance(message, Progress) and message.now_ns is not None:
            session.clock_ns = max(session.clock_ns, message.now_ns)
        session.aligner.receive(message, self._now(session, now_ns))
        if is_tick:
            said += self._step([session], session.clock_ns)
            said.append(_progress(message.session, session.clock_ns))
        if session.closing and session.driver is not None:
            said += self._step([session], session.clock_ns)
        return said

    def _begin(self, name: str, now_ns: int, said: list[Message]) -> _Session | None:
        if len(self._sessions) >= MAX_SESSIONS:
            if name in self._refused:
                return None
            self._refused = {name} if len(self._refused) > MAX_SESSIONS else self._refused | {name}
            reason = f"{MAX_SESSIONS} dialogues are open already; close some or start another node"
            said.append(
                Gap(session=name, source=SOURCE, of=SOURCE, lost="session", count=1, reason=reason)
            )
            return None
        self._refused.discard(name)
        session = self._sessions[name] = _Session(name, self._model, self._look_ahead, now_ns)
        said.append(
            StreamOpened(
                session=name,
                source=SOURCE,
                modality="emotion",
                clock_id=self._model.identity.id,
            )
        )
        return session

    def _homeless(self, message: Message) -> list[Message]:
        """Name a text that comes before its dialogue has begun, or after it was closed."""
        if not isinstance(message, Transcript) or not message.final:
            return []
        if message.session in self._refused:
            return []  # the dialogue was refused, and that was said
        return [_gap(message, "its dialogue is not open")]

    def _repeat(self, gap: Gap) -> list[Message]:
        """Say on the bus what our own inlet lost; a worker's own gap is on the bus already."""
        if gap.epoch:
            return []
        log.warning(
            "%s: lost %d %s of %s: %s", gap.session, gap.count, gap.lost, gap.of, gap.reason
        )
        return [msgspec.structs.replace(gap, source=SOURCE)]

    def _track_streams(self, session: _Session, message: Message) -> None:
        if isinstance(message, StreamOpened):
            session.open.add(message.source)
            session.closing = False
            if message.drives_clock:
                session.driver = message.source
                session.clock_ns = message.start_ns
                session.aligner.watermarks.stall_ns = None
        elif isinstance(message, StreamClosed):
            session.open.discard(message.source)
            session.closing = not session.open

    def _now(self, session: _Session, now_ns: int) -> int:
        return session.clock_ns if session.driver is not None else now_ns

    def wake(self, now_ns: int) -> Iterator[Message]:
        """Step, as one batch, every session on our clock that has something to do.

        Messages are yielded as soon as they are known; the step ends with the last of them.
        """
        while self._plans and self._plans[0][0] <= now_ns:
            planned_ns, name = heapq.heappop(self._plans)
            session = self._sessions.get(name)
            if session is not None and session.planned_ns == planned_ns:
                session.planned_ns = None
                session.closing = session.closing or now_ns - session.heard_ns >= IDLE_NS
                self._dirty[name] = session
        dirty, self._dirty = self._dirty, {}
        changed = [s for name, s in dirty.items() if self._sessions.get(name) is s]
        due = [session for session in changed if session.driver is None or session.closing]
        if due:
            yield from self._step(due, now_ns)
        for session in changed:
            self._plan(session)

    def _plan(self, session: _Session) -> None:
        """Look at the session again when it has something to do, or earlier: see ``wake``."""
        name, wake_ns = session.dialogue.session, session.next_wake_ns()
        if name in self._sessions and (session.planned_ns is None or wake_ns < session.planned_ns):
            session.planned_ns = wake_ns
            heapq.heappush(self._plans, (wake_ns, name))

    def next_wake_ns(self) -> int | None:
        """Return when a session may have something to do; never later than it has."""
        return self._plans[0][0] if self._plans else None

    def close(self, now_ns: int) -> list[Message]:
        """Make final what is open and close every stream."""
        for session in self._sessions.values():
            session.closing = True
        return list(self._step(list(self._sessions.values()), now_ns))

    def _step(self, sessions: Sequence[_Session], now_ns: int) -> Iterator[Message]:
        """Align, compute and say: the newest utterances first, then what they revise."""
        for session in sessions:
            yield from self._put(session, now_ns)
            if session.closing:
                session.dialogue.close()
            for gap in session.aligner.gaps:
                yield msgspec.structs.replace(gap, source=SOURCE)
            session.aligner.gaps.clear()
        moved = [session.dialogue for session in sessions if session.dialogue.dirty]
        began = self._stopwatch()
        stale = advance(moved, self._model)
        estimate_newest(moved, stale, self._model)
        for session in sessions:
            yield from session.dialogue.first_estimates(self._stamp(session, now_ns, began))
        estimate_windows(stale, self._model)
        for session in sessions:
            yield from session.dialogue.estimates(self._stamp(session, now_ns, began))
            if session.closing:
                yield from self._end(session, now_ns)

    def _stamp(self, session: _Session, now_ns: int, began: int) -> Stamp:
        """Return which model, when, and for how long, unless the clock is not ours."""
        identity, sure_above = self._model.identity, self._model.sure_above
        if session.driver is not None:
            return Stamp(identity, session.clock_ns, sure_above=sure_above)
        model_ms = (self._stopwatch() - began) / 1e6
        return Stamp(identity, now_ns, {"model": model_ms}, sure_above)

    def _put(self, session: _Session, now_ns: int) -> list[Message]:
        """Hand the dialogue what is new; what came after a final is said as a gap."""
        dialogue = session.dialogue
        known_late = dialogue.late
        for change in self._changes(session, now_ns):
            dialogue.put(change)
        if dialogue.late == known_late:
            return []
        return [
            Gap(
                session=dialogue.session,
                source=SOURCE,
                of=SOURCE,
                lost="utterance",
                count=dialogue.late - known_late,
                reason="it came after utterances that end later were final; they do not know of it",
            )
        ]

    def _changes(self, session: _Session, now_ns: int) -> list[Change]:
        changes = session.aligner.wake(self._now(session, now_ns))
        if session.closing:
            changes += session.aligner.close(self._now(session, now_ns))
        frames = self._model.frame_modalities
        return [replace(c, utterance=evidence_of(c.utterance, frames)) for c in changes]

    def _end(self, session: _Session, now_ns: int) -> list[Message]:
        name = session.dialogue.session
        del self._sessions[name]
        end_ns = self._now(session, now_ns)
        return [
            _progress(name, end_ns),
            StreamClosed(
                session=name, source=SOURCE, reason="all its streams closed", end_ns=end_ns
            ),
        ]


def _progress(session: str, watermark_ns: int) -> Progress:
    return Progress(session=session, source=SOURCE, watermark_ns=watermark_ns)


def _gap(message: Observation | Acoustic | Transcript, reason: str) -> Gap:
    return Gap(
        session=message.session,
        source=SOURCE,
        of=message.source,
        lost=message.kind,
        count=1,
        reason=reason,
    )
