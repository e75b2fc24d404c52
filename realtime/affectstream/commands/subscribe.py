"""`affectstream subscribe`: emotion events, readable or as JSON lines.

Knows: how events are printed. Refuses to know: where they come from (``client``).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from affectstream.bus import Endpoint
from affectstream.client import Subscriber
from affectstream.run.processes import stop_when_told
from affectstream.show.event_file import EventFile
from affectstream.show.wording import NOTICE, event_line


def file_events(address: str | Endpoint, session: str | None, path: Path) -> None:
    """Append events to a file until Ctrl-C; what it holds already says where to go on.

    Raises:
        BusError: ``address`` is not an address, or the hub refuses us.
        UsageError: the file cannot be written, or is of something else.
    """
    with stop_when_told() as stopping, EventFile(path) as file:
        with Subscriber(address, session, positions=file.positions) as subscriber:
            while not stopping():
                event = subscriber.receive(timeout_s=0.2)
                if event is not None:
                    file.append(event)


def print_events(
    address: str | Endpoint, session: str | None, json_lines: bool, since: int | None = None
) -> None:
    """Print events until Ctrl-C; with ``json_lines`` each is one line of JSON.

    Args:
        address, session, since: see ``Subscriber``.
        json_lines: one line of JSON each.

    Raises:
        BusError: ``address`` is not an address, or the hub refuses us.
        UsageError: ``since`` without a session.
    """
    with stop_when_told() as stopping, Subscriber(address, session, since=since) as subscriber:
        if not json_lines:
            sys.stderr.write(f"{NOTICE}\n")
        while not stopping():
            event = subscriber.receive(timeout_s=0.2)
            if event is None:
                continue
            words = msgspec.json.encode(event).decode() if json_lines else event_line(event)
            if words is not None and not _say(words):
                return


def _say(words: str) -> bool:
    """Print a line; return whether there is still somebody who reads, which is no error."""
    try:
        sys.stdout.write(f"{words}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        say_no_more()
        return False
    return True


def say_no_more() -> None:
    """Send standard output nowhere: its reader has gone, and Python flushes it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
