"""A step of many dialogues, in which one that fails is no other's failure.

Knows: one batch for all, and one by one where that fails.
Refuses to know: what is computed (``step``), and what becomes of a dialogue that fails.
"""

from __future__ import annotations

from collections.abc import Sequence

from affectstream.core.dialogue.context import DialogueContext
from affectstream.core.dialogue.emotions import Stamp
from affectstream.core.dialogue.model import ContextModel
from affectstream.core.dialogue.step import ContextStep
from affectstream.messages import Emotion


class IsolatedSteps:
    """Does what a ``ContextStep`` does, for the dialogues in which it can be done.

    Attributes:
        failures: the dialogues in which something failed, and what; they are left out from then on.
    """

    def __init__(self, dialogues: Sequence[DialogueContext], model: ContextModel) -> None:
        self.failures: dict[DialogueContext, Exception] = {}
        self._model = model
        self._steps: dict[DialogueContext, ContextStep] = {}
        self._begin(dialogues)

    def _begin(self, dialogues: Sequence[DialogueContext]) -> None:
        try:
            step = ContextStep(dialogues, self._model)
        except Exception as error:  # noqa: BLE001 - which of them it is shows one by one
            if len(dialogues) == 1:
                self.failures[dialogues[0]] = error
                return
            for dialogue in dialogues:
                self._begin([dialogue])
        else:
            self._steps |= dict.fromkeys(dialogues, step)

    def say_first(self, dialogue: DialogueContext, stamp: Stamp) -> list[Emotion]:
        """Return the estimates that somebody waits for."""
        return self._say(dialogue, stamp, first=True)

    def revise(self) -> None:
        """Estimate what sees news in the open windows."""
        try:
            for step in set(self._steps.values()):
                step.revise()
        except Exception:  # noqa: BLE001 - which of them it is shows one by one
            for dialogue, step in self._steps.items():
                try:
                    step.revise(dialogue)
                except Exception as error:  # noqa: BLE001
                    self.failures[dialogue] = error

    def say_rest(self, dialogue: DialogueContext, stamp: Stamp) -> list[Emotion]:
        """Return what ``revise`` has brought, and the finals."""
        return self._say(dialogue, stamp, first=False)

    def _say(self, dialogue: DialogueContext, stamp: Stamp, *, first: bool) -> list[Emotion]:
        if dialogue in self.failures:
            return []
        step = self._steps[dialogue]
        try:
            return step.say_first(dialogue, stamp) if first else step.say_rest(dialogue, stamp)
        except Exception as error:  # noqa: BLE001 - the others go on
            self.failures[dialogue] = error
            return []
