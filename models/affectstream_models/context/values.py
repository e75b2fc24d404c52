"""The values of the context model: what goes in, what a dialogue keeps, what comes out.

Knows: their fields and shapes.
Refuses to know: weights, and how a value is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from affectstream_models.context.memory import Memory

CONTEXT_CLASSES = ("anger", "happiness", "neutral", "sadness")
"""The order of class probabilities."""

CONTEXT_MODALITIES = ("acoustic", "text")


@dataclass(frozen=True, slots=True)
class UtteranceInputs:
    """What the model is given of one utterance. A missing modality is None.

    Attributes:
        speaker: who spoke. The model only compares speakers; names mean nothing to it.
        acoustic: (47,) float32, eGeMAPS statistics, normalised by speaker.
        text: the transcript; an empty one counts as missing.
    """

    speaker: str
    acoustic: NDArray[np.float32] | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """One encoded utterance. Only the model that made it can use it.

    Attributes:
        fused: (E,), the utterance vector, see ``steps``.
        without: present modality -> the (E,) vector with that modality masked.
    """

    speaker: str
    fused: Tensor
    without: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class ForwardState:
    """The forward LSTM after an utterance.

    Attributes:
        hidden, cell: (M H,), states of all M members one after the other.
        speaker: of that utterance; None before the first.
        without: modality present in that utterance -> what ``hidden`` would be without it.
        memory: of this and all earlier utterances, as the next one sees it.
    """

    hidden: Tensor
    cell: Tensor
    speaker: str | None = None
    without: Mapping[str, Tensor] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True)
class UtteranceEstimate:
    """What the model says of one utterance.

    Attributes:
        categorical: (4,) calibrated probabilities in the order of ``CONTEXT_CLASSES``.
        dimensional: scale -> its mean on 1..5, and the probabilities (3,) of its levels low, middle
            and high. Means below 2.25 are low, from 3.75 on high: of ratings in halves these are
            {1, 1.5, 2}, {2.5, 3, 3.5} and {4, 4.5, 5}, as in Wöllmer et al. (2010).
        clusters: number of clusters, such as ``3`` -> their probabilities; empty where the model
            has none.
        influence: present modality -> how much it changed ``categorical``: the total variation
            distance, 0..1, to the probabilities without this utterance's share of it.
    """

    categorical: NDArray[np.float32]
    dimensional: Mapping[str, tuple[float, NDArray[np.float32]]]
    clusters: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    influence: Mapping[str, float] = field(default_factory=dict)


WindowEntry = tuple[ForwardState, Encoded, ForwardState]
"""An utterance of an open window: the state before it, the utterance, the state after it."""
