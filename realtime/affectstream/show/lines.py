"""Lines on the way to a terminal or a log; pictures go by ``console``.

Knows: that strangers' words must stay on one line and command no terminal (``errors.printable``).
Refuses to know: what is printed.
"""

from __future__ import annotations

import logging
import os
import re
import sys

from affectstream.errors import brief, printable

_MAX_RECORD = 2_000
"""Characters of one record of a log."""
_UNPRINTED = re.compile(r"[^\x20-\x7e]")


class PrintableFormatter(logging.Formatter):
    """Makes one printable line of every record of a log, whatever is in it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, without its end."""
        return brief(super().format(record), _MAX_RECORD)


def print_line(words: str, *, to_error: bool = False) -> None:
    """Print one line.

    Raises:
        BrokenPipeError: its reader has gone.
    """
    stream = sys.stderr if to_error else sys.stdout
    stream.write(f"{printable(words)}\n")
    stream.flush()


def print_json(value: object) -> None:
    """Print a value as one line of JSON, in which what cannot be printed is escaped.

    Raises:
        BrokenPipeError: its reader has gone.
    """
    import msgspec  # not at the top: help is shown without it

    line = msgspec.json.encode(value).decode()
    sys.stdout.write(f"{_UNPRINTED.sub(_escaped, line)}\n")
    sys.stdout.flush()


def drop_output() -> None:
    """Send what is still to be printed nowhere, where the reader has gone: Python tries at its end.

    Standard output, standard error, or both.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _escaped(match: re.Match[str]) -> str:
    """Return a character as JSON may write it."""
    character = match[0]
    if character.isprintable():
        return character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
