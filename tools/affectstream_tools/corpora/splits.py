"""Which dialogues are learned from and which are scored, by session and by scenario."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from affectstream.corpus.dialogues import CorpusDialogue

_FEW = 3


@dataclass(frozen=True, slots=True)
class Split:
    """Dialogues to learn from and dialogues to score; no dialogue is in both."""

    name: str
    train: tuple[CorpusDialogue, ...]
    test: tuple[CorpusDialogue, ...]


def of_sessions(
    dialogues: Sequence[CorpusDialogue], sessions: Collection[int]
) -> tuple[CorpusDialogue, ...]:
    """Return the dialogues of some sessions.

    Raises:
        ValueError: one of the sessions has no dialogue.
    """
    known = {dialogue.session for dialogue in dialogues}
    missing = sorted(set(sessions) - known)
    if missing:
        raise ValueError(f"no dialogue of session {missing}; the corpus has {sorted(known)}")
    return tuple(dialogue for dialogue in dialogues if dialogue.session in sessions)


def hold_out_session(dialogues: Sequence[CorpusDialogue], session: int) -> Split:
    """Return the split that scores one session: its speakers are unseen, its scenarios are not."""
    test = of_sessions(dialogues, {session})
    train = tuple(dialogue for dialogue in dialogues if dialogue.session != session)
    return Split(f"session {session}", train, test)


def leave_one_session_out(dialogues: Sequence[CorpusDialogue]) -> Iterator[Split]:
    """Yield the split of each session in turn."""
    for session in sorted({dialogue.session for dialogue in dialogues}):
        yield hold_out_session(dialogues, session)


def hold_out_scenarios(
    dialogues: Sequence[CorpusDialogue], session: int, scenarios: Collection[str]
) -> Split:
    """Return the split that scores some scenarios of a session, and learns from neither.

    Scripts and improvisation scenarios recur in every session, so that a model that has seen a
    test scenario can recognise it by its words alone.
    """
    test = tuple(d for d in dialogues if d.session == session and d.scenario in scenarios)
    train = tuple(d for d in dialogues if d.session != session and d.scenario not in scenarios)
    return Split(f"session {session}, {' '.join(sorted(scenarios))}", train, test)


def few_dialogues(dialogues: Sequence[CorpusDialogue]) -> list[CorpusDialogue]:
    """Return three dialogues of each session, for trials and tests."""
    chosen: list[CorpusDialogue] = []
    for session in sorted({d.session for d in dialogues}):
        own = [d for d in dialogues if d.session == session]
        chosen += own[:: max(1, len(own) // _FEW)][:_FEW]
    return chosen
