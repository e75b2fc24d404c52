"""The live demo: every process of the system, started and shown by one command.

Knows: which processes make up a demo, and when it is over.
Refuses to know: what the processes do; they are this program's own commands.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import zmq
from rich.console import Console

from affectstream.bus import Inlet
from affectstream.data import demo_folder, tiny_vosk_model
from affectstream.live_view import LiveView
from affectstream.messages import StreamClosed
from affectstream.processes import Processes, free_address
from affectstream.runner import stop_on_signals
from affectstream.sources.listening import check_detector
from affectstream.timebase import NS_PER_S, WallClock

SESSION = "demo"
SHOWN = ("emotion", "transcript", "utterance.started", "utterance.ended", "gap")
STREAMS = ("stream.opened", "stream.closed")
LEAD_NS = 2 * NS_PER_S
"""Head start, so that every worker runs before the bundled dialogue begins."""


def run_demo(
    console: Console,
    *,
    microphone: bool,
    device: str | None,
    vosk_model: Path | None,
    address: str | None,
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
    address = address or free_address()
    with stop_on_signals() as stopped, Processes() as processes:
        where = ("--address", address)
        processes.start("fusion", "fusion", *where, "--checkpoint", checkpoint)
        with console.status("loading the model"):
            processes.wait_for_hub(address, stopped)
        prefixes = [f"{kind}/{SESSION}/" for kind in (*SHOWN, *STREAMS)]
        inlet = Inlet(address, prefixes, from_start=True)
        if microphone:
            origin_ns = 0
            _start_microphone(processes, where, device, vosk_model, vad)
        else:
            origin_ns = WallClock().now_ns() + LEAD_NS
            model = vosk_model or tiny_vosk_model()
            _start_bundled(processes, where, model, (origin_ns, speed), vad)
        title = "affectstream" + ("" if microphone else " – a synthetic dialogue")
        try:
            with LiveView(console, title, origin_ns) as view:
                ended = _show(view, inlet, processes, stopped)
                memory = processes.memory_mib()
        finally:
            inlet.close()
    console.print(
        f"{ended}: {view.counts['final']} utterances are final, estimates were revised "
        f"{view.counts['revised']} times, {view.counts['gaps'] or 'no'} gaps",
        highlight=False,
    )
    return {
        "ended": ended,
        "finals": view.counts["final"],
        "revisions": view.counts["revised"],
        "gaps": view.counts["gaps"],
        "memory_mib": {name: round(size, 1) for name, size in memory.items()},
    }


def _start_microphone(
    processes: Processes,
    where: tuple[str, str],
    device: str | None,
    vosk_model: Path | None,
    vad: str,
) -> None:
    chosen = ("--vad", vad, *(("--device", device) if device else ()))
    session = ("--session", SESSION)
    processes.start("microphone", "microphone", *where, *session, "--speaker", "you", *chosen)
    model = ("--vosk-model", str(vosk_model)) if vosk_model else ()
    processes.start("transcript", "transcribe", *where, *session, *model)


def _start_bundled(
    processes: Processes,
    where: tuple[str, str],
    vosk_model: Path,
    begins: tuple[int, float],
    vad: str,
) -> None:
    folder = demo_folder()
    script = json.loads((folder / "dialogue.json").read_text(encoding="utf-8"))
    pace = ("--start-ns", str(begins[0]), "--speed", str(begins[1]))
    session = ("--session", SESSION)
    processes.start("transcript", "transcribe", *where, *session, "--vosk-model", str(vosk_model))
    for speaker in script["speakers"]:
        name, channel = speaker["name"], str(speaker["channel"])
        who = ("--speaker", name, *where, *session, *pace)
        processes.start(f"microphone {name}", "play", str(folder / "dialogue.wav"),
                        "--channel", channel, "--vad", vad, *who)  # fmt: skip
        processes.start(f"mocap {name}", "mocap", str(folder / speaker["mocap"]), *who)


def _show(view: LiveView, inlet: Inlet, processes: Processes, stopped: object) -> str:
    """Feed the view until the node closes the dialogue; return why it ended."""
    assert callable(stopped)
    poller = zmq.Poller()
    for socket in inlet.sockets:
        poller.register(socket, zmq.POLLIN)
    checked = time.monotonic()
    while not stopped():
        poller.poll(100)
        for message in inlet.read():
            view.receive(message)
            if isinstance(message, StreamClosed) and message.source == "fusion":
                return "end of the dialogue"
        if time.monotonic() - checked > 0.5:
            processes.check()
            for warning in processes.warnings():
                view.say(f"-- {warning}")
            checked = time.monotonic()
    return "stopped"
