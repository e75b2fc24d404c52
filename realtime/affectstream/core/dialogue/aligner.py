"""From streams to utterances: what was said, heard and seen between two instants.

Knows: which pieces belong to which utterance, when an utterance may be estimated, and when
nothing more can come for it.
Refuses to know: models, dialogue context, sockets and clocks.

Rules:
1. An utterance exists once ``utterance.ended`` has come. Pieces that come earlier wait for it.
2. It is *ready* when every open stream's watermark has passed its end, or ``deadline_ns`` after
   it was announced, whichever comes first.
3. A piece that comes later changes it.
4. It is *complete* when every watermark has passed its end, or ``patience_ns`` after it was
   announced. A piece that comes later still is dropped, counted and named.
5. While it goes on, what there is of it is handed out every ``partial_ns``.
6. One that does not end is given up and named: when its stream has sent nothing for
   ``SILENT_NS``, when it has gone on for ``LONGEST_NS``, or when its stream has begun
   ``MAX_ONGOING`` others since. So are pieces whose utterance never comes.
7. An utterance belongs to the stream, and to the start of that stream's worker, that announced it.
   What another stream says of an utterance of that name is dropped and named; a name of an
   utterance that is complete may be used again.
8. Frames that no model reads are not kept, and of those that one reads no more than may still be
   needed: ``KEPT_NS`` of what belongs to no open utterance.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import Self

from affectstream.core.dialogue.aligned import AlignedUtterance, Change
from affectstream.core.dialogue.frames import MAX_INSTANT_NS, MAX_TRACKS, DialogueFrames
from affectstream.core.dialogue.pending import PendingUtterance
from affectstream.core.dialogue.snapshot import AlignerSnapshot
from affectstream.core.dialogue.watermark import MAX_STREAMS, Watermarks
from affectstream.messages import (
    Acoustic,
    Gap,
    Message,
    Mocap,
    Observation,
    Progress,
    StreamClosed,
    StreamOpened,
    Transcript,
    UtteranceEnded,
    UtteranceStarted,
)
from affectstream.timebase import NS_PER_MS, NS_PER_S, Interval

DEADLINE_NS = 150 * NS_PER_MS
TRANSCRIPT_WAIT_NS = 5 * NS_PER_S
PARTIAL_NS = 500 * NS_PER_MS
READ = frozenset({"acoustic", "mocap"})
"""Every kind of frames there is."""
SILENT_NS = 30 * NS_PER_S
LONGEST_NS = 600 * NS_PER_S
MAX_ONGOING = 8
MAX_WAITING_UTTERANCES = 1_024
"""Utterances of one dialogue that may wait for completion, or pieces for their utterance."""
MAX_GAPS = 1_024
"""Losses that wait to be said; what is lost beyond them is added to the last."""


class UtteranceAligner:
    """Collects one dialogue's streams into utterances.

    Args:
        session: the dialogue.
        reads: the kinds of frames that the model reads, such as ``acoustic``; others are not kept.
    """

    def __init__(self, session: str, reads: Collection[str] = READ) -> None:
        self.session = session
        self.watermarks = Watermarks()
        self.gaps: list[Gap] = []
        self.frames = DialogueFrames(reads)
        self._waiting: OrderedDict[str, PendingUtterance] = OrderedDict()
        self._done: OrderedDict[str, tuple[str, int, int]] = OrderedDict()  # whose, and from when
        self._epochs: dict[str, int] = {}  # whose each open stream is

    def receive(self, message: Message, now_ns: int) -> None:
        """Take one message of the dialogue in; ``wake`` says what follows from it."""
        self.watermarks.hear(message.source, now_ns)
        match message:
            case StreamOpened():
                self._open(message, now_ns)
            case StreamClosed():
                self._epochs.pop(message.source, None)
                self.watermarks.close(message.source)
            case Progress():
                self.watermarks.advance(message.source, message.watermark_ns)
            case UtteranceStarted():
                self._begin(message, now_ns)
            case UtteranceEnded():
                self._end(message, now_ns)
            case Observation():
                if waiting := self._piece(message, now_ns):
                    waiting.observations[message.modality] = message.values[0]
                    waiting.dirty = True
            case Transcript():
                self._transcript(message, now_ns)
            case Acoustic() | Mocap():
                self._frames(message)
            case _:
                pass

    def _open(self, message: StreamOpened, now_ns: int) -> None:
        if message.modality == "corpus":
            return  # a clock alone promises nothing
        if not self.watermarks.open(message.source, message.start_ns, now_ns):
            self._say_lost(
                message.source, "stream", 1, f"{MAX_STREAMS} streams are open in its dialogue"
            )
            return
        self._reopen(message)

    def _frames(self, block: Acoustic | Mocap) -> None:
        open_ones = [w.start_ns for w in self._waiting.values() if w.speaker == block.speaker]
        for gone in self.frames.add(block, min(open_ones, default=None)):
            if gone.whole:
                reason = f"frames of {MAX_TRACKS} others came since"
            elif any(waiting.speaker == gone.speaker for waiting in self._waiting.values()):
                reason = "more frames than are kept"
            else:
                continue  # they belonged to no open utterance
            self._say_lost(gone.speaker, gone.kind, gone.frames, reason)

    def _reopen(self, message: StreamOpened) -> None:
        """Give up what a stream left open whose worker was started again: it cannot end."""
        known = self._epochs.get(message.source)
        self._epochs[message.source] = message.epoch
        if known is None or known == message.epoch:
            return
        for waiting in list(self._waiting.values()):
            if waiting.source == message.source and waiting.ended is None:
                name = waiting.utterance
                self._give_up(waiting, f"its worker was started again before {name} ended")

    def _begin(self, message: UtteranceStarted, now_ns: int) -> None:
        waiting = self._own(message, now_ns)
        if waiting is None or waiting.ended is not None:  # its end has said all of it
            return
        waiting.speaker, waiting.start_ns = message.speaker, message.start_ns
        waiting.announced_ns = now_ns
        waiting.partial_due_ns = now_ns + PARTIAL_NS
        ongoing = [
            each
            for each in self._waiting.values()
            if each.ended is None and each.source == message.source
        ]
        for oldest in ongoing[:-MAX_ONGOING]:
            name = oldest.utterance
            self._give_up(oldest, f"{name} was given up: {MAX_ONGOING} others began since")

    def _end(self, message: UtteranceEnded, now_ns: int) -> None:
        if message.end_ns < message.start_ns:
            self._lose(message, "it ends before it starts")
            return
        waiting = self._own(message, now_ns)
        if waiting is None:
            return
        if waiting.ended is not None:
            if waiting.start_ns != message.start_ns:
                self._lose(message, f"{waiting.utterance} has ended already; use another name")
            return
        waiting.ended, waiting.announced_ns = message, now_ns
        waiting.speaker, waiting.start_ns = message.speaker, message.start_ns
        if not waiting.text_is_final:
            waiting.text = None  # a guess is not evidence about a whole utterance

    def _own(
        self, message: UtteranceStarted | UtteranceEnded, now_ns: int
    ) -> PendingUtterance | None:
        """Return the utterance that a stream speaks of, if it is the stream's own."""
        name, owner = message.utterance, (message.source, message.epoch)
        if name in self._done:
            *known, start_ns = self._done[name]
            if known == [*owner]:
                if start_ns != message.start_ns:
                    self._lose(message, f"{name} was complete already; use another name")
                return None
            del self._done[name]  # another's, or another start's, of the same name
        waiting = self._waiting.get(name) or self._await(message, name, now_ns)
        if not waiting.source:
            waiting.source, waiting.epoch = owner
        if (waiting.source, waiting.epoch) != owner:
            self._lose(message, f"{name} is an utterance of {waiting.source}; use another name")
            return None
        return waiting

    def _transcript(self, message: Transcript, now_ns: int) -> None:
        waiting = self._piece(message, now_ns)
        if waiting is None:
            return
        if waiting.text_is_final:
            if message.final and message.text != waiting.text:
                self._lose(message, f"{waiting.utterance} has its text already")
            return
        if not message.final and waiting.ended is not None:
            return  # a guess about what has ended; the text follows
        waiting.text, waiting.text_is_final = message.text or None, message.final
        waiting.dirty = True

    def _piece(self, message: Observation | Transcript, now_ns: int) -> PendingUtterance | None:
        """Return where a piece belongs; one that belongs nowhere is named and dropped."""
        name = message.utterance
        if name in self._done:
            if not (isinstance(message, Transcript) and not message.final):
                self._lose(message, f"it came after {name} was complete")
            return None
        waiting = self._waiting.get(name) or self._await(message, name, now_ns)
        if waiting.source and waiting.speaker != message.speaker:
            self._lose(message, f"{name} is an utterance of {waiting.speaker}")
            return None
        return waiting

    def _await(self, message: Message, name: str, now_ns: int) -> PendingUtterance:
        if len(self._waiting) >= MAX_WAITING_UTTERANCES:
            self._make_room()
        waiting = self._waiting[name] = PendingUtterance(
            utterance=name, source="", speaker=message.source, start_ns=0, announced_ns=now_ns
        )
        return waiting

    def _make_room(self) -> None:
        """Give up the oldest that has not ended, else the oldest, and name it."""
        unended = (waiting for waiting in self._waiting.values() if waiting.ended is None)
        oldest = next(unended, next(iter(self._waiting.values())))
        self._give_up(oldest, f"{oldest.utterance} was given up: too many others wait")

    def _give_up(self, waiting: PendingUtterance, reason: str) -> None:
        """Drop an utterance and its frames, and name it."""
        del self._waiting[waiting.utterance]
        self._remember_done(waiting)
        self._say_lost(waiting.speaker, "utterance", 1, reason)
        self._forget_frames(waiting.speaker)

    def _give_up_endless(self, now_ns: int) -> None:
        for waiting in list(self._waiting.values()):
            if waiting.ended is not None:
                continue
            if now_ns - waiting.announced_ns >= LONGEST_NS:
                seconds = LONGEST_NS // NS_PER_S
                self._give_up(waiting, f"{waiting.utterance} has not ended within {seconds} s")
            elif self.watermarks.silent(waiting.source, waiting.announced_ns, now_ns, SILENT_NS):
                seconds = SILENT_NS // NS_PER_S
                name = waiting.utterance
                self._give_up(waiting, f"{name} has not ended; nothing was heard for {seconds} s")

    def _lose(self, message: Message, reason: str) -> None:
        self._say_lost(message.source, message.kind, 1, reason)

    def _say_lost(self, of: str, lost: str, count: int, reason: str) -> None:
        if len(self.gaps) >= MAX_GAPS:
            count += self.gaps.pop().count
            lost, reason = "messages", "more was lost than can be told apart"
        self.gaps.append(
            Gap(session=self.session, source=of, of=of, lost=lost, count=count, reason=reason[:400])
        )

    def wake(self, now_ns: int) -> list[Change]:
        """Return what is ready, changed, complete or due as a partial, in dialogue order."""
        for source in self.watermarks.stall(now_ns):
            self._say_lost(
                source, "stream", 0, "not heard for 3 s; the dialogue goes on without it"
            )
        self._give_up_endless(now_ns)
        changes = [
            change
            for name, waiting in list(self._waiting.items())
            if (change := self._consider(name, waiting, now_ns)) is not None
        ]
        for change in changes:
            if change.complete:
                self._finish(change.utterance)
        return sorted(changes, key=lambda change: change.utterance.order)

    def _consider(self, name: str, waiting: PendingUtterance, now_ns: int) -> Change | None:
        if waiting.ended is None:
            return self._partial(name, waiting, now_ns)
        whole = self.watermarks.passed(waiting.ended.end_ns)
        complete = whole or now_ns >= waiting.announced_ns + TRANSCRIPT_WAIT_NS
        ready = waiting.ready or complete or now_ns >= waiting.announced_ns + DEADLINE_NS
        if not ready or (waiting.ready and not waiting.dirty and not complete):
            return None
        waiting.ready, waiting.dirty = True, False
        return Change(self._aligned(name, waiting, waiting.ended.end_ns), complete=complete)

    def _partial(self, name: str, waiting: PendingUtterance, now_ns: int) -> Change | None:
        if not waiting.partial_due_ns or now_ns < waiting.partial_due_ns:
            return None
        elapsed = (now_ns - waiting.partial_due_ns) // PARTIAL_NS + 1
        waiting.partial_due_ns += elapsed * PARTIAL_NS
        end_ns = self.watermarks.lowest_ns or waiting.start_ns
        utterance = self._aligned(name, waiting, max(end_ns, waiting.start_ns))
        return None if utterance.empty else Change(utterance, partial=True)

    def _aligned(self, name: str, waiting: PendingUtterance, end_ns: int) -> AlignedUtterance:
        return AlignedUtterance(
            id=name,
            speaker=waiting.speaker,
            start_ns=waiting.start_ns,
            end_ns=end_ns,
            observations=dict(waiting.observations),
            frames=self.frames.cut(waiting.speaker, Interval(waiting.start_ns, end_ns)),
            text=waiting.text,
            announced_ns=waiting.announced_ns,
            sent_ns=waiting.ended.sent_ns if waiting.ended else 0,
            origin=f"{waiting.source}/{waiting.epoch}",
        )

    def _finish(self, utterance: AlignedUtterance) -> None:
        self._remember_done(self._waiting.pop(utterance.id))
        self._forget_frames(utterance.speaker, utterance.end_ns)

    def _forget_frames(self, speaker: str, until_ns: int = MAX_INSTANT_NS) -> None:
        """Let go of a speaker's frames that lie before ``until_ns`` and every open utterance."""
        starts = [waiting.start_ns for waiting in self._waiting.values()]
        if starts or until_ns < MAX_INSTANT_NS:
            self.frames.forget_before(speaker, min([*starts, until_ns]))

    def _remember_done(self, waiting: PendingUtterance) -> None:
        self._done[waiting.utterance] = (waiting.source, waiting.epoch, waiting.start_ns)
        if len(self._done) > MAX_WAITING_UTTERANCES:
            self._done.popitem(last=False)

    def next_wake_ns(self) -> int | None:
        """Return when the next deadline, partial or stall is due."""
        due = [self.watermarks.next_stall_ns()]
        for waiting in self._waiting.values():
            if waiting.ended is None:
                due.append(waiting.partial_due_ns or None)
                due.append(waiting.announced_ns + LONGEST_NS)
                due.append(self.watermarks.silent_at_ns(waiting.source, SILENT_NS))
            elif waiting.ready:
                due.append(waiting.announced_ns + TRANSCRIPT_WAIT_NS)
            else:
                due.append(waiting.announced_ns + DEADLINE_NS)
        return min((d for d in due if d is not None), default=None)

    def close(self, now_ns: int) -> list[Change]:
        """End the dialogue: what has ended is complete, and what has not is named as lost."""
        changes = []
        for name, waiting in list(self._waiting.items()):
            if waiting.ended is None:
                reason = f"the dialogue was closed before {name} ended"
                self._say_lost(waiting.speaker, "utterance", 1, reason)
                continue
            utterance = self._aligned(name, waiting, waiting.ended.end_ns)
            changes.append(Change(utterance, complete=True))
        for change in changes:
            self._finish(change.utterance)
        return sorted(changes, key=lambda change: change.utterance.order)

    def snapshot(self) -> AlignerSnapshot:
        """Return all that it needs to go on, as a journal keeps it."""
        return AlignerSnapshot(
            watermarks=self.watermarks.snapshot(),
            pending=[waiting.snapshot() for waiting in self._waiting.values()],
            done=[(name, *of) for name, of in self._done.items()],
            tracks=self.frames.snapshot(),
            epochs=dict(self._epochs),
            gaps=list(self.gaps),
        )

    @classmethod
    def restored(cls, session: str, kept: AlignerSnapshot, reads: Collection[str] = READ) -> Self:
        """Return the aligner that ``snapshot`` was taken of."""
        aligner = cls(session, reads)
        aligner.watermarks = Watermarks.restored(kept.watermarks)
        aligner.gaps = list(kept.gaps)
        aligner._waiting = OrderedDict(
            (each.utterance, PendingUtterance.restored(each)) for each in kept.pending
        )
        aligner._done = OrderedDict(
            (name, (source, epoch, at)) for name, source, epoch, at in kept.done
        )
        aligner.frames.restore(kept.tracks)
        aligner._epochs = dict(kept.epochs)
        return aligner
