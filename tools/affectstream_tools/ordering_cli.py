"""``affectstream-lab ordering``: what context is worth, beside the best that it could be.

Knows: options and how results are printed. Refuses to know: how anything is computed.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affectstream_tools.terminal import fail, progress_bar

if TYPE_CHECKING:
    from affectstream_tools.experiments.ordering_report import OrderingReport


def ordering(
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Where finished experiments are kept; one in it is not run again. "
            "[default: ~/.cache/affectstream]"
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("docs/reports"),
    workers: Annotated[int, typer.Option(min=1, help="Experiments at once.")] = 2,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Run them as Ray tasks, on $RAY_ADDRESS if set.")
    ] = False,
    runs: Annotated[int, typer.Option(min=1, help="Each draws dialogues of its own.")] = 3,
    small: Annotated[
        bool, typer.Option("--small", help="A few dialogues: whether it runs, in little time.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Print the saved report; compute nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON.")] = False,
) -> None:
    """Train recognizers with more and more context on synthetic dialogues, below their ceilings."""
    from affectstream.errors import AffectstreamError
    from affectstream_tools.experiments.ordering_report import load, save

    try:
        if report:
            found = load(out)
        else:
            found = _compute(cache, workers, cluster, runs, small)
        _print(found)
        if not report:
            written = save(found, out)
            typer.echo(f"wrote {len(written)} files to {out}", err=True)
    except (AffectstreamError, ValueError) as error:
        fail(str(error), status=1)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))


def _compute(
    cache: Path | None, workers: int, cluster: bool, runs: int, small: bool
) -> OrderingReport:
    from affectstream_tools.experiments.folders import cache_folder
    from affectstream_tools.experiments.jobs import run_jobs
    from affectstream_tools.experiments.ordering import jobs
    from affectstream_tools.experiments.ordering_report import report_of

    asked = jobs(range(runs), small=small)
    with progress_bar() as bar:
        task = bar.add_task("ordering", total=len(asked))
        outcomes = run_jobs(
            asked,
            (cache or cache_folder()) / ("experiments-small" if small else "experiments"),
            workers=workers,
            cluster=cluster,
            on_done=lambda job: bar.update(task, advance=1, description=job.name),
        )
    return report_of(outcomes, shlex.join(["affectstream-lab", *sys.argv[1:]]))


def _print(report: OrderingReport) -> None:
    from rich.console import Console
    from rich.table import Table

    from affectstream_tools.experiments.ordering_report import HEADINGS, TITLE, cells, remarks

    table = Table(title=TITLE)
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if number > 2 else "left")
    for row in report.rows:
        table.add_row(*cells(row))
    console = Console(stderr=True)
    console.width = max(console.width, 120)  # a narrow pipe would cut the names
    console.print(table)
    for remark in remarks(report):
        console.print(remark, highlight=False, soft_wrap=True)
