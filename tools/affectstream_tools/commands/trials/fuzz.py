"""``affectstream-lab fuzz``: generated and spoiled input into codec, bus, node and readers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affectstream.commands.options import AsJson
from affectstream.show.lines import print_line
from affectstream_tools.commands.options import REPORTS, Out, Saved, Workers
from affectstream_tools.jobs.command_line import command_line
from affectstream_tools.terminal import fail, print_table, progress_bar

if TYPE_CHECKING:
    from affectstream_tools.trials.fuzzing.coverage_guided import GuidedRun
    from affectstream_tools.trials.fuzzing.report import FuzzReport
    from affectstream_tools.trials.fuzzing.runs import TargetOutcome

_CASES_FOLDER = Path("fuzz-cases")


def fuzz(
    messages: Annotated[
        int,
        typer.Option(min=1, help="To each of codec, inlet and node, and to all readers together."),
    ] = 1_000_000,
    target: Annotated[
        str,
        typer.Option(
            help="all, codec, inlet, node, shipped-node, bus, wav, mocap, emo-evaluation, toml, "
            "derived or checkpoint."
        ),
    ] = "all",
    seed: Annotated[int, typer.Option(help="The same seed makes the same cases.")] = 1,
    workers: Workers = 2,
    out: Out = REPORTS,
    again: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Run one saved case again.")
    ] = None,
    cases: Annotated[Path, typer.Option(help="Folder for cases that fail.")] = _CASES_FOLDER,
    report: Saved = False,
    as_json: AsJson = False,
) -> None:
    """Send generated and spoiled input to codec, bus, node and file readers; none may fail."""
    from affectstream.errors import AffectstreamError
    from affectstream_tools.trials.fuzzing.all_targets import names_of
    from affectstream_tools.trials.fuzzing.report import FUZZ_REPORT, FuzzReport

    try:
        if again is not None:
            _again(again)
            return
        if report:
            made = FUZZ_REPORT.load(out)
        else:
            names = names_of(target)
            found, guided = _compute(names, messages, seed, workers)
            made = FuzzReport(found, guided, seed, command_line())
            if target == "all":
                FUZZ_REPORT.save(made, out)
            for failure in made.failures:
                path = failure.save(cases)
                typer.echo(f"saved {path}; `affectstream-lab fuzz --again {path}`", err=True)
    except AffectstreamError as error:
        fail(str(error), status=1)
    _print(made)
    if as_json:
        typer.echo(json.dumps(made.to_dict()))
    if made.defects:
        raise typer.Exit(1)


def _again(path: Path) -> None:
    from affectstream_tools.trials.fuzzing.all_targets import TARGETS
    from affectstream_tools.trials.fuzzing.runs import load_failure, run_again

    failure = load_failure(path)
    said = run_again(failure, TARGETS[failure.target].make())
    print_line(f"{failure.target}: {said}; it was {failure.error}")


def _compute(
    names: tuple[str, ...], messages: int, seed: int, workers: int
) -> tuple[list[TargetOutcome], list[GuidedRun]]:
    from affectstream_tools.trials.fuzzing.all_targets import run_apart
    from affectstream_tools.trials.fuzzing.coverage_guided import (
        GUIDED,
        SHARE,
        atheris_installed,
        run_guided,
    )

    with progress_bar() as bar, ThreadPoolExecutor(workers) as pool:

        def run(name: str) -> TargetOutcome:
            task = bar.add_task(name)

            def show(done: int, count: int) -> None:
                bar.update(task, completed=done, total=count)

            return run_apart(name, messages, seed, show)

        def guide(name: str) -> GuidedRun:
            task = bar.add_task(f"{name}, guided by coverage", total=None)
            found = run_guided(name, max(100, round(SHARE * messages)), seed)
            bar.update(task, total=1, completed=1)
            return found

        found = pool.map(run, names)
        guided = pool.map(guide, [n for n in names if n in GUIDED] if atheris_installed() else [])
        return list(found), list(guided)


def _print(report: FuzzReport) -> None:
    from affectstream_tools.trials.fuzzing.report import fuzz_table

    table = fuzz_table(report)
    print_table(table.title, table.headings, table.rows, table.remarks, width=110)
    for failure in report.failures:
        said = f"{failure.target} {failure.number}: {failure.error} ({failure.where})"
        print_line(said, to_error=True)
