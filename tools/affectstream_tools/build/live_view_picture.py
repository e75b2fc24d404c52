"""Draws the README's picture: ``python -m affectstream_tools.build.live_view_picture``.

Knows: how to listen to a running demo, and at which moment the picture is taken.
Refuses to know: what the view looks like (``show.live_view``).

The demo runs as a user runs it; the picture is what its view showed at that moment.
"""

from __future__ import annotations

import io
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from affectstream.bus import Inlet
from affectstream.commands.demo import DEMO_SESSION, SHOWN, STREAMS
from affectstream.messages import Emotion, Message, StreamOpened
from affectstream.run.loop import run_listener
from affectstream.run.processes import Processes, free_address
from affectstream.show.live_view import LiveView

PICTURE_COLUMNS = 112
"""Characters in a line: legible where the picture is 900 pixels wide."""
TAKEN_AT = ("anna-0005", 2)
"""The estimate, an utterance and its revision, after which the picture is taken."""
LONGEST_S = 120.0


class Photographer:
    """Watches a demo.

    Attributes:
        picture: the view as SVG, once ``TAKEN_AT`` was among the messages.
    """

    def __init__(self) -> None:
        self.picture: str | None = None
        self._console = Console(
            record=True,
            width=PICTURE_COLUMNS,
            file=io.StringIO(),
            force_terminal=True,
            color_system="truecolor",
        )
        self._view: LiveView | None = None

    def receive(self, message: Message) -> None:
        """Take one message of the demo in; nothing is shown before its first stream begins."""
        if self._view is None and isinstance(message, StreamOpened) and message.start_ns:
            title = "affectstream – a synthetic dialogue"
            self._view = LiveView(self._console, title, message.start_ns)
        if self._view is None or self.picture is not None:
            return
        self._view.receive(message)
        if isinstance(message, Emotion) and (message.utterance, message.revision) == TAKEN_AT:
            self._console.print(self._view.render())
            self.picture = self._console.export_svg(title="affectstream demo")


def _main(out: Annotated[Path, typer.Option(help="The SVG file to write.")]) -> None:
    """Run the demo and write what its view shows as a picture."""
    address, photographer = free_address(), Photographer()
    end_s = time.monotonic() + LONGEST_S
    prefixes = [f"{kind}/{DEMO_SESSION}/" for kind in (*SHOWN, *STREAMS)]
    with Processes() as processes:
        processes.start("demo", "demo", "--address", address)
        with closing(Inlet(address, prefixes, from_start=True)) as inlet:
            run_listener(
                inlet,
                on_message=photographer.receive,
                stopping=lambda: photographer.picture is not None or time.monotonic() > end_s,
            )
    if photographer.picture is None:
        typer.echo(f"the demo did not come to {TAKEN_AT[0]} in {LONGEST_S:.0f} s", err=True)
        raise typer.Exit(1)
    out.write_text(photographer.picture, encoding="utf-8")


if __name__ == "__main__":
    typer.run(_main)
