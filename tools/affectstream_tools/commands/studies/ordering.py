"""``affectstream-lab ordering``: what context is worth, beside the best that it could be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affectstream.commands.options import AsJson
from affectstream_tools.commands.options import (
    REPORTS,
    Cache,
    Cluster,
    Out,
    Saved,
    Workers,
    place_of,
    run_shown,
)
from affectstream_tools.jobs.command_line import command_line
from affectstream_tools.terminal import fail, print_table

if TYPE_CHECKING:
    from affectstream_tools.studies.ordering.report import OrderingReport


def ordering(
    cache: Cache = None,
    out: Out = REPORTS,
    workers: Workers = 2,
    cluster: Cluster = False,
    runs: Annotated[int, typer.Option(min=1, help="How often, each time on other dialogues.")] = 3,
    small: Annotated[
        bool, typer.Option("--small", help="A few dialogues, to see that it runs.")
    ] = False,
    report: Saved = False,
    as_json: AsJson = False,
) -> None:
    """Train recognizers with more and more context on synthetic dialogues of known best scores."""
    from affectstream.errors import AffectstreamError
    from affectstream_tools.studies.ordering.files import ORDERING_REPORT, save_ordering_report

    try:
        folder = place_of(out, small=small)
        if report:
            found = ORDERING_REPORT.load(folder)
        else:
            found = _compute(cache, workers, cluster, runs, small)
        _print(found)
        if not report:
            written = save_ordering_report(found, folder)
            typer.echo(f"wrote {len(written)} files to {folder}", err=True)
    except (AffectstreamError, ValueError) as error:
        fail(str(error), status=1)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))


def _compute(
    cache: Path | None, workers: int, cluster: bool, runs: int, small: bool
) -> OrderingReport:
    from affectstream_tools.jobs.folders import cache_folder
    from affectstream_tools.studies.ordering.experiment import ordering_jobs
    from affectstream_tools.studies.ordering.report import ordering_report_of

    asked = ordering_jobs(range(runs), small=small)
    kept = (cache or cache_folder()) / ("experiments-small" if small else "experiments")
    return ordering_report_of(
        run_shown(asked, kept, workers=workers, cluster=cluster), command_line()
    )


def _print(report: OrderingReport) -> None:
    from affectstream_tools.studies.ordering.report import (
        ORDERING_HEADINGS,
        ORDERING_TITLE,
        ordering_cells,
        ordering_remarks,
    )

    rows = map(ordering_cells, report.rows)
    print_table(
        ORDERING_TITLE, ORDERING_HEADINGS, rows, ordering_remarks(report), width=120, names=3
    )
