"""What must be computed when dialogues have news: many of them as one batch.

Knows: the steps, and which of them somebody waits for.
Refuses to know: what a dialogue keeps and when an estimate is due (``core.dialogue``), how a model
computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from affectstream.core.dialogue.aligned import without_frames
from affectstream.core.dialogue.context import Dialogue, OpenUtterance
from affectstream.core.dialogue.model import ContextModel

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
    stale = [(d, first) for d in dialogues if (first := d.first_stale()) < len(d.slots)]
    chains = [[slot.encoded for slot in d.slots[first:]] for d, first in stale]
    states = model.advance([d.before(first) for d, first in stale], chains) if stale else []
    for (dialogue, first), afters in zip(stale, states, strict=True):
        for slot, after in zip(dialogue.slots[first:], afters, strict=True):
            slot.after = after
    _advance_partials(dialogues, model)
    return stale


def estimate_newest(
    dialogues: Sequence[Dialogue], stale: Sequence[Stale], model: ContextModel
) -> None:
    """Estimate the newest utterances and those that go on: they see nothing later.

    It costs a fraction of what the open windows cost, and it is what somebody waits for.
    """
    newest = [(d, d.slots[-1]) for d, _ in stale if len(d.slots) > 1]
    newest = [(d, slot) for d, slot in newest if not slot.emitted]
    hurried = newest + [(d, slot) for d in dialogues for slot in d.partials]
    if not hurried:
        return
    estimates = model.estimate([_triples(d, [slot]) for d, slot in hurried])
    for (_, slot), (estimate,) in zip(hurried, estimates, strict=True):
        slot.estimate, slot.seen, slot.alone, slot.fresh = estimate, 0, True, True


def estimate_windows(stale: Sequence[Stale], model: ContextModel) -> None:
    """Estimate what sees news in the open windows."""
    jobs = [(d, window, n) for d, first in stale for window, n in d.windows(first)]
    if not jobs:
        return
    estimates = model.estimate([_triples(d, window) for d, window, _ in jobs])
    for (dialogue, window, speaks_for), window_estimates in zip(jobs, estimates, strict=True):
        dialogue.note(window, speaks_for, window_estimates)


def _encode(dialogues: Sequence[Dialogue], model: ContextModel) -> None:
    for dialogue in dialogues:
        dialogue.normalise(model.normaliser)
    slots = [slot for dialogue in dialogues for slot in dialogue.unencoded()]
    if not slots:
        return
    given = [slot.given or slot.utterance for slot in slots]
    for slot, encoded in zip(slots, model.encode(given), strict=True):
        slot.encoded = encoded
        if model.normaliser is None:  # else news of an earlier utterance may change this one
            slot.utterance = slot.given = without_frames(slot.utterance)


def _advance_partials(dialogues: Sequence[Dialogue], model: ContextModel) -> None:
    partial = [(d, slot) for d in dialogues for slot in d.partials]
    if not partial:
        return
    befores = [d.before(len(d.slots)) for d, _ in partial]
    chains = [[slot.encoded] for _, slot in partial]
    for (_, slot), (after,) in zip(partial, model.advance(befores, chains), strict=True):
        slot.after = after


def _triples(dialogue: Dialogue, window: list[OpenUtterance]) -> list[tuple[Any, Any, Any]]:
    slots = dialogue.slots
    first = next((i for i, slot in enumerate(slots) if slot is window[0]), len(slots))
    before = dialogue.before(first)
    triples = []
    for slot in window:
        triples.append((before, slot.encoded, slot.after))
        before = slot.after
    return triples
