"""The recipes of the shipped checkpoints and of the context study: the numbers that were chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from affectstream.corpus.dialogues import CorpusDialogue
from affectstream_models.text.sentence_encoder import (
    BOTH_MINILM,
    EMOTION_MINILM,
    HEARD_MINILM,
    MINILM_DIM,
)
from affectstream_tools.corpora.splits import Split, hold_out_scenarios, leave_one_session_out
from affectstream_tools.train.checkpoint import Folds
from affectstream_tools.train.schedule import DialoguePart, MemberSchedule
from affectstream_tools.train.targets import Augmentation
from affectstream_tools.train.trainer import TrainingRecipe
from affectstream_tools.train.word_encoder import TextSchedule

ACTED_SPEAKERS = tuple(f"ravdess/{actor:02d}" for actor in range(1, 17))
"""RAVDESS's actors who are learned from; the other eight are for scoring."""

ACTED_COPIES = 6
"""Dialogues per actor, each with the clips in another order."""

LIVE = TrainingRecipe(
    # So few numbers that a scenario's words and course are not worth learning by heart.
    sizes={"ngram_dim": 32, "encoder_dim": 32, "fused_dim": 16, "hidden_dim": 24, "head_dim": 24},
    schedule=MemberSchedule(
        modality_dropout=0.15,
        without_text=0.3,
        without_acoustic=0.15,
        mistakes=0.5,
        shuffle=0.5,
        parts={"meld": DialoguePart(share=1 / 3, weight=0.5), "ravdess": DialoguePart(weight=0.5)},
    ),
    least_ngrams=3,
    speaker_prior=12.0,
    augmentation=Augmentation(),
    text=TextSchedule(),
    sure_accuracy=0.6,
)
"""The recipe of ``live``, for a stranger's conversation: new words, new voices, a new room."""

LIVE_SENTENCES = TrainingRecipe(
    sizes={
        "sentence_encoder": HEARD_MINILM,
        "sentence_dim": MINILM_DIM,
        "memory": (3.0,),
        "evidence_dim": 0,
        "ngram_dim": 1,
        "text_dim": 32,
        "encoder_dim": 32,
        "hidden_dim": 32,
    },
    schedule=replace(LIVE.schedule, mistakes=0.0, level_weight=0.6, level_balance=0.5),
    least_ngrams=1_000_000,  # none is so frequent: sentences and word vectors alone
    speaker_prior=LIVE.speaker_prior,
    augmentation=Augmentation(mistakes=False),
    sure_accuracy=LIVE.sure_accuracy,
)
"""The recipe of ``live-sentences``: the same purpose, with a sentence encoder for the words."""

_LEVELS = MemberSchedule(level_weight=0.6, level_balance=0.5)
"""A schedule that weighs rare levels more: most utterances are of the middle one."""

REPLAY = TrainingRecipe(sizes={"evidence_dim": 0, "memory": (3.0,)}, schedule=_LEVELS)
"""The recipe of ``replay``, for IEMOCAP's scenarios with new speakers. It may use what the words
of a scenario give away."""


def unseen_sessions(dialogues: Sequence[CorpusDialogue]) -> list[Split]:
    """Return folds that leave one session out: the speakers are new, the scenarios are not."""
    return list(leave_one_session_out(dialogues))


def unseen_sessions_and_scenarios(dialogues: Sequence[CorpusDialogue]) -> list[Split]:
    """Return a fold for each of n sessions; it is scored on every n-th scenario, and learns from
    neither the session nor these scenarios."""
    sessions = sorted({dialogue.session for dialogue in dialogues})
    scenarios = sorted({dialogue.scenario for dialogue in dialogues})
    return [
        hold_out_scenarios(dialogues, session, scenarios[number :: len(sessions)])
        for number, session in enumerate(sessions)
    ]


@dataclass(frozen=True, slots=True)
class Shipped:
    """A shipped checkpoint: how it is made, and what it was chosen on."""

    recipe: TrainingRecipe
    folds: Folds
    purpose: str


SHIPPED = {
    "live": Shipped(LIVE, unseen_sessions_and_scenarios, "unseen sessions and scenarios"),
    "live-sentences": Shipped(
        LIVE_SENTENCES, unseen_sessions_and_scenarios, "unseen sessions and scenarios"
    ),
    "replay": Shipped(REPLAY, unseen_sessions, "unseen sessions"),
}

NEW_SESSION = TrainingRecipe(
    sizes={
        "sentence_encoder": BOTH_MINILM,
        "sentence_dim": 2 * MINILM_DIM,
        "memory": (3.0,),
        "clusters": (3, 4, 5),
        "evidence_dim": 0,
    },
    schedule=_LEVELS,
    members=4,
)
"""The context study's recipe for new speakers in known scenarios: words may give these away."""

NEW_SCENARIOS = TrainingRecipe(
    sizes={
        "sentence_encoder": EMOTION_MINILM,
        "sentence_dim": MINILM_DIM,
        "memory": (3.0,),
        "clusters": (3, 4, 5),
        "evidence_dim": 0,
        "ngram_dim": 16,
        "text_dim": 32,
        "encoder_dim": 32,
        "hidden_dim": 32,
    },
    schedule=_LEVELS,
    members=2,
    least_ngrams=60,
)
"""The context study's recipe for new speakers and scenarios: few numbers, frequent words only."""
