"""``affectstream-lab evaluate classifier``: the classifiers of Woellmer et al., fold by fold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from affectstream.commands.options import AsJson
from affectstream_tools.commands.options import Cache, Seed, Threads
from affectstream_tools.terminal import fail, progress_bar


def evaluate_classifier(
    name: Annotated[str, typer.Argument(help="hmm, svm, lstm or blstm.")],
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            help="Derived IEMOCAP, glove-50d-5k beside it; or a copy with sound and face markers.",
        ),
    ],
    task: Annotated[
        str, typer.Option(help="valence, activation, clusters-3, clusters-4 or clusters-5.")
    ] = "valence",
    protocol: Annotated[
        str, typer.Option(help="speaker (the paper's folds), session or scenario.")
    ] = "session",
    fold: Annotated[
        str | None,
        typer.Option(help="Such as Ses01F or 'session 5'.", show_default="each in turn"),
    ] = None,
    sentences: Annotated[
        Path | None,
        typer.Option(help="Sentence embeddings (.npy), a row for each of utterances.csv."),
    ] = None,
    seed: Seed = 0,
    small: Annotated[
        bool,
        typer.Option("--small", help="A few dialogues, little training."),
    ] = False,
    threads: Threads = 1,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Train a classifier of Woellmer et al. on folds and score what they hold out."""
    import torch

    from affectstream.errors import AffectstreamError

    torch.set_num_threads(threads)
    options: dict[str, Any] = {
        "classifiers": [name],
        "tasks": [task],
        "protocol": protocol,
        "seed": seed,
    }
    try:
        folds = _folds(data, cache, sentences, fold, options, small=small)
    except (AffectstreamError, ValueError, OSError) as error:
        fail(str(error))
    scores = _scores(folds)
    if as_json:
        summary = {"task": task, "protocol": protocol, "seed": seed}
        typer.echo(json.dumps({**summary, "folds": [f["fold"] for f in folds], "scores": scores}))
        return
    for scored in scores:
        figures = ", ".join(f"{k} {scored[k]:.3f}" for k in ("accuracy", "uar", "precision", "f1"))
        typer.echo(f"{task}, {scored['row']}, {scored['part']} ({scored['data']}): {figures}")


def _folds(
    data: Path,
    cache: Path | None,
    sentences: Path | None,
    fold: str | None,
    options: dict[str, Any],
    *,
    small: bool,
) -> list[dict[str, Any]]:
    """Return the scores of the fold that is asked for, or of every fold."""
    from affectstream.corpus.raw import find_sessions
    from affectstream_tools.corpora.splits import few_dialogues
    from affectstream_tools.jobs.folders import cache_folder
    from affectstream_tools.studies.woellmer.classifiers import BRIEF, Effort
    from affectstream_tools.studies.woellmer.data import DerivedFeatures
    from affectstream_tools.studies.woellmer.folds import fold_names
    from affectstream_tools.studies.woellmer.tables import run_recorded, score_woellmer_fold

    with progress_bar() as bar:
        progress = bar.add_task("features", total=None)
        if data.is_dir() and find_sessions(data):
            where = str(cache or cache_folder())
            recorded = run_recorded(
                cache=where, corpus=str(data), fold=fold, small=small, **options
            )
            found: list[dict[str, Any]] = recorded["folds"]
            return found
        features = DerivedFeatures(data, sentences)
        dialogues = few_dialogues(features.dialogues) if small else features.dialogues
        effort = BRIEF if small else Effort()
        names = [fold] if fold else fold_names(dialogues, options["protocol"])
        bar.update(progress, total=len(names))
        folds = []
        for one in names:
            bar.update(progress, description=one)
            folds.append(
                score_woellmer_fold(features, dialogues, fold=one, effort=effort, **options)
            )
            bar.advance(progress)
        return folds


def _scores(folds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the mean over folds of each row's scores: all utterances, and improvised ones."""
    from affectstream_tools.studies.woellmer.scores import mean_fold_scores

    counts: dict[tuple[str, str, str], list[Any]] = {}
    for fold in folds:
        for entry in fold["scores"]:
            if any(map(sum, entry["counts"])):
                key = entry["row"], entry["part"], entry["data"]
                counts.setdefault(key, []).append(entry["counts"])
    return [
        {
            "row": row,
            "part": part,
            "data": data,
            **{metric: round(mean, 4) for metric, (mean, _) in mean_fold_scores(each).items()},
            "counts": each,
        }
        for (row, part, data), each in counts.items()
    ]
