"""A dialogue's context: which utterances are open, and what must be computed when there is news.

Knows: the order of utterances, which forward states are still true, what each utterance may see,
and when it is final.
Refuses to know: how a model computes, sockets, clocks. What an utterance's states are and what is
said in each stands in ``open_utterance``.

Rules:
1. Utterances stand in the order of their ends. The model's forward state after each open one is
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

What is new in many dialogues is computed as one batch, in ``step``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self, TypeVar

from affectstream.core.dialogue.aligned import AlignedUtterance, Change, same_evidence
from affectstream.core.dialogue.emotions import Stamp, emotion_of
from affectstream.core.dialogue.model import JournaledModel
from affectstream.core.dialogue.normalisation import NOBODY, SpeakerNormaliser, Speakers
from affectstream.core.dialogue.open_utterance import (
    OpenUtterance,
    UtteranceNews,
    UtteranceState,
)
from affectstream.core.dialogue.snapshot import (
    ContextSnapshot,
    kept_speakers,
    restored_speakers,
)
from affectstream.messages import Emotion

NORMALISED = "acoustic"
"""The modality whose observations are normalised by speaker."""
MAX_OPEN = 512
"""Utterances that may be open at once, whatever the look-ahead: beyond it the oldest is final."""
MAX_GONE = 2_048
"""Utterances whose partial revisions, or whose finals, are remembered."""

_Value = TypeVar("_Value")


class DialogueContext:
    """One dialogue's open utterances: ``receive`` news, then a ``ContextStep`` computes and says.

    Args:
        session: the dialogue's name.
        initial_state: the model's forward state before the first utterance.
        look_ahead: L, or None for the whole dialogue.
        source: who says the estimates.

    Attributes:
        late: utterances so far that came too late to be seen by some that are final.
        utterances: those that have ended and are open, in the dialogue's order.
        ongoing: those that go on, of which a partial estimate is due in the next step.
    """

    def __init__(
        self, session: str, initial_state: Any, look_ahead: int | None, source: str = "fusion"
    ) -> None:
        self.session, self.source = session, source
        self.look_ahead = look_ahead
        self.late = 0
        self.utterances: list[OpenUtterance] = []
        self.ongoing: list[OpenUtterance] = []
        self._base, self._base_speakers = initial_state, NOBODY
        self._partial_revisions: OrderedDict[str, int] = OrderedDict()
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._last_final: tuple[int, int, str, str] | None = None
        self._closed = False

    # News

    def receive(self, change: Change) -> None:
        """Take in an utterance that goes on, is new, has changed, or is complete."""
        utterance = change.utterance
        if utterance.key in self._gone:
            self.late += 1  # it was made final early, for want of room; final is last
            return
        if change.partial:
            revision = self._partial_revisions.get(utterance.key, 0)
            self.ongoing.append(OpenUtterance(utterance, UtteranceState.ONGOING, revision))
            return
        known = next((o for o in self.utterances if o.utterance.key == utterance.key), None)
        if known is None:
            known = self._insert(utterance)
        elif not same_evidence(known.utterance, utterance):
            known.utterance, known.encoded = utterance, None
            self._compute_again_from(self.utterances.index(known))
        known.complete = known.complete or change.complete
        for old in self.utterances[: self._beyond_bound()]:
            old.complete = True

    def _insert(self, utterance: AlignedUtterance) -> OpenUtterance:
        if self._last_final is not None and utterance.order < self._last_final:
            self.late += 1  # older than a final: it can only be context from here on
        index = sum(o.utterance.order < utterance.order for o in self.utterances)
        revision = self._partial_revisions.pop(utterance.key, 0)
        inserted = OpenUtterance(utterance, revision=revision)
        self.utterances.insert(index, inserted)
        self._compute_again_from(index)
        return inserted

    def _compute_again_from(self, index: int) -> None:
        for later in self.utterances[index:]:
            later.after = later.speakers = None

    def close(self) -> None:
        """Nothing more will come: every open utterance is final in the next step."""
        self._closed = True
        for utterance in self.utterances:
            utterance.complete = True

    @property
    def has_news(self) -> bool:
        """Whether a step has something to compute or to say."""
        stale = self.first_stale() < len(self.utterances)
        return stale or bool(self.ongoing) or self._settled() > 0

    # What a step computes.

    def normalise(self, normaliser: SpeakerNormaliser | None) -> None:
        """Carry what is known of the speakers through what is new or has changed.

        What the model is given of later utterances may change by it; those are encoded again.
        """
        known = [utterance.speakers is not None for utterance in self.utterances]
        first = known.index(False) if False in known else len(known)
        speakers = (self.utterances[first - 1].speakers if first else None) or self._base_speakers
        for utterance in self.utterances[first:]:
            speakers = utterance.speakers = _normalise(utterance, speakers, normaliser)
        for utterance in self.ongoing:
            _normalise(utterance, speakers, normaliser)

    def unencoded(self) -> list[OpenUtterance]:
        """Return what the model must encode."""
        return [each for each in (*self.utterances, *self.ongoing) if each.encoded is None]

    def first_stale(self) -> int:
        """Return the index of the first utterance whose forward state must be computed."""
        count = len(self.utterances)
        return next((i for i, each in enumerate(self.utterances) if each.after is None), count)

    def before(self, index: int) -> Any:
        """Return the forward state before the utterance at ``index``."""
        return self.utterances[index - 1].after if index > 0 else self._base

    def windows(self, first_stale: int) -> list[tuple[int, int, int]]:
        """Return windows to estimate, as (first, end, how many of its first it speaks for).

        An utterance sees at most L later ones, so the last L + 1 share one window and each older
        one has its own. One that sees nothing new is left out.
        """
        count = len(self.utterances)
        if first_stale == count:
            return []
        reach = count if self.look_ahead is None else self.look_ahead
        shared = max(0, count - 1 - reach)
        oldest = max(0, first_stale - reach)
        own = [(first, first + reach + 1, 1) for first in range(oldest, shared)]
        return [*own, (shared, count, count - shared)]

    # What a step says.

    def say_partials(self, stamp: Stamp) -> list[Emotion]:
        """Say the estimates of what goes on; the next step has none of them."""
        ongoing, self.ongoing = self.ongoing, []
        emotions = [self.say(each, UtteranceNews.ESTIMATE, stamp) for each in ongoing]
        for each in ongoing:
            _remember(self._partial_revisions, each.utterance.key, each.revision)
        return emotions

    def say_news(self, new: Sequence[OpenUtterance], stamp: Stamp) -> list[Emotion]:
        """Say the new estimates, first ones first, and let go of what is settled.

        Args:
            new: those of ``utterances`` that have an estimate which was not said.
        """
        settled, fresh = self._settled(), set(new)
        order = sorted(
            enumerate(self.utterances), key=lambda item: item[1].state is not UtteranceState.WAITING
        )
        emotions = []
        for index, each in order:
            if each.estimate is None:
                continue
            if index < settled:
                emotions.append(self.say(each, UtteranceNews.SETTLED, stamp))
            elif each in fresh:
                emotions.append(self.say(each, UtteranceNews.ESTIMATE, stamp))
        self._let_go(settled)
        return emotions

    def say(self, which: OpenUtterance, news: UtteranceNews, stamp: Stamp) -> Emotion:
        """Return the utterance's newest estimate as it is published."""
        assert which.estimate is not None
        status, revision = which.say(news)
        return emotion_of(
            which.utterance,
            which.estimate,
            stamp,
            session=self.session,
            source=self.source,
            revision=revision,
            status=status,
            look_ahead=which.seen,
        )

    def _settled(self) -> int:
        """Return how many of the oldest open utterances nothing can change any more."""
        count = len(self.utterances)
        unbroken = next((i for i, each in enumerate(self.utterances) if not each.complete), count)
        if self._closed:
            return unbroken
        reach = MAX_OPEN if self.look_ahead is None else min(self.look_ahead, MAX_OPEN)
        return max(0, unbroken - reach, self._beyond_bound())

    def _beyond_bound(self) -> int:
        """Return how many of the oldest must leave for want of room."""
        return max(0, len(self.utterances) - MAX_OPEN)

    def _let_go(self, settled: int) -> None:
        for each in self.utterances[:settled]:
            _remember(self._gone, each.utterance.key, None)
        if settled:
            last = self.utterances[settled - 1]
            self._base, self._base_speakers = last.after, last.speakers or NOBODY
            self._last_final = last.utterance.order
            del self.utterances[:settled]

    # What a journal keeps; between two steps.

    def snapshot(self, model: JournaledModel) -> ContextSnapshot:
        """Return all that the dialogue needs to go on."""
        return ContextSnapshot(
            look_ahead=self.look_ahead,
            late=self.late,
            base=model.pack(self._base),
            base_speakers=kept_speakers(self._base_speakers),
            utterances=[each.snapshot(model) for each in self.utterances],
            partial_revisions=list(self._partial_revisions.items()),
            gone=list(self._gone),
            last_final=self._last_final,
            closed=self._closed,
        )

    @classmethod
    def restored(
        cls, session: str, source: str, kept: ContextSnapshot, model: JournaledModel
    ) -> Self:
        """Return the context that ``snapshot`` was taken of.

        Raises:
            ValueError: a value in it is none of the model's.
        """
        context = cls(session, model.unpack(kept.base), kept.look_ahead, source)
        context.late = kept.late
        context.utterances = [OpenUtterance.restored(each, model) for each in kept.utterances]
        context._base_speakers = restored_speakers(kept.base_speakers)
        context._partial_revisions = OrderedDict(kept.partial_revisions)
        context._gone = OrderedDict.fromkeys(kept.gone)
        context._last_final = kept.last_final
        context._closed = kept.closed
        return context


def _normalise(
    which: OpenUtterance, before: Speakers, normaliser: SpeakerNormaliser | None
) -> Speakers:
    """Set what the model is given of the utterance; return what is known of speakers after it."""
    utterance = which.utterance
    statistics = utterance.observations.get(NORMALISED)
    if normaliser is None or statistics is None:
        given, after = utterance, before
    else:
        values, after = normaliser.carry(before, utterance.speaker, statistics)
        given = replace(utterance, observations={**utterance.observations, NORMALISED: values})
    if which.given is not None and not same_evidence(which.given, given):
        which.encoded = None
    which.given = given
    return after


def _remember(book: OrderedDict[str, _Value], name: str, value: _Value) -> None:
    book[name] = value
    if len(book) > MAX_GONE:
        book.popitem(last=False)
