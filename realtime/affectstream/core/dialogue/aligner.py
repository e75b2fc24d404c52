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
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Self

from affectstream.core.dialogue.aligned import AlignedUtterance, Change
from affectstream.core.dialogue.frames import FrameTrack
from affectstream.core.dialogue.pending import PendingUtterance
from affectstream.core.dialogue.snapshot import AlignerSnapshot, FrameTrackSnapshot
from affectstream.core.dialogue.watermark import MAX_STREAMS, STALL_NS, Watermarks
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
MAX_WAITING_UTTERANCES = 1_024
"""Utterances of one dialogue that may wait for completion, or pieces for their utterance."""
MAX_TRACKS = 64
"""Speakers' voices and faces of which frames are kept in one dialogue."""
MAX_GAPS = 1_024
"""Losses that wait to be said; what is lost beyond them is added to the last."""


class UtteranceAligner:
    """Collects one dialogue's streams into utterances.

    Args:
        session: the dialogue.
        stall_ns: see ``Watermarks``.
    """

    def __init__(
        self,
        session: str,
        *,
        deadline_ns: int = DEADLINE_NS,
        patience_ns: int = TRANSCRIPT_WAIT_NS,
        partial_ns: int = PARTIAL_NS,
        stall_ns: int | None = STALL_NS,
    ) -> None:
        self.session = session
        self.watermarks = Watermarks(stall_ns)
        self.gaps: list[Gap] = []
        self._deadline_ns, self._patience_ns = deadline_ns, patience_ns
        self._partial_ns = partial_ns
        self._waiting: OrderedDict[str, PendingUtterance] = OrderedDict()
        self._done: OrderedDict[str, None] = OrderedDict()
        self._tracks: OrderedDict[tuple[str, str], FrameTrack] = OrderedDict()
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
                if waiting := self._piece(message, message.utterance, now_ns):
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
        key = (block.speaker, block.kind)
        track = self._tracks.setdefault(key, FrameTrack())
        self._tracks.move_to_end(key)
        if len(self._tracks) > MAX_TRACKS:
            (speaker, kind), oldest = self._tracks.popitem(last=False)
            if rows := len(oldest):
                self._say_lost(speaker, kind, rows, f"frames of {MAX_TRACKS} others came since")
        known = track.dropped
        track.add(block)
        dropped = track.dropped - known
        if dropped and any(w.speaker == block.speaker for w in self._waiting.values()):
            self._say_lost(
                block.source, block.kind, dropped, "more frames than are kept for one utterance"
            )

    def _reopen(self, message: StreamOpened) -> None:
        """Give up what a stream left open whose worker was started again: it cannot end."""
        known = self._epochs.get(message.source)
        self._epochs[message.source] = message.epoch
        if known is None or known == message.epoch:
            return
        for name, waiting in list(self._waiting.items()):
            if waiting.source == message.source and waiting.ended is None:
                self._lose_utterance(
                    self._waiting.pop(name), f"its worker was started again before {name} ended"
                )
                self._remember_done(name)

    def _begin(self, message: UtteranceStarted, now_ns: int) -> None:
        waiting = self._piece(message, message.utterance, now_ns)
        if waiting is not None and waiting.ended is None:  # else its end has said all of it
            waiting.source, waiting.speaker = message.source, message.speaker
            waiting.start_ns = message.start_ns
            waiting.partial_due_ns = now_ns + self._partial_ns

    def _end(self, message: UtteranceEnded, now_ns: int) -> None:
        if message.end_ns < message.start_ns:
            self._lose(message, "it ends before it starts")
            return
        waiting = self._piece(message, message.utterance, now_ns)
        if waiting is None or waiting.ended is not None:
            return
        waiting.ended, waiting.announced_ns = message, now_ns
        waiting.speaker, waiting.start_ns = message.speaker, message.start_ns
        if not waiting.text_is_final:
            waiting.text = None  # a guess is not evidence about a whole utterance

    def _transcript(self, message: Transcript, now_ns: int) -> None:
        waiting = self._piece(message, message.utterance, now_ns)
        if waiting is None or waiting.text_is_final:
            return
        if not message.final and waiting.ended is not None:
            return
        waiting.text, waiting.text_is_final = message.text or None, message.final
        waiting.dirty = True

    def _piece(self, message: Message, utterance: str, now_ns: int) -> PendingUtterance | None:
        """Return where a piece belongs; a piece that comes too late is named and dropped."""
        if utterance in self._done:
            late = not isinstance(message, UtteranceStarted | UtteranceEnded)
            if late and not (isinstance(message, Transcript) and not message.final):
                self._lose(message, f"it came after {utterance} was complete")
            return None
        waiting = self._waiting.get(utterance)
        if waiting is None:
            if len(self._waiting) >= MAX_WAITING_UTTERANCES:
                self._make_room()
            waiting = self._waiting[utterance] = PendingUtterance(
                utterance=utterance,
                source="",
                speaker=message.source,
                start_ns=0,
                announced_ns=now_ns,
            )
        return waiting

    def _make_room(self) -> None:
        """Give up the oldest that has not ended, else the oldest, and name it."""
        unended = (name for name, waiting in self._waiting.items() if waiting.ended is None)
        name = next(unended, next(iter(self._waiting)))
        self._lose_utterance(self._waiting.pop(name), f"{name} was given up: too many others wait")
        self._remember_done(name)

    def _lose_utterance(self, waiting: PendingUtterance, reason: str) -> None:
        self._say_lost(waiting.speaker, "utterance", 1, reason)

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
        complete = whole or now_ns >= waiting.announced_ns + self._patience_ns
        ready = waiting.ready or complete or now_ns >= waiting.announced_ns + self._deadline_ns
        if not ready or (waiting.ready and not waiting.dirty and not complete):
            return None
        waiting.ready, waiting.dirty = True, False
        return Change(self._aligned(name, waiting, waiting.ended.end_ns), complete=complete)

    def _partial(self, name: str, waiting: PendingUtterance, now_ns: int) -> Change | None:
        if not waiting.partial_due_ns or now_ns < waiting.partial_due_ns:
            return None
        elapsed = (now_ns - waiting.partial_due_ns) // self._partial_ns + 1
        waiting.partial_due_ns += elapsed * self._partial_ns
        end_ns = self.watermarks.lowest_ns or waiting.start_ns
        utterance = self._aligned(name, waiting, max(end_ns, waiting.start_ns))
        return None if utterance.empty else Change(utterance, partial=True)

    def _aligned(self, name: str, waiting: PendingUtterance, end_ns: int) -> AlignedUtterance:
        interval = Interval(waiting.start_ns, end_ns)
        frames = {
            kind: cut
            for (speaker, kind), track in self._tracks.items()
            if speaker == waiting.speaker and (cut := track.cut(interval)) is not None
        }
        return AlignedUtterance(
            id=name,
            speaker=waiting.speaker,
            start_ns=waiting.start_ns,
            end_ns=end_ns,
            observations=dict(waiting.observations),
            frames=frames,
            text=waiting.text,
            announced_ns=waiting.announced_ns,
            sent_ns=waiting.ended.sent_ns if waiting.ended else 0,
        )

    def _finish(self, utterance: AlignedUtterance) -> None:
        del self._waiting[utterance.id]
        self._remember_done(utterance.id)
        oldest_ns = min((w.start_ns for w in self._waiting.values()), default=utterance.end_ns)
        for (speaker, _), track in self._tracks.items():
            if speaker == utterance.speaker:
                track.forget_before(min(oldest_ns, utterance.end_ns))

    def _remember_done(self, utterance: str) -> None:
        self._done[utterance] = None
        if len(self._done) > MAX_WAITING_UTTERANCES:
            self._done.popitem(last=False)

    def next_wake_ns(self) -> int | None:
        """Return when the next deadline, partial or stall is due."""
        due = [self.watermarks.next_stall_ns()]
        for waiting in self._waiting.values():
            if waiting.ended is None:
                due.append(waiting.partial_due_ns or None)
            elif waiting.ready:
                due.append(waiting.announced_ns + self._patience_ns)
            else:
                due.append(waiting.announced_ns + self._deadline_ns)
        return min((d for d in due if d is not None), default=None)

    def close(self, now_ns: int) -> list[Change]:
        """End the dialogue: what has ended is complete, and what has not is named as lost."""
        changes = []
        for name, waiting in list(self._waiting.items()):
            if waiting.ended is None:
                self._lose_utterance(waiting, f"the dialogue was closed before {name} ended")
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
            done=list(self._done),
            tracks=[
                FrameTrackSnapshot(speaker, kind, track.dropped, track.snapshot())
                for (speaker, kind), track in self._tracks.items()
            ],
            epochs=dict(self._epochs),
            gaps=list(self.gaps),
        )

    @classmethod
    def restored(cls, session: str, kept: AlignerSnapshot) -> Self:
        """Return the aligner that ``snapshot`` was taken of."""
        aligner = cls(session)
        aligner.watermarks = Watermarks.restored(kept.watermarks)
        aligner.gaps = list(kept.gaps)
        aligner._waiting = OrderedDict(
            (each.utterance, PendingUtterance.restored(each)) for each in kept.pending
        )
        aligner._done = OrderedDict.fromkeys(kept.done)
        for track in kept.tracks:
            restored = FrameTrack.restored(track.blocks, track.dropped)
            aligner._tracks[track.speaker, track.kind] = restored
        aligner._epochs = dict(kept.epochs)
        return aligner
