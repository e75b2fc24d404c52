"""The command ``affectstream-lab``: train, evaluate and measure.

Knows: options and how results are printed. Refuses to know: how anything is computed. Every
command imports what it needs when it runs, so that ``--help`` is quick and a command works
without the libraries of the others.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from affectstream_tools.bench.cli import bench_app
from affectstream_tools.classifier_cli import evaluate_classifier
from affectstream_tools.context_cli import evaluate_app, train_app
from affectstream_tools.context_study_cli import context
from affectstream_tools.faults.cli import faults
from affectstream_tools.fuzz_cli import fuzz
from affectstream_tools.link_cli import link
from affectstream_tools.live_cli import live
from affectstream_tools.network_cli import evaluate_network, train_network
from affectstream_tools.ordering_cli import ordering
from affectstream_tools.prepare_cli import prepare
from affectstream_tools.sentences_cli import train_sentence_encoder
from affectstream_tools.soak_cli import soak
from affectstream_tools.synthesis_cli import synthesise
from affectstream_tools.tables_cli import tables
from affectstream_tools.terminal import fail, progress_bar

app = typer.Typer(
    name="affectstream-lab",
    help="Train and evaluate the models of affectstream.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
train_app.command("network")(train_network)
train_app.command("sentences")(train_sentence_encoder)
evaluate_app.command("network")(evaluate_network)
evaluate_app.command("classifier")(evaluate_classifier)
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(bench_app, name="bench")
app.command()(context)
app.command()(faults)
app.command()(fuzz)
app.command()(link)
app.command()(live)
app.command()(prepare)
app.command()(synthesise)
app.command()(ordering)
app.command()(soak)
app.command()(tables)

AsJson = Annotated[bool, typer.Option("--json", help="End with one line of JSON.")]


@app.command()
def agreement(
    audio: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="A folder of recordings at 16 kHz.")
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Derived IEMOCAP set: score a classifier on RAVDESS too."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the front ends with openSMILE, Praat and pyAudioAnalysis."""
    from affectstream.errors import AffectstreamError
    from affectstream_tools.agreement import measure_agreement
    from affectstream_tools.agreement_table import print_agreement

    try:
        with progress_bar() as bar:
            task = bar.add_task("agreement")
            found = measure_agreement(
                audio,
                data,
                lambda what, done, total: bar.update(
                    task, description=what, completed=done, total=total
                ),
            )
    except AffectstreamError as error:
        fail(str(error), status=1)
    print_agreement(found)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))


def main() -> None:
    """Entry point of ``affectstream-lab``."""
    app()
