"""``affectstream-lab live``: clips through the live path, beside the same model offline."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affectstream.commands.options import AsJson, Checkpoint, VoiceDetectorOption
from affectstream_tools.terminal import fail, print_table, progress_bar

if TYPE_CHECKING:
    from affectstream.fusion.pretrained import PretrainedModel
    from affectstream_tools.evaluate.live_path import LiveAnswer
    from affectstream_tools.evaluate.live_scores import Choice

_AUDIO_HELP = (
    "Folder of clips: RAVDESS, CREMA-D, EMO-DB, SAVEE, TESS or EMOVO names, folders that are "
    "emotions, or labels.csv (file,emotion,speaker)."
)


def live(
    audio: Annotated[Path, typer.Option(exists=True, file_okay=False, help=_AUDIO_HELP)],
    speed: Annotated[str, typer.Option(help="Seconds of audio per second, or max.")] = "max",
    seed: Annotated[int, typer.Option(help="Of the clips' order.")] = 0,
    runs: Annotated[int, typer.Option(min=1, help="Orders to play; scores are means.")] = 1,
    vad: VoiceDetectorOption = "webrtc",
    checkpoint: Checkpoint = "live",
    everybody: Annotated[
        bool, typer.Option(help="Also speakers that the model has learned from.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Play labelled clips through the live path, and score the estimates."""
    from affectstream.core.pacing import parse_speed
    from affectstream.errors import AffectstreamError
    from affectstream.fusion.pretrained import PretrainedModel
    from affectstream_tools.corpora.labelled_clips import find_clips
    from affectstream_tools.evaluate.live_scores import choose, summarise

    try:
        pace = parse_speed(speed)
        clips, unlabelled = find_clips(audio)
        model = PretrainedModel(checkpoint)
        choice = choose(clips, unlabelled, model.network.trained_speakers, everybody=everybody)
        played = [_play(model, choice, seed + number, vad, pace) for number in range(runs)]
    except (AffectstreamError, ValueError) as error:
        fail(str(error))
    identity = {"model": model.identity.id, "sha256": model.identity.sha256, "vad": vad}
    summary = {**summarise(played, choice), "seed": seed, **identity}
    _print(summary)
    if as_json:
        typer.echo(json.dumps(summary))


def _play(
    model: PretrainedModel, choice: Choice, seed: int, vad: str, speed: float
) -> list[LiveAnswer]:
    from affectstream_tools.evaluate.live_path import answer_speaker

    answers = []
    with progress_bar() as bar:
        task = bar.add_task("clips", total=sum(map(len, choice.by_speaker.values())))
        for speaker, clips in choice.by_speaker.items():
            answers += answer_speaker(
                model,
                clips,
                random.Random(f"{seed} {speaker}"),
                vad=vad,
                speed=speed,
                on_clip=lambda: bar.advance(task),
            )
    return answers


def _print(summary: dict[str, Any]) -> None:
    rows = []
    for name, words in (
        ("live", "live, first estimate (look-ahead 0)"),
        ("live_final", "live, final estimate"),
        ("offline", "offline, whole clips and speakers (look-ahead 0)"),
    ):
        row = summary[name]
        figures = (row["uar"], row["ece"], *row["recall"].values())
        rows.append((words, *(f"{value:.3f}" for value in figures)))
    left_out = summary["left_out"]
    trained = ", ".join(left_out["trained_speakers"]) or "none"
    print_table(
        f"{summary['n']} clips, {summary['speakers']} speakers, {summary['runs']} runs, "
        f"chance UAR {summary['chance']:.2f}",
        ("", "UAR", "ECE", *summary["classes"]),
        rows,
        (
            f"left out: {left_out['other_emotions']} clips of other emotions, "
            f"{left_out['unlabelled']} files without a label, speakers the model knows: {trained}",
            *(
                f"no utterance was found in {path}, which counts as wrong"
                for path in summary["unheard"]
            ),
        ),
        width=100,
    )
