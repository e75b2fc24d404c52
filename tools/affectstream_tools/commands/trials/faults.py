"""``affectstream-lab faults``: kills the processes of a replay and counts what is lost."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from affectstream.commands.options import AsJson
from affectstream_tools.commands.options import REPORTS, Out, Saved
from affectstream_tools.jobs.command_line import command_line
from affectstream_tools.terminal import fail, progress_bar

if TYPE_CHECKING:
    from affectstream_tools.trials.faults.report import FaultReport


def faults(
    data: Annotated[
        Path | None, typer.Option(help="The derived IEMOCAP set.", show_default="none")
    ] = None,
    kills: Annotated[int, typer.Option(min=1, help="How many processes are killed.")] = 200,
    dialogues: Annotated[int, typer.Option(min=1, help="How many of session 5 are replayed.")] = 6,
    checkpoint: Annotated[str, typer.Option(help="Weights of the node.")] = "replay",
    seed: Annotated[int, typer.Option(help="Decides which process is killed when.")] = 0,
    out: Out = REPORTS,
    report: Saved = False,
    as_json: AsJson = False,
) -> None:
    """Kill the fusion node, the replay, the subscriber and the hub at random moments."""
    from affectstream.errors import AffectstreamError
    from affectstream_tools.trials.faults.report import FAULT_REPORT, fault_page

    try:
        if report:
            found = FAULT_REPORT.load(out)
        else:
            found = _inject(data, kills, dialogues, checkpoint, seed)
            written = FAULT_REPORT.save(found, out)
            typer.echo(f"wrote {len(written)} files to {out}", err=True)
    except (AffectstreamError, ValueError) as error:
        fail(str(error), status=1)
    typer.echo(fault_page(found), err=True)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))


def _inject(
    data: Path | None, kills: int, dialogues: int, checkpoint: str, seed: int
) -> FaultReport:
    from affectstream.corpus.reader import open_corpus
    from affectstream_tools.trials.faults.injection import Replay
    from affectstream_tools.trials.faults.report import inject

    if data is None:
        raise ValueError("name the derived IEMOCAP set with --data")
    corpus = open_corpus(data)
    last = max(dialogue.session for dialogue in corpus.dialogues)
    names = [d.id for d in corpus.dialogues if d.session == last][:dialogues]
    with progress_bar() as bar, TemporaryDirectory(prefix="affectstream-faults-") as folder:
        task = bar.add_task("undisturbed", total=kills)
        return inject(
            Replay(data, names, checkpoint),
            Path(folder),
            kills=kills,
            seed=seed,
            data=f"{corpus.kind} IEMOCAP, session {last}",
            command=command_line(),
            on_death=lambda role: bar.update(task, advance=1, description=f"killed: {role}"),
        )
