"""One dialogue at the fusion node: its alignment, its context, and whose clock it lives by.

Knows: which of a dialogue's streams are open, what time it is for it, and when it is idle.
Refuses to know: models, other dialogues, and what is published.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self

from affectstream.core.dialogue.aligner import UtteranceAligner
from affectstream.core.dialogue.context import DialogueContext
from affectstream.core.dialogue.model import JournaledModel
from affectstream.core.dialogue.snapshot import DialogueSnapshot
from affectstream.timebase import NS_PER_S

NODE_SOURCE = "fusion"
CLAIM_SOURCE = "claim.fusion"
"""The stream by which a node says that it would have a dialogue; see ``ownership``."""
IDLE_NS = 600 * NS_PER_S
"""A dialogue that was not heard of for so long is closed."""


class DialogueSession:
    """One dialogue at the node.

    Args:
        name: the dialogue's.
        initial_state: the model's forward state before the first utterance.
        look_ahead: see ``DialogueContext``.
        now_ns: the node's time.
        reads: the kinds of frames that the model reads; others are not kept.

    Attributes:
        open: its streams that are open.
        driver: the stream that drives its clock, if one does.
        clock_ns: what time that stream says it is.
        paused_ns: for how long in all no node ran that kept the dialogue. It lives by the node's
            clock less that, so that nothing became late meanwhile.
        heard_ns: when it was last heard of, by the node's clock.
        closing: it ends with the next step.
        planned_ns: when the node will look at it next; None where it has not planned to.
    """

    def __init__(
        self,
        name: str,
        initial_state: Any,
        look_ahead: int | None,
        now_ns: int,
        reads: Collection[str],
    ) -> None:
        self.name = name
        self.aligner = UtteranceAligner(name, reads)
        self.context = DialogueContext(name, initial_state, look_ahead, NODE_SOURCE)
        self.open: set[str] = set()
        self.driver: str | None = None
        self.clock_ns = now_ns
        self.heard_ns = now_ns
        self.paused_ns = 0
        self.closing = False
        self.planned_ns: int | None = None

    def now(self, node_ns: int) -> int:
        """Return what time it is for the dialogue when it is ``node_ns`` for the node."""
        return self.clock_ns if self.driver is not None else node_ns - self.paused_ns

    def is_idle(self, node_ns: int) -> bool:
        """Return whether it has not been heard of for too long."""
        return node_ns - self.heard_ns >= IDLE_NS

    def next_wake_ns(self) -> int:
        """Return when the dialogue has something to do though nothing arrives."""
        idle_ns = self.heard_ns + IDLE_NS
        wake_ns = None if self.driver is not None else self.aligner.next_wake_ns()
        return idle_ns if wake_ns is None else min(wake_ns + self.paused_ns, idle_ns)

    def resume(self, left_ns: int, node_ns: int) -> None:
        """Go on at ``node_ns`` with what was left at ``left_ns``."""
        self.paused_ns += max(0, node_ns - left_ns)
        self.heard_ns, self.planned_ns = node_ns, None

    def snapshot(self, model: JournaledModel) -> DialogueSnapshot:
        """Return all that another node needs to go on with the dialogue."""
        return DialogueSnapshot(
            session=self.name,
            open=sorted(self.open),
            driver=self.driver,
            clock_ns=self.clock_ns,
            heard_ns=self.heard_ns,
            paused_ns=self.paused_ns,
            closing=self.closing,
            aligner=self.aligner.snapshot(),
            context=self.context.snapshot(model),
        )

    @classmethod
    def restored(
        cls, kept: DialogueSnapshot, model: JournaledModel, reads: Collection[str]
    ) -> Self:
        """Return the dialogue that ``snapshot`` was taken of.

        Raises:
            ValueError: something in it is no value of this version, or of this model.
        """
        session = cls(kept.session, None, kept.context.look_ahead, kept.clock_ns, reads)
        session.aligner = UtteranceAligner.restored(kept.session, kept.aligner, reads)
        session.context = DialogueContext.restored(kept.session, NODE_SOURCE, kept.context, model)
        session.open, session.driver = set(kept.open), kept.driver
        session.heard_ns, session.paused_ns = kept.heard_ns, kept.paused_ns
        session.closing = kept.closing
        return session
