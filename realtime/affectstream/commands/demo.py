"""The live demo: every process of the system, started and shown by one command.

Knows: which processes make up a demo, and when it is over.
Refuses to know: what the processes do; they are this program's own commands.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import zmq
from rich.console import Console

from affectstream.bus import Endpoint, Inlet
from affectstream.bus.wall_clock import WallClock
from affectstream.core.supervision import RestartPolicy
from affectstream.data import demo_folder, tiny_vosk_model
from affectstream.messages import StreamClosed, StreamOpened
from affectstream.run.loop import stop_on_signals
from affectstream.run.processes import free_address
from affectstream.run.supervisor import SupervisedProcesses
from affectstream.show.live_view import LiveView
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
    keys: Path | None = None,
    checkpoint: str,
    speed: float,
    vad: str = "webrtc",
) -> dict[str, object]:
    """Run the demo until the dialogue is over or Ctrl-C; return what was shown, counted.

    Raises:
        ProcessError: one of the processes failed.
        UsageError: there is no such detector.
    """
    check_detector(vad)
    endpoint = Endpoint.open(address or free_address(), keys)
    with stop_on_signals() as stopped, SupervisedProcesses(POLICY) as processes:
        where = endpoint.options
        processes.start(
            "fusion", "fusion", *where, "--checkpoint", checkpoint, policy=ESSENTIAL_POLICY
        )
        with console.status("loading the model"):
            processes.wait_for_hub(endpoint, stopped)
        prefixes = [f"{kind}/{DEMO_SESSION}/" for kind in (*SHOWN, *STREAMS)]
        inlet = Inlet(endpoint, prefixes, from_start=True)
        if microphone:
            origin_ns = 0
            _start_microphone(processes, where, device, vosk_model, vad)
        else:
            origin_ns = WallClock().now_ns() + DEMO_LEAD_NS
            model = vosk_model or tiny_vosk_model()
            _start_bundled(processes, where, model, (origin_ns, speed), vad)
        title = "affectstream" + ("" if microphone else " – a synthetic dialogue")
        try:
            with LiveView(console, title, origin_ns) as view:
                ended = _show(view, inlet, processes, stopped)
                memory = processes.memory_mib()
                restarts = {worker.name: worker.restarts for worker in processes.workers}
        finally:
            inlet.close()
    console.print(
        f"{ended}: {view.counts['final']} utterances are final, estimates were revised "
        f"{view.counts['revised']} times, {view.counts['gaps'] or 'no'} gaps"
    )
    return {
        "ended": ended,
        "finals": view.counts["final"],
        "revisions": view.counts["revised"],
        "gaps": view.counts["gaps"],
        "restarts": restarts,
        "memory_mib": {name: round(size, 1) for name, size in memory.items()},
    }


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
    model = ("--vosk-model", str(vosk_model)) if vosk_model else ()
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
    pace = ("--start-ns", str(begins[0]), "--speed", str(begins[1]))
    session = ("--session", DEMO_SESSION)
    model = ("--vosk-model", str(vosk_model))
    processes.start("transcript", "transcribe", *where, *session, *model, policy=ALWAYS_RESTARTED)
    for speaker in script["speakers"]:
        name, channel = speaker["name"], str(speaker["channel"])
        who = ("--speaker", name, *where, *session, *pace)
        processes.start(f"microphone {name}", "play", str(folder / "dialogue.wav"),
                        "--channel", channel, "--vad", vad, *who, again=("--resume",))  # fmt: skip
        processes.start(f"mocap {name}", "mocap", str(folder / speaker["mocap"]), *who,
                        again=("--resume",))  # fmt: skip


def _show(
    view: LiveView, inlet: Inlet, processes: SupervisedProcesses, stopped: Callable[[], bool]
) -> str:
    """Feed the view until the dialogue is over; return why it ended."""
    poller = zmq.Poller()
    for socket in inlet.sockets:
        poller.register(socket, zmq.POLLIN)
    closed = False  # a node that is started again opens the dialogue again
    went_on_s = time.monotonic()
    while not stopped():
        poller.poll(100)
        messages = inlet.read()
        for message in messages:
            view.receive(message)
            if isinstance(message, StreamOpened | StreamClosed) and message.source == "fusion":
                closed = isinstance(message, StreamClosed)
        processes.turn()
        for warning in processes.warnings():
            view.say(f"-- {warning}")
        if messages or _goes_on(processes):
            went_on_s = time.monotonic()
        if (closed and not view.streams) or time.monotonic() - went_on_s > SILENT_END_S:
            return "end of the dialogue"
    return "stopped"


def _goes_on(processes: SupervisedProcesses) -> bool:
    """Return whether anything is still played or heard."""
    return any(w.policy.when != "always" or w.name == "microphone"
               for w in processes.workers if not w.over)  # fmt: skip
