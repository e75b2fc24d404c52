"""What the laboratory's commands print: progress, tables, and why a command cannot go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

from affectstream.show.lines import print_line

if TYPE_CHECKING:
    from rich.progress import Progress


def progress_bar() -> Progress:
    """Return a progress bar on stderr that is wiped away when it ends."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from affectstream.show.console import PrintableConsole

    description = TextColumn("{task.description}", markup=False)
    percentage = TextColumn("{task.percentage:>3.0f}%", markup=False)
    columns = (description, BarColumn(), percentage, TimeRemainingColumn())
    return Progress(*columns, console=PrintableConsole(stderr=True), transient=True)


@contextmanager
def epochs(total: int) -> Iterator[Callable[[str, int, float], None]]:
    """Show a progress bar over epochs; yield the function that moves it."""
    with progress_bar() as bar:
        task = bar.add_task("train", total=total)

        def step(name: str, epoch: int, loss: float) -> None:
            bar.update(task, advance=1, description=f"{name}, epoch {epoch + 1}, loss {loss:.3f}")

        yield step


@contextmanager
def counted(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar; yield the function that is told how many are done, of how many."""
    with progress_bar() as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def print_table(
    title: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    remarks: Iterable[str] = (),
    *,
    width: int,
    names: int = 1,
) -> None:
    """Print a table and remarks on stderr: the first ``names`` columns left, the others right.

    Args:
        width: at least so many columns; a narrow pipe would cut the names.
    """
    from rich.table import Table

    from affectstream.show.console import PrintableConsole

    table = Table(title=title)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number >= names else "left")
    for row in rows:
        table.add_row(*row)
    console = PrintableConsole(stderr=True)
    console.width = max(console.width, width)
    console.print(table)
    for remark in remarks:
        console.print(remark, soft_wrap=True)


def fail(message: str, *, status: int = 2) -> NoReturn:
    """Say in one sentence why the command ends here, and end it."""
    print_line(f"affectstream-lab: {message}", to_error=True)
    raise typer.Exit(status)
