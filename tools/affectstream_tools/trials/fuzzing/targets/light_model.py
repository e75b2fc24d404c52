"""A context model that costs next to nothing, so that the node around it is what is tried.

It answers with hashes of all that it has seen: one wrong byte of context, evidence or order
gives another estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectstream.core.dialogue.aligned import AlignedUtterance
from affectstream.core.dialogue.normalisation import SpeakerNormaliser
from affectstream.messages import ModelIdentity


@dataclass(frozen=True, slots=True)
class LightEstimate:
    """Probabilities made of a hash."""

    categorical: NDArray[np.float32]
    dimensional: Mapping[str, tuple[float, NDArray[np.float32]]]
    clusters: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    influence: Mapping[str, float] = field(default_factory=dict)


class LightModel:
    """A model whose states and encoded utterances are hashes."""

    identity = ModelIdentity(id="light", sha256="0" * 64)
    frame_modalities = frozenset({"mocap"})
    sure_above = 0.0

    def __init__(self) -> None:
        self.normaliser = SpeakerNormaliser(np.full(47, 0.5), np.full(47, 0.3), 2.0)

    def initial_state(self) -> bytes:
        """Return the state before anything was said."""
        return b""

    def encode(self, utterances: Sequence[AlignedUtterance]) -> Sequence[bytes]:
        """Return a digest of each utterance."""
        return [_encode(utterance) for utterance in utterances]

    def advance(
        self, states: Sequence[bytes], chains: Sequence[Sequence[bytes]]
    ) -> Sequence[Sequence[bytes]]:
        """Return the states after each utterance of each chain."""
        found = []
        for state, chain in zip(states, chains, strict=True):
            along = []
            for encoded in chain:
                state = _digest(state, encoded)
                along.append(state)
            found.append(along)
        return found

    def estimate(
        self, windows: Sequence[Sequence[tuple[Any, Any, Any]]]
    ) -> Sequence[Sequence[LightEstimate]]:
        """Return an estimate for each place of each window, of all before and after it."""
        found = []
        for window in windows:
            backward, estimates = b"", []
            for before, encoded, after in reversed(window):
                backward = _digest(backward, encoded)
                estimates.append(_estimate(_digest(before, after, backward)))
            found.append(estimates[::-1])
        return found


def _encode(utterance: AlignedUtterance) -> bytes:
    parts = [repr((utterance.id, utterance.speaker, utterance.text)).encode()]
    for values in (utterance.observations, utterance.frames):
        parts += [
            part for name in sorted(values) for part in (name.encode(), values[name].tobytes())
        ]
    return _digest(*parts)


def _digest(*parts: bytes) -> bytes:
    return blake2b(b"/".join(parts), digest_size=32).digest()


def _estimate(digest: bytes) -> LightEstimate:
    raw = np.frombuffer(digest, "<u4")[:8].astype(np.float64) + 1.0
    categorical = (raw[:4] / raw[:4].sum()).astype(np.float32)
    levels = (raw[4:7] / raw[4:7].sum()).astype(np.float32)
    return LightEstimate(categorical, {"valence": (1 + 4 * raw[7] / 2.0**32, levels)})
