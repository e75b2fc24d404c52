"""``affectstream-lab bench microphone``: a real worker whose device is disturbed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from affectstream.commands.options import AsJson
from affectstream_tools.commands.options import REPORTS, Out, Saved
from affectstream_tools.terminal import fail, print_table, progress_bar

if TYPE_CHECKING:
    from affectstream_tools.bench.microphone.report import MicrophoneReport


def bench_microphone(
    only: Annotated[str, typer.Option(help="Only disturbances with this in their name.")] = "",
    out: Out = REPORTS,
    report: Saved = False,
    as_json: AsJson = False,
) -> None:
    """Unplug, replace and stop a virtual microphone: what is lost, and is the rest in its place?"""
    from affectstream.errors import AffectstreamError
    from affectstream_tools.bench.microphone.report import MICROPHONE_REPORT

    try:
        found = MICROPHONE_REPORT.load(out) if report else _measure(only)
        _print(found)
        if not report and not only:
            written = MICROPHONE_REPORT.save(found, out)
            typer.echo(f"wrote {len(written)} files to {out}", err=True)
    except AffectstreamError as error:
        fail(str(error), status=1)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))


def _measure(only: str) -> MicrophoneReport:
    from affectstream_tools.bench.microphone.report import MicrophoneReport
    from affectstream_tools.bench.microphone.stress import DISTURBANCES, measure_disturbance
    from affectstream_tools.bench.microphone.virtual import missing_packages
    from affectstream_tools.jobs.command_line import command_line

    chosen = [disturbance for disturbance in DISTURBANCES if only in disturbance.name]
    if not chosen:
        fail(f"{only!r} is in no name; there are {', '.join(d.name for d in DISTURBANCES)}")
    if missing := missing_packages():
        fail(
            f"the virtual microphone needs {' '.join(missing)}; install them with apt-get", status=1
        )
    rows = []
    with progress_bar() as bar:
        task = bar.add_task("microphone", total=len(chosen))
        for disturbance in chosen:
            bar.update(task, description=disturbance.name)
            rows.append(measure_disturbance(disturbance))
            bar.advance(task)
    return MicrophoneReport(rows, datetime.now(UTC).isoformat(timespec="seconds"), command_line())


def _print(report: MicrophoneReport) -> None:
    from affectstream_tools.bench.microphone.report import microphone_table

    table = microphone_table(report)
    print_table(table.title, table.headings, table.rows, width=120)
