"""Statistics of utterances in standard deviations from their speaker's mean."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from affectstream.corpus.dialogues import CorpusDialogue, CorpusError

_LIMIT = 4.0


def standardise_columns(rows: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """Bring each column of (n, d) to mean 0 and deviation 1, clipped to ``limit`` deviations.

    Means and deviations are of the finite values. What is not finite becomes 0, as does a column
    that does not vary.
    """
    known = np.isfinite(rows)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, rows, 0.0).sum(axis=0) / count
    centred = np.where(known, rows - mean, 0.0)
    deviation = np.sqrt(np.square(centred).sum(axis=0) / count)
    scaled = centred / np.where(deviation > 1e-9, deviation, 1.0)
    return np.clip(scaled, -limit, limit)


def speaker_normalised(
    dialogues: Sequence[CorpusDialogue],
    statistics: Mapping[str, NDArray[np.floating] | None],
) -> dict[str, NDArray[np.float64]]:
    """Standardise statistics (d,) by utterance within each speaker, clipped to 4 deviations.

    Raises:
        CorpusError: no utterance has any.
    """
    by_speaker: dict[str, list[str]] = defaultdict(list)
    for dialogue in dialogues:
        for utterance in dialogue.utterances:
            by_speaker[utterance.speaker].append(utterance.id)
    width = max((len(one) for one in statistics.values() if one is not None), default=0)
    if not width:
        raise CorpusError("no utterance has statistics; choose a corpus that has them")
    missing = np.full(width, np.nan)
    found: dict[str, NDArray[np.float64]] = {}
    for ids in by_speaker.values():
        given = [statistics.get(id) for id in ids]
        rows = np.stack([missing if one is None else one for one in given]).astype(np.float64)
        found |= zip(ids, standardise_columns(rows, _LIMIT), strict=True)
    return found
