"""Recognizers with more and more context, on synthetic dialogues whose best accuracy is known.

Woellmer et al. (2010) found: no context < first-order context (HMM and language model) < LSTM <
BLSTM. Here dialogues are drawn from a ``DialogueModel``. The best accuracy that any recognizer with
the same information can have is therefore known exactly, and so is each recognizer's distance from
it. The emotions are a chain of second order: the last turn is not all that counts.

Every recognizer sees all cues as numbers (``drawn_rows``), except the project's context model: it
knows no motion, and sees voice and words. None of the data is IEMOCAP's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectstream_tools.jobs.jobs import Job
from affectstream_tools.metrics import score_labels
from affectstream_tools.synthesis.ceilings import best_possible
from affectstream_tools.synthesis.dialogue_model import CUES, DialogueModel, Drawn, DrawnArray
from affectstream_tools.synthesis.features import drawn_rows

_Labels = NDArray[np.int64]

RECOGNIZERS = {
    "svm": "SVM",
    "hmm": "HMM",
    "alone": "LSTM, each utterance alone",
    "hmm-lm": "HMM + first-order language model",
    "lstm": "LSTM",
    "blstm": "BLSTM",
    "context": "the project's context model",
}
"""The recognizers, from no context to the whole dialogue, and their names in reports."""

_SEES = {
    "svm": "none",
    "hmm": "none",
    "alone": "none",
    "hmm-lm": "full",
    "lstm": "causal",
    "blstm": "full",
}
_TASK = "affectstream_tools.studies.ordering.experiment:place"
_WEIGHTS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_UTTERANCES_PER_STEP = 500
_FRAMES = 4
_FRAME_BLUR = 0.5  # of the rows' deviation: an utterance's frames differ


@dataclass(frozen=True, slots=True)
class StudySizes:
    """How many dialogues are drawn, their turns, and how many epochs are trained.

    Attributes:
        svm, hmm, context: how many of the ``learned`` dialogues these recognizers learn from.
    """

    learned: int = 1600
    development: int = 200
    scored: int = 800
    turns: int = 20
    epochs: int = 10
    svm: int = 200
    hmm: int = 600
    context: int = 600
    context_epochs: int = 8


SMALL_SIZES = StudySizes(160, 20, 100, 10, 4, 40, 40, 16, 1)
"""The sizes of tests and trials."""


@dataclass(frozen=True, slots=True)
class Placing:
    """A recognizer's scores beside the best that the same information allows; shares, 0..1.

    Attributes:
        accuracy, uar: of the scored dialogues.
        ceiling, ceiling_uar: what the best decisions reach on the same dialogues.
        first_order: the accuracy of the best decisions of who knows the model's bigram, but takes
            the emotions for a first-order chain; only beside a recognizer that takes them so.
    """

    recognizer: str
    look_ahead: str
    modalities: tuple[str, ...]
    utterances: int
    accuracy: float
    uar: float
    ceiling: float
    ceiling_uar: float
    first_order: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Material:
    model: DialogueModel
    learned: Drawn
    development: Drawn
    scored: Drawn
    sizes: StudySizes
    seed: int

    def rows(self) -> tuple[DrawnArray, DrawnArray, DrawnArray]:
        """Return the parts as numbers (N, T, 12), of the learned part's mean 0 and deviation 1."""
        rng = np.random.default_rng((self.seed, 1))
        parts = [drawn_rows(part, rng) for part in (self.learned, self.development, self.scored)]
        mean, deviation = parts[0].mean(axis=(0, 1)), parts[0].std(axis=(0, 1))
        one, two, three = ((part - mean) / deviation for part in parts)
        return one, two, three


def ordering_jobs(seeds: Sequence[int] = (0, 1, 2), *, small: bool = False) -> list[Job]:
    """Return a job for each recognizer and seed; a seed draws dialogues of its own."""
    return [
        Job(
            f"ordering/{name}/seed-{seed}",
            _TASK,
            {
                "recognizer": name,
                "seed": seed,
                "sizes": asdict(SMALL_SIZES if small else StudySizes()),
            },
        )
        for seed in seeds
        for name in RECOGNIZERS
    ]


def place(recognizer: str, seed: int, sizes: dict[str, int]) -> dict[str, Any]:
    """Draw dialogues, train a recognizer and score it beside the best; this is a job.

    Args:
        sizes: the attributes of ``StudySizes``.

    Raises:
        KeyError: there is no such recognizer.
    """
    size, model = StudySizes(**sizes), DialogueModel()
    rng = np.random.default_rng(seed)
    learned = model.draw(size.learned, size.turns, rng)
    development = model.draw(size.development, size.turns, rng)
    scored = model.draw(size.scored, size.turns, rng)
    material = _Material(model, learned, development, scored, size, seed)
    placings = _FOUND[recognizer](material, recognizer)
    return {"placings": [asdict(placing) for placing in placings], "model": model.to_dict()}


def _placing(
    material: _Material,
    recognizer: str,
    look_ahead: str,
    scores: NDArray[Any],
    modalities: tuple[str, ...] = CUES,
) -> Placing:
    """Score answers (N, T, 4) beside the best that the same information allows."""
    drawn, model = material.scored, material.model
    posterior = model.posteriors(drawn.cues, look_ahead, modalities)
    best = best_possible(posterior, model.prior, drawn, modalities, look_ahead)
    truth = drawn.emotions.ravel()
    found = score_labels(truth, scores.reshape(-1, scores.shape[-1]))
    first_order = None
    if recognizer == "hmm-lm":
        bigram = model.first_order(drawn.cues, look_ahead, modalities).argmax(axis=-1)
        first_order = float((bigram.ravel() == truth).mean())
    return Placing(
        recognizer,
        look_ahead,
        modalities,
        found.utterances,
        accuracy=found.wa,
        uar=found.uar,
        ceiling=best.realised_accuracy,
        ceiling_uar=best.realised_uar,
        first_order=first_order,
    )


def _svm(material: _Material, name: str) -> list[Placing]:
    from affectstream_models.woellmer.svm_classifier import SvmClassifier

    learned, _, scored = material.rows()
    count = material.sizes.svm
    labels = material.learned.emotions[:count]
    machine = SvmClassifier(4, selection=None)  # every column says something
    machine.fit(list(learned[:count]), list(labels))
    scores = np.stack([machine.predict_proba(dialogue) for dialogue in scored])
    return [_placing(material, name, _SEES[name], scores)]


def _hmms(material: _Material, name: str) -> list[Placing]:
    """Score HMMs over a few frames of each utterance, without or with a language model.

    The development dialogues choose the language model's weight.
    """
    from affectstream_models.woellmer.hmm_classifiers import HmmLanguageModelClassifier

    rng = np.random.default_rng((material.seed, 2))
    learned, development, scored = material.rows()
    count = material.sizes.hmm
    classifier = HmmLanguageModelClassifier(4, seed=material.seed)
    classifier.fit(_frames(learned[:count], rng), list(material.learned.emotions[:count]))
    likely = [classifier.hmm.log_likelihoods(one) for one in _frames(scored, rng)]
    if name == "hmm":
        return [_placing(material, name, _SEES[name], np.stack(likely))]
    bigram = classifier.bigram
    assert bigram is not None
    tried = [classifier.hmm.log_likelihoods(one) for one in _frames(development, rng)]

    def right(weight: float) -> float:
        found = np.stack([bigram.best_paths(one, weight) for one in tried]).argmax(axis=-1)
        return float((found == material.development.emotions).mean())

    weight = max(_WEIGHTS, key=right)
    scores = np.stack([bigram.best_paths(one, weight) for one in likely])
    return [_placing(material, name, _SEES[name], scores)]


def _frames(dialogues: DrawnArray, rng: np.random.Generator) -> list[list[DrawnArray]]:
    """Return each utterance's row as four noisy frames (4, 12), for an HMM."""
    shape = (*dialogues.shape[:2], _FRAMES, dialogues.shape[2])
    frames = dialogues[:, :, None] + rng.normal(0, _FRAME_BLUR, shape)
    return [list(dialogue) for dialogue in frames]


def _network(material: _Material, name: str) -> list[Placing]:
    """Score the paper's networks, trained as for its tables, but with equal weights of classes.

    The network that sees each utterance alone has dialogues of one utterance.
    """
    from affectstream_tools.studies.woellmer.training import DialogueNetwork, DialogueSchedule

    utterances = 1 if name == "alone" else material.sizes.turns
    learned, development, scored = (
        list(part.reshape(-1, utterances, part.shape[2])) for part in material.rows()
    )
    labels, others = (
        list(part.emotions.reshape(-1, utterances))
        for part in (material.learned, material.development)
    )
    plan = DialogueSchedule(
        epochs=material.sizes.epochs, batch=_UTTERANCES_PER_STEP // utterances, balance=0.0
    )
    network = DialogueNetwork(
        4, bidirectional=name == "blstm", seed=material.seed, schedule=plan
    ).fit((learned, labels), (development, others))
    logits = np.concatenate([network.logits(dialogue) for dialogue in scored])
    shape = (*material.scored.emotions.shape, 4)
    return [_placing(material, name, _SEES[name], logits.reshape(shape))]


def _context(material: _Material, name: str) -> list[Placing]:
    """Score the context model, which sees voice and words, at each look-ahead."""
    from affectstream_tools.studies.ordering.context_model import context_scores

    sizes = material.sizes
    few = Drawn(*(part[: sizes.context] for part in material.learned))
    scores = context_scores(few, material.scored, epochs=sizes.context_epochs, seed=material.seed)
    return [
        _placing(material, name, look_ahead, found, ("voice", "words"))
        for look_ahead, found in scores.items()
    ]


_FOUND: dict[str, Callable[[_Material, str], list[Placing]]] = {
    "svm": _svm,
    "hmm": _hmms,
    "alone": _network,
    "hmm-lm": _hmms,
    "lstm": _network,
    "blstm": _network,
    "context": _context,
}
