"""The command ``affectstream-lab``: train, evaluate and measure.

Every command imports what it needs when it runs, so that ``--help`` is quick and a command works
without the libraries of the others.
"""

from __future__ import annotations

import typer

from affectstream.commands.entry import CommandGroup, run_command_line
from affectstream.commands.options import ShowVersion
from affectstream_tools.commands.corpora.prepare import prepare
from affectstream_tools.commands.corpora.synthesise import synthesise
from affectstream_tools.commands.house import house
from affectstream_tools.commands.models.agreement import agreement
from affectstream_tools.commands.models.classifier import evaluate_classifier
from affectstream_tools.commands.models.context import evaluate_app, train_app
from affectstream_tools.commands.models.live import live
from affectstream_tools.commands.models.network import evaluate_network, train_network
from affectstream_tools.commands.models.sentences import train_sentence_encoder
from affectstream_tools.commands.studies.context import context
from affectstream_tools.commands.studies.ordering import ordering
from affectstream_tools.commands.studies.tables import tables
from affectstream_tools.commands.trials.bench import bench_app
from affectstream_tools.commands.trials.faults import faults
from affectstream_tools.commands.trials.fuzz import fuzz
from affectstream_tools.commands.trials.link import link
from affectstream_tools.commands.trials.soak import soak

lab = typer.Typer(
    cls=CommandGroup,
    name="affectstream-lab",
    help="Train and evaluate the models of affectstream.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
train_app.command("network")(train_network)
train_app.command("sentences")(train_sentence_encoder)
evaluate_app.command("network")(evaluate_network)
evaluate_app.command("classifier")(evaluate_classifier)
lab.add_typer(train_app, name="train")
lab.add_typer(evaluate_app, name="evaluate")
lab.add_typer(bench_app, name="bench")
for command in (
    *(agreement, context, faults, fuzz, house, link, live),
    *(ordering, prepare, soak, synthesise, tables),
):
    lab.command()(command)


@lab.callback()
def _root(version: ShowVersion = False) -> None:
    """Take the options that stand before a command."""


def run_lab() -> None:
    """Run ``affectstream-lab``; an error is one sentence on standard error and exit status 1."""
    run_command_line(lab, "affectstream-lab")
