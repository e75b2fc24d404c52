"""A file of events, one JSON line each, to which a later run appends without repeats or holes.

Knows: JSON lines, and how the last events in the file say where to go on.
Refuses to know: where events come from, and what they mean.

A process that is killed may leave half a line. It is cut off when the file is opened again, and the
event is asked for again. Nothing else is ever cut: a file that holds anything but events is refused
and left as it is.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, Literal, Self

import msgspec

from affectstream.errors import UsageError
from affectstream.messages import Message

_MAX_LINE = 4 * 1024 * 1024
"""Bytes of a line. Events are far shorter, but some other file may be one very long line."""

_BEGINS = b'{"kind":"'  # how every line begins that this program wrote


class _Line(msgspec.Struct):
    """The fields of an event that give its place among the messages of its topic."""

    kind: Literal["emotion", "gap", "stream.closed"]
    session: str
    source: str
    epoch: int = 0
    seq: int = 0


class EventFile:
    """A file to append events to; it may hold earlier ones.

    Attributes:
        positions: where to go on: epoch -> topic -> the first ``seq`` that the file lacks.

    Raises:
        UsageError: the file cannot be written, holds lines that are not events, or is written by
            another process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.positions: dict[int, dict[str, int]] = {}
        try:
            if path.exists() and not path.is_file():
                raise UsageError(f"{path} cannot be written (no file); choose another file")
            with ExitStack() as opened:
                # Unbuffered: a killed process leaves nothing in a buffer.
                self._file = opened.enter_context(path.open("ab", buffering=0))
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._end = self._read()
                self._file.truncate(self._end)
                opened.pop_all()
        except BlockingIOError as error:
            raise UsageError(
                f"another process writes events to {path} already; stop it, or choose another file"
            ) from error
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written ({error.strerror}); choose another file"
            ) from error

    def _read(self) -> int:
        """Fill ``positions``; return the offset of the end of the last whole line."""
        with self.path.open("rb") as lines:
            return self._read_lines(lines)

    def _read_lines(self, lines: BinaryIO) -> int:
        end = 0
        for number, line in enumerate(iter(lambda: lines.readline(_MAX_LINE), b""), 1):
            broken = not line.endswith(b"\n")
            if broken and end and (line.startswith(_BEGINS) or _BEGINS.startswith(line)):
                break
            try:
                if broken:
                    raise msgspec.DecodeError("it has no end")
                self._note(msgspec.json.decode(line, type=_Line))
            except msgspec.DecodeError as error:
                raise UsageError(
                    f"line {number} of {self.path} is no event ({error}); choose another file"
                ) from error
            end += len(line)
        return end

    def _note(self, line: _Line) -> None:
        if line.epoch:
            topics = self.positions.setdefault(line.epoch, {})
            topic = f"{line.kind}/{line.session}/{line.source}"
            topics[topic] = max(line.seq + 1, topics.get(topic, 0))

    def append(self, event: Message) -> None:
        """Write an event.

        Raises:
            UsageError: it cannot be written, for example because the disk is full, or the file was
                deleted.
        """
        if os.fstat(self._file.fileno()).st_nlink == 0:
            raise UsageError(
                f"{self.path} was deleted while events were written to it; start again, which "
                "begins a new one"
            )
        line = rest = msgspec.json.encode(event) + b"\n"
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            with suppress(OSError):  # if this fails, the half line is cut off at the next start
                self._file.truncate(self._end)
            raise UsageError(
                f"{self.path} cannot be written ({error.strerror}); free some space and start "
                "again, which goes on after the last whole line"
            ) from error
        self._end += len(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
