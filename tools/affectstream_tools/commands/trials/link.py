"""``affectstream-lab link``: two hosts, a bad link, and clocks that differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affectstream.commands.options import AsJson
from affectstream_tools.commands.options import REPORTS, Out, Saved
from affectstream_tools.jobs.command_line import command_line
from affectstream_tools.terminal import fail, print_table, progress_bar

if TYPE_CHECKING:
    from affectstream_tools.trials.link.cases import LinkReport


def link(
    data: Annotated[
        Path | None,
        typer.Option("--data", exists=True, help="IEMOCAP, or what `synthesise` has written."),
    ] = None,
    dialogues: Annotated[int, typer.Option(min=1, help="How many, of the last session.")] = 2,
    seed: Annotated[int, typer.Option(help="Decides what happens to which packet.")] = 0,
    out: Out = REPORTS,
    report: Saved = False,
    as_json: AsJson = False,
) -> None:
    """Replay between two hosts (as root): packets lost, late or cut off, clocks that differ."""
    from affectstream.errors import AffectstreamError
    from affectstream_tools.trials.link.report import LINK_REPORT

    try:
        if report:
            found = LINK_REPORT.load(out)
        elif data is None:
            fail("which corpus is replayed? name its folder with --data")
        else:
            found = _compute(data, dialogues, seed)
        _print(found)
        if not report:
            written = LINK_REPORT.save(found, out)
            typer.echo(f"wrote {len(written)} files to {out}", err=True)
    except AffectstreamError as error:
        fail(str(error), status=1)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))


def _compute(data: Path, count: int, seed: int) -> LinkReport:
    from affectstream.corpus.reader import open_corpus
    from affectstream_tools.trials.link.cases import LINK_CASES, link_report_of, run_cases
    from affectstream_tools.trials.link.trial import run_trial

    corpus = open_corpus(data)
    last = max(dialogue.session for dialogue in corpus.dialogues)
    names = [dialogue.id for dialogue in corpus.dialogues if dialogue.session == last][:count]
    rows = []
    with progress_bar() as bar:
        task = bar.add_task("two hosts", total=len(LINK_CASES))
        for row in run_cases(LINK_CASES, lambda case: run_trial(case, data, names, seed=seed)):
            rows.append(row)
            bar.update(task, advance=1, description=f"done: {row.name}")
    return link_report_of(rows, names, command_line())


def _print(report: LinkReport) -> None:
    from affectstream_tools.trials.link.report import link_table

    table = link_table(report)
    print_table(table.title, table.headings, table.rows, table.remarks, width=140)
