"""`affectstream subscribe`: emotion events, readable or as JSON lines.

Knows: how events are printed. Refuses to know: where they come from (``client``).
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from affectstream.bus import Endpoint
from affectstream.client import Event, EventReader
from affectstream.run.leash import stop_when_told
from affectstream.run.loop import run_listener
from affectstream.show.event_file import EventFile
from affectstream.show.lines import drop_output, print_json, print_line
from affectstream.show.wording import NOTICE, event_line


def file_events(address: str | Endpoint, session: str | None, path: Path) -> None:
    """Append events to a file until Ctrl-C; what it holds already says where to go on.

    Raises:
        BusError: ``address`` is not an address, or the hub refuses us.
        UsageError: the file cannot be written, or is of something else.
    """
    with stop_when_told() as stopping, EventFile(path) as file:
        with closing(EventReader(address, session, positions=file.positions)) as reader:
            run_listener(reader, on_message=file.append, stopping=stopping)


def print_events(
    address: str | Endpoint, session: str | None, json_lines: bool, since: int | None = None
) -> None:
    """Print events until Ctrl-C, or until nobody reads them; that is no error.

    Args:
        address, session, since: see ``Subscriber``.
        json_lines: one line of JSON each.

    Raises:
        BusError: ``address`` is not an address, or the hub refuses us.
        UsageError: ``since`` without a session.
    """
    write = print_json if json_lines else _print_line
    with (
        stop_when_told() as stopping,
        closing(EventReader(address, session, since=since)) as reader,
    ):
        if not json_lines:
            print_line(NOTICE, to_error=True)
        try:
            run_listener(reader, on_message=write, stopping=stopping)
        except BrokenPipeError:  # nobody wants more, which is no error
            drop_output()


def _print_line(event: Event) -> None:
    words = event_line(event)
    if words is not None:
        print_line(words)
