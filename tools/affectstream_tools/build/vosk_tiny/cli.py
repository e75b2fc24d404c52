"""The commands ``build`` and ``evaluate`` of ``python -m affectstream_tools.build.vosk_tiny``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

application = typer.Typer(
    add_completion=False, no_args_is_help=True, help="A tiny Vosk model of espeak-ng speech."
)


@application.command()
def build(
    out: Annotated[Path, typer.Option(help="The model's folder.")],
    copies: Annotated[int, typer.Option(min=1, help="Voices per training sentence.")] = 14,
    salads: Annotated[int, typer.Option(min=0, help="Sentences of random words.")] = 1200,
    non_speech: Annotated[int, typer.Option(min=0, help="Clips without any speech.")] = 150,
    hidden: Annotated[int, typer.Option(min=8, help="Width of the network.")] = 128,
    epochs: Annotated[int, typer.Option(min=1)] = 10,
) -> None:
    """Train a model on espeak-ng speech (some minutes on one core) and write it."""
    from affectstream_tools.build.vosk_tiny.data import Amount, known_sentences, make_data
    from affectstream_tools.build.vosk_tiny.model_folder import write_model
    from affectstream_tools.build.vosk_tiny.training import AcousticRecipe, train_acoustic

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    data = make_data(known_sentences("train"), Amount(copies, salads, non_speech))
    typer.echo(f"{len(data.clips)} clips, {len(data.phones)} phones, {len(data.vocabulary)} words")
    network = train_acoustic(data, AcousticRecipe(hidden=hidden, epochs=epochs))
    size = write_model(out, data, network)
    typer.echo(f"{out}: {size} bytes")


@application.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="The model's folder.")],
    sentences: Annotated[str, typer.Option(help="development or fresh.")] = "fresh",
    ratio_db: Annotated[float | None, typer.Option(help="Add noise at this SNR.")] = None,
    verbose: Annotated[bool, typer.Option(help="Show what was misheard.")] = False,
) -> None:
    """Print the word error rate on sentences and voices that were never trained on."""
    from affectstream_tools.build.vosk_tiny import data, evaluation, speech

    voices = speech.EVALUATION_VOICES if sentences == "fresh" else speech.DEVELOPMENT_VOICES
    loaded, total = evaluation.load_model(model), evaluation.Score()
    for voice in voices:
        score = evaluation.word_error_rate(
            loaded, data.known_sentences(sentences), [voice], ratio_db
        )
        typer.echo(f"{voice:15s} WER {100 * score.word_error_rate:5.1f} %")
        total += score
    if verbose:
        for said, heard in total.wrong:
            typer.echo(f"  {said}\n    {heard}")
    typer.echo(
        f"{total.sentences} sentences, {total.words} words: "
        f"WER {100 * total.word_error_rate:.2f} %, {len(total.wrong)} sentences wrong, "
        f"word starts within {total.start_error_ms:.0f} ms (median), "
        f"{total.processing_s / total.audio_s:.4f} of real time"
    )
