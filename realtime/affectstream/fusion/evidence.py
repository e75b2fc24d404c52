"""What the models read of an utterance.

Knows: which front ends, of which widths, and that frames are read as their statistics over the
utterance.
Refuses to know: how a front end computes (``features``), and which model it is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from affectstream.core.dialogue.aligned import AlignedUtterance
from affectstream.features.egemaps.front_end import EGEMAPS_COLUMNS
from affectstream.features.egemaps.front_end import FRONT_END as FRAMES
from affectstream.features.egemaps.statistics import UTTERANCE_STATISTICS, utterance_statistics
from affectstream.messages import Acoustic, Observation

ACOUSTIC_MODALITY = "acoustic"
FRAMES_AS_STATISTICS = ACOUSTIC_MODALITY
"""The kind of frames that is read as its statistics."""
WHOLE = "egemaps47"
UNREADABLE = (
    f"the model reads one row of {len(UTTERANCE_STATISTICS)} values of {WHOLE} as "
    f"{ACOUSTIC_MODALITY}, or frames of {len(EGEMAPS_COLUMNS)} values of {FRAMES}"
)


def readable(message: Observation | Acoustic) -> bool:
    """Return whether the models can read it."""
    if isinstance(message, Acoustic):
        return (message.front_end, message.columns) == (FRAMES, len(EGEMAPS_COLUMNS))
    expected = (ACOUSTIC_MODALITY, WHOLE, len(UTTERANCE_STATISTICS))
    return message.rows == 1 and expected == (message.modality, message.front_end, message.columns)


def claims_to_be_read(message: Observation | Acoustic) -> bool:
    """Return whether it was meant for the models, so that it is lost if they cannot read it.

    Frames of other front ends are meant for others.
    """
    return isinstance(message, Observation) or message.front_end == FRAMES


def evidence_of(utterance: AlignedUtterance, frames: Collection[str]) -> AlignedUtterance:
    """Return the utterance as the models read it.

    Acoustic frames (n, 24) become one observation (47,), unless there is one already, as in a
    corpus.

    Args:
        frames: the modalities whose frames are kept.
    """
    observations = utterance.observations
    rows = utterance.frames.get(ACOUSTIC_MODALITY)
    if rows is not None and ACOUSTIC_MODALITY not in observations:
        observations = {**observations, ACOUSTIC_MODALITY: utterance_statistics(rows)}
    kept = {name: cut for name, cut in utterance.frames.items() if name in frames}
    return replace(utterance, observations=observations, frames=kept)
