"""The context model scored on scenarios that it has not seen.

The shipped weights have seen every scenario, so this protocol trains models of its own.
"""

from __future__ import annotations

from affectstream_models.context.model import StreamingContextModel
from affectstream_models.context.values import CONTEXT_MODALITIES
from affectstream_tools.corpora.splits import hold_out_scenarios, of_sessions
from affectstream_tools.evaluate.dialogue_scores import (
    DialogueScores,
    ScoredAnswer,
    predict,
    score_by_part,
)
from affectstream_tools.train.trainer import Trainer


def evaluate_scenarios(trainer: Trainer, *, session: int, groups: int = 4) -> list[DialogueScores]:
    """Score one session with neither it nor the scored scenarios in training.

    The scenarios are dealt into ``groups``, and one model is trained without each group. Scores
    are of all groups together: causal, and with the recipe's look-ahead.

    Raises:
        ValueError: the session has fewer scenarios than there are groups.
    """
    dialogues, recipe = trainer.sources.dialogues, trainer.recipe
    names = sorted({dialogue.scenario for dialogue in of_sessions(dialogues, {session})})
    if len(names) < groups:
        raise ValueError(f"session {session} has {len(names)} scenarios; use at most that many")
    look_aheads = (0, recipe.look_ahead)
    answers: dict[int, list[ScoredAnswer]] = {look_ahead: [] for look_ahead in look_aheads}
    for group in range(groups):
        split = hold_out_scenarios(dialogues, session, names[group::groups])
        network, _ = trainer.train(split.train, name=split.name)
        model = StreamingContextModel(
            network, id=split.name, sha256="", speaker_prior=recipe.speaker_prior
        )
        for look_ahead, found in answers.items():
            found += predict(model, split.test, look_ahead, CONTEXT_MODALITIES)
    return [
        row
        for look_ahead, found in answers.items()
        for row in score_by_part(look_ahead, CONTEXT_MODALITIES, found)
    ]
