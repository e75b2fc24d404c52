"""`affectstream subscribe`: emotion events, readable or as JSON lines.

Knows: how events are printed. Refuses to know: where they come from (``client``).
"""

from __future__ import annotations

from pathlib import Path

from affectstream.bus import Endpoint
from affectstream.client import Event, Subscriber
from affectstream.run.processes import stop_when_told
from affectstream.show.event_file import EventFile
from affectstream.show.lines import say, say_json, say_no_more
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
            say(NOTICE, to_error=True)
        while not stopping():
            event = subscriber.receive(timeout_s=0.2)
            if event is None:
                continue
            try:
                _say(event, json_lines)
            except BrokenPipeError:  # nobody wants more, which is no error
                say_no_more()
                return


def _say(event: Event, json_lines: bool) -> None:
    if json_lines:
        say_json(event)
    elif (words := event_line(event)) is not None:
        say(words)
