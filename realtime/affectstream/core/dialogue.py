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

So a final depends on the utterances alone, never on the order in which news of them arrived, and
the cost of an utterance does not depend on how many came before it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from affectstream.core.aligner import AlignedUtterance, Change, without_frames
from affectstream.core.model import CLASSES, ContextModel, Estimate
from affectstream.messages import Dimension, Emotion, ModelIdentity, Status

MAX_OPEN = 512
"""Utterances that may be open at once; the oldest is made final beyond it (bounded look-ahead)."""
MAX_REMEMBERED = 2_048
"""Utterances whose partial revisions, or whose finals, are remembered."""

_Value = TypeVar("_Value")


@dataclass(slots=True)
class _Slot:
    """One open utterance."""

    utterance: AlignedUtterance
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
    """One dialogue's open utterances. ``put`` news, then ``revise``, then ``estimates``.

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
        self._base = initial_state
        self._slots: list[_Slot] = []
        self._partials: list[_Slot] = []
        self._partial_revisions: OrderedDict[str, int] = OrderedDict()
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._last_final: tuple[int, int, str, str] | None = None
        self._closed = False

    @property
    def dirty(self) -> bool:
        """Whether there is something to compute or to say."""
        stale = self._first_stale() < len(self._slots)
        return stale or bool(self._partials) or self._finals() > 0

    def put(self, change: Change) -> None:
        """Take a new, changed, complete or partial utterance in."""
        if change.utterance.id in self._gone:
            self.late += 1  # it was made final early, for want of room; final is last
            return
        if change.partial:
            revision = self._partial_revisions.get(change.utterance.id, 0)
            self._partials.append(_Slot(change.utterance, revision=revision))
            return
        index = self._place(change.utterance)
        slot = self._slots[index]
        slot.complete = slot.complete or change.complete
        if len(self._slots) > MAX_OPEN:
            for old in self._slots[: -MAX_OPEN if self.look_ahead is not None else 0]:
                old.complete = True

    def _place(self, utterance: AlignedUtterance) -> int:
        """Put the utterance where it belongs and mark what must be computed again."""
        for index, slot in enumerate(self._slots):
            if slot.utterance.id == utterance.id:
                if not _same_evidence(slot.utterance, utterance):
                    slot.utterance, slot.encoded = utterance, None
                    self._invalidate(index)
                return index
        if self._last_final is not None and utterance.order < self._last_final:
            self.late += 1  # older than a final: it can only be context from here on
        index = sum(slot.utterance.order < utterance.order for slot in self._slots)
        revision = self._partial_revisions.pop(utterance.id, 0)
        self._slots.insert(index, _Slot(utterance, revision=revision))
        self._invalidate(index)
        return index

    def _invalidate(self, index: int) -> None:
        for slot in self._slots[index:]:
            slot.after, slot.alone = None, False

    def close(self) -> None:
        """Nothing more will come: every open utterance is final at the next ``revise``."""
        self._closed = True
        for slot in self._slots:
            slot.complete = True

    @property
    def open_utterances(self) -> int:
        """How many utterances may still be revised."""
        return len(self._slots)

    # The three steps of ``revise``, each batched over dialogues.

    def _unencoded(self) -> list[_Slot]:
        return [slot for slot in (*self._slots, *self._partials) if slot.encoded is None]

    def _first_stale(self) -> int:
        return next((i for i, s in enumerate(self._slots) if s.after is None), len(self._slots))

    def _before(self, index: int) -> Any:
        return self._slots[index - 1].after if index > 0 else self._base

    def _windows(self, first_stale: int) -> list[tuple[list[_Slot], int]]:
        """Return windows to estimate, each with how many of its first slots it speaks for.

        A slot sees at most L later ones, so the last L + 1 share one window and each older slot
        has its own. A slot that sees nothing new is left out.
        """
        count = len(self._slots)
        if first_stale == count:
            return []
        reach = count if self.look_ahead is None else self.look_ahead
        shared = max(0, count - 1 - reach)
        oldest = max(0, first_stale - reach)
        alone = [(self._slots[i : i + reach + 1], 1) for i in range(oldest, shared)]
        return [*alone, (self._slots[shared:], count - shared)]

    def _note(self, window: list[_Slot], speaks_for: int, estimates: Sequence[Estimate]) -> None:
        for position, slot in enumerate(window[:speaks_for]):
            seen = len(window) - 1 - position
            if slot.alone and seen == 0:
                continue  # estimated already, by ``estimate_newest``
            slot.estimate, slot.seen, slot.alone = estimates[position], seen, False
            slot.fresh = True

    def first_estimates(
        self, identity: ModelIdentity, now_ns: int, latency_ms: Mapping[str, float]
    ) -> list[Emotion]:
        """Return what ``estimate_newest`` has brought, before anything is revised."""
        emotions = self._take_partials(identity, now_ns, latency_ms)
        newest = self._slots[-1] if self._slots else None
        if newest is not None and newest.alone and newest.fresh and not newest.emitted:
            emotions.append(self._emotion(newest, "provisional", identity, now_ns, latency_ms))
            newest.emitted, newest.fresh = True, False
        return emotions

    def estimates(
        self, identity: ModelIdentity, now_ns: int, latency_ms: Mapping[str, float]
    ) -> list[Emotion]:
        """Return what is new since the last call, first estimates first, and let finals go."""
        final = self._finals()
        emotions = []
        first_estimates_first = sorted(enumerate(self._slots), key=lambda item: item[1].emitted)
        for index, slot in first_estimates_first:
            if slot.estimate is None or not (slot.fresh or index < final):
                continue
            status: Status = "revised" if slot.emitted else "provisional"
            if index < final:
                status = "final"
            emotions.append(self._emotion(slot, status, identity, now_ns, latency_ms))
            slot.emitted, slot.fresh = True, False
        for slot in self._slots[:final]:
            _remember(self._gone, slot.utterance.id, None)
        if final:
            self._base = self._slots[final - 1].after
            self._last_final = self._slots[final - 1].utterance.order
            del self._slots[:final]
        return self._take_partials(identity, now_ns, latency_ms) + emotions

    def _finals(self) -> int:
        """Return how many of the oldest open utterances are final."""
        count = len(self._slots)
        unbroken = next((i for i, s in enumerate(self._slots) if not s.complete), count)
        if self._closed:
            return unbroken
        return 0 if self.look_ahead is None else max(0, unbroken - self.look_ahead)

    def _take_partials(
        self, identity: ModelIdentity, now_ns: int, latency_ms: Mapping[str, float]
    ) -> list[Emotion]:
        partials, self._partials = self._partials, []
        emotions = [
            self._emotion(slot, "partial", identity, now_ns, latency_ms) for slot in partials
        ]
        for slot in partials:
            _remember(self._partial_revisions, slot.utterance.id, slot.revision)
        return emotions

    def _emotion(
        self,
        slot: _Slot,
        status: Status,
        identity: ModelIdentity,
        now_ns: int,
        latency_ms: Mapping[str, float],
    ) -> Emotion:
        assert slot.estimate is not None
        utterance, estimate = slot.utterance, slot.estimate
        revision, slot.revision = slot.revision, slot.revision + 1
        latency = dict(latency_ms)
        if status == "provisional":
            latency["wait"] = (now_ns - utterance.announced_ns) / 1e6
            if utterance.sent_ns:
                # another host's clock may be ahead of ours
                latency["wire"] = max(0, utterance.announced_ns - utterance.sent_ns) / 1e6
        return Emotion(
            session=self.session,
            source=self.source,
            utterance=utterance.id,
            speaker=utterance.speaker,
            start_ns=utterance.start_ns,
            end_ns=utterance.end_ns,
            revision=revision,
            status=status,
            categorical={
                name: _probability(p) for name, p in zip(CLASSES, estimate.categorical, strict=True)
            },
            dimensional={
                name: Dimension(
                    mean=round(min(5.0, max(1.0, float(mean))), 6),
                    levels=(_probability(p[0]), _probability(p[1]), _probability(p[2])),
                )
                for name, (mean, p) in estimate.dimensional.items()
            },
            clusters={n: tuple(map(_probability, p)) for n, p in estimate.clusters.items()},
            modalities={n: _probability(share) for n, share in estimate.influence.items()},
            look_ahead=slot.seen,
            text=utterance.text,
            model=identity,
            latency_ms=latency,
        )


Stale = tuple[Dialogue, int]
"""A dialogue and the first of its open utterances that is new or has changed."""


def revise(dialogues: Sequence[Dialogue], model: ContextModel) -> None:
    """Compute what is new in all ``dialogues``: the three steps below, each as one batch."""
    stale = advance(dialogues, model)
    estimate_newest(dialogues, stale, model)
    estimate_windows(stale, model)


def advance(dialogues: Sequence[Dialogue], model: ContextModel) -> list[Stale]:
    """Encode what is new and carry the forward chains through it."""
    _encode(dialogues, model)
    stale = [(d, first) for d in dialogues if (first := d._first_stale()) < len(d._slots)]
    chains = [[slot.encoded for slot in d._slots[first:]] for d, first in stale]
    states = model.advance([d._before(first) for d, first in stale], chains) if stale else []
    for (dialogue, first), afters in zip(stale, states, strict=True):
        for slot, after in zip(dialogue._slots[first:], afters, strict=True):
            slot.after = after
    _advance_partials(dialogues, model)
    return stale


def estimate_newest(
    dialogues: Sequence[Dialogue], stale: Sequence[Stale], model: ContextModel
) -> None:
    """Estimate the newest utterances and those that go on: they see nothing later.

    It costs a fraction of what the open windows cost, and it is what somebody waits for.
    """
    newest = [(d, d._slots[-1]) for d, _ in stale if len(d._slots) > 1]
    newest = [(d, slot) for d, slot in newest if not slot.emitted]
    hurried = newest + [(d, slot) for d in dialogues for slot in d._partials]
    if not hurried:
        return
    estimates = model.estimate([_triples(d, [slot]) for d, slot in hurried])
    for (_, slot), (estimate,) in zip(hurried, estimates, strict=True):
        slot.estimate, slot.seen, slot.alone, slot.fresh = estimate, 0, True, True


def estimate_windows(stale: Sequence[Stale], model: ContextModel) -> None:
    """Estimate what sees news in the open windows."""
    jobs = [(d, window, n) for d, first in stale for window, n in d._windows(first)]
    if not jobs:
        return
    estimates = model.estimate([_triples(d, window) for d, window, _ in jobs])
    for (dialogue, window, speaks_for), window_estimates in zip(jobs, estimates, strict=True):
        dialogue._note(window, speaks_for, window_estimates)


def _encode(dialogues: Sequence[Dialogue], model: ContextModel) -> None:
    slots = [slot for dialogue in dialogues for slot in dialogue._unencoded()]
    if not slots:
        return
    for slot, encoded in zip(slots, model.encode([s.utterance for s in slots]), strict=True):
        slot.encoded = encoded
        slot.utterance = without_frames(slot.utterance)


def _advance_partials(dialogues: Sequence[Dialogue], model: ContextModel) -> None:
    partial = [(d, slot) for d in dialogues for slot in d._partials]
    if not partial:
        return
    befores = [d._before(len(d._slots)) for d, _ in partial]
    chains = [[slot.encoded] for _, slot in partial]
    for (_, slot), (after,) in zip(partial, model.advance(befores, chains), strict=True):
        slot.after = after


def _triples(dialogue: Dialogue, window: list[_Slot]) -> list[tuple[Any, Any, Any]]:
    slots = dialogue._slots
    first = next((i for i, slot in enumerate(slots) if slot is window[0]), len(slots))
    before = dialogue._before(first)
    triples = []
    for slot in window:
        triples.append((before, slot.encoded, slot.after))
        before = slot.after
    return triples


def _same_evidence(known: AlignedUtterance, news: AlignedUtterance) -> bool:
    """Return whether ``news`` would be encoded as ``known`` was."""
    return (
        known.text == news.text
        and _frame_counts(known) == _frame_counts(news)
        and known.observations.keys() == news.observations.keys()
        and all(
            np.array_equal(known.observations[m], news.observations[m]) for m in news.observations
        )
        and (known.start_ns, known.end_ns, known.speaker)
        == (news.start_ns, news.end_ns, news.speaker)
    )


def _frame_counts(utterance: AlignedUtterance) -> dict[str, int]:
    return {name: len(rows) for name, rows in utterance.frames.items()}


def _remember(book: OrderedDict[str, _Value], name: str, value: _Value) -> None:
    book[name] = value
    if len(book) > MAX_REMEMBERED:
        book.popitem(last=False)


def _probability(value: float) -> float:
    return round(min(1.0, max(0.0, float(value))), 6)
