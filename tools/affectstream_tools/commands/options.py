"""Options that several commands share, and how a command runs experiments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affectstream_tools.terminal import fail, progress_bar

if TYPE_CHECKING:
    from affectstream_tools.jobs.jobs import Job, JobOutcome

Cache = Annotated[
    Path | None,
    typer.Option(
        help="Where features and finished experiments are kept, and not made again.",
        show_default="~/.cache/affectstream",
    ),
]
Out = Annotated[Path, typer.Option(help="Folder of the report.")]
Workers = Annotated[int, typer.Option(min=1, help="Experiments at once.")]
Cluster = Annotated[
    bool, typer.Option("--cluster", help="Run them as Ray tasks, on $RAY_ADDRESS if set.")
]
Saved = Annotated[bool, typer.Option("--report", help="Print the saved report; compute nothing.")]
Seed = Annotated[int, typer.Option(help="Seed of all that is random.")]
Threads = Annotated[
    int, typer.Option(min=1, help="Processor threads; another number changes the last digits.")
]

REPORTS = Path("docs/reports")


def check_out(path: Path) -> None:
    """End the command where no checkpoint may be written: now, not after hours of training."""
    from affectstream_models.tensor_file import CheckpointError, check_target

    try:
        check_target(path)
    except CheckpointError as error:
        fail(f"{error} with --out")


def place_of(out: Path, *, small: bool) -> Path:
    """Return the folder of a report; a small run's has its own, so that it overwrites no result."""
    return out / "small" if small else out


def run_shown(
    jobs: list[Job], folder: Path, *, workers: int, cluster: bool
) -> dict[str, JobOutcome]:
    """Run jobs as ``run_jobs`` does, with a progress bar."""
    from affectstream_tools.jobs.jobs import run_jobs

    with progress_bar() as bar:
        task = bar.add_task(f"{len(jobs)} experiments", total=len(jobs))
        return run_jobs(
            jobs,
            folder,
            workers=workers,
            cluster=cluster,
            on_done=lambda job: bar.update(task, advance=1, description=f"done: {job.name}"),
        )
