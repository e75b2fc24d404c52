"""What is new in many dialogues, computed as one batch.

Knows: the order of the work, and which of it somebody waits for.
Refuses to know: what a dialogue keeps and when an estimate is due (``context``), how a model
computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from affectstream.core.dialogue.aligned import without_frames
from affectstream.core.dialogue.context import DialogueContext
from affectstream.core.dialogue.emotions import Stamp
from affectstream.core.dialogue.model import ContextModel, Estimate
from affectstream.core.dialogue.open_utterance import (
    OpenUtterance,
    UtteranceNews,
    UtteranceState,
)
from affectstream.messages import Emotion


class ContextStep:
    """What is new in many dialogues, computed as one batch.

    Made, it has the estimates that somebody waits for: of the newest utterances and of those that
    go on, which see nothing later and cost a fraction of what the open windows cost. ``say_first``
    says them; ``revise`` computes the rest, and ``say_rest`` says it.
    """

    def __init__(self, dialogues: Sequence[DialogueContext], model: ContextModel) -> None:
        self._model = model
        self._moved = [dialogue for dialogue in dialogues if dialogue.has_news]
        self._new: dict[OpenUtterance, None] = {}
        self._stale: list[tuple[DialogueContext, int]] = []
        self._newest: set[OpenUtterance] = set()
        self._encode()
        try:
            self._compute_first()
        except Exception:
            self._undo()
            raise

    def _compute_first(self) -> None:
        self._stale = [
            (dialogue, first)
            for dialogue in self._moved
            if (first := dialogue.first_stale()) < len(dialogue.utterances)
        ]
        self._advance()
        newest = [d.utterances[-1] for d, _ in self._stale if len(d.utterances) > 1]
        self._newest = {each for each in newest if each.state is UtteranceState.WAITING}
        self._estimate_newest()

    def _undo(self) -> None:
        """Leave the dialogues with their news, for another step."""
        for dialogue, first in self._stale:
            for each in dialogue.utterances[first:]:
                each.after = None

    def _encode(self) -> None:
        model = self._model
        for dialogue in self._moved:
            dialogue.normalise(model.normaliser)
        unencoded = [each for dialogue in self._moved for each in dialogue.unencoded()]
        if not unencoded:
            return
        given = [each.given or each.utterance for each in unencoded]
        for each, encoded in zip(unencoded, model.encode(given), strict=True):
            each.encoded = encoded
            if model.normaliser is None:  # else news of an earlier utterance may change this one
                each.utterance = each.given = without_frames(each.utterance)

    def _advance(self) -> None:
        """Carry the forward chains through what is new."""
        if self._stale:
            befores = [dialogue.before(first) for dialogue, first in self._stale]
            chains = [[o.encoded for o in d.utterances[first:]] for d, first in self._stale]
            states = self._model.advance(befores, chains)
            for (dialogue, first), afters in zip(self._stale, states, strict=True):
                for each, after in zip(dialogue.utterances[first:], afters, strict=True):
                    each.after = after
        ongoing = [(dialogue, each) for dialogue in self._moved for each in dialogue.ongoing]
        if ongoing:
            befores = [dialogue.before(len(dialogue.utterances)) for dialogue, _ in ongoing]
            states = self._model.advance(befores, [[each.encoded] for _, each in ongoing])
            for (_, each), (after,) in zip(ongoing, states, strict=True):
                each.after = after

    def _estimate_newest(self) -> None:
        hurried = [
            (dialogue.before(len(dialogue.utterances) - 1), dialogue.utterances[-1])
            for dialogue, _ in self._stale
            if dialogue.utterances[-1] in self._newest
        ]
        hurried += [(d.before(len(d.utterances)), each) for d in self._moved for each in d.ongoing]
        if not hurried:
            return
        windows = [[(before, each.encoded, each.after)] for before, each in hurried]
        for (_, each), (estimate,) in zip(hurried, self._model.estimate(windows), strict=True):
            self._note(each, estimate, 0)

    def _note(self, utterance: OpenUtterance, estimate: Estimate, seen: int) -> None:
        utterance.estimate, utterance.seen = estimate, seen
        self._new[utterance] = None

    def say_first(self, dialogue: DialogueContext, stamp: Stamp) -> list[Emotion]:
        """Return the estimates that somebody waits for."""
        emotions = dialogue.say_partials(stamp)
        newest = dialogue.utterances[-1] if dialogue.utterances else None
        if newest is not None and newest in self._newest:
            emotions.append(dialogue.say(newest, UtteranceNews.ESTIMATE, stamp))
            del self._new[newest]
        return emotions

    def revise(self, only: DialogueContext | None = None) -> None:
        """Estimate what sees news in the open windows, of all dialogues or of one."""
        stale = [each for each in self._stale if only is None or each[0] is only]
        jobs = [(d, window) for d, first in stale for window in d.windows(first)]
        if not jobs:
            return
        windows = [_triples(dialogue, first, end) for dialogue, (first, end, _) in jobs]
        answers = self._model.estimate(windows)
        for (dialogue, (first, end, speaks_for)), estimates in zip(jobs, answers, strict=True):
            for index in range(first, first + speaks_for):
                each, seen = dialogue.utterances[index], end - 1 - index
                if seen or each not in self._newest:  # those are estimated already
                    self._note(each, estimates[index - first], seen)

    def say_rest(self, dialogue: DialogueContext, stamp: Stamp) -> list[Emotion]:
        """Return what ``revise`` has brought, and the finals."""
        new = [each for each in dialogue.utterances if each in self._new]
        return dialogue.say_news(new, stamp)


def _triples(dialogue: DialogueContext, first: int, end: int) -> list[tuple[Any, Any, Any]]:
    """Return (state before, encoded, state after) of the utterances ``first`` to ``end``."""
    return [
        (dialogue.before(index), dialogue.utterances[index].encoded, dialogue.before(index + 1))
        for index in range(first, end)
    ]
