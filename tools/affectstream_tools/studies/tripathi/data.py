"""Corpora as the networks of Tripathi and Beigi (2018) see them: utterances of four classes.

Their four classes are anger, excitement, neutral and sadness, 4,936 utterances: ``exc`` alone where
nearly everyone else merges it with ``hap`` (their ``emotions_used`` says so, and their notebooks
count as many). Single sentences that actors read have happiness in its place. Where recordings are
needed and there are none, a synthetic corpus stands in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from affectstream.corpus.dialogues import Corpus, CorpusDialogue, CorpusUtterance
from affectstream_models.tripathi.mocap import ALL_COLUMNS, MOCAP_ROWS
from affectstream_models.tripathi.speech import FRAMES, SPEECH_COLUMNS
from affectstream_tools.corpora.any_corpus import open_any_corpus
from affectstream_tools.corpora.features.preparation import prepare_features
from affectstream_tools.synthesis.ceilings import Ceiling, ceilings
from affectstream_tools.synthesis.dialogue_model import CueChannel, DialogueModel
from affectstream_tools.synthesis.kept_corpus import kept_corpus
from affectstream_tools.synthesis.truth import is_synthetic, read_truth

EXCITEMENT = {"ang": "anger", "exc": "excitement", "neu": "neutral", "sad": "sadness"}
HAPPINESS = {"ang": "anger", "hap": "happiness", "neu": "neutral", "sad": "sadness"}

FRONT_END_OF_INPUT = {"speech": "tripathi34", "mocap": "mocap"}
_SHAPES = {"speech": (FRAMES, SPEECH_COLUMNS), "mocap": (MOCAP_ROWS, ALL_COLUMNS)}
_SHOWN_IN = {"speech": "voice", "tokens": "words", "mocap": "motion"}

_MODEL = DialogueModel(voice=CueChannel(0.7), words=CueChannel(0.7), motion=CueChannel(0.7))
_SIZE, _FEW = (5, 12, 8, 30), (5, 2, 4, 30)


class Labelled(NamedTuple):
    """A labelled utterance and where it was said."""

    dialogue: CorpusDialogue
    utterance: CorpusUtterance


@dataclass(frozen=True, slots=True)
class Utterances:
    """N utterances of four classes.

    Attributes:
        named: what the corpus is, to stand beside a figure.
        corpus: the corpus that they were taken from.
        classes: the names of ``labels``.
        labelled: the utterances, in the order of the corpus's dialogues.
        labels: (N,) of 0..3.
        frames: by input, where it was asked for: ``speech`` (N, 100, 34), ``mocap`` (N, 200, 189);
            zeros where an utterance has none, as in the published code.
    """

    named: str
    corpus: Corpus
    classes: tuple[str, ...]
    labelled: tuple[Labelled, ...]
    labels: NDArray[np.int64]
    frames: dict[str, NDArray[np.float32]]

    @property
    def ids(self) -> list[str]:
        """The utterances' names."""
        return [each.utterance.id for each in self.labelled]

    @property
    def dialogues(self) -> list[str]:
        """The dialogue of each utterance."""
        return [each.dialogue.id for each in self.labelled]

    @property
    def sessions(self) -> NDArray[np.int64]:
        """The session of each utterance, (N,)."""
        return np.array([each.dialogue.session for each in self.labelled])

    @property
    def improvised(self) -> NDArray[np.bool_]:
        """Whether each utterance is improvised, (N,)."""
        return np.array([each.dialogue.improvised for each in self.labelled])

    @property
    def texts(self) -> list[str]:
        """The text of each utterance; empty where there is none."""
        return [each.utterance.text or "" for each in self.labelled]


def read_utterances(
    folder: Path,
    inputs: Collection[str],
    cache: Path,
    *,
    improvised: bool = False,
    small: bool = False,
) -> Utterances:
    """Return the utterances of a corpus that have one of the four classes.

    Args:
        folder: the folder of raw or derived IEMOCAP, or of labelled clips.
        inputs: the network's: ``tokens``, ``speech``, ``mocap``.
        cache: where prepared features lie.
        improvised: leave out what is read from plays.
        small: take one utterance of each class of each dialogue.

    Raises:
        CorpusError: the corpus cannot be read.
        ValueError: it lacks what an input is made of, or no utterance has one of the classes.
    """
    corpus = open_any_corpus(folder)
    if small:
        corpus = _thinned(corpus)
        cache = cache / "small"
    classes = EXCITEMENT if corpus.kind in ("raw", "derived") else HAPPINESS
    labelled = _labelled(corpus, classes, improvised=improvised)
    if "tokens" in inputs and not any(each.utterance.text for each in labelled):
        raise ValueError(f"{folder} has no words; use a network without text, or another corpus")
    names = tuple(classes.values())
    labels = [names.index(classes[each.utterance.emotion]) for each in labelled]
    wanted = [name for name in inputs if name != "tokens"]
    return Utterances(
        named=_named(corpus),
        corpus=corpus,
        classes=names,
        labelled=labelled,
        labels=np.array(labels, dtype=np.int64),
        frames=_frames(corpus, labelled, wanted, cache) if wanted else {},
    )


def synthetic_corpus(cache: Path, *, small: bool = False) -> Path:
    """Return the folder of the synthetic corpus, which is written where it is not there yet.

    It has sound, words and motion.

    Raises:
        AffectstreamError: it cannot be written.
    """
    return kept_corpus(cache, _MODEL, _FEW if small else _SIZE)


def ceiling_of(
    utterances: Utterances, test: Iterable[int], inputs: Iterable[str]
) -> Ceiling | None:
    """Return the best that can be scored on a synthetic corpus; None for any other corpus.

    It is the best by one utterance alone, as these networks see it, on whole dialogues.
    """
    if not is_synthetic(utterances.corpus.path):
        return None
    truth = read_truth(utterances.corpus.path)
    dialogues = sorted({utterances.labelled[i].dialogue.id for i in test})
    shown = tuple(_SHOWN_IN[name] for name in inputs)
    return next(ceilings(truth.model, truth.of(dialogues), subsets=(shown,), look_aheads=("none",)))


def _labelled(corpus: Corpus, classes: dict[str, str], *, improvised: bool) -> tuple[Labelled, ...]:
    found = tuple(
        Labelled(dialogue, utterance)
        for dialogue in corpus.dialogues
        for utterance in dialogue.utterances
        if utterance.emotion in classes and (dialogue.improvised or not improvised)
    )
    if not found:
        raise ValueError(
            f"{corpus.path} has no utterance of {', '.join(classes.values())}; use another"
        )
    return found


def _thinned(corpus: Corpus) -> Corpus:
    """Return a corpus of the first utterance of each class in each dialogue."""

    def few(dialogue: CorpusDialogue) -> CorpusDialogue:
        first = {u.emotion: u for u in reversed(dialogue.utterances)}
        return replace(dialogue, utterances=tuple(first.values()))

    return replace(corpus, dialogues=tuple(few(each) for each in corpus.dialogues))


def _named(corpus: Corpus) -> str:
    if is_synthetic(corpus.path):
        return "synthetic corpus, not IEMOCAP"
    if corpus.kind == "acted":
        return f"{corpus.path.name}, sentences that actors read, not IEMOCAP"
    if corpus.kind == "meld":
        return "MELD, not IEMOCAP"
    what = "IEMOCAP transcripts" if corpus.kind == "derived" else "IEMOCAP"
    return f"{what}, 4 classes (exc alone)"


def _frames(
    corpus: Corpus, labelled: Sequence[Labelled], inputs: list[str], cache: Path
) -> dict[str, NDArray[np.float32]]:
    """Return features by input; they are prepared of the whole corpus, once for all experiments."""
    prepared = prepare_features(
        corpus, [FRONT_END_OF_INPUT[name] for name in inputs], cache, workers=1
    )
    frames = {}
    for name in inputs:
        found = [
            prepared.features(FRONT_END_OF_INPUT[name], each.utterance.id) for each in labelled
        ]
        if all(each is None for each in found):
            raise ValueError(
                f"{corpus.path} has nothing to make {name} of; use a network of text alone, or a "
                "corpus with recordings"
            )
        nothing = np.zeros(_SHAPES[name], dtype=np.float32)
        frames[name] = np.stack([nothing if each is None else each for each in found])
    return frames
