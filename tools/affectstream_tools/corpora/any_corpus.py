"""Any corpus that the laboratory knows, opened by its folder, and what its utterances have."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from affectstream.corpus.derived import is_derived
from affectstream.corpus.dialogues import Corpus, CorpusDialogue, CorpusError, CorpusUtterance
from affectstream.corpus.raw import find_sessions, read_raw
from affectstream.corpus.reader import open_corpus as open_iemocap
from affectstream_tools.corpora.acted import read_acted
from affectstream_tools.corpora.labelled_clips import CLIP_SUFFIXES
from affectstream_tools.corpora.meld import is_meld, read_meld_corpus

CORPUS_MODALITIES = ("speech", "text", "words", "mocap", "statistics", "emotion", "votes", "scales")
"""What an utterance may have.

``words`` are words with times. ``mocap`` is the motion of whoever wears the dialogue's markers.
``statistics`` are 47 numbers of the sound. ``emotion`` is the majority's, and is there also where
the annotators disagree (``xxx``). ``votes`` are single annotators' emotions, ``scales`` valence and
activation.
"""

_NAMES = {
    "raw": "IEMOCAP's layout",
    "derived": "IEMOCAP, derived",
    "acted": "clips",
    "meld": "MELD, text",
}


def open_any_corpus(path: Path) -> Corpus:
    """Open raw or derived IEMOCAP, MELD's text, or a folder of labelled clips such as RAVDESS.

    Raw IEMOCAP comes with the words' times.

    Raises:
        CorpusError: the folder holds none of them, or nothing in it can be read.
    """
    if not path.is_dir():
        raise CorpusError(f"{path} is no folder; name the folder of a corpus")
    if find_sessions(path):
        return read_raw(path, alignment=True)
    if is_derived(path):
        return open_iemocap(path)
    if is_meld(path):
        return read_meld_corpus(path)
    if any(file.suffix.lower() in CLIP_SUFFIXES for file in path.rglob("*")):
        return read_acted(path)
    raise CorpusError(
        f"{path} holds no corpus; name a folder with IEMOCAP's Session1 to Session5, a derived "
        "set's utterances.csv and egemaps47.npy, MELD's tables, or labelled clips"
    )


def corpus_name(corpus: Corpus) -> str:
    """Return what to call a corpus of this kind."""
    return _NAMES[corpus.kind]


def modalities(dialogue: CorpusDialogue, utterance: CorpusUtterance) -> frozenset[str]:
    """Return those of ``CORPUS_MODALITIES`` that an utterance has; files are not opened."""
    recording = dialogue.recording
    has = {
        "speech": recording is not None and (recording.wav or utterance.id in recording.clips),
        "text": utterance.text,
        "words": utterance.words,
        "mocap": recording is not None
        and (recording.mocap or utterance.id in recording.mocap_clips),
        "statistics": utterance.acoustic is not None,
        "emotion": utterance.emotion != "xxx" or utterance.valence == utterance.valence,
        "votes": utterance.votes,
        "scales": utterance.valence == utterance.valence,  # NaN is not
    }
    return frozenset(name for name, there in has.items() if there)


def count_modalities(dialogues: Iterable[CorpusDialogue]) -> dict[str, int]:
    """Return how many utterances have each of ``CORPUS_MODALITIES``."""
    counts = dict.fromkeys(CORPUS_MODALITIES, 0)
    for dialogue in dialogues:
        for utterance in dialogue.utterances:
            for name in modalities(dialogue, utterance):
                counts[name] += 1
    return counts
