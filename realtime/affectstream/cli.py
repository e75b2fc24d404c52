"""The command line.

Knows: commands, options, and how an error is said.
Refuses to know: how anything is done; each command imports what it needs when it runs, so that
``--help`` answers at once.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from affectstream.errors import AffectstreamError, UsageError

app = typer.Typer(
    help="Streaming, real-time, multimodal emotion recognition.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Address = Annotated[str, typer.Option(help="The hub's address; it takes this port and two more.")]
OptionalAddress = Annotated[
    str | None, typer.Option(help="Use the node at this address instead of starting one.")
]
OwnAddress = Annotated[
    str | None, typer.Option(help="Where other programs can subscribe; default: a free port.")
]
Session = Annotated[str, typer.Option(help="The dialogue that this worker belongs to.")]
Speaker = Annotated[str, typer.Option(help="Who is heard or seen.")]
StartNs = Annotated[
    int | None, typer.Option(help="Event time of the recording's start, ns; default: now.")
]
Speed = Annotated[str, typer.Option(help="Event seconds per second, or max.")]
Checkpoint = Annotated[str, typer.Option(help="Weights: live or replay (shipped), or a file.")]
VoskModel = Annotated[
    Path | None,
    typer.Option(envvar="AFFECTSTREAM_VOSK_MODEL", help="Folder of a Vosk model."),
]
VoiceDetector = Annotated[str, typer.Option("--vad", help="Voice detector: webrtc, or silero.")]
AsJson = Annotated[bool, typer.Option("--json", help="End with one line of JSON.")]
DEFAULT_ADDRESS = "tcp://127.0.0.1:5570"
EXTRAS = {
    "torch": "fusion",
    "safetensors": "fusion",
    "sounddevice": "mic",
    "webrtcvad": "mic",
    "vosk": "mic",
    "soxr": "mic",
    "soundfile": "lab",
    "matplotlib": "lab",
    "onnxruntime": "silero",
}


@app.command()
def demo(
    mic: Annotated[bool, typer.Option(help="Listen to the microphone.")] = False,
    device: Annotated[str | None, typer.Option(help="Microphone's name or number.")] = None,
    vosk_model: VoskModel = None,
    address: OwnAddress = None,
    checkpoint: Checkpoint = "live",
    speed: Speed = "1",
    vad: VoiceDetector = "webrtc",
    as_json: AsJson = False,
) -> None:
    """Start every process and show the estimates live: a bundled dialogue, or --mic."""
    from rich.console import Console

    from affectstream.core.pacing import parse_speed
    from affectstream.demo import run_demo

    summary = run_demo(
        Console(stderr=as_json),
        microphone=mic,
        device=device,
        vosk_model=vosk_model,
        address=address,
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
    look_ahead: Annotated[str, typer.Option(help="Later utterances waited for, or all.")] = "8",
    transcript_delay_ms: Annotated[int, typer.Option(help="Transcripts come this late.")] = 0,
    live_asr: Annotated[bool, typer.Option(help="Raw: recognise the words instead.")] = False,
    vosk_model: VoskModel = None,
    address: OptionalAddress = None,
    checkpoint: Checkpoint = "replay",
    as_json: AsJson = False,
) -> None:
    """Stream IEMOCAP through the bus in event time and score the estimates as they come."""
    from rich.console import Console

    from affectstream.core.pacing import parse_speed
    from affectstream.replaying import ReplayPlan, play

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
        checkpoint=checkpoint,
    )
    summary = play(plan, Console(stderr=as_json))
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
    look_ahead: Annotated[str, typer.Option(help="Later utterances waited for, or all.")] = "8",
    vad: VoiceDetector = "webrtc",
    vosk_model: VoskModel = None,
    checkpoint: Checkpoint = "live",
) -> None:
    """Run recordings through the live path: a table of utterances, or JSON lines, csv, a plot."""
    from rich.console import Console

    from affectstream.analyzing import AnalysisPlan, run_analysis

    if json_lines and as_csv:
        raise UsageError("--json and --csv are two formats; choose one")
    plan = AnalysisPlan(
        paths=tuple(paths),
        speakers=tuple(speaker or ("speaker",)),
        channel=channel,
        output="json" if json_lines else "csv" if as_csv else "table",
        plot=plot,
        vad=vad,
        look_ahead=_look_ahead(look_ahead),
        vosk_model=vosk_model,
        checkpoint=checkpoint,
    )
    run_analysis(plan, Console(stderr=True))


@app.command()
def subscribe(
    address: Address = DEFAULT_ADDRESS,
    session: Annotated[str | None, typer.Option(help="One dialogue; default: all.")] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="JSON lines, for pipes.")] = False,
) -> None:
    """Print emotion events as they come; JSON lines with --json or when piped."""
    from affectstream.subscribing import print_events

    print_events(address, session, json_lines or not sys.stdout.isatty())


@app.command()
def doctor(
    address: Address = DEFAULT_ADDRESS, vosk_model: VoskModel = None, as_json: AsJson = False
) -> None:
    """Say what is missing on this machine and how to get it."""
    from affectstream.doctor import examine, show

    findings = examine(address, vosk_model)
    show(findings)
    _say_json({"ok": all(f.ok for f in findings), **{f.name: f.ok for f in findings}}, as_json)


@app.command()
def hub(address: Address = DEFAULT_ADDRESS) -> None:
    """Run a hub alone, for several fusion nodes; `fusion` has one of its own."""
    import time

    from affectstream.bus import Hub
    from affectstream.processes import parent_gone
    from affectstream.runner import stop_on_signals

    with stop_on_signals() as stopped, Hub(address):
        while not (stopped() or parent_gone()):
            time.sleep(0.2)


@app.command()
def fusion(
    address: Address = DEFAULT_ADDRESS,
    look_ahead: Annotated[str, typer.Option(help="Later utterances waited for, or all.")] = "8",
    checkpoint: Checkpoint = "live",
    with_hub: Annotated[bool, typer.Option("--hub/--no-hub", help="Run the hub too.")] = True,
) -> None:
    """Run the fusion node: utterances in, emotion events out."""
    import gc
    from contextlib import ExitStack

    from affectstream.bus import Hub
    from affectstream.fusion_node import PREFIXES, FusionNode
    from affectstream.pretrained import PretrainedModel
    from affectstream.runner import run

    waited_for = _look_ahead(look_ahead)
    model = PretrainedModel(checkpoint)
    gc.collect()
    gc.freeze()  # torch and the weights stay; searching them for garbage would stop the node
    with ExitStack() as stack:
        if with_hub:
            stack.enter_context(Hub(address))
        node = FusionNode(model, waited_for)
        run(node, address=address, prefixes=PREFIXES, stopping=stack.enter_context(_stopping()))


@app.command()
def microphone(
    address: Address = DEFAULT_ADDRESS,
    session: Session = "live",
    speaker: Speaker = "you",
    device: Annotated[str | None, typer.Option(help="Name or number; see doctor.")] = None,
    audio: Annotated[bool, typer.Option(help="Publish raw audio to who subscribes.")] = True,
    vad: VoiceDetector = "webrtc",
) -> None:
    """Run a microphone worker: voice activity, utterances, their descriptions, audio."""
    from affectstream.sources.microphone import run_microphone

    with _stopping() as stopping:
        run_microphone(
            address=address,
            session=session,
            speaker=speaker,
            device=int(device) if device and device.isdigit() else device,
            publish_audio=audio,
            vad=vad,
            stopping=stopping,
        )


@app.command()
def play(
    path: Annotated[Path, typer.Argument(help="A recording.")],
    address: Address = DEFAULT_ADDRESS,
    session: Session = "live",
    speaker: Speaker = "you",
    channel: Annotated[int, typer.Option(help="Which channel of the recording, from 0.")] = 0,
    start_ns: StartNs = None,
    speed: Speed = "1",
    vad: VoiceDetector = "webrtc",
) -> None:
    """Run a microphone worker whose microphone is a recording, at its own pace."""
    from affectstream.core.pacing import parse_speed
    from affectstream.sources.audio_file import run_audio_file

    with _stopping() as stopping:
        run_audio_file(
            path,
            address=address,
            session=session,
            speaker=speaker,
            channel=channel,
            speed=parse_speed(speed),
            start_ns=start_ns,
            vad=vad,
            stopping=stopping,
        )


@app.command()
def transcribe(
    address: Address = DEFAULT_ADDRESS, session: Session = "live", vosk_model: VoskModel = None
) -> None:
    """Run a transcript worker: the words of every microphone of a dialogue, by Vosk."""
    from affectstream.sources.asr import run_transcriber

    with _stopping() as stopping:
        run_transcriber(address=address, session=session, model=vosk_model, stopping=stopping)


@app.command()
def mocap(
    paths: Annotated[list[Path], typer.Argument(help="IEMOCAP MOCAP_* text or OpenFace csv.")],
    address: Address = DEFAULT_ADDRESS,
    session: Session = "live",
    speaker: Speaker = "you",
    start_ns: StartNs = None,
    speed: Speed = "1",
) -> None:
    """Run a motion-capture worker that plays recordings at their own pace."""
    from affectstream.core.pacing import parse_speed
    from affectstream.sources.mocap import run_mocap
    from affectstream.timebase import WallClock

    with _stopping() as stopping:
        run_mocap(
            paths,
            speaker=speaker,
            session=session,
            address=address,
            start_ns=WallClock().now_ns() if start_ns is None else start_ns,
            speed=parse_speed(speed),
            stopping=stopping,
        )


def _stopping() -> AbstractContextManager[Callable[[], bool]]:
    """Return a context that yields: has a signal come, or has the parent gone?"""
    from affectstream.processes import stop_when_told

    return stop_when_told()


def _look_ahead(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdigit():
        raise UsageError(f"{text!r} is no look-ahead; write a number of utterances, or all")
    return int(text)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UsageError(f"{text!r} are not sessions; write such as 5 or 1,2") from None


def _say_json(summary: dict[str, object], as_json: bool) -> None:
    if as_json:
        import json

        typer.echo(json.dumps(summary))


def _fail(message: str) -> NoReturn:
    typer.echo(f"affectstream: {message}", err=True)
    raise SystemExit(1)


def main() -> None:
    """Run the command line; an error is one sentence on standard error and exit status 1."""
    logging.basicConfig(level=logging.WARNING, format="affectstream: %(message)s")
    try:
        app()
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        _fail(f"this command needs {error.name}; pip install 'affectstream[{extra}]'")
    except AffectstreamError as error:
        _fail(str(error))
