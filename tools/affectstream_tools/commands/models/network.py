"""``train network`` and ``evaluate network``: the networks of Tripathi and Beigi."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affectstream.commands.options import AsJson
from affectstream_tools.commands.options import Cache, Threads, check_out
from affectstream_tools.terminal import epochs, fail, progress_bar

if TYPE_CHECKING:
    from affectstream_tools.studies.tripathi.experiment import ExperimentPlan, Finished

_GLOVE = Path("..") / "glove-50d-5k" / "glove-50d-5k.json"


def train_network(
    name: Annotated[str, typer.Argument(help="Such as speech-1, text-3, text-speech-mocap-6.")],
    data: Annotated[
        str,
        typer.Option(
            "--data", help="Corpus: raw or derived IEMOCAP, labelled clips, or synthetic."
        ),
    ],
    protocol: Annotated[
        str,
        typer.Option(help="random 20 %, last 20 %, session 5, or actors (16, 4, 4), of clips."),
    ] = "session 5",
    improvised: Annotated[
        bool, typer.Option("--improvised", help="Improvised dialogues only.")
    ] = False,
    vectors: Annotated[
        Path | None,
        typer.Option(help="GloVe file.", show_default="glove-50d-5k beside the corpus"),
    ] = None,
    optimiser: Annotated[
        str,
        typer.Option(help="adadelta or adam.", show_default="the paper's for the network"),
    ] = "",
    batch: Annotated[int, typer.Option(min=1, help="Utterances in a step.")] = 64,
    most_epochs: Annotated[int, typer.Option("--epochs", min=1, help="Epochs at most.")] = 20,
    patience: Annotated[
        int, typer.Option(min=1, help="Stop after so many epochs without a gain on development.")
    ] = 5,
    seed: Annotated[int, typer.Option(help="Of weights, batches and the split.")] = 0,
    threads: Threads = 1,
    out: Annotated[
        Path | None, typer.Option(help="Checkpoint.", show_default="NAME.safetensors")
    ] = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Train one of the networks of Tripathi and Beigi, and score it."""
    from affectstream_tools.studies.tripathi.experiment import ExperimentPlan

    plan = ExperimentPlan(
        network=name,
        corpus=data,
        vectors=str(vectors or Path(data) / _GLOVE),
        protocol=protocol,
        batch=batch,
        epochs=most_epochs,
        patience=patience,
        improvised=improvised,
        optimiser=optimiser,
        seed=seed,
    )
    file = out or Path(f"{name}.safetensors")
    check_out(file)
    finished, sha256 = _trained(plan, _cache(cache), file, threads)
    result = {**finished.to_dict(), "sha256": sha256}
    typer.echo(f"wrote {file}, sha256 {sha256}", err=True)
    if as_json:
        typer.echo(json.dumps(result))
        return
    for selected, scored in result["selected"].items():
        typer.echo(f"epoch {scored['epoch'] + 1}, chosen by the {selected} part: {_said(scored)}")


def evaluate_network(
    checkpoint: Annotated[Path, typer.Argument(help="File of `train network`.")],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="Another corpus, all of it.",
            show_default="the test part it was trained with",
        ),
    ] = None,
    threads: Threads = 1,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Score a trained network; by default on the part that was kept from its training."""
    import torch

    from affectstream.errors import AffectstreamError
    from affectstream_models.tensor_file import CheckpointError
    from affectstream_models.tripathi.checkpoints import load_network
    from affectstream_tools.studies.tripathi.experiment import run_evaluation

    torch.set_num_threads(threads)
    try:
        with progress_bar() as bar:
            bar.add_task("evaluate", total=None)
            result = run_evaluation(load_network(checkpoint), _cache(cache), corpus=data)
    except (AffectstreamError, CheckpointError, ValueError, OSError) as error:
        fail(str(error))
    if as_json:
        typer.echo(json.dumps(result))
        return
    typer.echo(f"{result['network']}, {result['named']}, {result['protocol']}: {_said(result)}")
    if result["improvised"]:
        typer.echo(f"improvised: {_said(result['improvised'])}")


def _trained(plan: ExperimentPlan, cache: Path, file: Path, threads: int) -> tuple[Finished, str]:
    import torch

    from affectstream.errors import AffectstreamError
    from affectstream_models.tensor_file import CheckpointError
    from affectstream_models.tripathi.checkpoints import save_network
    from affectstream_tools.studies.tripathi.experiment import experiment

    torch.set_num_threads(threads)
    try:
        with epochs(plan.epochs) as step:
            finished = experiment(
                plan, cache, on_epoch=lambda epoch, loss: step(plan.network, epoch, loss)
            )
        return finished, save_network(finished.description, finished.network, file)
    except (AffectstreamError, CheckpointError, ValueError, OSError) as error:
        fail(str(error))


def _cache(folder: Path | None) -> Path:
    from affectstream.errors import AffectstreamError
    from affectstream_tools.jobs.folders import cache_folder

    try:
        return folder or cache_folder()
    except AffectstreamError as error:
        fail(str(error))


def _said(scored: dict[str, Any]) -> str:
    utterances = sum(map(sum, scored["confusion"]))
    return (
        f"accuracy {100 * scored['accuracy']:.2f} %, UAR {100 * scored['uar']:.2f} % of "
        f"{utterances} utterances; counts by true class {scored['confusion']}"
    )
