"""``affectstream-lab tables``: the papers' tables beside ours.

Knows: options and how results are printed. Refuses to know: how anything is computed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
from affectstream_tools.terminal import fail

if TYPE_CHECKING:
    from affectstream_tools.jobs.jobs import Job, JobOutcome
    from affectstream_tools.studies.tables.experiments import PaperExperiments
    from affectstream_tools.studies.tables.report import TableReport
    from affectstream_tools.studies.tables.rows import TableRow

_SMALL_PART = "a few utterances only"


def tables(
    table: Annotated[
        str, typer.Option(help="t1 .. t5, w2, w3, or several: t3,w2.", show_default="all")
    ] = "",
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="AFFECTSTREAM_DATA",
            help="Folder that holds iemocap-derived, ravdess16k, glove-50d-5k ...",
        ),
    ] = None,
    cache: Cache = None,
    out: Out = REPORTS,
    workers: Workers = 2,
    cluster: Cluster = False,
    seeds: Annotated[str, typer.Option(help="Seeds, such as 0 or 0,1,2.")] = "0",
    small: Annotated[
        bool, typer.Option("--small", help="A few utterances: whether it runs, in little time.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run again what is kept, as after the code changed.")
    ] = False,
    kept: Annotated[
        bool, typer.Option("--kept", help="Run nothing: the tables of what is done so far.")
    ] = False,
    report: Saved = False,
    every: Annotated[
        bool,
        typer.Option("--all", help="Every metric, part and choice of the epoch: a long table."),
    ] = False,
    costs: Annotated[
        bool, typer.Option("--costs", help="Time and memory of each experiment, after the tables.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the papers' experiments, and print the papers' tables beside ours."""
    from affectstream.errors import AffectstreamError
    from affectstream_tools.jobs.folders import cache_folder
    from affectstream_tools.studies.tables.files import load_table_report, save_table_report
    from affectstream_tools.studies.tables.papers import TITLES

    failure = None
    try:
        chosen, folder = _chosen(table, TITLES), place_of(out, small=small)
        if report:
            found = load_table_report(folder, chosen)
        else:
            wanted = _Wanted(chosen, _folder(data), _seeds(seeds), small)
            run = partial(_run, workers=workers, cluster=cluster, fresh=fresh)
            found, failure = _compute(wanted, cache or cache_folder(), _kept if kept else run)
        _print(found, every=every, costs=costs)
        if not report and failure is None:
            written = save_table_report(found, folder)
            typer.echo(f"wrote {len(written)} files to {folder}", err=True)
    except (AffectstreamError, ValueError) as error:
        fail(str(error), status=1)
    if as_json:
        typer.echo(json.dumps({"rows": [row.to_dict() for each in found for row in each.rows]}))
    if failure is not None:
        fail(f"{failure}; nothing is saved until they are done", status=1)


def _chosen(table: str, titles: Mapping[str, str]) -> list[str]:
    wanted = [name.strip() for name in table.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in titles]
    if unknown:
        raise ValueError(f"there is no table {unknown[0]!r}; use {', '.join(titles)}")
    return [name for name in titles if name in wanted or not wanted]


def _seeds(text: str) -> list[int]:
    try:
        return list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise ValueError(f"seeds are whole numbers such as 0,1,2, not {text!r}") from None


def _folder(data: Path | None) -> Path:
    if data is None:
        raise ValueError("name the folder of corpora with --data or $AFFECTSTREAM_DATA")
    if not data.is_dir():
        raise ValueError(
            f"there is no folder of corpora at {data}; name it with --data or $AFFECTSTREAM_DATA"
        )
    return data


@dataclass(frozen=True, slots=True)
class _Wanted:
    tables: list[str]
    data: Path
    seeds: list[int]
    small: bool


def _compute(
    wanted: _Wanted, cache: Path, run: Callable[[list[Job], Path], dict[str, JobOutcome]]
) -> tuple[list[TableReport], Exception | None]:
    """Run what the tables need; return their reports, and what failed if something did."""
    from affectstream_tools.jobs.jobs import JobsError
    from affectstream_tools.studies.tables.report import table_report_of
    from affectstream_tools.studies.tables.rows import completed

    papers = _papers(wanted.tables)
    needs: dict[str, frozenset[str]] = {}
    jobs: list[Job] = []
    for paper in papers:
        for job in paper.jobs(wanted.data, cache, seeds=wanted.seeds, small=wanted.small):
            needs[job.name] = paper.tables_of(job)
            jobs += [job] if needs[job.name].intersection(wanted.tables) else []
    failure = None
    try:
        outcomes = run(jobs, cache / ("experiments-small" if wanted.small else "experiments"))
    except JobsError as error:
        failure, outcomes = error, error.outcomes
    rows: list[TableRow] = [row for paper in papers for row in paper.rows(outcomes)]
    rows = completed(rows, wanted.tables)
    drawn = [each for paper in papers for each in paper.confusions(outcomes)]
    reports = [
        table_report_of(
            name,
            rows,
            [o for o in outcomes.values() if name in needs[o.job.name]],
            command_line(),
            drawn,
        )
        for name in wanted.tables
    ]
    return [_as_small(each) for each in reports] if wanted.small else reports, failure


def _papers(tables: Sequence[str]) -> list[PaperExperiments]:
    """The experiments that fill these tables; those of a paper that has none are not imported."""
    found = []
    if any(table.startswith("t") for table in tables):
        from affectstream_tools.studies.tripathi.tables import TRIPATHI

        found.append(TRIPATHI)
    if any(table.startswith("w") for table in tables):
        from affectstream_tools.studies.woellmer.tables import WOELLMER

        found.append(WOELLMER)
    return found


def _as_small(report: TableReport) -> TableReport:
    """Say with every number that it is no result."""
    rows = [
        row if row.ours is None else replace(row, data=_named_small(row.data))
        for row in report.rows
    ]
    confusions = [replace(each, title=f"{each.title}, {_SMALL_PART}") for each in report.confusions]
    return replace(report, rows=rows, confusions=confusions)


def _named_small(data: str) -> str:
    """Say it of the corpus, which is named before anything else that ``data`` says."""
    corpus, semicolon, rest = data.partition(";")
    return f"{corpus}, {_SMALL_PART}{semicolon}{rest}"


def _run(
    jobs: list[Job], folder: Path, *, workers: int, cluster: bool, fresh: bool
) -> dict[str, JobOutcome]:
    from affectstream_tools.jobs.jobs import forget_outcomes

    if fresh:
        forget_outcomes(jobs, folder)
    return run_shown(jobs, folder, workers=workers, cluster=cluster)


def _kept(jobs: list[Job], folder: Path) -> dict[str, JobOutcome]:
    from affectstream_tools.jobs.jobs import read_outcome

    found = {job.name: read_outcome(job, folder) for job in jobs}
    done = {name: outcome for name, outcome in found.items() if outcome is not None}
    typer.echo(f"{len(done)} of {len(jobs)} experiments are done", err=True)
    return done


def _print(reports: Sequence[TableReport], *, every: bool, costs: bool) -> None:
    """Print the tables on stderr: one screen each, or with ``every`` every line of them."""
    from rich.console import Console

    from affectstream_tools.studies.tables.costs import costs_as_text
    from affectstream_tools.studies.tables.every_figure import as_text
    from affectstream_tools.studies.tables.one_screen import SCREEN_COLUMNS, screen_of_table
    from affectstream_tools.studies.tables.papers import TITLES

    console = Console(stderr=True, highlight=False, markup=False)
    console.width = SCREEN_COLUMNS  # narrower, and figures would be cut
    for each in reports:
        if every:
            typer.echo(as_text(TITLES[each.table], each.rows), err=True)
            typer.echo(f"made {each.date} by `{each.command}`\n", err=True)
        else:
            console.print(screen_of_table(each))
    if costs:
        own = {cost.job: cost for each in reports for cost in each.costs}
        typer.echo(costs_as_text(list(own.values())), err=True)
    if not every:
        typer.echo(
            "every metric, and improvised dialogues alone: --all; time and memory: --costs",
            err=True,
        )
