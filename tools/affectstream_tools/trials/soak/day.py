"""One day in real processes: fusion node, microphone, transcripts, a subscriber.

The microphone's process is what ``affectstream play --speed max`` runs, with a recording that
never ends in place of a file. The others are the commands themselves. Every few minutes of event
time each process is looked at from outside.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

from affectstream.bus import Inlet
from affectstream.data import tiny_vosk_model
from affectstream.errors import AffectstreamError
from affectstream.run.loop import run
from affectstream.run.processes import Processes, free_address
from affectstream.sources.backpressure import HeldBack, HeldInput
from affectstream.sources.speech import speech_segmenter
from affectstream.timebase import NS_PER_S, WallClock
from affectstream_tools.bench.footprint import Footprint, footprint
from affectstream_tools.trials.soak.recording import EndlessRecording, spoken_sentences, turns
from affectstream_tools.trials.soak.scoring import HOUR_NS, HeardSentences, Hour

_SESSION, _SPEAKER = "soak", "you"
MICROPHONE = f"mic.{_SPEAKER}"
_HEARD_KINDS = ("utterance.ended", "transcript", "emotion", "gap", "progress", "stream.closed")
_PROGRESS_WAIT_S = 300.0


@dataclass(frozen=True, slots=True)
class DayPlan:
    """What a day is.

    Attributes:
        hours: of event time.
        share: of it in which somebody speaks.
        every_s: event seconds from one look at the processes to the next.
    """

    hours: float
    share: float
    every_s: float = 300.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """What the processes held when the day had come so far."""

    event_h: float
    wall_s: float
    processes: Mapping[str, Footprint]


@dataclass(frozen=True, slots=True)
class Day:
    """What one day was.

    Attributes:
        lost: what the readers were told that they have lost, by what it is.
        reader: what the reader in this process dropped, asked for again or lost.
    """

    plan: DayPlan
    wall_s: float
    looks: list[Look]
    hours: list[Hour]
    lost: dict[str, int]
    reader: dict[str, int]


def live_through(plan: DayPlan, on_progress: Callable[[float], None] = lambda _: None) -> Day:
    """Start the processes, let them hear the day, and return what was seen.

    Args:
        on_progress: called with the hours that have passed.

    Raises:
        AffectstreamError: a process failed or fell silent.
    """
    address, start_ns = free_address(), WallClock().now_ns()
    known = spoken_sentences()
    said = turns([len(s.samples) for s in known], plan.share, plan.seed)
    hearing = HeardSentences(said, [s.text for s in known], start_ns)
    began = time.monotonic()
    with Processes() as processes:
        pids = _start(processes, address)
        inlet = Inlet(address, [f"{kind}/{_SESSION}/" for kind in _HEARD_KINDS], from_start=True)
        spawn = multiprocessing.get_context("spawn")
        microphone = spawn.Process(
            target=_speak, args=(plan, address, start_ns, os.getpid()), daemon=True
        )
        microphone.start()
        try:
            pids["microphone"] = microphone.pid or 0
            looks = _listen(plan, inlet, hearing, pids, _Alive(processes, microphone), on_progress)
        finally:
            microphone.terminate()
            microphone.join()
            inlet.close()
    return Day(
        plan=plan,
        wall_s=time.monotonic() - began,
        looks=looks,
        hours=hearing.hours(),
        lost=dict(hearing.gaps),
        reader=dict(Counter(inlet.counts)),
    )


def _start(processes: Processes, address: str) -> dict[str, int]:
    at = ("--address", address)
    pids = {"fusion": processes.start("fusion", "fusion", *at)}
    processes.wait_for_hub(address)
    model = str(tiny_vosk_model())
    words = ("transcribe", "--session", _SESSION, "--vosk-model", model)
    pids["transcribe"] = processes.start("transcribe", *words, *at)
    pids["subscribe"] = processes.start("subscribe", "subscribe", "--json", *at)
    return pids


def _speak(plan: DayPlan, address: str, start_ns: int, parent: int) -> None:
    """Be the microphone's process, as long as the parent lives."""
    segmenter = speech_segmenter(
        session=_SESSION,
        source=MICROPHONE,
        speaker=_SPEAKER,
        start_ns=start_ns,
        publish_audio=True,
        clock_id="recording",
    )
    recording = EndlessRecording(plan.hours, plan.share, plan.seed)
    stream = HeldBack(segmenter, _SESSION, MICROPHONE, listeners=1)
    held = HeldInput(recording, stream)
    run(
        stream,
        address=address,
        prefixes=stream.prefixes,
        from_start=False,
        inputs=[held],
        stopping=lambda: os.getppid() != parent,
    )


@dataclass(frozen=True, slots=True)
class _Alive:
    processes: Processes
    microphone: BaseProcess

    def check(self) -> None:
        """Notice who failed. Raises ``AffectstreamError``."""
        self.processes.check()
        if self.microphone.exitcode not in (None, 0):
            raise AffectstreamError("the microphone's process failed; see what it said above")


def _listen(
    plan: DayPlan,
    inlet: Inlet,
    hearing: HeardSentences,
    pids: Mapping[str, int],
    alive: _Alive,
    on_progress: Callable[[float], None],
) -> list[Look]:
    """Read all that is said until the day is over, and look at the processes on the way."""
    looks: list[Look] = []
    start_ns, began = hearing.reached_ns, time.monotonic()
    heard_s, reached_ns = began, start_ns
    while not hearing.done:
        inlet.sockets[0].poll(20)
        for message in inlet.read():
            hearing.hear(message)
        passed_ns = hearing.reached_ns - start_ns
        if hearing.reached_ns > reached_ns:
            heard_s, reached_ns = time.monotonic(), hearing.reached_ns
        if passed_ns >= len(looks) * plan.every_s * NS_PER_S and alive.microphone.is_alive():
            alive.check()
            found = {name: footprint(pid) for name, pid in pids.items()}
            looks.append(Look(passed_ns / HOUR_NS, time.monotonic() - began, found))
            on_progress(passed_ns / HOUR_NS)
        if time.monotonic() - heard_s > _PROGRESS_WAIT_S:
            alive.check()
            raise AffectstreamError(
                f"nothing was heard for {_PROGRESS_WAIT_S:.0f} s; run it on a quieter machine"
            )
    return looks
