"""Draws the README's picture: ``python -m affectstream_tools.build.live_view_picture``.

Knows: how to listen to a running demo, and at which moment the picture is taken.
Refuses to know: what the view looks like (``show.live_view``).

The demo runs as a user runs it; the picture is what its view showed at that moment.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from affectstream.bus import Inlet
from affectstream.commands.demo import DEMO_SESSION, SHOWN, STREAMS
from affectstream.messages import Emotion, Message, StreamOpened
from affectstream.run.processes import Processes, free_address
from affectstream.show.live_view import LiveView

PICTURE_COLUMNS = 112
"""Characters in a line: legible where the picture is 900 pixels wide."""
TAKEN_AT = ("anna-0005", 2)
"""The estimate, an utterance and its revision, after which the picture is taken."""
LONGEST_S = 120.0


def draw(messages: Iterable[Message]) -> str:
    """Return the view as SVG, once ``TAKEN_AT`` is among the messages.

    Raises:
        ValueError: the messages ended before.
    """
    console = Console(
        record=True,
        width=PICTURE_COLUMNS,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )
    view: LiveView | None = None
    for message in messages:
        if view is None:
            if not isinstance(message, StreamOpened) or not message.start_ns:
                continue
            view = LiveView(console, "affectstream – a synthetic dialogue", message.start_ns)
        view.receive(message)
        if isinstance(message, Emotion) and (message.utterance, message.revision) == TAKEN_AT:
            console.print(view.render())
            return console.export_svg(title="affectstream demo")
    raise ValueError("the demo ended before the picture was taken")


def _messages(inlet: Inlet) -> Iterable[Message]:
    end_s = time.monotonic() + LONGEST_S
    while time.monotonic() < end_s:
        yield from inlet.read()
        time.sleep(0.02)


def _main(out: Annotated[Path, typer.Option(help="The SVG file to write.")]) -> None:
    """Run the demo and write what its view shows as a picture."""
    address = free_address()
    with Processes() as processes:
        processes.start("demo", "demo", "--address", address)
        prefixes = [f"{kind}/{DEMO_SESSION}/" for kind in (*SHOWN, *STREAMS)]
        inlet = Inlet(address, prefixes, from_start=True)
        try:
            out.write_text(draw(_messages(inlet)), encoding="utf-8")
        finally:
            inlet.close()


if __name__ == "__main__":
    typer.run(_main)
