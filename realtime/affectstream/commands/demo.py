"""The live demo: every process of the system, started and shown by one command.

Knows: which processes make up a demo, and when it is over.
Refuses to know: what the processes do; they are this program's own commands.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from affectstream.bus import Endpoint, Inlet
from affectstream.bus.wall_clock import WallClock
from affectstream.core.pacing import speed_text
from affectstream.core.restart_policy import RestartPolicy
from affectstream.data import demo_folder, tiny_vosk_model
from affectstream.messages import Message, StreamClosed, StreamOpened
from affectstream.run.leash import stop_when_told
from affectstream.run.loop import run_listener
from affectstream.run.processes import free_address
from affectstream.run.supervisor import SupervisedProcesses
from affectstream.show.live_view import LiveView
from affectstream.sources.asr import HOW_TO_GET_A_MODEL, find_model
from affectstream.sources.speech import check_detector
from affectstream.timebase import NS_PER_S

DEMO_SESSION = "demo"
SHOWN = ("emotion", "transcript", "utterance.started", "utterance.ended", "gap")
STREAMS = ("stream.opened", "stream.closed")
DEMO_LEAD_NS = 2 * NS_PER_S
"""Head start, so that every worker runs before the bundled dialogue begins."""
POLICY = RestartPolicy(must_start=True)
ALWAYS_RESTARTED = replace(POLICY, when="always")
ESSENTIAL_POLICY = replace(ALWAYS_RESTARTED, essential=True)
SILENT_END_S = 5.0
"""How long nothing may be heard once nothing is played any more: the node will not close."""


def run_demo(
    console: Console,
    *,
    microphone: bool,
    device: str | None,
    vosk_model: Path | None,
    address: str | None,
    keys: Path | None,
    checkpoint: str,
    speed: float,
    vad: str,
) -> dict[str, object]:
    """Run the demo until the dialogue is over or Ctrl-C; return what was shown, counted.

    Raises:
        ProcessError: one of the processes failed.
        UsageError: there is no such detector.
    """
    check_detector(vad)
    model = find_model(vosk_model) if microphone else vosk_model
    if microphone and model is None:
        console.print(f"{HOW_TO_GET_A_MODEL}; estimates do without words", soft_wrap=True)
    endpoint = Endpoint.open(address or free_address(), keys)
    with stop_when_told() as stopping, SupervisedProcesses(POLICY) as processes:
        _start_node(processes, endpoint, checkpoint, console, stopping)
        prefixes = [f"{kind}/{DEMO_SESSION}/" for kind in (*SHOWN, *STREAMS)]
        with closing(Inlet(endpoint, prefixes, from_start=True)) as inlet:
            title, origin_ns = "affectstream", 0
            if microphone:
                _start_microphone(processes, endpoint.options, device, model, vad)
            else:
                title += " – a synthetic dialogue"
                origin_ns = WallClock().now_ns() + DEMO_LEAD_NS
                model = model or tiny_vosk_model()
                _start_bundled(processes, endpoint.options, model, (origin_ns, speed), vad)
            with LiveView(console, title, origin_ns) as view:
                shown = _show(view, inlet, processes, stopping)
    console.print(
        f"{shown['ended']}: {shown['finals']} utterances are final, estimates were revised "
        f"{shown['revisions']} times, {shown['gaps'] or 'no'} gaps"
    )
    return shown


def _start_node(
    processes: SupervisedProcesses,
    endpoint: Endpoint,
    checkpoint: str,
    console: Console,
    stopping: Callable[[], bool],
) -> None:
    arguments = ("fusion", *endpoint.options, "--checkpoint", checkpoint)
    processes.start("fusion", *arguments, policy=ESSENTIAL_POLICY)
    with console.status("loading the model"):
        processes.wait_for_hub(endpoint, stopping)


def _start_microphone(
    processes: SupervisedProcesses,
    where: tuple[str, ...],
    device: str | None,
    vosk_model: Path | None,
    vad: str,
) -> None:
    chosen = ("--vad", vad, *(("--device", device) if device else ()))
    session = ("--session", DEMO_SESSION)
    you = ("--speaker", "you", *chosen)
    processes.start("microphone", "microphone", *where, *session, *you, policy=ESSENTIAL_POLICY)
    if vosk_model is None:
        return
    model = ("--vosk-model", str(vosk_model))
    processes.start("transcript", "transcribe", *where, *session, *model, policy=ALWAYS_RESTARTED)


def _start_bundled(
    processes: SupervisedProcesses,
    where: tuple[str, ...],
    vosk_model: Path,
    begins: tuple[int, float],
    vad: str,
) -> None:
    folder = demo_folder()
    script = json.loads((folder / "dialogue.json").read_text(encoding="utf-8"))
    pace = ("--start-ns", str(begins[0]), "--speed", speed_text(begins[1]))
    session = ("--session", DEMO_SESSION)
    model = ("--vosk-model", str(vosk_model))
    processes.start("transcript", "transcribe", *where, *session, *model, policy=ALWAYS_RESTARTED)
    names = [speaker["name"] for speaker in script["speakers"]]
    streams = [f"{kind}.{name}" for kind in ("mic", "face") for name in names]
    in_step = {own: [word for other in streams if other != own for word in ("--in-step", other)]
               for own in streams}  # fmt: skip
    for speaker in script["speakers"]:
        name, channel = speaker["name"], str(speaker["channel"])
        who = ("--speaker", name, *where, *session, *pace)
        processes.start(f"microphone {name}", "play", str(folder / "dialogue.wav"),
                        "--channel", channel, "--vad", vad, *who,
                        *in_step[f"mic.{name}"], again=("--resume",))  # fmt: skip
        processes.start(f"mocap {name}", "mocap", str(folder / speaker["mocap"]), *who,
                        *in_step[f"face.{name}"],
                        again=("--resume",))  # fmt: skip


def _show(
    view: LiveView, inlet: Inlet, processes: SupervisedProcesses, stopping: Callable[[], bool]
) -> dict[str, object]:
    """Show the dialogue until it is over; return what was shown, counted."""
    dialogue = _ShownDialogue(view, processes)
    run_listener(
        inlet,
        on_message=dialogue.receive,
        on_wake=dialogue.check,
        stopping=lambda: stopping() or dialogue.over,
    )
    memory = processes.memory_mib()
    return {
        "ended": "stopped" if stopping() else "end of the dialogue",
        "finals": view.counts["final"],
        "revisions": view.counts["revised"],
        "gaps": view.counts["gaps"],
        "restarts": {worker.name: worker.restarts for worker in processes.workers},
        "memory_mib": {name: round(size, 1) for name, size in memory.items()},
    }


class _ShownDialogue:
    """Shows what is heard, keeps the processes running, and knows when the dialogue is over."""

    def __init__(self, view: LiveView, processes: SupervisedProcesses) -> None:
        self._view, self._processes = view, processes
        self._closed = False  # a node that is started again opens the dialogue again
        self._went_on_s = time.monotonic()

    def receive(self, message: Message) -> None:
        self._view.receive(message)
        self._went_on_s = time.monotonic()
        if isinstance(message, StreamOpened | StreamClosed) and message.source == "fusion":
            self._closed = isinstance(message, StreamClosed)

    def check(self) -> None:
        self._processes.check()
        for warning in self._processes.warnings():
            self._view.say(f"-- {warning}")
        if self._is_anything_played_or_heard():
            self._went_on_s = time.monotonic()

    @property
    def over(self) -> bool:
        silent_s = time.monotonic() - self._went_on_s
        return (self._closed and not self._view.streams) or silent_s > SILENT_END_S

    def _is_anything_played_or_heard(self) -> bool:
        return any(
            worker.policy.when != "always" or worker.name == "microphone"
            for worker in self._processes.workers
            if not worker.over
        )
