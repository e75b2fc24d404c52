"""Events in a file, each once, whoever is killed.

Knows: JSON lines, and that what the file holds says where to go on.
Refuses to know: where events come from, and what they mean.

A line is written whole or not at all as far as a later reader is concerned: what was cut short is
cut off when the file is opened again, and its event is asked for again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec

from affectstream.errors import UsageError
from affectstream.messages import Message


class _Line(msgspec.Struct):
    """What a line says of its place among the messages of its topic."""

    kind: str
    session: str
    source: str
    epoch: int = 0
    seq: int = 0


class EventFile:
    """A file of events that is gone on with.

    Attributes:
        positions: where to go on: epoch -> topic -> the first number that the file has not.

    Raises:
        UsageError: the file cannot be written, or holds other lines.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.positions: dict[int, dict[str, int]] = {}
        try:
            end = self._read()
            self._file = path.open("ab", buffering=0)  # nothing is left to be written at the end
            self._file.truncate(end)
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written ({error.strerror}); choose another file"
            ) from error

    def _read(self) -> int:
        """Note the positions; return where the last whole line ends."""
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
            UsageError: it cannot be written, as where the disk is full.
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
