"""Which utterances are learned from, which choose the epoch, and which are scored.

The protocols are those of Tripathi and Beigi (2018), and one for actors who read single sentences.
The paper tells of a random 20 %, and of session 5 for the combined networks. For the former, its
code takes the last fifth of the utterances in the order of their names: 988 of the 1,098 of session
5, while the other 110 are learned from. That is ``last 20 %`` here. A fifth drawn at random, which
has the same speakers and the same dialogues on both sides, is ``random 20 %``. They trained on all
the rest; here a tenth of it chooses the epoch, in whole dialogues where the protocol does not mix
them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from affectstream_tools.studies.tripathi.training import PartIndices, Parts

RANDOM, LAST, SESSION, ACTORS = "random 20 %", "last 20 %", "session 5", "actors (16, 4, 4)"
TRIPATHI_PROTOCOLS = (RANDOM, LAST, SESSION, ACTORS)
_TEST_SHARE, _DEVELOPMENT_SHARE, _SESSION = 0.2, 0.1, 5
_ACTORS = 4


def parts_of(
    protocol: str,
    seed: int,
    *,
    ids: Sequence[str],
    dialogues: Sequence[str],
    sessions: NDArray[np.int64],
) -> Parts:
    """Return the parts of N utterances.

    Args:
        dialogues: the dialogue of each utterance; for single sentences, the speaker.
        sessions: the session of each utterance.

    Raises:
        ValueError: there is no such protocol, or a part would be empty.
    """
    rng = np.random.default_rng(seed)
    names = np.array(dialogues)
    if protocol == RANDOM:
        order = rng.permutation(len(ids))
        test, rest = _cut(order, _TEST_SHARE)
        development, train = _cut(rest, _DEVELOPMENT_SHARE)
    elif protocol == ACTORS:
        train, development, test = _by_actors(names, seed)
    elif protocol in (LAST, SESSION):
        test = _last(ids) if protocol == LAST else np.flatnonzero(sessions == _SESSION)
        rest = np.setdiff1d(np.arange(len(ids)), test)
        development, train = _by_dialogues(names, rest, rng)
    else:
        raise ValueError(f"no protocol {protocol!r}; there are {', '.join(TRIPATHI_PROTOCOLS)}")
    parts = Parts(np.sort(train), np.sort(development), np.sort(test))
    if not min(len(parts.train), len(parts.development), len(parts.test)):
        raise ValueError(
            f"{protocol} leaves a part of {len(ids)} utterances empty; use another protocol or "
            "more of the corpus"
        )
    return parts


def _cut(order: PartIndices, share: float) -> tuple[PartIndices, PartIndices]:
    """Return the first ``share`` of some utterances, and the others."""
    count = len(order) - int(len(order) * (1 - share))
    return order[:count], order[count:]


def _last(ids: Sequence[str]) -> PartIndices:
    """Return the last fifth in the order of the names, counted as Keras counts it."""
    order = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
    return order[int(len(ids) * (1 - _TEST_SHARE)) :]


def _by_dialogues(
    names: NDArray[np.str_], rest: PartIndices, rng: np.random.Generator
) -> tuple[PartIndices, PartIndices]:
    """Return whole dialogues, drawn until they hold the share for development, and the others."""
    drawn: list[str] = []
    for name in rng.permutation(np.unique(names[rest])):
        held = np.isin(names[rest], drawn)
        if held.sum() >= _DEVELOPMENT_SHARE * len(rest):
            break
        drawn.append(str(name))
    held = np.isin(names[rest], drawn)
    return rest[held], rest[~held]


def _by_actors(names: NDArray[np.str_], seed: int) -> tuple[PartIndices, PartIndices, PartIndices]:
    """Return the parts by actors: four are scored, the next four choose the epoch.

    The seed says which. RAVDESS numbers men and women in turn, so four in a row are two of each.
    """
    actors = np.unique(names)
    groups = np.array_split(actors, max(1, len(actors) // _ACTORS))
    scored, choosing = (groups[(seed + step) % len(groups)] for step in (0, 1))
    test, development = np.isin(names, scored), np.isin(names, choosing)
    train = np.flatnonzero(~test & ~development)
    return train, np.flatnonzero(development & ~test), np.flatnonzero(test)
