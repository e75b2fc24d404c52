"""An SQLite file that holds a journal: transactions, and what can go wrong with a disk.

Knows: write-ahead mode, who may use the file, whether it is still in its place, and how SQLite's
errors read in plain words.
Refuses to know: what is kept in it (``journal``, and others that make tables).

SQLite locks a file, not a path: who deletes the file and makes another would be let in. So the path
is locked as well, by a lock on an empty file beside it. A process that is killed leaves that file,
without its lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from affectstream.errors import AffectstreamError

_FILE_HEADER_BYTES = 100
"""What an SQLite file begins with; its own size in pages stands there, among others."""

_META = "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"


class JournalError(AffectstreamError):
    """A journal cannot be used; one sentence with a remedy."""


class _Places(NamedTuple):
    """Which files are where those of a journal were, and what is not the same in another one.

    Attributes:
        contents: the size and the header of the opened file; both change only in a commit.
        file, log: what lies in the two places now: the file, and what is not yet in it.
    """

    contents: tuple[int, bytes]
    file: tuple[int, int] | None
    log: tuple[int, int] | None


class JournalDatabase:
    """A file with tables, of which one process at a time has the use.

    There is always an open transaction; ``commit`` ends it and begins the next. After an error
    nothing is written any more, and every further attempt says what went wrong first.

    Args:
        path: the file; made if need be, with two more beside it: what is not yet in it (while it
            is in use), and the lock.
        tables: SQL that makes the tables that are missing.

    Attributes:
        before_commit: called before every commit, to write what was put off until then.

    Raises (also from every method):
        JournalError: it cannot be opened or written, is damaged, is in use, or is no longer in its
            place.
    """

    def __init__(self, path: Path, tables: str) -> None:
        self.path = path
        self.before_commit: Callable[[], None] = lambda: None
        self._failed: JournalError | None = None  # what went wrong first
        with ExitStack() as opened, self._explained("opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            real = path.resolve()
            self._log = real.with_name(f"{real.name}-wal")
            _lock(real.with_name(f".{real.name}.lock"), path, opened)
            # Closed after SQLite's own: to close any descriptor of a file ends its locks.
            self._file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)  # it holds what people said
            opened.callback(os.close, self._file)
            self._database = sqlite3.connect(path, timeout=1.0, isolation_level=None)
            opened.callback(self._database.close)
            self._open(tables)
            self._places = self._look()
            self._opened = opened.pop_all()

    def _look(self) -> _Places:
        return _Places(
            contents=(os.fstat(self._file).st_size, os.pread(self._file, _FILE_HEADER_BYTES, 0)),
            file=_identity(self.path),
            log=_identity(self._log),
        )

    def check_in_place(self) -> None:
        """Notice that the file was deleted, moved or replaced; costs a few microseconds.

        Raises:
            JournalError: it was. All that was committed is in the file, wherever it is now, unless
                it was written over; what has taken its place is left as it is.
        """
        with self._explained("found"):
            places = self._look()
            if places == self._places:
                return
            with suppress(sqlite3.DatabaseError, OSError):
                self._database.execute("ROLLBACK")
                if places.contents == self._places.contents:
                    self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                if places.log == self._places.log:  # or SQLite would write it over another file
                    os.truncate(self._log, 0)
            raise JournalError(
                f"the journal {self.path} was deleted, moved or replaced while it was in use; "
                "start again: what is there by now is used, and if that is nothing, a new one is "
                "begun"
            )

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
        self.check_in_place()
        with self._explained("written"):
            self._database.execute("COMMIT")
            self._database.execute("BEGIN IMMEDIATE")
            self._places = self._look()

    def close(self) -> None:
        """Commit, unless something went wrong before, and let go of the file."""
        with self._opened:
            if self._failed is None:
                self.commit()

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        """Raise errors in plain words, and the first one for ever; ``done`` is what was tried."""
        if self._failed is not None:
            raise self._failed
        try:
            yield
        except JournalError as error:
            self._failed = error
            raise
        except (sqlite3.DatabaseError, OSError) as error:
            self._failed = JournalError(_explain(self.path, done, error))
            raise self._failed from error


def _lock(lock: Path, path: Path, opened: ExitStack) -> None:
    """Keep every other process from ``path`` until ``opened`` is closed."""
    while True:
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
        opened.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalError(_in_use(path)) from error
        if _is_there(descriptor, lock):  # else whoever had it has just deleted it
            opened.callback(_delete_own, descriptor, lock)
            return


def _delete_own(descriptor: int, lock: Path) -> None:
    if _is_there(descriptor, lock):
        lock.unlink()


def _is_there(descriptor: int, path: Path) -> bool:
    """Return whether an open file is the one at ``path``."""
    found = os.fstat(descriptor)
    return _identity(path) == (found.st_dev, found.st_ino)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at ``path`` from every other; None if there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _in_use(path: Path) -> str:
    return f"the journal {path} is in use by another process; stop it, or choose another"


def _full(path: Path, done: str) -> str:
    return (
        f"the journal {path} cannot be {done}: the disk is full; free some space and start "
        "again: what was published is kept, what was not is asked for again"
    )


def _explain(path: Path, done: str, error: sqlite3.DatabaseError | OSError) -> str:
    """Say what is wrong with a journal, and what to do."""
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _full(path, done)
        return f"the journal {path} cannot be {done} ({error.strerror}); choose another --journal"
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return _in_use(path)
    if primary == sqlite3.SQLITE_FULL:
        return _full(path, done)
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
