"""``affectstream-lab train sentences``: tunes the sentence encoder to emotion."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from affectstream.commands.options import AsJson
from affectstream_tools.commands.options import Seed, Threads, check_out
from affectstream_tools.terminal import epochs, fail, print_table


def train_sentence_encoder(
    others: Annotated[Path, typer.Option(help="Folder with meld-text and emobank.")],
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("emotion-minilm.safetensors"),
    threads: Threads = 1,
    small: Annotated[
        bool, typer.Option("--small", help="A few sentences, to see that it runs.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tune the sentence encoder to emotion, on MELD's and EmoBank's sentences.

    Their development parts are for choices, their test parts for the scores alone.
    """
    from affectstream.errors import AffectstreamError
    from affectstream_models.tensor_file import CheckpointError

    check_out(out)
    try:
        trained, sha256 = _trained(others, seed, out, threads, small=small)
    except (AffectstreamError, CheckpointError, ValueError, OSError) as error:
        fail(str(error))
    scores: dict[str, dict[str, float]] = trained["scores"]
    rows = [(name, *(f"{value:.3f}" for value in row.values())) for name, row in scores.items()]
    remark = (
        "UAR, accuracy and F1 of MELD's seven emotions (chance UAR 0.143); r of EmoBank's scales."
    )
    print_table("sentences", ("part", *scores["dev"]), rows, [remark], width=100)
    typer.echo(f"wrote {out}, sha256 {sha256}", err=True)
    if as_json:
        typer.echo(json.dumps({**trained, "sha256": sha256}))


def _trained(
    others: Path, seed: int, out: Path, threads: int, *, small: bool
) -> tuple[dict[str, Any], str]:
    """Train, score and write the changes; return what was done, and the file's SHA-256."""
    import torch

    from affectstream_models.text.adapter import save_adapter
    from affectstream_tools.train.sentence_encoder import (
        SentenceSchedule,
        score_sentences,
        train_sentences,
    )
    from affectstream_tools.train.sources import emotional_sentences

    torch.set_num_threads(threads)
    schedule = SentenceSchedule()
    parts = emotional_sentences(others)
    if small:
        parts = {name: [*said[:96], *said[-96:]] for name, said in parts.items()}
        schedule = replace(schedule, epochs=1)
    steps = -(-len(parts["train"]) // schedule.batch)
    with epochs(schedule.epochs * steps) as step:
        reader = train_sentences(parts["train"], schedule, seed, progress=step)
    trained = {
        "sentences": len(parts["train"]),
        "seed": seed,
        "schedule": asdict(schedule),
        "scores": {name: score_sentences(reader, parts[name]) for name in ("dev", "test")},
    }
    return trained, save_adapter(reader.changes, out, trained=trained)
