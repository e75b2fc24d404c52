"""Whatever is drawn, a terminal is commanded by nobody but rich."""

from __future__ import annotations

import io

import pytest
from rich.panel import Panel
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from affectstream.show.console import PrintableConsole
from hostile import HOSTILE, shown_safely


def drawn(thing: object, *, terminal: bool = False) -> str:
    screen = io.StringIO()
    PrintableConsole(file=screen, width=400, force_terminal=terminal).print(thing)
    return screen.getvalue()


@pytest.mark.parametrize("words", HOSTILE)
def test_what_strangers_write_is_drawn_as_printable_letters(words: str) -> None:
    table = Table(words, title=words, caption=words)
    table.add_row(words)
    table.add_row(Text(words))
    panel = Panel(Text(words), title=Text(words))
    for thing in (words, Text(words), table, panel):
        screen = drawn(thing)
        assert shown_safely(screen)
        screen.encode()


@pytest.mark.parametrize("words", HOSTILE)
def test_a_string_is_one_line(words: str) -> None:
    assert drawn(words).count("\n") == 1


def test_markup_and_names_of_emoji_are_letters_like_others() -> None:
    words = "[bold]s[/bold] [link=http://evil.example]l[/link] :bomb:"
    assert drawn(words, terminal=True) == words + "\n"


def test_styles_and_line_ends_of_ours_stay() -> None:
    assert drawn(Text("one\ntwo", "red"), terminal=True).count("\x1b[31m") == 2
    assert drawn(Text("one\ntwo")) == "one\ntwo\n"


def test_a_progress_bar_says_no_more_than_it_is_told() -> None:
    screen = io.StringIO()
    console = PrintableConsole(file=screen, width=200)
    with Progress(TextColumn("{task.description}", markup=False), console=console) as bar:
        bar.add_task("\x1b[2J[bold]x")
    assert "\\x1b[2J[bo" in screen.getvalue()
    assert shown_safely(screen.getvalue())
