"""Scores of the context model on whole dialogues, by look-ahead and by modality.

Which of the dialogues the model has learned from is not known here: the caller says it beside the
numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectstream.core.dialogue.model import CLASSES
from affectstream.core.dialogue.normalisation import SpeakerNormaliser
from affectstream.corpus.dialogues import CorpusDialogue, CorpusUtterance
from affectstream_models.context.model import StreamingContextModel
from affectstream_models.context.network import SCALES
from affectstream_models.context.values import (
    CONTEXT_MODALITIES,
    UtteranceEstimate,
    UtteranceInputs,
)
from affectstream_tools.metrics import Scores, concordance, score_labels
from affectstream_tools.train.augmentation import normalised

LOOK_AHEADS: tuple[int | None, ...] = (0, 1, 2, 4, 8, None)
"""Later utterances that an estimate may use; None is the whole dialogue."""

_ONE_MODALITY = (("text",), ("acoustic",))

ScoredAnswer = tuple[CorpusDialogue, CorpusUtterance, UtteranceEstimate]
"""A dialogue, one of its utterances, and what the model says of it."""


@dataclass(frozen=True, slots=True)
class DialogueScores:
    """Scores at one look-ahead, with some modalities, on all or on the improvised dialogues.

    Attributes:
        look_ahead: later utterances that were used; None is all.
        modalities: those that the model was given.
        part: ``all`` or ``improvised`` dialogues.
        scores: of the utterances with one of the four classes.
        concordance: Lin's coefficient of each scale's mean, over all utterances.
    """

    look_ahead: int | None
    modalities: tuple[str, ...]
    part: str
    scores: Scores
    concordance: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "look_ahead": "full" if self.look_ahead is None else self.look_ahead,
            "modalities": list(self.modalities),
            "part": self.part,
            **{name: round(value, 4) for name, value in self.scores.to_dict().items()},
            "ccc": {name: round(value, 4) for name, value in self.concordance.items()},
        }


def inputs_of(
    model: StreamingContextModel, utterances: Sequence[CorpusUtterance], modalities: Sequence[str]
) -> list[UtteranceInputs]:
    """Return the model's inputs of a dialogue, speakers normalised as the stream does it."""
    acoustic: Sequence[NDArray[np.float32] | None] = [None] * len(utterances)
    if "acoustic" in modalities:
        normaliser = SpeakerNormaliser(model.acoustic_mean, model.acoustic_sd, model.speaker_prior)
        acoustic = normalised(
            [u.acoustic for u in utterances], [u.speaker for u in utterances], normaliser
        )
    return [
        UtteranceInputs(u.speaker, statistics, u.text if "text" in modalities else None)
        for u, statistics in zip(utterances, acoustic, strict=True)
    ]


def evaluate_dialogues(
    model: StreamingContextModel,
    dialogues: Sequence[CorpusDialogue],
    *,
    progress: Callable[[str], None] = lambda what: None,
) -> list[DialogueScores]:
    """Score every look-ahead with both modalities, and two look-ahead with each one missing.

    Raises:
        ValueError: no utterance has one of the four classes.
    """
    cases: list[tuple[int | None, tuple[str, ...]]] = [
        (look_ahead, CONTEXT_MODALITIES) for look_ahead in LOOK_AHEADS
    ]
    cases += [(k, modalities) for modalities in _ONE_MODALITY for k in (0, model.look_ahead)]
    rows = []
    for look_ahead, modalities in cases:
        progress(f"look-ahead {look_ahead}, {'+'.join(modalities)}")
        answers = predict(model, dialogues, look_ahead, modalities)
        rows += score_by_part(look_ahead, modalities, answers)
    return rows


def score_by_part(
    look_ahead: int | None, modalities: tuple[str, ...], answers: Sequence[ScoredAnswer]
) -> list[DialogueScores]:
    """Score all dialogues, and the improvised ones where there are any."""
    improvised = [answer for answer in answers if answer[0].improvised]
    return [
        DialogueScores(
            look_ahead,
            modalities,
            part,
            *score_answers([(utterance, estimate) for _, utterance, estimate in chosen]),
        )
        for part, chosen in (("all", answers), ("improvised", improvised))
        if chosen
    ]


def predict(
    model: StreamingContextModel,
    dialogues: Sequence[CorpusDialogue],
    look_ahead: int | None,
    modalities: Sequence[str],
) -> list[ScoredAnswer]:
    """Return the model's estimate of every utterance, in the dialogues' order."""
    return [
        (dialogue, utterance, estimate)
        for dialogue in dialogues
        for utterance, estimate in zip(
            dialogue.utterances,
            model.offline(
                inputs_of(model, dialogue.utterances, modalities), look_ahead, influence=False
            ),
            strict=True,
        )
    ]


def score_answers(
    answers: Sequence[tuple[CorpusUtterance, UtteranceEstimate]],
) -> tuple[Scores, dict[str, float]]:
    """Return scores of the labelled utterances, and the scales' concordance over all utterances.

    Raises:
        ValueError: no utterance has one of the four classes.
    """
    labelled = [
        (CLASSES.index(utterance.label), estimate.categorical)
        for utterance, estimate in answers
        if utterance.label is not None
    ]
    if not labelled:
        raise ValueError(f"none of {len(answers)} utterances has a label of {', '.join(CLASSES)}")
    labels = np.array([label for label, _ in labelled], dtype=np.int64)
    agreement = {
        name: concordance(
            _column([getattr(utterance, name) for utterance, _ in answers]),
            _column([estimate.dimensional[name][0] for _, estimate in answers]),
        )
        for name in SCALES
    }
    return score_labels(labels, np.stack([found for _, found in labelled])), agreement


def _column(values: Sequence[float]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)
