"""``affectstream-lab bench``: latency, growth, front ends, security, subscribers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affectstream.commands.options import AsJson
from affectstream_tools.commands.options import Seed
from affectstream_tools.commands.trials.microphone import bench_microphone
from affectstream_tools.terminal import fail, print_table, progress_bar

if TYPE_CHECKING:
    from rich.progress import Progress

bench_app = typer.Typer(help="Measure speed and memory on this machine.", no_args_is_help=True)
bench_app.command("microphone")(bench_microphone)


@bench_app.command()
def latency(
    dialogues: Annotated[str, typer.Option(help="Dialogues at once, for each run.")] = "1,100",
    utterances: Annotated[int, typer.Option(min=1, help="Measured in each run.")] = 1_500,
    warm_up: Annotated[int, typer.Option(min=0, help="Before them, not measured.")] = 200,
    every_s: Annotated[
        float, typer.Option(min=0.05, help="Mean time between a dialogue's utterances.")
    ] = 3.0,
    journal: Annotated[
        bool, typer.Option("--journal", help="Run each also with a journal.")
    ] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Time from utterance.ended sent to the first estimate received, across processes."""
    from affectstream_tools.bench.floor import measure_hop
    from affectstream_tools.bench.latency import measure_latency

    counts = _counts(dialogues)
    with _reported() as bar:
        floor = measure_hop(min(utterances, 1_000))
        rows = []
        for count, kept in product(counts, (False, True) if journal else (False,)):
            name = f"{count} dialogues{', journal' if kept else ''}"
            row = measure_latency(
                count,
                journal=kept,
                utterances=utterances,
                warm_up=warm_up,
                seed=seed,
                every_s=every_s,
                on_progress=_task(bar, name, utterances + warm_up),
            )
            rows.append(row.to_dict() | {"journal": kept})
    _print("utterance.ended sent -> first estimate received", rows)
    typer.echo(f"floor: one hop through the hub {floor['hop_p50_ms']} ms", err=True)
    if as_json:
        typer.echo(json.dumps({"dialogues": rows, "floor": floor}))


@bench_app.command()
def growth(
    utterances: Annotated[int, typer.Option(min=20, help="Length of the long dialogue.")] = 10_000,
    window: Annotated[int, typer.Option(min=1, help="Utterances timed, early and late.")] = 101,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Cost and memory of a long dialogue's last utterance, over those of its 10th."""
    from affectstream_tools.bench.growth import measure_growth
    from affectstream_tools.bench.memory import measure_fusion_memory, measure_microphone_memory

    with _reported() as bar:
        result = measure_growth(
            utterances, window=window, seed=seed, on_progress=_task(bar, "cost", utterances)
        )
        result |= measure_fusion_memory(
            utterances, seed=seed, on_progress=_task(bar, "fusion node's memory", utterances)
        )
        bar.add_task("microphone's memory", total=None)
        result |= measure_microphone_memory(minutes=max(1, utterances // 500))
    _print("a long dialogue", [result])
    if as_json:
        typer.echo(json.dumps(result))


@bench_app.command("front-ends")
def front_ends(
    audio: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="A folder of recordings.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="How much of it.")] = 60.0,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each.")] = 5,
    only: Annotated[str, typer.Option(help="Such as egemaps,opensmile; default: all.")] = "",
    microphone: Annotated[bool, typer.Option(help="Measure the microphone worker too.")] = True,
    as_json: AsJson = False,
) -> None:
    """Seconds of work per second of audio: ours in 20 ms chunks and whole, references whole."""
    from affectstream_tools.bench.front_end_runs import SUBJECTS
    from affectstream_tools.bench.front_ends import measure_front_ends

    chosen = only.split(",") if only else [*SUBJECTS]
    if unknown := set(chosen) - set(SUBJECTS):
        fail(
            f"{', '.join(sorted(unknown))}: no such front end or reference; "
            f"there are {', '.join(SUBJECTS)}"
        )
    with _reported() as bar:
        task = bar.add_task("front ends", total=None)
        speeds = measure_front_ends(
            audio,
            seconds=seconds,
            repeats=repeats,
            only=chosen,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        ).to_dict()
        if microphone:
            from affectstream_tools.bench.microphone.work import microphone_work

            bar.add_task("microphone worker", total=None)
            speeds["microphone"] = microphone_work().to_dict()
    _print_speeds(speeds)
    typer.echo(f"measured on: {speeds['measured']}", err=True)
    if as_json:
        typer.echo(json.dumps(speeds))


@bench_app.command()
def security(
    messages: Annotated[int, typer.Option(min=1_000, help="Messages per hub and round.")] = 20_000,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds; each hub once in each.")] = 5,
    as_json: AsJson = False,
) -> None:
    """What keys cost: hubs without keys, with encryption alone (ZeroMQ's proxy), and with keys."""
    from affectstream_tools.bench.security import HUBS, measure_security

    with _reported() as bar:
        rows = measure_security(
            messages, repeats, on_progress=_task(bar, "hubs", repeats * len(HUBS))
        )
    _print("the same messages through three hubs", rows)
    if as_json:
        typer.echo(json.dumps({"hubs": rows}))


@bench_app.command()
def subscribers(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of all kinds.")] = 5,
    dialogues: Annotated[int, typer.Option(min=1, help="Dialogues at once.")] = 100,
    utterances: Annotated[int, typer.Option(min=1, help="Measured in each run.")] = 500,
    warm_up: Annotated[int, typer.Option(min=0, help="Before them, not measured.")] = 100,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """What subscribers that are stopped, never read, or ask without end do to the others."""
    from affectstream_tools.bench.hub_memory import measure_hub_memory
    from affectstream_tools.bench.subscribers import SITUATIONS, measure_subscribers

    with _reported() as bar:
        found = measure_subscribers(
            rounds=rounds,
            dialogues=dialogues,
            utterances=utterances,
            warm_up=warm_up,
            seed=seed,
            on_progress=_task(bar, "subscribers", rounds * len(SITUATIONS)),
        )
        bar.add_task("a hub's memory", total=None)
        memory = [measure_hub_memory(count) for count in (0, 100)]
    rows = [beside.to_dict() for beside in found]
    _print("end of utterance -> first estimate, beside others", rows)
    _print("a hub that much audio passes through, and subscribers that are stopped", memory)
    if as_json:
        typer.echo(json.dumps({"beside": rows, "hub": memory}))


@contextmanager
def _reported() -> Iterator[Progress]:
    """Show a progress bar; say an error in one sentence, with exit status 1."""
    from affectstream.errors import AffectstreamError

    try:
        with progress_bar() as bar:
            yield bar
    except AffectstreamError as error:
        fail(str(error), status=1)


def _task(bar: Progress, name: str, total: int) -> Callable[[int], None]:
    """Add a task to the bar; return a function to call with how much of it is done."""
    task = bar.add_task(name, total=total)
    return lambda done: bar.update(task, completed=done)


def _counts(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.strip().isdigit() and int(part) for part in parts):
        fail(f"{text!r} are not counts; write such as 1,100")
    return [int(part) for part in parts]


def _print(title: str, runs: list[dict[str, object]]) -> None:
    """Print a column for each run, and a row for each of its figures."""
    headings, *rows = ([name, *(str(run[name]) for run in runs)] for name in runs[0])
    print_table(title, headings, rows, width=110)


def _print_speeds(speeds: dict[str, object]) -> None:
    rows = []
    for name, values in speeds.items():
        if isinstance(values, dict) and name != "measured":
            live = "rtf" if name == "microphone" else "streaming_rtf"
            whole = "" if name == "microphone" else values.get("batch_rtf", values.get("rtf", ""))
            rows.append((name, str(values.get(live, "")), str(whole)))
    title = "seconds of work per second of audio, one core"
    print_table(title, ("", "streaming", "batch"), rows, width=80)
