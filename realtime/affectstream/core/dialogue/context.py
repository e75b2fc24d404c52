"""A dialogue's context: the open window, the snapshots, the revisions.

Knows: which utterances are open, what must be computed again when one is new or has changed, and
when an estimate is final.
Refuses to know: how a model computes, sockets, clocks.

Rules:
1. Utterances stand in the order of their ends. The model's forward state before each open one is
   kept; from the first that is new or changed, the chain is computed again.
2. An utterance's estimate sees up to ``look_ahead`` (L) later utterances: the backward chain
   begins at the last one that it may see.
3. An utterance is final when it, all before it and the L after it are complete (or the dialogue
   is closed). Then it leaves, and its forward state is where the chain begins.
4. Every estimate of an utterance has a higher revision than the one before; final is the last.
5. What is known of a speaker's voice is carried like the forward state: an utterance is normalised
   by those before it in the dialogue's order and by itself, whenever they came.

So a final depends on the utterances alone, never on the order in which news of them arrived, and
the cost of an utterance does not depend on how many came before it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from affectstream.core.dialogue.aligned import AlignedUtterance, Change, same_evidence
from affectstream.core.dialogue.emotions import Stamp, emotion_of
from affectstream.core.dialogue.model import Estimate
from affectstream.core.dialogue.normalisation import (
    NOBODY,
    SpeakerNormaliser,
    Speakers,
    SpeakerStatistics,
)
from affectstream.messages import Emotion, Status

ACOUSTIC = "acoustic"
"""The modality whose observations are normalised by speaker."""
MAX_OPEN = 512
"""Utterances that may be open at once; the oldest is made final beyond it (bounded look-ahead)."""
MAX_GONE = 2_048
"""Utterances whose partial revisions, or whose finals, are remembered."""

_Value = TypeVar("_Value")


@dataclass(slots=True)
class OpenUtterance:
    """One open utterance.

    Attributes:
        given: what the model is given of it, its statistics normalised.
        speakers: what is known of everybody after it; None where that must be computed again.
    """

    utterance: AlignedUtterance
    given: AlignedUtterance | None = None
    speakers: Speakers | None = None
    complete: bool = False
    encoded: Any = None
    after: Any = None
    estimate: Estimate | None = None
    seen: int = 0
    revision: int = 0
    alone: bool = False
    emitted: bool = False
    fresh: bool = False


class Dialogue:
    """One dialogue's open utterances. ``put`` news, then ``revising.revise``, then ``estimates``.

    Args:
        session: the dialogue's name.
        look_ahead: L, or None for the whole dialogue.
    """

    def __init__(
        self, session: str, initial_state: Any, look_ahead: int | None, source: str = "fusion"
    ) -> None:
        self.session, self.source = session, source
        self.look_ahead = look_ahead
        self.late = 0
        self._base, self._base_speakers = initial_state, NOBODY
        self.slots: list[OpenUtterance] = []
        self.partials: list[OpenUtterance] = []
        self._partial_revisions: OrderedDict[str, int] = OrderedDict()
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._last_final: tuple[int, int, str, str] | None = None
        self._closed = False

    @property
    def dirty(self) -> bool:
        """Whether there is something to compute or to say."""
        stale = self.first_stale() < len(self.slots)
        return stale or bool(self.partials) or self._finals() > 0

    def put(self, change: Change) -> None:
        """Take a new, changed, complete or partial utterance in."""
        if change.utterance.id in self._gone:
            self.late += 1  # it was made final early, for want of room; final is last
            return
        if change.partial:
            revision = self._partial_revisions.get(change.utterance.id, 0)
            self.partials.append(OpenUtterance(change.utterance, revision=revision))
            return
        index = self._place(change.utterance)
        slot = self.slots[index]
        slot.complete = slot.complete or change.complete
        if len(self.slots) > MAX_OPEN:
            for old in self.slots[: -MAX_OPEN if self.look_ahead is not None else 0]:
                old.complete = True

    def _place(self, utterance: AlignedUtterance) -> int:
        """Put the utterance where it belongs and mark what must be computed again."""
        for index, slot in enumerate(self.slots):
            if slot.utterance.id == utterance.id:
                if not same_evidence(slot.utterance, utterance):
                    slot.utterance, slot.encoded = utterance, None
                    self._invalidate(index)
                return index
        if self._last_final is not None and utterance.order < self._last_final:
            self.late += 1  # older than a final: it can only be context from here on
        index = sum(slot.utterance.order < utterance.order for slot in self.slots)
        revision = self._partial_revisions.pop(utterance.id, 0)
        self.slots.insert(index, OpenUtterance(utterance, revision=revision))
        self._invalidate(index)
        return index

    def _invalidate(self, index: int) -> None:
        for slot in self.slots[index:]:
            slot.after, slot.speakers, slot.alone = None, None, False

    def close(self) -> None:
        """Nothing more will come: every open utterance is final at the next ``revise``."""
        self._closed = True
        for slot in self.slots:
            slot.complete = True

    @property
    def open_utterances(self) -> int:
        """How many utterances may still be revised."""
        return len(self.slots)

    # The steps of ``revise``, the costly ones batched over dialogues.

    def normalise(self, normaliser: SpeakerNormaliser | None) -> None:
        """Carry what is known of the speakers through what is new or has changed.

        What the model is given of later utterances may change by it; those are encoded again.
        """
        known = [slot.speakers is not None for slot in self.slots]
        first = known.index(False) if False in known else len(known)
        speakers = (self.slots[first - 1].speakers if first else None) or self._base_speakers
        for slot in self.slots[first:]:
            speakers = slot.speakers = _normalise(slot, speakers, normaliser)
        for slot in self.partials:
            _normalise(slot, speakers, normaliser)

    def unencoded(self) -> list[OpenUtterance]:
        """Return what the model must encode."""
        return [slot for slot in (*self.slots, *self.partials) if slot.encoded is None]

    def first_stale(self) -> int:
        """Return the first open utterance that is new or has changed."""
        return next((i for i, s in enumerate(self.slots) if s.after is None), len(self.slots))

    def before(self, index: int) -> Any:
        """Return the forward state before an open utterance."""
        return self.slots[index - 1].after if index > 0 else self._base

    def windows(self, first_stale: int) -> list[tuple[list[OpenUtterance], int]]:
        """Return windows to estimate, each with how many of its first slots it speaks for.

        A slot sees at most L later ones, so the last L + 1 share one window and each older slot
        has its own. A slot that sees nothing new is left out.
        """
        count = len(self.slots)
        if first_stale == count:
            return []
        reach = count if self.look_ahead is None else self.look_ahead
        shared = max(0, count - 1 - reach)
        oldest = max(0, first_stale - reach)
        alone = [(self.slots[i : i + reach + 1], 1) for i in range(oldest, shared)]
        return [*alone, (self.slots[shared:], count - shared)]

    def note(
        self, window: list[OpenUtterance], speaks_for: int, estimates: Sequence[Estimate]
    ) -> None:
        """Take the estimates of a window that ``windows`` has named."""
        for position, slot in enumerate(window[:speaks_for]):
            seen = len(window) - 1 - position
            if slot.alone and seen == 0:
                continue  # estimated already, by ``estimate_newest``
            slot.estimate, slot.seen, slot.alone = estimates[position], seen, False
            slot.fresh = True

    def first_estimates(self, stamp: Stamp) -> list[Emotion]:
        """Return what ``estimate_newest`` has brought, before anything is revised."""
        emotions = self._take_partials(stamp)
        newest = self.slots[-1] if self.slots else None
        if newest is not None and newest.alone and newest.fresh and not newest.emitted:
            emotions.append(self._emotion(newest, "provisional", stamp))
            newest.emitted, newest.fresh = True, False
        return emotions

    def estimates(self, stamp: Stamp) -> list[Emotion]:
        """Return what is new since the last call, first estimates first, and let finals go."""
        final = self._finals()
        emotions = []
        first_estimates_first = sorted(enumerate(self.slots), key=lambda item: item[1].emitted)
        for index, slot in first_estimates_first:
            if slot.estimate is None or not (slot.fresh or index < final):
                continue
            status: Status = "revised" if slot.emitted else "provisional"
            if index < final:
                status = "final"
            emotions.append(self._emotion(slot, status, stamp))
            slot.emitted, slot.fresh = True, False
        for slot in self.slots[:final]:
            _remember(self._gone, slot.utterance.id, None)
        if final:
            last = self.slots[final - 1]
            self._base, self._base_speakers = last.after, last.speakers or NOBODY
            self._last_final = last.utterance.order
            del self.slots[:final]
        return self._take_partials(stamp) + emotions

    def _finals(self) -> int:
        """Return how many of the oldest open utterances are final."""
        count = len(self.slots)
        unbroken = next((i for i, s in enumerate(self.slots) if not s.complete), count)
        if self._closed:
            return unbroken
        return 0 if self.look_ahead is None else max(0, unbroken - self.look_ahead)

    def _take_partials(self, stamp: Stamp) -> list[Emotion]:
        partials, self.partials = self.partials, []
        emotions = [self._emotion(slot, "partial", stamp) for slot in partials]
        for slot in partials:
            _remember(self._partial_revisions, slot.utterance.id, slot.revision)
        return emotions

    def _emotion(self, slot: OpenUtterance, status: Status, stamp: Stamp) -> Emotion:
        assert slot.estimate is not None
        revision, slot.revision = slot.revision, slot.revision + 1
        return emotion_of(
            slot.utterance,
            slot.estimate,
            stamp,
            session=self.session,
            source=self.source,
            revision=revision,
            status=status,
            look_ahead=slot.seen,
        )


def _normalise(
    slot: OpenUtterance, before: Speakers, normaliser: SpeakerNormaliser | None
) -> Speakers:
    """Set what the model is given of the utterance; return what is known of speakers after it."""
    statistics = slot.utterance.observations.get(ACOUSTIC)
    if normaliser is None or statistics is None:
        given, after = slot.utterance, before
    else:
        values, after = normaliser.carry(before, slot.utterance.speaker, statistics)
        seen = {**slot.utterance.observations, ACOUSTIC: values}
        given = replace(slot.utterance, observations=seen)
    if slot.given is not None and not same_evidence(slot.given, given):
        slot.encoded = None
    slot.given = given
    return after


def _remember(book: OrderedDict[str, _Value], name: str, value: _Value) -> None:
    book[name] = value
    if len(book) > MAX_GONE:
        book.popitem(last=False)


CONTEXT_STATE = (Dialogue, OpenUtterance, AlignedUtterance, SpeakerStatistics)
"""What the state of a dialogue's context is made of, beside the model's, for ``core.values``."""
