"""The console that everything but plain lines is drawn on.

Knows: rich, and that strangers' words must command no terminal (``errors.printable``).
Refuses to know: what is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from affectstream.errors import printable


class PrintableConsole(Console):
    """A console that prints text as it is: no markup, and nothing that a terminal would obey.

    Strings become one line; a line end in a ``rich.text.Text`` is kept, as it is meant.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as text of one printable line."""
        return super().render_str(printable(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield what is drawn, printable; styles and the movements of the cursor are rich's own."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            if control or text.isprintable() or text == "\n":
                yield segment
            else:
                yield Segment("\n".join(map(printable, text.split("\n"))), style)

    def on_broken_pipe(self) -> NoReturn:
        """Leave it to the command line what follows when the reader has gone."""
        raise BrokenPipeError
