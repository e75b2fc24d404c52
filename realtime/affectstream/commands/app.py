"""The command line.

Knows: commands, options, and how an error is said.
Refuses to know: how anything is done; each command imports what it needs when it runs, so that
``--help`` answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from affectstream.commands.entry import CommandGroup, run_command_line
from affectstream.commands.extras import require_modules
from affectstream.commands.keys import keys_app
from affectstream.commands.options import (
    Address,
    AsJson,
    Checkpoint,
    KeysFolder,
    LookAhead,
    OptionalAddress,
    OwnAddress,
    ShowVersion,
    Speed,
    VoiceDetectorOption,
    VoskModel,
    endpoint_of,
    look_ahead_of,
)
from affectstream.commands.workers import add_workers
from affectstream.core.address import DEFAULT_ADDRESS
from affectstream.errors import UsageError
from affectstream.show.lines import print_json

app = typer.Typer(
    cls=CommandGroup,
    help="Streaming, real-time, multimodal emotion recognition.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _root(version: ShowVersion = False) -> None:
    """Take the options that stand before a command."""


@app.command()
def demo(
    mic: Annotated[bool, typer.Option(help="Listen to the microphone.")] = False,
    device: Annotated[str | None, typer.Option(help="Microphone's name or number.")] = None,
    vosk_model: VoskModel = None,
    address: OwnAddress = None,
    keys: KeysFolder = None,
    checkpoint: Checkpoint = "live",
    speed: Speed = "1",
    vad: VoiceDetectorOption = "webrtc",
    as_json: AsJson = False,
) -> None:
    """Start every process and show the estimates live: a bundled dialogue, or --mic."""
    from affectstream.commands.demo import run_demo
    from affectstream.core.pacing import parse_speed
    from affectstream.show.console import PrintableConsole

    require_modules("live", "torch", "safetensors", "webrtcvad", "sounddevice" if mic else "vosk")
    summary = run_demo(
        PrintableConsole(stderr=as_json),
        microphone=mic,
        device=device,
        vosk_model=vosk_model,
        address=address,
        keys=keys,
        checkpoint=checkpoint,
        speed=parse_speed(speed),
        vad=vad,
    )
    _say_json(summary, as_json)


@app.command()
def replay(
    path: Annotated[Path, typer.Argument(help="IEMOCAP: the derived set or the raw directory.")],
    sessions: Annotated[str, typer.Option(help="Such as 5 or 1,2; default: all.")] = "",
    dialogue: Annotated[list[str] | None, typer.Option(help="One dialogue; repeatable.")] = None,
    speed: Speed = "max",
    look_ahead: LookAhead = "8",
    transcript_delay_ms: Annotated[int, typer.Option(help="Transcripts come this late.")] = 0,
    live_asr: Annotated[bool, typer.Option(help="Raw: recognise the words instead.")] = False,
    vosk_model: VoskModel = None,
    address: OptionalAddress = None,
    keys: KeysFolder = None,
    checkpoint: Checkpoint = "replay",
    journal: Annotated[
        Path | None,
        typer.Option(help="With --address: a file that lets a killed replay be gone on with."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Stream IEMOCAP through the bus in event time and score the estimates as they come."""
    from affectstream.commands.replay import ReplayPlan, play_corpus
    from affectstream.core.pacing import parse_speed
    from affectstream.show.console import PrintableConsole

    plan = ReplayPlan(
        path=path,
        sessions=_numbers(sessions),
        dialogues=tuple(dialogue or ()),
        speed=parse_speed(speed),
        look_ahead=look_ahead,
        transcript_delay_ns=transcript_delay_ms * 1_000_000,
        live_asr=live_asr,
        vosk_model=vosk_model,
        address=address,
        keys=keys,
        checkpoint=checkpoint,
        journal=journal,
    )
    summary = play_corpus(plan, PrintableConsole(stderr=as_json))
    _say_json(summary, as_json)


@app.command()
def analyze(
    paths: Annotated[list[Path], typer.Argument(help="Recordings, and folders of them.")],
    speaker: Annotated[
        list[str] | None,
        typer.Option(help="Who speaks; repeated, one for each channel from the first."),
    ] = None,
    channel: Annotated[int, typer.Option(min=0, help="The first speaker's, from 0.")] = 0,
    json_lines: Annotated[bool, typer.Option("--json", help="A JSON line per utterance.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw to this .png; of several recordings, a folder.")
    ] = None,
    look_ahead: LookAhead = "8",
    vad: VoiceDetectorOption = "webrtc",
    vosk_model: VoskModel = None,
    checkpoint: Checkpoint = "live",
) -> None:
    """Run recordings through the live path: a table of utterances, or JSON lines, csv, a plot."""
    from affectstream.commands.analyze import AnalysisPlan, run_analysis
    from affectstream.show.console import PrintableConsole

    if json_lines and as_csv:
        raise UsageError("--json and --csv are two formats; choose one")
    detector = ("webrtcvad",) if vad == "webrtc" else ()
    drawing = ("matplotlib",) if plot else ()
    require_modules("live", "torch", "safetensors", *detector, *drawing)
    plan = AnalysisPlan(
        paths=tuple(paths),
        speakers=tuple(speaker or ("speaker",)),
        channel=channel,
        output="json" if json_lines else "csv" if as_csv else "table",
        plot=plot,
        vad=vad,
        look_ahead=look_ahead_of(look_ahead),
        vosk_model=vosk_model,
        checkpoint=checkpoint,
    )
    if not run_analysis(plan, PrintableConsole(stderr=True)):
        raise typer.Exit(1)


@app.command("subscribe")
def subscribe_command(
    address: Address = DEFAULT_ADDRESS,
    keys: KeysFolder = None,
    session: Annotated[str | None, typer.Option(help="One dialogue; default: all.")] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="JSON lines, for pipes.")] = False,
    since: Annotated[
        int | None,
        typer.Option(min=0, help="With --session: the number of the first event, 0 for all."),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(help="Append JSON lines to a file, and go on where it ends: each event once."),
    ] = None,
) -> None:
    """Print emotion events as they come; JSON lines with --json or when piped."""
    from affectstream.commands.subscribe import file_events, print_events

    endpoint = endpoint_of(address, keys)
    if to is not None:
        if since is not None:
            raise UsageError("--to goes on where the file ends; leave --since away")
        file_events(endpoint, session, to)
    else:
        print_events(endpoint, session, json_lines or not sys.stdout.isatty(), since)


@app.command("run")
def run_command(
    path: Annotated[Path, typer.Argument(help="A deployment: which workers run where (TOML).")],
    host: Annotated[
        str | None, typer.Option(help="Run this host's workers; default: this machine's name.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only say what would be run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a deployment's workers and keep them running; see docs/deployment.md."""
    import platform

    from typer.main import get_command

    from affectstream.bus.wall_clock import WallClock
    from affectstream.commands.run import run_deployment, show_plan
    from affectstream.run.deployment import LEAD_NS, DeploymentReader
    from affectstream.show.console import PrintableConsole

    commands = getattr(get_command(app), "commands", {})
    reader = DeploymentReader(path, commands, refusal())
    planned = reader.plan(host or platform.node(), WallClock().now_ns() + LEAD_NS)
    console = PrintableConsole(stderr=as_json)
    summary = show_plan(planned, console) if check else run_deployment(path, planned, console)
    _say_json(summary, as_json)


@app.command()
def doctor(
    address: Address = DEFAULT_ADDRESS,
    keys: KeysFolder = None,
    vosk_model: VoskModel = None,
    as_json: AsJson = False,
) -> None:
    """Say what is missing on this machine and how to get it; end with status 1 if anything is."""
    from affectstream.commands.doctor import examine, show_findings, summary_of

    findings = examine(address, vosk_model, keys)
    show_findings(findings)
    summary = summary_of(findings)
    _say_json(summary, as_json)
    if not summary["ok"]:
        raise typer.Exit(1)


add_workers(app)
app.add_typer(keys_app, name="keys")


def refusal() -> type[Exception]:
    """Return what a command raises when its arguments are wrong.

    It is click's, of which some versions of typer bring a copy of their own.
    """
    return next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UsageError(f"{text!r} are not sessions; write such as 5 or 1,2") from None


def _say_json(summary: dict[str, object], as_json: bool) -> None:
    if as_json:
        print_json(summary)


def main() -> None:
    """Run the command line; an error is one sentence on standard error and exit status 1."""
    run_command_line(app, "affectstream")
