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
from affectstream.bus.wall_clock import WallClock
from affectstream.data import tiny_vosk_model
from affectstream.errors import AffectstreamError
from affectstream.run.processes import Processes, free_address
from affectstream.sources.backpressure import run_with_backpressure
from affectstream.sources.speech import speech_segmenter
from affectstream.timebase import NS_PER_S
from affectstream_tools.bench.footprint import Footprint, footprint
from affectstream_tools.trials.soak.recording import (
    EndlessRecording,
    recorded_turns,
    spoken_sentences,
)
from affectstream_tools.trials.soak.scoring import HOUR_NS, Hour, SpeechScorer

_SESSION, _SPEAKER = "soak", "you"
MICROPHONE = f"mic.{_SPEAKER}"
_HEARD_KINDS = ("utterance.ended", "transcript", "emotion", "gap", "progress", "stream.closed")
_PROGRESS_WAIT_S = 300.0


@dataclass(frozen=True, slots=True)
class DayPlan:
    """What a day is.

    Attributes:
        hours: how long it is, in event time.
        share: the share of it in which somebody speaks.
        every_s: event seconds from one look at the processes to the next.
    """

    hours: float
    share: float
    every_s: float = 300.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """What the processes held at one moment of the day."""

    event_h: float
    wall_s: float
    processes: Mapping[str, Footprint]


@dataclass(frozen=True, slots=True)
class Day:
    """What was seen of one day.

    Attributes:
        lost: what gap messages said was lost, and how much.
        reader: what the reader in this process dropped, asked for again or lost.
    """

    plan: DayPlan
    wall_s: float
    looks: list[Look]
    hours: list[Hour]
    lost: dict[str, int]
    reader: dict[str, int]


def live_through(plan: DayPlan, on_progress: Callable[[float], None] = lambda _: None) -> Day:
    """Start the processes, play the day to them, and return what was seen.

    Args:
        on_progress: called with the hours that have passed.

    Raises:
        AffectstreamError: a process failed or fell silent.
    """
    address, start_ns = free_address(), WallClock().now_ns()
    known = spoken_sentences()
    said = recorded_turns([len(s.samples) for s in known], plan.share, plan.seed)
    scorer = SpeechScorer(said, [s.text for s in known], start_ns)
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
            looks = _listen(plan, inlet, scorer, pids, _Alive(processes, microphone), on_progress)
        finally:
            microphone.terminate()
            microphone.join()
            inlet.close()
    return Day(
        plan=plan,
        wall_s=time.monotonic() - began,
        looks=looks,
        hours=scorer.hours(),
        lost=dict(scorer.gaps),
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
    """Run the microphone's process, as long as the parent lives."""
    segmenter = speech_segmenter(
        session=_SESSION,
        speaker=_SPEAKER,
        start_ns=start_ns,
        publish_audio=True,
        clock_id="recording",
    )
    recording = EndlessRecording(plan.hours, plan.share, plan.seed)
    run_with_backpressure(
        segmenter,
        recording,
        _SESSION,
        MICROPHONE,
        address,
        listeners=1,
        stopping=lambda: os.getppid() != parent,
    )


@dataclass(frozen=True, slots=True)
class _Alive:
    processes: Processes
    microphone: BaseProcess

    def check(self) -> None:
        """Raise ``AffectstreamError`` if a process has failed."""
        self.processes.check()
        if self.microphone.exitcode not in (None, 0):
            raise AffectstreamError("the microphone's process failed; see what it said above")


def _listen(
    plan: DayPlan,
    inlet: Inlet,
    scorer: SpeechScorer,
    pids: Mapping[str, int],
    alive: _Alive,
    on_progress: Callable[[float], None],
) -> list[Look]:
    """Read all that is said until the day is over, and look at the processes on the way."""
    looks: list[Look] = []
    start_ns, began = scorer.reached_ns, time.monotonic()
    heard_s, reached_ns = began, start_ns
    while not scorer.done:
        inlet.sockets[0].poll(20)
        for message in inlet.read():
            scorer.receive(message)
        passed_ns = scorer.reached_ns - start_ns
        if scorer.reached_ns > reached_ns:
            heard_s, reached_ns = time.monotonic(), scorer.reached_ns
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
