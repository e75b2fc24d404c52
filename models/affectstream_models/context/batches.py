"""Utterances' features as one batch of tensors for the context network.

Knows: what stands for a missing modality, and how texts of different lengths are joined.
Refuses to know: networks, dialogues, labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from affectstream_models.context.network import ACOUSTIC_STATISTICS, UtteranceBatch
from affectstream_models.text.word_encoder import TextFeatures


def collate(
    acoustic: Sequence[NDArray[np.float32] | None], text: Sequence[TextFeatures]
) -> UtteranceBatch:
    """Return the batch of B utterances.

    Args:
        acoustic: B vectors (47,) of normalised statistics; None is missing.
        text: B texts' features.

    Raises:
        ValueError: a vector of statistics has another shape than (47,).
    """
    for statistics in acoustic:
        if statistics is not None and statistics.shape != (ACOUSTIC_STATISTICS,):
            raise ValueError(
                f"acoustic statistics have shape {statistics.shape}, "
                f"but the model takes ({ACOUSTIC_STATISTICS},)"
            )
    silent = np.zeros(ACOUSTIC_STATISTICS, dtype=np.float32)
    counts = np.array([len(features.ngrams) for features in text], dtype=np.int64)
    weights = np.repeat(1.0 / np.sqrt(np.maximum(counts, 1)), counts)
    return UtteranceBatch(
        acoustic=torch.from_numpy(
            np.stack([silent if a is None else a for a in acoustic]).astype(np.float32)
        ),
        has_acoustic=_presence([a is not None for a in acoustic]),
        ngrams=torch.from_numpy(np.concatenate([features.ngrams for features in text])),
        offsets=torch.from_numpy(np.cumsum(counts) - counts),
        weights=torch.from_numpy(weights.astype(np.float32)),
        words=torch.from_numpy(np.stack([features.words for features in text])),
        sentences=torch.from_numpy(np.stack([features.sentence for features in text])),
        has_text=_presence([not features.empty for features in text]),
    )


def _presence(present: Sequence[bool]) -> torch.Tensor:
    return torch.tensor(present, dtype=torch.float32)[:, None]  # (B, 1)
