"""``affectstream-lab synthesise``: a corpus whose best possible scores are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affectstream.commands.options import AsJson
from affectstream_tools.terminal import fail, print_table, progress_bar

if TYPE_CHECKING:
    from affectstream_tools.synthesis.dialogue_model import DialogueModel

_DIALOGUES_TO_EXPECT = 2000
"""So many are drawn besides the corpus, to say what can be scored on any corpus."""


def synthesise(
    folder: Annotated[Path, typer.Argument(help="The folder to write: new, or empty.")],
    sessions: Annotated[int, typer.Option(help="1 to 5, of two speakers each.")] = 5,
    dialogues: Annotated[int, typer.Option(help="In each session.")] = 6,
    utterances: Annotated[int, typer.Option(help="In each dialogue.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of all that is drawn.")] = 0,
    informativeness: Annotated[
        str, typer.Option(help="Chance that a modality's cue is the emotion's own, 0..1.")
    ] = "voice=0.5,words=0.6,motion=0.4",
    missing: Annotated[
        str, typer.Option(help="Chance that a modality has no cue, such as motion=0.2.")
    ] = "",
    frame_rate: Annotated[
        float, typer.Option(help="Frames of motion a second; IEMOCAP: 120.")
    ] = 30,
    workers: Annotated[int, typer.Option(min=1, help="Processes that write.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Write a synthetic corpus in IEMOCAP's layout, and say the best that can be scored on it."""
    from affectstream.errors import AffectstreamError
    from affectstream_tools.synthesis.corpus_writer import write_corpus

    try:
        model = _model(informativeness, missing)
        with progress_bar() as bar:
            task = bar.add_task("dialogues")
            truth = write_corpus(
                folder,
                model,
                seed,
                sessions=sessions,
                dialogues_per_session=dialogues,
                utterances=utterances,
                frame_rate_hz=frame_rate,
                workers=workers,
                on_done=lambda done, total: bar.update(task, completed=done, total=total),
            )
    except (AffectstreamError, ValueError) as error:
        fail(str(error))
    rows = _rows(model, truth.drawn, utterances, seed)
    _print(folder, rows)
    if as_json:
        summary = {"folder": str(folder), "synthetic": True, "seed": seed}
        typer.echo(json.dumps({**summary, "model": model.to_dict(), "ceilings": rows}))


def _model(informativeness: str, missing: str) -> DialogueModel:
    from affectstream_tools.synthesis.dialogue_model import CUES, CueChannel, DialogueModel

    chances, gone = _shares(informativeness), _shares(missing)
    default = dict(zip(CUES, DialogueModel().channels, strict=True))
    if unknown := (chances.keys() | gone.keys()) - default.keys():
        raise ValueError(f"there is no modality {min(unknown)!r}; use {', '.join(CUES)}")
    shown = {
        name: CueChannel(chances.get(name, own.informativeness), gone.get(name, 0.0))
        for name, own in default.items()
    }
    return DialogueModel(shown["voice"], shown["words"], shown["motion"])


def _shares(text: str) -> dict[str, float]:
    """Read such as ``voice=0.5,words=0.6``."""
    shares = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        try:
            shares[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise ValueError(f"{part!r} is no modality and chance; write such as voice=0.5")
    return shares


def _rows(model: DialogueModel, drawn: Any, utterances: int, seed: int) -> list[dict[str, Any]]:
    """Return the best scores on this corpus, beside those to be expected on any."""
    import numpy as np

    from affectstream_tools.synthesis.ceilings import ceilings, without_context

    many = model.draw(_DIALOGUES_TO_EXPECT, utterances, np.random.default_rng((seed, 1)))
    rows = []
    for here, anywhere in zip(ceilings(model, drawn), ceilings(model, many), strict=True):
        expected: dict[str, Any] = {
            "expected_accuracy": anywhere.accuracy,
            "expected_accuracy_sd": anywhere.accuracy_sd,
            "expected_uar": anywhere.uar,
        }
        if here.look_ahead == "none":  # needs no sample
            accuracy, uar = without_context(model, here.modalities)
            expected = {
                "expected_accuracy": accuracy,
                "expected_accuracy_sd": 0.0,
                "expected_uar": uar,
            }
        rows.append({**here.to_dict(), **expected})
    return rows


def _print(folder: Path, rows: list[dict[str, Any]]) -> None:
    print_table(
        f"{folder}: synthetic, not IEMOCAP; the best that can be scored, per cent",
        ("modalities", "look-ahead", "accuracy here", "any corpus (sd)", "UAR here", "any corpus"),
        [
            (
                "+".join(row["modalities"]),
                row["look_ahead"],
                f"{100 * row['realised_accuracy']:.1f}",
                f"{100 * row['expected_accuracy']:.1f} ({100 * row['expected_accuracy_sd']:.2f})",
                f"{100 * row['realised_uar']:.1f}",
                f"{100 * row['expected_uar']:.1f}",
            )
            for row in rows
        ],
        width=100,
        names=2,
    )
