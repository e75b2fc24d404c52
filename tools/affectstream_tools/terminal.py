"""What the laboratory's commands print: progress, tables, and why a command cannot go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from rich.progress import Progress


def progress_bar() -> Progress:
    """Return a progress bar on stderr that is wiped away when it ends."""
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True)


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
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number >= names else "left")
    for row in rows:
        table.add_row(*row)
    console = Console(stderr=True)
    console.width = max(console.width, width)
    console.print(table)
    for remark in remarks:
        console.print(remark, highlight=False, markup=False, soft_wrap=True)


def fail(message: str, *, status: int = 2) -> NoReturn:
    """Say in one sentence why the command ends here, and end it."""
    typer.echo(f"affectstream-lab: {message}", err=True)
    raise typer.Exit(status)
