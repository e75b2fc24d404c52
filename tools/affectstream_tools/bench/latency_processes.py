"""The worker and the subscriber of the latency benchmark; each runs in a process of its own."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.queues import Queue
from typing import Any

import numpy as np

from affectstream.bus import Outlet
from affectstream.bus.wall_clock import WallClock
from affectstream.client import Subscriber
from affectstream.messages import Emotion, UtteranceEnded
from affectstream.timebase import NS_PER_MS, NS_PER_S
from affectstream_tools.bench.load import DialogueLoad

STAGES = ("there", "node", "model", "back")
"""On the way to the node, waiting in it, in the model, and on the way to the subscriber."""

Stamps = dict[tuple[str, str], tuple[int, tuple[float, ...]]]
"""(session, utterance) -> monotonic ns, and the milliseconds of each of ``STAGES``."""

_PROGRESS_NS = 100 * NS_PER_MS
_SUBSCRIBED_NS = NS_PER_S
_LAST_EVENT_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class LatencyPlan:
    """What a run is.

    Attributes:
        utterances: of all dialogues together.
        every_s: mean seconds between two of them.
    """

    address: str
    dialogues: int
    utterances: int
    every_s: float
    seed: int


def publish(plan: LatencyPlan, results: Queue[Any]) -> None:
    """Publish the dialogues' utterances at random instants, as their worker.

    Put into ``results`` how many were sent, and last ``Stamps``: when each ``utterance.ended`` was.
    """
    stamps: Stamps = {}
    outlet = Outlet(plan.address)
    loads = [DialogueLoad(f"d{i:03d}", plan.seed + i) for i in range(plan.dialogues)]
    clock = WallClock()
    for load in loads:
        for message in load.opening(clock.now_ns()):
            outlet.publish(message)
    gc.freeze()
    for load, is_utterance in _schedule(plan, loads, outlet):
        now_ns = clock.now_ns()
        for message in load.utterance(now_ns) if is_utterance else load.progress(now_ns):
            if isinstance(message, UtteranceEnded):
                stamps[load.session, message.utterance] = (time.monotonic_ns(), ())
            outlet.publish(message)
        if is_utterance and len(stamps) % 20 == 0:
            results.put(len(stamps))
    results.put(stamps)
    while True:  # the reader may still ask for something; the parent ends this process
        outlet.service()
        outlet.socket.poll(50)


def _schedule(
    plan: LatencyPlan, loads: list[DialogueLoad], outlet: Outlet
) -> Iterator[tuple[DialogueLoad, bool]]:
    """Yield, when it is due, the dialogue that speaks or reports progress.

    Utterances arrive at random (exponential gaps) in dialogues drawn at random; every dialogue
    reports progress ten times a second, one after the other.
    """
    random = np.random.default_rng(plan.seed)
    start_ns = time.monotonic_ns() + _SUBSCRIBED_NS
    gaps_s = random.exponential(plan.every_s, size=plan.utterances)
    due_ns = start_ns + np.cumsum(gaps_s * NS_PER_S).astype(np.int64)
    speaks = random.integers(plan.dialogues, size=plan.utterances)
    beat_ns, beats, spoken = _PROGRESS_NS // plan.dialogues, 0, 0
    first_beat_ns = time.monotonic_ns()
    while spoken < plan.utterances:
        next_beat_ns = first_beat_ns + beats * beat_ns
        next_ns = min(int(due_ns[spoken]), next_beat_ns)
        while (left_ns := next_ns - time.monotonic_ns()) > 0:
            outlet.service()
            outlet.socket.poll(-(-left_ns // NS_PER_MS))
        if next_ns == next_beat_ns:
            yield loads[beats % plan.dialogues], False
            beats += 1
        else:
            yield loads[speaks[spoken]], True
            spoken += 1


def subscribe_and_time(plan: LatencyPlan, results: Queue[Any]) -> None:
    """Put into ``results`` when the first estimate of each utterance was received."""
    stamps: Stamps = {}
    clock = WallClock()
    with Subscriber(plan.address) as subscriber:
        subscriber.receive(timeout_s=0.5)  # time to connect
        results.put({})
        gc.freeze()
        while len(stamps) < plan.utterances:
            event = subscriber.receive(timeout_s=_LAST_EVENT_WAIT_S)
            if event is None:
                break
            if isinstance(event, Emotion) and event.revision == 0:
                arrived_ns, back_ms = time.monotonic_ns(), (clock.now_ns() - event.sent_ns) / 1e6
                shares = [event.latency_ms.get(name, 0.0) for name in ("wire", "wait", "model")]
                stamps[event.session, event.utterance] = (arrived_ns, (*shares, back_ms))
    results.put(stamps)
