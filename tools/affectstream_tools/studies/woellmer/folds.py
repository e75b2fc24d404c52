"""The folds of Woellmer et al. (2010): what is learned from, what chooses, what is scored.

Their folds leave one speaker out; the partner stays in training, with the same dialogues' words
and moods. Nothing that the held-out speaker said is in the training part, not even as context
without a label. In the test part both speakers' utterances are context, and only the held-out
speaker's are scored. Session folds hold out both speakers. The scenario protocol holds out a
quarter of one session's scenarios at a time, and learns from no dialogue of that session or of
these scenarios.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from affectstream.corpus.dialogues import CorpusDialogue
from affectstream_tools.corpora.splits import (
    Split,
    hold_out_scenarios,
    hold_out_session,
    of_sessions,
)

_PROTOCOLS = ("speaker", "session", "scenario")
_SCENARIO_GROUPS = 4
_DEVELOPMENT = 10  # one in so many of the training dialogues


@dataclass(frozen=True, slots=True)
class Fold:
    """What one training may learn from, choose by and be scored on.

    Attributes:
        name: such as ``Ses01F`` or ``session 5``.
        development: one in ten of the training dialogues, drawn; it chooses epochs and weights.
        scored: the speaker whose utterances of ``test`` are scored; None scores all.
    """

    name: str
    learned: tuple[CorpusDialogue, ...]
    development: tuple[CorpusDialogue, ...]
    test: tuple[CorpusDialogue, ...]
    scored: str | None = None


def fold_names(dialogues: Sequence[CorpusDialogue], protocol: str) -> list[str]:
    """Return what is held out in turn: speakers, or sessions.

    Raises:
        ValueError: there is no such protocol.
    """
    if protocol not in _PROTOCOLS:
        raise ValueError(f"no protocol {protocol!r}; there are {', '.join(_PROTOCOLS)}")
    if protocol == "speaker":
        return sorted({said.speaker for dialogue in dialogues for said in dialogue.utterances})
    return [f"session {session}" for session in sorted({d.session for d in dialogues})]


def folds_of(
    dialogues: Sequence[CorpusDialogue], protocol: str, name: str, seed: int
) -> Iterator[Fold]:
    """Yield the one fold of a speaker or session, or the four of a session's scenarios.

    Raises:
        ValueError: nothing has that name, or nothing is left to learn from.
    """
    if name not in fold_names(dialogues, protocol):
        raise ValueError(f"the corpus has no {name}; it has {fold_names(dialogues, protocol)}")
    if protocol == "speaker":
        yield _fold(_hold_out_speaker(dialogues, name), seed, name)
        return
    session = int(name.removeprefix("session "))
    if protocol == "session":
        yield _fold(hold_out_session(dialogues, session), seed)
        return
    scenarios = sorted({d.scenario for d in of_sessions(dialogues, {session})})
    for group in range(min(_SCENARIO_GROUPS, len(scenarios))):
        chosen = scenarios[group::_SCENARIO_GROUPS]
        yield _fold(hold_out_scenarios(dialogues, session, chosen), seed)


def _hold_out_speaker(dialogues: Sequence[CorpusDialogue], speaker: str) -> Split:
    test = tuple(d for d in dialogues if any(u.speaker == speaker for u in d.utterances))
    partners = (
        replace(d, utterances=tuple(u for u in d.utterances if u.speaker != speaker)) for d in test
    )
    others = tuple(d for d in dialogues if d not in test)
    return Split(speaker, (*others, *(d for d in partners if d.utterances)), test)


def _fold(split: Split, seed: int, scored: str | None = None) -> Fold:
    train = split.train
    if len(train) < 2:
        raise ValueError(f"{split.name}: {len(train)} dialogues are left to learn from, not two")
    order = np.random.default_rng(seed).permutation(len(train))
    drawn = set(order[: max(1, len(train) // _DEVELOPMENT)].tolist())
    learned = tuple(d for place, d in enumerate(train) if place not in drawn)
    development = tuple(train[place] for place in sorted(drawn))
    return Fold(split.name, learned, development, split.test, scored)
