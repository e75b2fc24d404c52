"""``affectstream-lab soak``: a day through the live path, played fast."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated

import typer

from affectstream.commands.options import AsJson
from affectstream_tools.commands.options import REPORTS, Out, Saved, Seed
from affectstream_tools.jobs.command_line import command_line
from affectstream_tools.terminal import fail, print_table, progress_bar

if TYPE_CHECKING:
    from affectstream_tools.trials.soak.day import Day, DayPlan
    from affectstream_tools.trials.soak.measures import SoakReport


def soak(
    hours: Annotated[float, typer.Option(min=0.02, help="Event time of each day.")] = 24.0,
    share: Annotated[
        float, typer.Option(min=0.01, max=0.5, help="Share of the time in which somebody speaks.")
    ] = 0.15,
    every_s: Annotated[
        float, typer.Option(min=1, help="Event seconds from one look at the processes to the next.")
    ] = 300.0,
    seed: Seed = 0,
    out: Out = REPORTS,
    report: Saved = False,
    as_json: AsJson = False,
) -> None:
    """Run a day with speech and a day of silence through real processes, and see what they hold."""
    from affectstream.errors import AffectstreamError
    from affectstream_tools.trials.soak.day import DayPlan
    from affectstream_tools.trials.soak.measures import soak_report_of
    from affectstream_tools.trials.soak.report import SOAK_REPORT, save_soak_report

    try:
        if report:
            found = SOAK_REPORT.load(out)
        else:
            plans = {
                "speech": DayPlan(hours, share, every_s, seed),
                "silence": DayPlan(hours, 0.0, every_s, seed),
            }
            found = soak_report_of(_live_through(plans), command_line())
            written = save_soak_report(found, out)
            typer.echo(f"wrote {len(written)} files to {out}", err=True)
    except AffectstreamError as error:
        fail(str(error), status=1)
    _print(found)
    if as_json:
        typer.echo(json.dumps(found.summary()))


def _live_through(plans: dict[str, DayPlan]) -> dict[str, Day]:
    """Run all days at once, each in processes of its own."""
    from affectstream_tools.trials.soak.day import live_through

    with progress_bar() as bar, ThreadPoolExecutor(len(plans)) as threads:

        def start(name: str, plan: DayPlan) -> Future[Day]:
            task = bar.add_task(f"a day: {name}", total=plan.hours)
            return threads.submit(live_through, plan, lambda done: bar.update(task, completed=done))

        days = {name: start(name, plan) for name, plan in plans.items()}
        return {name: day.result() for name, day in days.items()}


def _print(report: SoakReport) -> None:
    from affectstream_tools.trials.soak.words import (
        HEARD,
        MEMORY,
        heard_rows,
        memory_rows,
        soak_remarks,
    )

    for name, day in report.days.items():
        title = f"a day: {name}"
        print_table(title, MEMORY, memory_rows(day), width=110)
        print_table(title, HEARD, heard_rows(day), soak_remarks(name.capitalize(), day), width=110)
