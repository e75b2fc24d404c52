"""A file of events, one JSON line each, to which a later run appends without repeats or holes.

Knows: JSON lines, and how the last events in the file say where to go on.
Refuses to know: where events come from, and what they mean.

A process that is killed may leave half a line. It is cut off when the file is opened again, and the
event is asked for again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec

from affectstream.errors import UsageError
from affectstream.messages import Message


class _Line(msgspec.Struct):
    """The fields of an event that give its place among the messages of its topic."""

    kind: str
    session: str
    source: str
    epoch: int = 0
    seq: int = 0


class EventFile:
    """A file to append events to; it may hold earlier ones.

    Attributes:
        positions: where to go on: epoch -> topic -> the first ``seq`` that the file lacks.

    Raises:
        UsageError: the file cannot be written, or holds lines that are not events.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.positions: dict[int, dict[str, int]] = {}
        try:
            end = self._read()
            self._file = path.open("ab", buffering=0)  # a killed process leaves nothing in a buffer
            self._file.truncate(end)
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written ({error.strerror}); choose another file"
            ) from error

    def _read(self) -> int:
        """Fill ``positions``; return the offset of the end of the last whole line."""
        end = 0
        if not self.path.exists():
            return end
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    break
                try:
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
            UsageError: it cannot be written, for example because the disk is full.
        """
        line = msgspec.json.encode(event) + b"\n"
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            raise UsageError(
                f"{self.path} cannot be written ({error.strerror}); free some space and start "
                "again, which goes on after the last whole line"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
