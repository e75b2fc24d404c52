"""An SQLite file that holds a journal: transactions, and what can go wrong with a disk.

Knows: write-ahead mode, who may open the file, and how SQLite's errors read in plain words.
Refuses to know: what is kept in it (``journal``, and others that make tables).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from affectstream.errors import AffectstreamError

_META = "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"


class JournalError(AffectstreamError):
    """A journal cannot be used; one sentence with a remedy."""


class JournalDatabase:
    """A file with tables, of which one process at a time has the use.

    There is always an open transaction; ``commit`` ends it and begins the next.

    Args:
        path: the file; made if need be, with two more beside it while it is in use.
        tables: SQL that makes the tables that are missing.

    Attributes:
        before_commit: called before every commit, to write what was put off until then.

    Raises (also from every method):
        JournalError: it cannot be opened or written, is damaged, or is in use.
    """

    def __init__(self, path: Path, tables: str) -> None:
        self.path = path
        self.before_commit: Callable[[], None] = lambda: None
        with self._explained("opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # it holds what people said
            self._database = sqlite3.connect(path, timeout=1.0, isolation_level=None)
        try:
            self._open(tables)
        except BaseException:
            self._database.close()
            raise

    def _open(self, tables: str) -> None:
        with self._explained("opened"):
            # Exclusive: two nodes with one journal would publish under the same numbers.
            self.execute("PRAGMA locking_mode = EXCLUSIVE")
            tables_there = {name for (name,) in self.select("SELECT name FROM sqlite_master")}
            if tables_there and "meta" not in tables_there:
                raise JournalError(
                    f"{self.path} is a database of something else; choose another --journal"
                )
            self.execute("PRAGMA journal_mode = WAL")
            self.execute("PRAGMA synchronous = NORMAL")
            self.execute("BEGIN IMMEDIATE")
            damage = next(self.select("PRAGMA quick_check(1)"))[0]
            if damage != "ok":
                raise sqlite3.DatabaseError(str(damage).splitlines()[-1])
            self.make_tables(_META + tables)

    def execute(self, statement: str, *values: object) -> None:
        """Run one statement within the open transaction."""
        with self._explained("written"):
            self._database.execute(statement, values)

    def select(self, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query."""
        with self._explained("read"):
            yield from self._database.execute(statement, values)

    def make_tables(self, statements: str) -> None:
        """Make the tables that are missing; ``statements`` is SQL."""
        for statement in filter(str.strip, statements.split(";")):
            self.execute(statement)

    def meta(self, name: str, default: int | str) -> Any:
        """Return the value that is kept under a name; where there is none, ``default`` is kept."""
        self.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", name, default)
        return next(self.select("SELECT value FROM meta WHERE name = ?", name))[0]

    def commit(self) -> None:
        """Put all that was written into the file for good, and begin a new transaction."""
        self.before_commit()
        with self._explained("written"):
            self._database.execute("COMMIT")
            self._database.execute("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Commit, and let go of the file."""
        try:
            self.commit()
        finally:
            self._database.close()

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        """Raise SQLite's and the system's errors in plain words; ``done`` is what was tried."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise JournalError(_explain(self.path, done, error)) from error
        except OSError as error:
            raise JournalError(
                f"the journal {self.path} cannot be {done} ({error.strerror}); choose another "
                "--journal"
            ) from error


def _explain(path: Path, done: str, error: sqlite3.DatabaseError) -> str:
    """Say what is wrong with a journal, and what to do."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"the journal {path} is in use by another process; stop it, or choose another"
    if primary == sqlite3.SQLITE_FULL:
        return (
            f"the journal {path} cannot be {done}: the disk is full; free some space and start "
            "again: what was published is kept, what was not is asked for again"
        )
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return f"the journal {path} cannot be {done} ({error}); choose a folder that can be written"
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, None):
        return damaged(path, error)
    return f"the journal {path} cannot be {done} ({error}); see to the disk and start again"


def damaged(path: Path, why: object) -> str:
    """Say that a journal cannot be read, and what to do."""
    return (
        f"the journal {path} is damaged ({why}); move it away to begin anew, or put a copy in its "
        "place"
    )
