"""What a context model must offer.

Knows: its methods, and what an estimate holds.
Refuses to know: networks, weights, and how anything is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from affectstream.core.dialogue.aligned import AlignedUtterance
from affectstream.core.dialogue.normalisation import SpeakerNormaliser
from affectstream.messages import ModelIdentity

CLASSES = ("anger", "happiness", "neutral", "sadness")


class Estimate(Protocol):
    """What a model says of one utterance; see ``affectstream_models.context.model.Estimate``."""

    @property
    def categorical(self) -> NDArray[np.float32]:
        """Probabilities in the order of ``CLASSES``, shape (4,)."""

    @property
    def dimensional(self) -> Mapping[str, tuple[float, NDArray[np.float32]]]:
        """Dimension -> mean on 1..5 and probabilities of low, middle, high."""

    @property
    def clusters(self) -> Mapping[str, NDArray[np.float32]]:
        """Clustering -> probabilities."""

    @property
    def influence(self) -> Mapping[str, float]:
        """Modality present -> how far it moved ``categorical``, 0..1."""


class ContextModel(Protocol):
    """A stateful bidirectional model: weights only, every state is a value passed in and out."""

    @property
    def identity(self) -> ModelIdentity:
        """Which weights these are."""

    @property
    def normaliser(self) -> SpeakerNormaliser | None:
        """What normalises acoustic observations before ``encode``; None takes them as they are."""

    @property
    def sure_above(self) -> float:
        """The least probability of the top class with which an estimate is sure of it."""

    @property
    def frame_modalities(self) -> frozenset[str]:
        """The modalities of which ``encode`` looks at frames; others' are not kept."""

    def initial_state(self) -> Any:
        """Return the forward state before a dialogue's first utterance."""

    def encode(self, utterances: Sequence[AlignedUtterance]) -> Sequence[Any]:
        """Return each utterance encoded on its own; its acoustic observation is normalised."""

    def advance(
        self, states: Sequence[Any], chains: Sequence[Sequence[Any]]
    ) -> Sequence[Sequence[Any]]:
        """Return the forward states after each encoded utterance of each chain."""

    def estimate(
        self, windows: Sequence[Sequence[tuple[Any, Any, Any]]]
    ) -> Sequence[Sequence[Estimate]]:
        """Return an estimate for each (state before, encoded, state after) of each window."""


class JournaledModel(ContextModel, Protocol):
    """A context model whose values a journal can keep: states, encoded utterances, estimates."""

    def pack(self, value: Any) -> bytes:
        """Return one of its values as bytes."""

    def unpack(self, packed: bytes) -> Any:
        """Return the value that ``pack`` was given, equal to the last digit.

        Raises:
            ValueError: the bytes are none of this model's values.
        """
