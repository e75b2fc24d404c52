"""``affectstream-lab context``: what context is worth to the context model, on real labels."""

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
    Seed,
    Workers,
    place_of,
    run_shown,
)
from affectstream_tools.jobs.command_line import command_line
from affectstream_tools.terminal import counted, fail, print_table

if TYPE_CHECKING:
    from affectstream_tools.studies.context.report import ContextReport


def context(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Derived set; glove-50d-5k lies beside it."),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="Kept out of training: session, or scenario (and session).")
    ] = "scenario",
    seed: Seed = 0,
    cache: Cache = None,
    out: Out = REPORTS,
    workers: Workers = 2,
    cluster: Cluster = False,
    small: Annotated[
        bool, typer.Option("--small", help="One fold of a few dialogues, to see that it runs.")
    ] = False,
    report: Saved = False,
    as_json: AsJson = False,
) -> None:
    """Train and score the context model with less and more of the dialogue known to it."""
    from affectstream.errors import AffectstreamError
    from affectstream_tools.studies.context.files import load_context_report, save_context_report

    folder = place_of(out, small=small)
    try:
        if report:
            found = load_context_report(folder, protocol)
        elif data is None:
            fail("name the derived set with --data, or print the saved report with --report")
        else:
            found = _compute(data, protocol, seed, cache, workers, cluster, small)
        _print(found)
        if not report:
            written = save_context_report(found, folder)
            typer.echo(f"wrote {len(written)} files to {folder}", err=True)
    except (AffectstreamError, ValueError) as error:
        fail(str(error), status=1)
    if as_json:
        typer.echo(json.dumps(found))


def _compute(
    data: Path,
    protocol: str,
    seed: int,
    cache: Path | None,
    workers: int,
    cluster: bool,
    small: bool,
) -> ContextReport:
    from affectstream.corpus.derived import read_derived
    from affectstream_tools.jobs.folders import cache_folder
    from affectstream_tools.studies.context.experiment import (
        PROTOCOL_RECIPES,
        centres_of,
        context_jobs,
        kept_sentences,
    )
    from affectstream_tools.studies.context.report import context_report_of
    from affectstream_tools.train.kept_sentences import texts_of

    where = (cache or cache_folder()).absolute()
    asked = context_jobs(data.absolute(), where, protocol, seed=seed, small=small)
    dialogues = read_derived(data)
    with counted("sentences") as step:
        kept_sentences(where, PROTOCOL_RECIPES[protocol]).keep(texts_of(dialogues), step)
    outcomes = run_shown(asked, where / "experiments", workers=workers, cluster=cluster)
    centres = centres_of(dialogues, protocol, small=small)
    return context_report_of(outcomes, protocol, command_line(), centres, small=small)


def _print(report: ContextReport) -> None:
    from affectstream_tools.studies.context.report import class_rows, context_remarks, task_rows

    scores, tasks = class_rows(report), task_rows(report)
    title = f"{report['protocol']} protocol, four classes"
    print_table(title, scores[0], scores[1:], width=130)
    print_table(
        "levels and clusters", tasks[0], tasks[1:], context_remarks(report), width=130, names=2
    )
