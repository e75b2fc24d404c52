"""What goes into the context model, what a dialogue carries, and what comes out.

Knows: values. Refuses to know: weights, and how any of the values is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from affectstream_models.context.memory import Memory

CONTEXT_CLASSES = ("anger", "happiness", "neutral", "sadness")
"""Order of every probability vector."""

CONTEXT_MODALITIES = ("acoustic", "text")


@dataclass(frozen=True, slots=True)
class UtteranceInputs:
    """What the model may know of one utterance; None is a masked modality.

    Attributes:
        speaker: who spoke; only equality with the neighbours' speakers is used.
        acoustic: (47,) float32 eGeMAPS statistics in standard deviations from the speaker's mean.
        text: the raw transcript; "" is masked too.
    """

    speaker: str
    acoustic: NDArray[np.float32] | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """One encoded utterance: a value without autograd, of use to this model only.

    Attributes:
        fused: (E,) vector of the utterance.
        without: for each present modality, the (E,) vector with that modality masked.
    """

    speaker: str
    fused: Tensor
    without: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class ForwardState:
    """The forward LSTM after some utterance.

    Attributes:
        hidden, cell: (M H,) of all M members in a row.
        speaker: who spoke that utterance; None before the first.
        without: for each modality present in that utterance, what ``hidden`` would be (M H,) had
            it been masked there.
        memory: what the next utterance remembers of those before it.
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
        dimensional: scale -> (mean on 1..5, (3,) probabilities of low, mid, high). A mean below
            2.25 is low, below 3.75 mid: for one annotator's ratings these are the levels
            {1, 1.5, 2}, {2.5, 3, 3.5}, {4, 4.5, 5} of Wöllmer et al. 2010.
        clusters: how many clusters, such as ``3`` -> their probabilities, where the model tells
            them.
        influence: present modality -> total variation distance (0..1) between ``categorical``
            and what it is when this utterance's share of that modality is masked.
    """

    categorical: NDArray[np.float32]
    dimensional: Mapping[str, tuple[float, NDArray[np.float32]]]
    clusters: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    influence: Mapping[str, float] = field(default_factory=dict)


_Slot = tuple[ForwardState, Encoded, ForwardState]
"""An utterance of an open window: the state before it, the utterance, the state after it."""
