"""An utterance with all that was said, heard and seen of it.

Knows: what belongs to one utterance, and when a model would encode two of them alike.
Refuses to know: how it was collected (``aligner``) and what becomes of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class AlignedUtterance:
    """All that is known of one utterance.

    Attributes:
        observations: modality -> features of the whole utterance, shape (d,).
        frames: modality -> frames within the utterance, shape (n, d).
        text: the final transcript; while the utterance goes on, the latest guess.
        origin: the stream that announced it and the start of its worker; of one name there may
            be several.
        announced_ns, sent_ns: processing time at which its end reached us and was sent (0: not
            known, or not on the same clock).
    """

    id: str
    speaker: str
    start_ns: int
    end_ns: int
    observations: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    frames: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    text: str | None = None
    announced_ns: int = 0
    sent_ns: int = 0
    origin: str = ""

    @property
    def key(self) -> str:
        """What tells it from all others of its dialogue."""
        return f"{self.origin}/{self.id}"

    @property
    def order(self) -> tuple[int, int, str, str]:
        """Sort key within a dialogue: by end, for that is when an utterance comes to exist."""
        return (self.end_ns, self.start_ns, self.speaker, self.id)

    @property
    def empty(self) -> bool:
        """Whether nothing at all is known but its times."""
        return not (self.observations or self.frames or self.text)


@dataclass(frozen=True, slots=True)
class Change:
    """An utterance that is new, has changed, or is complete."""

    utterance: AlignedUtterance
    partial: bool = False
    complete: bool = False


def without_frames(utterance: AlignedUtterance) -> AlignedUtterance:
    """Return the utterance with the number of its frames, but not what was in them.

    Frames are large, and once they have been encoded only news of them matters.
    """
    counted = {
        name: np.empty((len(rows), 0), np.float32) for name, rows in utterance.frames.items()
    }
    return replace(utterance, frames=counted)


def same_evidence(known: AlignedUtterance, news: AlignedUtterance) -> bool:
    """Return whether ``news`` would be encoded as ``known`` was."""
    return (
        known.text == news.text
        and _frame_counts(known) == _frame_counts(news)
        and known.observations.keys() == news.observations.keys()
        and all(
            np.array_equal(known.observations[m], news.observations[m], equal_nan=True)
            for m in news.observations
        )
        and (known.start_ns, known.end_ns, known.speaker)
        == (news.start_ns, news.end_ns, news.speaker)
    )


def _frame_counts(utterance: AlignedUtterance) -> dict[str, int]:
    return {name: len(rows) for name, rows in utterance.frames.items()}
