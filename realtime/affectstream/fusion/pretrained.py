"""A checkpoint as the core wants a model.

Knows: the networks of ``affectstream_models`` and what they are given of an utterance.
Refuses to know: dialogues, streams, and how a network computes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectstream.core.dialogue.aligned import AlignedUtterance
from affectstream.core.dialogue.normalisation import SpeakerNormaliser
from affectstream.errors import UsageError
from affectstream.messages import ModelIdentity

if TYPE_CHECKING:
    from affectstream_models.context.model import StreamingContextModel as Network


DEFAULT = "live"
"""The shipped checkpoint for conversations of strangers; ``replay`` is for IEMOCAP's own."""


class PretrainedModel:
    """A checkpoint as the core wants it.

    Args:
        chosen: a shipped checkpoint's name, a safetensors file, or a network that is loaded.

    Raises:
        UsageError: there is no such checkpoint, or it is not one.
    """

    frame_modalities: frozenset[str] = frozenset()

    def __init__(self, chosen: Path | str | Network = DEFAULT) -> None:
        # Without it the last digits depend on where in memory a matrix happens to lie.
        os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
        import torch

        from affectstream_models.context.checkpoints import (
            PRETRAINED,
            load_context_model,
            load_pretrained,
        )
        from affectstream_models.tensor_file import CheckpointError

        torch.set_num_threads(1)  # a dialogue's step is too small to share out
        try:
            if not isinstance(chosen, Path | str):
                self._network: Network = chosen
            elif str(chosen) in PRETRAINED:
                self._network = load_pretrained(str(chosen))
            else:
                self._network = load_context_model(chosen)
        except (CheckpointError, OSError) as error:
            raise UsageError(str(error)) from error
        self.look_ahead = self._network.look_ahead
        self.identity = ModelIdentity(id=self._network.id, sha256=self._network.sha256)
        self.sure_above = self._network.sure_above
        self.normaliser = SpeakerNormaliser(
            self._network.acoustic_mean, self._network.acoustic_sd, self._network.speaker_prior
        )

    @property
    def network(self) -> Network:
        """The network itself, for what is not a stream."""
        return self._network

    def initial_state(self) -> Any:
        """Return the forward state before a dialogue's first utterance."""
        return self._network.initial_state()

    def encode(self, utterances: Sequence[AlignedUtterance]) -> Sequence[Any]:
        """Return each utterance encoded on its own."""
        from affectstream_models.context.values import UtteranceInputs

        return self._network.encode(
            [
                UtteranceInputs(
                    speaker=utterance.speaker,
                    acoustic=utterance.observations.get("acoustic"),
                    text=utterance.text,
                )
                for utterance in utterances
            ]
        )

    def advance(
        self, states: Sequence[Any], chains: Sequence[Sequence[Any]]
    ) -> Sequence[Sequence[Any]]:
        """Return the forward states after each encoded utterance of each chain."""
        return self._network.advance(states, chains)

    def estimate(self, windows: Sequence[Sequence[tuple[Any, Any, Any]]]) -> Any:
        """Return an estimate for each (state before, encoded, state after) of each window."""
        return self._network.estimate(windows)

    def pack(self, value: Any) -> bytes:
        """Return a state, an encoded utterance or an estimate as bytes."""
        from affectstream_models.context.serialization import pack_value

        return pack_value(value)

    def unpack(self, packed: bytes) -> Any:
        """Return the value that ``pack`` was given.

        Raises:
            ValueError: the bytes are none of the model's values.
        """
        from affectstream_models.context.serialization import unpack_value

        return unpack_value(packed)
