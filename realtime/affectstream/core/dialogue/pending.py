"""An utterance that pieces are collected for: what came of it so far.

Knows: values. Refuses to know: when it is ready or complete (``aligner``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from affectstream.core.dialogue.snapshot import PendingSnapshot, kept_arrays, restored_arrays
from affectstream.messages import UtteranceEnded


@dataclass(slots=True)
class PendingUtterance:
    """What came of an utterance.

    Attributes:
        utterance: its id.
        source, epoch: the stream that announced it, and the start of its worker; "" until then.
        ended: the message that said that it ended; None while it goes on.
        announced_ns: when its end reached us; until then when its start did, or its first piece.
        partial_due_ns: when a partial estimate of it is due; 0 for never.
        ready: it was handed out.
        dirty: something came since it was handed out.
        observations: modality -> features of the whole utterance, shape (d,).
        text: the final transcript, or the latest guess while it goes on.
    """

    utterance: str
    source: str
    speaker: str
    start_ns: int
    epoch: int = 0
    ended: UtteranceEnded | None = None
    announced_ns: int = 0
    partial_due_ns: int = 0
    ready: bool = False
    dirty: bool = False
    observations: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    text: str | None = None
    text_is_final: bool = False

    def snapshot(self) -> PendingSnapshot:
        """Return it as a journal keeps it."""
        return PendingSnapshot(
            utterance=self.utterance,
            source=self.source,
            speaker=self.speaker,
            start_ns=self.start_ns,
            epoch=self.epoch,
            ended=self.ended,
            announced_ns=self.announced_ns,
            partial_due_ns=self.partial_due_ns,
            ready=self.ready,
            dirty=self.dirty,
            observations=kept_arrays(self.observations),
            text=self.text,
            text_is_final=self.text_is_final,
        )

    @classmethod
    def restored(cls, kept: PendingSnapshot) -> Self:
        """Return the utterance that ``snapshot`` was taken of."""
        return cls(
            utterance=kept.utterance,
            source=kept.source,
            speaker=kept.speaker,
            start_ns=kept.start_ns,
            epoch=kept.epoch,
            ended=kept.ended,
            announced_ns=kept.announced_ns,
            partial_due_ns=kept.partial_due_ns,
            ready=kept.ready,
            dirty=kept.dirty,
            observations=restored_arrays(kept.observations),
            text=kept.text,
            text_is_final=kept.text_is_final,
        )
