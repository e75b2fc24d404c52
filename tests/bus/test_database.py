"""A journal's file is looked through before it is used, wherever in it the damage is."""

from __future__ import annotations

from pathlib import Path

import pytest

from affectstream.bus.database import JournalDatabase, JournalError

TABLES = "CREATE TABLE IF NOT EXISTS things (name TEXT, number INTEGER, UNIQUE (name, number));"


def test_damage_where_opening_does_not_read_is_noticed_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    database = JournalDatabase(path, TABLES)
    for number in range(100):
        database.execute("INSERT INTO things VALUES (?, ?)", "thing", number)
    ((page,),) = database.select("SELECT rootpage FROM sqlite_master WHERE type = 'index'")
    ((size,),) = database.select("PRAGMA page_size")
    database.close()
    JournalDatabase(path, TABLES).close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with pytest.raises(JournalError, match=r"is damaged \(.*\); move it away to begin anew"):
        JournalDatabase(path, TABLES)
