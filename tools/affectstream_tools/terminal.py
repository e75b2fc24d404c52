"""What the lab's commands say on a terminal: progress, and why they cannot go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from rich.progress import Progress


def progress_bar() -> Progress:
    """A progress bar on stderr that leaves nothing behind."""
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True)


@contextmanager
def epochs(total: int) -> Iterator[Callable[[str, int, float], None]]:
    """A progress bar over epochs, as the callback that moves it."""
    with progress_bar() as bar:
        task = bar.add_task("train", total=total)

        def step(name: str, epoch: int, loss: float) -> None:
            bar.update(task, advance=1, description=f"{name}, epoch {epoch + 1}, loss {loss:.3f}")

        yield step


def fail(message: str, *, status: int = 2) -> NoReturn:
    """Say in one sentence why the command ends here, and end it."""
    typer.echo(f"affectstream-lab: {message}", err=True)
    raise typer.Exit(status)
