"""``train context``, ``evaluate context`` and ``evaluate context-scenarios``.

They train the context model and score it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affectstream.commands.options import AsJson
from affectstream_tools.commands.options import Seed, Threads, check_out
from affectstream_tools.terminal import counted, epochs, fail, print_table, progress_bar

if TYPE_CHECKING:
    from affectstream_tools.evaluate.dialogue_scores import DialogueScores
    from affectstream_tools.train.recipes import Shipped
    from affectstream_tools.train.trainer import Sources, TrainingRecipe

train_app = typer.Typer(help="Train a model from a corpus.", no_args_is_help=True)
evaluate_app = typer.Typer(help="Score a model on a corpus.", no_args_is_help=True)

_Data = Annotated[
    Path, typer.Option("--data", help="Derived set: utterances.csv and egemaps47.npy.")
]
_Others = Annotated[
    Path | None,
    typer.Option(
        help="Folder with glove-50d-5k, meld-text, emobank and ravdess16k. [default: beside --data]"
    ),
]
_RecipeName = Annotated[
    str, typer.Option("--recipe", help="live, live-sentences, or replay (IEMOCAP alone).")
]


@train_app.command("context")
def train_context(
    data: _Data,
    recipe: _RecipeName = "live",
    test_session: Annotated[int, typer.Option(help="Session that is kept out of training.")] = 5,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="Checkpoint to write.")] = Path("context.safetensors"),
    leave_out: Annotated[
        str | None, typer.Option(help="Train without this corpus of the recipe: meld, ravdess.")
    ] = None,
    others: _Others = None,
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Train a context model as the shipped one of that recipe was trained."""
    from affectstream_tools.train.checkpoint import train_checkpoint
    from affectstream_tools.train.trainer import Trainer

    check_out(out)
    chosen = _shipped(recipe)
    asked, left_out = chosen.recipe, f"-{leave_out}" if leave_out else ""
    if leave_out:
        try:
            asked = asked.without(leave_out)
        except ValueError as error:
            fail(str(error))
    sources = _sources(data, asked, others, seed, threads)
    with epochs(_epochs(asked, 5)) as step:
        result = train_checkpoint(
            Trainer(sources, asked, seed, step),
            out,
            name=f"context-{recipe}-without-{test_session}{left_out}",
            test_session=test_session,
            folds=chosen.folds,
        )
    typer.echo(f"wrote {out}, sha256 {result['sha256']}", err=True)
    if as_json:
        typer.echo(json.dumps(result))
    else:
        typer.echo(f"development ({chosen.purpose}): {result['development']}")


@evaluate_app.command("context-scenarios")
def evaluate_context_scenarios(
    data: _Data,
    recipe: _RecipeName = "live",
    test_session: Annotated[int, typer.Option(help="Session that is scored.")] = 5,
    seed: Seed = 0,
    groups: Annotated[int, typer.Option(min=2, help="Models to train.")] = 4,
    others: _Others = None,
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Train and score with neither the test session nor the test scenarios in training."""
    from affectstream_tools.evaluate.scenario_protocol import evaluate_scenarios
    from affectstream_tools.train.trainer import Trainer

    chosen = _shipped(recipe).recipe
    sources = _sources(data, chosen, others, seed, threads)
    try:
        with epochs(_epochs(chosen, groups)) as step:
            trainer = Trainer(sources, chosen, seed, step)
            rows = evaluate_scenarios(trainer, session=test_session, groups=groups)
    except ValueError as error:
        fail(str(error))
    _print_rows(f"{recipe}, unseen scenarios", str(test_session), rows)
    if as_json:
        summary = {"recipe": recipe, "groups": groups, "seed": seed}
        typer.echo(json.dumps({**summary, "rows": [row.to_dict() for row in rows]}))


@evaluate_app.command("context")
def evaluate_context(
    data: _Data,
    sessions: Annotated[str, typer.Option(help="Sessions to score, such as 5 or 1,2.")] = "5",
    model: Annotated[str, typer.Option(help="live, live-sentences, or replay.")] = "live",
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint in its place.")] = None,
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Score the context model by look-ahead, and with a modality missing."""
    import torch

    from affectstream.corpus.derived import read_derived
    from affectstream.corpus.dialogues import CorpusError
    from affectstream_models.context.checkpoints import load_context_model, load_pretrained
    from affectstream_models.tensor_file import CheckpointError
    from affectstream_tools.corpora.splits import of_sessions
    from affectstream_tools.evaluate.dialogue_scores import evaluate_dialogues

    torch.set_num_threads(threads)
    try:
        scored = load_context_model(checkpoint) if checkpoint else load_pretrained(model)
        chosen = of_sessions(read_derived(data), {int(part) for part in sessions.split(",")})
        with progress_bar() as bar:
            task = bar.add_task("evaluate", total=None)
            rows = evaluate_dialogues(
                scored, chosen, progress=lambda what: bar.update(task, description=what)
            )
    except (CheckpointError, CorpusError, ValueError) as error:
        fail(str(error))
    _print_rows(scored.id, sessions, rows)
    if as_json:
        summary = {"model": scored.id, "sha256": scored.sha256, "sessions": sessions}
        typer.echo(json.dumps({**summary, "rows": [row.to_dict() for row in rows]}))


def _shipped(name: str) -> Shipped:
    from affectstream_tools.train.recipes import SHIPPED

    return SHIPPED.get(name) or fail(f"there is no recipe {name!r}; there are {', '.join(SHIPPED)}")


def _epochs(recipe: TrainingRecipe, rounds: int) -> int:
    words = 0 if recipe.text is None else recipe.text.epochs
    return recipe.members * (rounds * recipe.schedule.epochs + words)


def _sources(
    data: Path, recipe: TrainingRecipe, others: Path | None, seed: int, threads: int
) -> Sources:
    """Read what the recipe is trained on; its sentences are encoded and kept."""
    import torch

    from affectstream.errors import AffectstreamError
    from affectstream_tools.jobs.folders import cache_folder
    from affectstream_tools.train.kept_sentences import keep_sentences, texts_of
    from affectstream_tools.train.sources import Folders, read_sources

    torch.set_num_threads(threads)
    try:
        sources = read_sources(Folders(data, others or data.parent), recipe, seed=seed)
        name = recipe.sizes.get("sentence_encoder")
        if not name:
            return sources
        kept = keep_sentences(cache_folder() / "sentences", name)
        with counted("sentences") as step:
            kept.keep(texts_of([*sources.dialogues, *sources.others]), step)
        return replace(sources, sentence_encoder=kept)
    except (AffectstreamError, ValueError) as error:
        fail(str(error))


def _print_rows(model: str, sessions: str, rows: Sequence[DialogueScores]) -> None:
    print_table(
        f"{model}, session {sessions} (four classes, chance UAR 0.25)",
        ("look-ahead", "modalities", "part", "n", "UAR", "WA", "F1", "ECE", "CCC v/a/d"),
        [
            (
                "full" if row.look_ahead is None else str(row.look_ahead),
                "+".join(row.modalities),
                row.part,
                str(row.scores.utterances),
                *(
                    f"{value:.3f}"
                    for value in (row.scores.uar, row.scores.wa, row.scores.f1, row.scores.ece)
                ),
                " ".join(f"{value:.2f}" for value in row.concordance.values()),
            )
            for row in rows
        ],
        width=100,
        names=3,
    )
