"""The command ``affectstream-lab``: train, evaluate and measure.

Knows: options and how results are printed. Refuses to know: how anything is computed. Every
command imports what it needs when it runs, so that ``--help`` is quick and a command works
without the libraries of the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from affectstream_tools.bench.cli import bench_app
from affectstream_tools.live_cli import live

if TYPE_CHECKING:
    from rich.progress import Progress

    from affectstream.sources.iemocap import CorpusDialogue
    from affectstream_tools.evaluate import Row

app = typer.Typer(
    name="affectstream-lab",
    help="Train and evaluate the models of affectstream.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
train_app = typer.Typer(help="Train a model from a corpus.", no_args_is_help=True)
evaluate_app = typer.Typer(help="Score a model on a corpus.", no_args_is_help=True)
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(bench_app, name="bench")
app.command()(live)

Data = Annotated[
    Path, typer.Option("--data", help="Derived set: utterances.csv and egemaps47.npy.")
]
Threads = Annotated[
    int, typer.Option(min=1, help="Processor threads; another number changes the last digits.")
]
AsJson = Annotated[bool, typer.Option("--json", help="End with one line of JSON.")]

GLOVE_HELP = "Word vectors, JSON of word -> list. [default: ../glove-50d-5k/... beside --data]"


@train_app.command("context")
def train_context(
    data: Data,
    test_session: Annotated[int, typer.Option(help="Session never looked at.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of all that is random.")] = 0,
    out: Annotated[Path, typer.Option(help="Checkpoint to write.")] = Path("context.safetensors"),
    glove: Annotated[Path | None, typer.Option(help=GLOVE_HELP)] = None,
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Train the context model as the shipped checkpoint was trained."""
    import torch

    from affectstream_tools.context_checkpoint import Recipe, train_checkpoint

    torch.set_num_threads(threads)
    dialogues, vectors, recipe = _read(data), _vectors(data, glove), Recipe()
    rounds = len({dialogue.session for dialogue in dialogues if dialogue.session != test_session})
    total = (rounds + 1) * recipe.members * recipe.schedule.epochs
    with _training(total) as step:
        result = train_checkpoint(
            dialogues,
            vectors,
            recipe,
            out,
            test_session=test_session,
            seed=seed,
            progress=step,
        )
    typer.echo(f"wrote {out}, sha256 {result['sha256']}", err=True)
    if as_json:
        typer.echo(json.dumps(result))
    else:
        typer.echo(f"development (unseen sessions): {result['development']}")


@evaluate_app.command("context-scenarios")
def evaluate_context_scenarios(
    data: Data,
    test_session: Annotated[int, typer.Option(help="Session that is scored.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of all that is random.")] = 0,
    groups: Annotated[int, typer.Option(min=2, help="Models to train.")] = 4,
    glove: Annotated[Path | None, typer.Option(help=GLOVE_HELP)] = None,
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Train and score with neither the test session nor the test scenarios in training."""
    import torch

    from affectstream_tools.context_checkpoint import Recipe
    from affectstream_tools.scenario_protocol import evaluate_scenarios

    torch.set_num_threads(threads)
    dialogues, vectors, recipe = _read(data), _vectors(data, glove), Recipe()
    total = groups * recipe.members * recipe.schedule.epochs
    try:
        with _training(total) as step:
            rows = evaluate_scenarios(
                dialogues,
                vectors,
                recipe,
                session=test_session,
                seed=seed,
                groups=groups,
                progress=step,
            )
    except ValueError as error:
        _fail(str(error))
    _print_table("unseen scenarios", str(test_session), rows)
    if as_json:
        typer.echo(json.dumps({"rows": [row.to_dict() for row in rows]}))


@evaluate_app.command("context")
def evaluate_context(
    data: Data,
    sessions: Annotated[str, typer.Option(help="Sessions to score, such as 5 or 1,2.")] = "5",
    checkpoint: Annotated[
        Path | None, typer.Option(help="Checkpoint. [default: the shipped one]")
    ] = None,
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Score the context model by look-ahead, and with a modality missing."""
    import torch

    from affectstream_models.checkpoints import CheckpointError, load, load_pretrained
    from affectstream_tools.evaluate import evaluate
    from affectstream_tools.splits import of_sessions

    torch.set_num_threads(threads)
    try:
        model = load(checkpoint) if checkpoint else load_pretrained()
        chosen = of_sessions(_read(data), {int(part) for part in sessions.split(",")})
        with _progress() as bar:
            task = bar.add_task("evaluate", total=None)
            rows = evaluate(model, chosen, progress=lambda what: bar.update(task, description=what))
    except (CheckpointError, ValueError) as error:
        _fail(str(error))
    _print_table(model.id, sessions, rows)
    if as_json:
        summary = {"model": model.id, "sha256": model.sha256, "sessions": sessions}
        typer.echo(json.dumps({**summary, "rows": [row.to_dict() for row in rows]}))


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
        with _progress() as bar:
            task = bar.add_task("agreement")
            found = measure_agreement(
                audio,
                data,
                lambda what, done, total: bar.update(
                    task, description=what, completed=done, total=total
                ),
            )
    except AffectstreamError as error:
        _fail(str(error), status=1)
    print_agreement(found)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))


def _print_table(model: str, sessions: str, rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{model}, session {sessions} (four classes, chance UAR 0.25)")
    for heading in ("look-ahead", "modalities", "part", "n", "UAR", "WA", "F1", "ECE", "CCC v/a/d"):
        table.add_column(heading)
    for row in rows:
        found = row.scores
        table.add_row(
            "full" if row.look_ahead is None else str(row.look_ahead),
            "+".join(row.modalities),
            row.part,
            str(found.utterances),
            *(f"{value:.3f}" for value in (found.uar, found.wa, found.f1, found.ece)),
            " ".join(f"{value:.2f}" for value in row.concordance.values()),
        )
    console = Console(stderr=True)
    console.width = max(console.width, 100)  # a narrow pipe would cut the names
    console.print(table)


def _read(data: Path) -> list[CorpusDialogue]:
    from affectstream.sources.iemocap import CorpusError, read_derived

    try:
        return read_derived(data)
    except CorpusError as error:
        _fail(str(error))


def _vectors(data: Path, glove: Path | None) -> dict[str, list[float]]:
    path = glove or data.parent / "glove-50d-5k" / "glove-50d-5k.json"
    if not path.is_file():
        _fail(f"{path} is missing; name the word vectors with --glove")
    vectors: dict[str, list[float]] = json.loads(path.read_text(encoding="utf-8"))
    return vectors


@contextmanager
def _training(total: int) -> Iterator[Callable[[str, int, float], None]]:
    """A progress bar over epochs, as the callback that moves it."""
    with _progress() as bar:
        task = bar.add_task("train", total=total)

        def step(name: str, epoch: int, loss: float) -> None:
            bar.update(task, advance=1, description=f"{name} epoch {epoch} loss {loss:.3f}")

        yield step


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True)


def _fail(message: str, *, status: int = 2) -> NoReturn:
    typer.echo(f"affectstream-lab: {message}", err=True)
    raise typer.Exit(status)


def main() -> None:
    """Entry point of ``affectstream-lab``."""
    app()
