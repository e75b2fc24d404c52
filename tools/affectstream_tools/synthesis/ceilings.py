"""The best that any recognizer can do on dialogues of a ``DialogueModel``.

Who knows the posterior and answers the most probable emotion has the highest possible accuracy
(Bayes). Who first divides the posterior by the emotions' prior has the highest possible unweighted
average recall, which is another decision. Given the cues of a corpus, both are sums over its turns.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from affectstream.corpus.scoring import Confusion
from affectstream_tools.metrics import confusion
from affectstream_tools.synthesis.dialogue_model import (
    CEILING_LOOK_AHEADS,
    CUES,
    MISSING,
    DialogueModel,
    Drawn,
    DrawnArray,
)

_SUBSETS = (*((name,) for name in CUES), CUES)
"""Each modality alone, and all together."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How good the best decisions are; figures are shares, 0..1.

    Attributes:
        accuracy, uar: what they are expected to reach, given the cues of the corpus. A recall is
            the expected number of right turns over the expected number of turns.
        accuracy_sd: standard error of ``accuracy``, the corpus's dialogues being a sample of all.
        realised_accuracy, realised_uar: what they reach on the corpus's own emotions, over those
            that occur.
    """

    modalities: tuple[str, ...]
    look_ahead: str
    accuracy: float
    accuracy_sd: float
    uar: float
    realised_accuracy: float
    realised_uar: float

    def to_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return asdict(self)


def ceilings(
    model: DialogueModel,
    drawn: Drawn,
    *,
    subsets: Sequence[Sequence[str]] = _SUBSETS,
    look_aheads: Sequence[str] = CEILING_LOOK_AHEADS,
) -> Iterator[Ceiling]:
    """Yield the exact ceilings of a corpus, for each subset of modalities and each look-ahead.

    Raises:
        ValueError: no such modality or look-ahead.
    """
    for subset, look_ahead in itertools.product(subsets, look_aheads):
        posterior = model.posteriors(drawn.cues, look_ahead, subset)
        yield best_possible(posterior, model.prior, drawn, tuple(subset), look_ahead)


def best_possible(
    posterior: DrawnArray, prior: DrawnArray, drawn: Drawn, subset: tuple[str, ...], look_ahead: str
) -> Ceiling:
    """Return the ceiling of who decides by a posterior (N, T, 4)."""
    sure = posterior.max(axis=-1)  # (N, T)
    balanced = posterior / prior
    decided = np.eye(len(prior))[balanced.argmax(axis=-1)]  # (N, T, 4)
    right, there = (posterior * decided).sum(axis=(0, 1)), posterior.sum(axis=(0, 1))  # (4,)
    return Ceiling(
        modalities=subset,
        look_ahead=look_ahead,
        accuracy=float(sure.mean()),
        accuracy_sd=float(sure.mean(axis=1).std() / np.sqrt(len(sure))),
        uar=float((right[there > 0] / there[there > 0]).mean()),
        realised_accuracy=_counted(drawn, posterior).weighted_accuracy,
        realised_uar=_counted(drawn, balanced).uar,
    )


def _counted(drawn: Drawn, scores: DrawnArray) -> Confusion:
    decided = scores.argmax(axis=-1)
    return Confusion(confusion(drawn.emotions.ravel(), decided.ravel(), scores.shape[-1]))


def without_context(model: DialogueModel, modalities: Sequence[str] = CUES) -> tuple[float, float]:
    """Accuracy and recall that the best decisions without context reach, over all corpora.

    It is a sum over everything that the modalities can show at one turn.
    """
    accuracy = uar = 0.0
    places = [CUES.index(name) for name in modalities]
    for symbols in itertools.product((MISSING, *range(len(model.prior))), repeat=len(places)):
        cues = np.full(len(CUES), MISSING)
        cues[places] = symbols
        missing = np.array([model.channels[place].missing for place in places])
        chance = np.where(np.array(symbols) == MISSING, missing, 1 - missing).prod()
        seen = chance * model.likelihoods(cues, modalities)
        accuracy += float((model.prior * seen).max())
        uar += float(seen.max()) / len(model.prior)
    return accuracy, uar
