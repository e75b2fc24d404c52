"""What a live stream does to utterances, done to a corpus before it is learned from.

A recogniser makes mistakes in words; rooms and microphones change the sound; some speakers have
been heard before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from affectstream.core.dialogue.normalisation import NOBODY, SpeakerNormaliser, Speakers
from affectstream_models.text.sentence_encoder import as_heard

UtteranceRows = NDArray[np.float32]

_MOST_HEARD = 60


def as_recognised(
    text: str, words: Sequence[str], rng: np.random.Generator, *, drop: float, substitute: float
) -> str:
    """Return a text as a recogniser writes it: no case, punctuation or marks, some words wrong.

    Args:
        words: what a substituted word may become.
        drop, substitute: chances per word.
    """
    kept = []
    for word in as_heard(text).split():
        chance = rng.random()
        if chance < drop:
            continue
        swapped = chance < drop + substitute
        kept.append(words[int(rng.integers(len(words)))] if swapped else word)
    return " ".join(kept)


def normalised(
    statistics: Sequence[UtteranceRows | None],
    speakers: Sequence[str],
    normaliser: SpeakerNormaliser,
    known: Speakers = NOBODY,
) -> list[UtteranceRows | None]:
    """Normalise the statistics (47,) of a dialogue as the stream does it; None stays None."""
    rows: list[UtteranceRows | None] = []
    for one, speaker in zip(statistics, speakers, strict=True):
        if one is None:
            rows.append(None)
            continue
        row, known = normaliser.carry(known, speaker, one)
        rows.append(row)
    return rows


def in_another_room(
    statistics: Sequence[UtteranceRows | None],
    speakers: Sequence[str],
    sd: UtteranceRows,
    rng: np.random.Generator,
    strength: float,
) -> list[UtteranceRows | None]:
    """Shift statistics by a random room and microphone, and half as far by each speaker.

    Args:
        sd: (47,), the population's standard deviations.
        strength: the standard deviation of the room's shift, in those of the population.
    """
    room = rng.normal(0, strength, len(sd))
    shifts = {name: room + rng.normal(0, strength / 2, len(sd)) for name in sorted(set(speakers))}
    return [
        None if one is None else (one + shifts[speaker] * sd).astype(np.float32)
        for one, speaker in zip(statistics, speakers, strict=True)
    ]


def heard_before(
    speakers: Sequence[str],
    recordings: Mapping[str, Sequence[UtteranceRows]],
    normaliser: SpeakerNormaliser,
    rng: np.random.Generator,
) -> Speakers:
    """Return speakers who have said 1 to 60 utterances, drawn from their recordings."""
    known = NOBODY
    for speaker in sorted(set(speakers)):
        said = recordings[speaker]
        count = int(np.exp(rng.uniform(0, np.log(_MOST_HEARD))))
        for place in rng.integers(0, len(said), count):
            _, known = normaliser.carry(known, speaker, said[place])
    return known
