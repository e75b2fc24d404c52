"""What was read of each outlet is kept for as long as somebody may ask, and no longer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from affectstream.bus.journal import Journal
from affectstream.fusion import dialogue_journal
from affectstream.fusion.dialogue_journal import DialogueJournal
from fakes import progress

TOPIC = progress(0).topic


@contextmanager
def taken_up(path: Path) -> Iterator[tuple[Journal, DialogueJournal, dict[int, dict[str, int]]]]:
    """The journal as a node takes it up, and what was read according to it."""
    journal = Journal(path)
    try:
        dialogues = DialogueJournal(journal)
        yield journal, dialogues, dialogues.positions()
    finally:
        journal.close()


def read(dialogues: DialogueJournal, epoch: int, seq: int) -> None:
    dialogues.had(msgspec.structs.replace(progress(0), epoch=epoch, seq=seq))


def test_an_outlet_that_is_read_no_more_is_forgotten_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialogue_journal, "_MAX_HAD", 3)
    path = tmp_path / "journal"
    with taken_up(path) as (journal, dialogues, positions):
        assert positions == {}
        read(dialogues, 1, 0)
        journal.commit()
        for seq in range(3):
            read(dialogues, 2, seq)
            journal.commit()
    with taken_up(path) as (journal, dialogues, positions):  # three commits after it was read
        assert positions == {1: {TOPIC: 1}, 2: {TOPIC: 3}}
        assert list(journal.select("SELECT epoch FROM had ORDER BY epoch")) == [(1,), (2,)]
        read(dialogues, 2, 3)
        journal.commit()
    with taken_up(path) as (journal, _, positions):  # and four
        assert list(journal.select("SELECT epoch FROM had")) == [(2,)]
    with taken_up(path) as (_, _, positions):
        assert positions == {2: {TOPIC: 4}}


def test_of_too_many_outlets_those_read_last_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialogue_journal, "MAX_OUTLETS", 2)
    path = tmp_path / "journal"
    with taken_up(path) as (journal, dialogues, _):
        for epoch in (1, 2, 3, 1):
            read(dialogues, epoch, 0)
            journal.commit()
    with taken_up(path) as (_, _, positions):
        assert sorted(positions) == [1, 3]
