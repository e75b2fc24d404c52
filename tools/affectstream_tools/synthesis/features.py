"""Dialogues of a ``DialogueModel`` as features, without sound, words or motion on any disk.

A cue becomes numbers from which it can be told, and a word.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from affectstream.corpus.dialogues import CorpusDialogue, CorpusUtterance
from affectstream.timebase import NS_PER_S
from affectstream_tools.synthesis.dialogue_model import MISSING, Drawn, DrawnArray
from affectstream_tools.synthesis.rendered_words import CUE_WORDS

_BLUR = 0.1
_STATISTICS = 47
_LABELS = ("ang", "exc", "neu", "sad")


def drawn_rows(drawn: Drawn, rng: np.random.Generator) -> DrawnArray:
    """Rows (N, T, 12) with a column for each symbol of each modality: 1 where it is shown.

    Noise of deviation 0.1 is added; it hardly ever makes a symbol look like another. A missing cue
    has no 1.
    """
    symbols = np.arange(len(_LABELS))
    shown = (drawn.cues[..., None] == symbols).reshape(*drawn.emotions.shape, -1)
    return np.asarray(shown + rng.normal(0, _BLUR, shown.shape))


def corpus_dialogues(drawn: Drawn, rng: np.random.Generator) -> list[CorpusDialogue]:
    """Dialogues of utterances with labels, a word each, and 47 statistics; motion is left out.

    The statistics lie around four points, one for each cue of the voice, the same in every corpus.
    Turns last two seconds; sessions are 1 to 5 in turn; scales are NaN.
    """
    points = np.random.default_rng(0).normal(0, 1, (len(_LABELS), _STATISTICS))
    dialogues = []
    for number, (emotions, cues) in enumerate(zip(drawn.emotions, drawn.cues, strict=True)):
        session = 1 + number % 5
        name = f"Ses{session:02d}F_impro{number // 5:02d}"
        utterances = []
        for turn, (emotion, (voice, words, _)) in enumerate(zip(emotions, cues, strict=True)):
            sound: NDArray[np.float64] = points[voice] + rng.normal(0, 0.5, _STATISTICS)
            letter = "FM"[turn % 2]
            utterances.append(
                CorpusUtterance(
                    id=f"{name}_{letter}{turn // 2:03d}",
                    dialogue=name,
                    speaker=f"{name[:5]}{letter}",
                    start_ns=2 * turn * NS_PER_S,
                    end_ns=2 * (turn + 1) * NS_PER_S,
                    emotion=_LABELS[emotion],
                    valence=float("nan"),
                    activation=float("nan"),
                    dominance=float("nan"),
                    text=None if words == MISSING else str(rng.choice(CUE_WORDS[words])),
                    acoustic=None if voice == MISSING else sound.astype(np.float32),
                )
            )
        dialogues.append(CorpusDialogue(name, session, tuple(utterances)))
    return dialogues


def drawn_word_vectors() -> dict[str, list[float]]:
    """Vectors of all words that may be said: random, so that they only tell words apart."""
    rng = np.random.default_rng(0)
    return {word: rng.normal(0, 1, 8).tolist() for own in CUE_WORDS for word in own}
