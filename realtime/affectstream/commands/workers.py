"""The parts of the system as commands, one process each.

Knows: options. Refuses to know: how a part works; each command imports what it needs when it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affectstream.commands.options import (
    Address,
    Checkpoint,
    InStep,
    KeysFolder,
    LookAhead,
    Resume,
    SessionOption,
    Speaker,
    Speed,
    StartNs,
    VoiceDetectorOption,
    VoskModel,
    endpoint_of,
    look_ahead_of,
)
from affectstream.core.address import DEFAULT_ADDRESS

if TYPE_CHECKING:
    from affectstream.bus import Hub


def add_workers(app: typer.Typer) -> None:
    """Give ``app`` the commands of this module."""
    for command in (hub, fusion, microphone, play, transcribe, mocap):
        app.command()(command)


def hub(address: Address = DEFAULT_ADDRESS, keys: KeysFolder = None) -> None:
    """Run a hub alone, for several fusion nodes; `fusion` has one of its own."""
    from affectstream.bus import Hub
    from affectstream.run.loop import run_listener

    with _stopping() as stopping, Hub(endpoint_of(address, keys)) as forwarding:
        run_listener(stopping=_told_or_failed(stopping, forwarding))


def fusion(
    address: Address = DEFAULT_ADDRESS,
    keys: KeysFolder = None,
    look_ahead: LookAhead = "8",
    checkpoint: Checkpoint = "live",
    with_hub: Annotated[bool, typer.Option("--hub/--no-hub", help="Run the hub too.")] = True,
    journal: Annotated[
        Path | None, typer.Option(help="A file that lets dialogues outlive this process.")
    ] = None,
) -> None:
    """Run the fusion node: utterances in, emotion events out."""
    import gc
    from contextlib import ExitStack

    from affectstream.bus import Hub
    from affectstream.fusion.journaled_node import run_fusion
    from affectstream.fusion.node import FusionNode
    from affectstream.fusion.pretrained import PretrainedModel

    waited_for = look_ahead_of(look_ahead)
    endpoint = endpoint_of(address, keys)
    model = PretrainedModel(checkpoint)
    gc.collect()
    gc.freeze()  # torch and the weights stay; searching them for garbage would stop the node
    with ExitStack() as stack:
        hubs = [stack.enter_context(Hub(endpoint))] if with_hub else []
        node = FusionNode(model, waited_for)
        stopping = _told_or_failed(stack.enter_context(_stopping()), *hubs)
        run_fusion(node, model, endpoint, journal, stopping)


def microphone(
    address: Address = DEFAULT_ADDRESS,
    keys: KeysFolder = None,
    session: SessionOption = "live",
    speaker: Speaker = "you",
    device: Annotated[str | None, typer.Option(help="Name or number; see doctor.")] = None,
    audio: Annotated[bool, typer.Option(help="Publish raw audio to who subscribes.")] = True,
    vad: VoiceDetectorOption = "webrtc",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for a device that is not there yet.")
    ] = False,
) -> None:
    """Run a microphone worker: voice activity, utterances, their descriptions, audio."""
    from affectstream.sources.microphone import run_microphone

    with _stopping() as stopping:
        run_microphone(
            address=endpoint_of(address, keys),
            session=session,
            speaker=speaker,
            device=int(device) if device and device.isdigit() else device,
            publish_audio=audio,
            vad=vad,
            wait=wait,
            stopping=stopping,
        )


def play(
    path: Annotated[Path, typer.Argument(help="A recording.")],
    address: Address = DEFAULT_ADDRESS,
    keys: KeysFolder = None,
    session: SessionOption = "live",
    speaker: Speaker = "you",
    channel: Annotated[int, typer.Option(help="Which channel of the recording, from 0.")] = 0,
    start_ns: StartNs = None,
    speed: Speed = "1",
    resume: Resume = False,
    vad: VoiceDetectorOption = "webrtc",
    in_step: InStep = None,
) -> None:
    """Run a microphone worker whose microphone is a recording, at its own pace."""
    from affectstream.core.pacing import parse_speed
    from affectstream.sources.audio_file import run_audio_file

    with _stopping() as stopping:
        run_audio_file(
            path,
            address=endpoint_of(address, keys),
            session=session,
            speaker=speaker,
            channel=channel,
            speed=parse_speed(speed),
            start_ns=start_ns,
            resume=resume,
            vad=vad,
            in_step=in_step or (),
            stopping=stopping,
        )


def transcribe(
    address: Address = DEFAULT_ADDRESS,
    session: SessionOption = "live",
    vosk_model: VoskModel = None,
    keys: KeysFolder = None,
) -> None:
    """Run a transcript worker: the words of every microphone of a dialogue, by Vosk."""
    from affectstream.sources.asr import run_transcriber

    with _stopping() as stopping:
        run_transcriber(
            address=endpoint_of(address, keys),
            session=session,
            model=vosk_model,
            stopping=stopping,
        )


def mocap(
    paths: Annotated[list[Path], typer.Argument(help="IEMOCAP MOCAP_* text or OpenFace csv.")],
    address: Address = DEFAULT_ADDRESS,
    keys: KeysFolder = None,
    session: SessionOption = "live",
    speaker: Speaker = "you",
    start_ns: StartNs = None,
    speed: Speed = "1",
    resume: Resume = False,
    in_step: InStep = None,
) -> None:
    """Run a motion-capture worker that plays recordings at their own pace."""
    from affectstream.core.pacing import parse_speed
    from affectstream.sources.mocap.worker import run_mocap

    with _stopping() as stopping:
        run_mocap(
            paths,
            speaker=speaker,
            session=session,
            address=endpoint_of(address, keys),
            start_ns=start_ns,
            speed=parse_speed(speed),
            resume=resume,
            in_step=in_step or (),
            stopping=stopping,
        )


def _told_or_failed(told: Callable[[], bool], *hubs: Hub) -> Callable[[], bool]:
    """Return ``told``, which ends this process with an error as soon as a hub in it has failed."""

    def stopping() -> bool:
        for hub in hubs:
            hub.check()
        return told()

    return stopping


def _stopping() -> AbstractContextManager[Callable[[], bool]]:
    """Return a context that yields a function: is this process to stop?"""
    from affectstream.run.leash import stop_when_told

    return stop_when_told()
