"""One dialogue at the fusion node: its alignment, its context, and whose clock it lives by.

Knows: which of a dialogue's streams are open, what time it is for it, and when it is idle.
Refuses to know: models, other dialogues, and what is published.
"""

from __future__ import annotations

from affectstream.core.dialogue.aligner import ALIGNER_STATE as ALIGNMENT
from affectstream.core.dialogue.aligner import UtteranceAligner
from affectstream.core.dialogue.context import CONTEXT_STATE as CONTEXT
from affectstream.core.dialogue.context import Dialogue
from affectstream.core.dialogue.model import ContextModel
from affectstream.core.dialogue.values import ValueCodec
from affectstream.timebase import NS_PER_S

NODE_SOURCE = "fusion"
IDLE_NS = 600 * NS_PER_S


class DialogueSession:
    """One dialogue at the node.

    Attributes:
        driver: the stream that drives its clock, if one does.
        clock_ns: what time that stream says it is.
        paused_ns: how long nobody kept the dialogue, for want of a node: it lives by the node's
            clock less that, so that nothing became late meanwhile.
        heard_ns: when it was last heard of, by the node's clock.
    """

    def __init__(self, name: str, model: ContextModel, look_ahead: int | None, now_ns: int) -> None:
        self.aligner = UtteranceAligner(name)
        self.dialogue = Dialogue(name, model.initial_state(), look_ahead, NODE_SOURCE)
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


def session_codec(model: ContextModel) -> ValueCodec:
    """Return what packs a session of this model."""
    return ValueCodec(
        (DialogueSession, *ALIGNMENT, *CONTEXT, *model.state_classes), model.state_foreign
    )
