"""One utterance of a dialogue's context: what is known of it, and what was said of it.

Knows: the states of an utterance, and under which status an estimate is said in each.
Refuses to know: other utterances, models, and how an estimate is computed.

An utterance that goes on is *ongoing*; once it has ended it is *waiting* for its first estimate.
Two things can then happen to it: there is a *new estimate*, or it is *settled*, because nothing
that is still to come can change it. The table says what is published then, and which state
follows:

    state        new estimate                settled
    -----------  --------------------------  ------------------
    ongoing      "partial"     -> ongoing    -
    waiting      "provisional" -> estimated  "final" -> final
    estimated    "revised"     -> revised    "final" -> final
    revised      "revised"     -> revised    "final" -> final
    final        -                           -

Whatever is not in the table cannot happen; asking for it raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from affectstream.core.dialogue.aligned import AlignedUtterance
from affectstream.core.dialogue.model import Estimate, JournaledModel
from affectstream.core.dialogue.normalisation import Speakers
from affectstream.core.dialogue.snapshot import (
    OpenUtteranceSnapshot,
    kept_speakers,
    kept_utterance,
    restored_speakers,
    restored_utterance,
)
from affectstream.messages import Status


class UtteranceState(StrEnum):
    """What subscribers have been told of an utterance."""

    ONGOING = "ongoing"
    """It goes on; at most partial estimates were said."""
    WAITING = "waiting"
    """It has ended; nothing was said of the whole of it."""
    ESTIMATED = "estimated"
    """Its first estimate was said."""
    REVISED = "revised"
    """Its estimate was revised at least once."""
    FINAL = "final"
    """Its last estimate was said."""


class UtteranceNews(StrEnum):
    """What can happen to an utterance."""

    ESTIMATE = "new estimate"
    SETTLED = "settled"


_TABLE: dict[tuple[UtteranceState, UtteranceNews], tuple[Status, UtteranceState]] = {
    (UtteranceState.ONGOING, UtteranceNews.ESTIMATE): ("partial", UtteranceState.ONGOING),
    (UtteranceState.WAITING, UtteranceNews.ESTIMATE): ("provisional", UtteranceState.ESTIMATED),
    (UtteranceState.WAITING, UtteranceNews.SETTLED): ("final", UtteranceState.FINAL),
    (UtteranceState.ESTIMATED, UtteranceNews.ESTIMATE): ("revised", UtteranceState.REVISED),
    (UtteranceState.ESTIMATED, UtteranceNews.SETTLED): ("final", UtteranceState.FINAL),
    (UtteranceState.REVISED, UtteranceNews.ESTIMATE): ("revised", UtteranceState.REVISED),
    (UtteranceState.REVISED, UtteranceNews.SETTLED): ("final", UtteranceState.FINAL),
}


class UtteranceStateError(RuntimeError):
    """Something was said of an utterance that its state does not allow: a defect of ours."""


@dataclass(slots=True, eq=False)
class OpenUtterance:
    """One utterance that may still be estimated anew.

    Attributes:
        utterance: what was aligned of it.
        state: what was said of it.
        revision: the number of the next estimate that is said of it.
        complete: nothing more will be aligned with it.
        given: what the model is given of it, its statistics normalised; None until then.
        speakers: what is known of all speakers after it; None where that must be computed again.
        encoded: the model's encoding of ``given``; None where it must be encoded again.
        after: the model's forward state after it; None where that must be computed again.
        estimate: the newest estimate.
        seen: how many later utterances ``estimate`` has seen.
    """

    utterance: AlignedUtterance
    state: UtteranceState = UtteranceState.WAITING
    revision: int = 0
    complete: bool = False
    given: AlignedUtterance | None = None
    speakers: Speakers | None = None
    encoded: Any = None
    after: Any = None
    estimate: Estimate | None = None
    seen: int = 0

    def say(self, news: UtteranceNews) -> tuple[Status, int]:
        """Move to the next state; return the status and the number of what is said.

        Raises:
            UtteranceStateError: the table has no such step.
        """
        step = _TABLE.get((self.state, news))
        if step is None:
            raise UtteranceStateError(f"{self.utterance.id} is {self.state}: {news} cannot be said")
        status, self.state = step
        number, self.revision = self.revision, self.revision + 1
        return status, number

    def snapshot(self, model: JournaledModel) -> OpenUtteranceSnapshot:
        """Return it as a journal keeps it."""
        return OpenUtteranceSnapshot(
            utterance=kept_utterance(self.utterance),
            state=self.state.value,
            revision=self.revision,
            complete=self.complete,
            given=None if self.given is None else kept_utterance(self.given),
            speakers=None if self.speakers is None else kept_speakers(self.speakers),
            encoded=None if self.encoded is None else model.pack(self.encoded),
            after=None if self.after is None else model.pack(self.after),
            estimate=None if self.estimate is None else model.pack(self.estimate),
            seen=self.seen,
        )

    @classmethod
    def restored(cls, kept: OpenUtteranceSnapshot, model: JournaledModel) -> Self:
        """Return the utterance that ``snapshot`` was taken of.

        Raises:
            ValueError: a value in it is none of the model's, or no state has its state's name.
        """
        return cls(
            utterance=restored_utterance(kept.utterance),
            state=UtteranceState(kept.state),
            revision=kept.revision,
            complete=kept.complete,
            given=None if kept.given is None else restored_utterance(kept.given),
            speakers=None if kept.speakers is None else restored_speakers(kept.speakers),
            encoded=None if kept.encoded is None else model.unpack(kept.encoded),
            after=None if kept.after is None else model.unpack(kept.after),
            estimate=None if kept.estimate is None else model.unpack(kept.estimate),
            seen=kept.seen,
        )
