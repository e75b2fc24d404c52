"""The time from an utterance's end to its first estimate, as another process sees it.

Four processes: the fusion node with its hub, a worker, a subscriber, and this one. All run on one
host and share its monotonic clock: the worker notes it just before it sends ``utterance.ended``,
the subscriber when it receives the utterance's ``provisional`` estimate. So ZeroMQ, MessagePack,
alignment, the model and the subscriber's decoding are all included.
"""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.queues import Queue
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectstream.errors import AffectstreamError
from affectstream.run.processes import Processes, free_address
from affectstream_tools.bench.latency_processes import (
    STAGES,
    LatencyPlan,
    Stamps,
    publish,
    subscribe_and_time,
)

_ALONE_S = 0.06
"""Seconds between the utterances of a single dialogue; 3 s, as in life, would take an hour."""

_BENCH_LIMIT_S = 900.0


@dataclass(frozen=True, slots=True)
class Latency:
    """What one run measured, in milliseconds."""

    n: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    mean_ms: float
    utterances: int
    missing: int
    per_second: float
    stages_p50_ms: dict[str, float]
    stages_p99_ms: dict[str, float]

    def to_dict(self) -> dict[str, object]:
        """Return the figures, rounded to microseconds."""
        return {
            name: {k: round(v, 3) for k, v in value.items()}
            if isinstance(value, dict)
            else round(value, 3)
            for name, value in asdict(self).items()
        }


@contextmanager
def _nobody(address: str, processes: Processes) -> Iterator[None]:
    yield


def measure_latency(
    dialogues: int,
    *,
    utterances: int,
    warm_up: int,
    seed: int,
    every_s: float = 3.0,
    journal: bool = False,
    on_progress: Callable[[int], None] = lambda _: None,
    beside: Callable[[str, Processes], AbstractContextManager[None]] = _nobody,
) -> Latency:
    """Run the processes and return the latency of ``utterances`` utterances.

    Args:
        dialogues: how many there are at once.
        warm_up: utterances before those that are measured.
        every_s: mean seconds between a dialogue's utterances, where there are many dialogues.
        journal: whether the node keeps a journal.
        beside: a context in which all runs; called with the bus's address and the processes, of
            which the node is ``fusion``.

    Raises:
        AffectstreamError: a process failed or did not answer.
    """
    address = free_address()
    between_s = every_s / dialogues if dialogues > 1 else _ALONE_S
    plan = LatencyPlan(address, dialogues, utterances + warm_up, between_s, seed)
    spawn = multiprocessing.get_context("spawn")
    sent: Queue[Any] = spawn.Queue()
    received: Queue[Any] = spawn.Queue()
    with Processes() as processes, TemporaryDirectory() as folder:
        kept = ("--journal", f"{folder}/journal") if journal else ()
        processes.start("fusion", "fusion", "--address", address, *kept)
        processes.wait_for_hub(address)
        reader = spawn.Process(target=subscribe_and_time, args=(plan, received), daemon=True)
        writer = spawn.Process(target=publish, args=(plan, sent), daemon=True)
        try:
            with beside(address, processes):
                reader.start()
                _next(received, processes, on_progress)  # it is connected
                writer.start()
                departures = _next(sent, processes, on_progress)
                arrivals = _next(received, processes, on_progress)
        finally:
            for process in (reader, writer):
                if process.pid is not None:
                    process.terminate()
                    process.join()
    return _figures(plan, departures, arrivals, warm_up)


def _next(results: Queue[Any], processes: Processes, on_progress: Callable[[int], None]) -> Stamps:
    """Return a process's result; numbers that come before it say how many utterances are done."""
    for _ in range(int(_BENCH_LIMIT_S)):
        processes.check()
        try:
            found = results.get(timeout=1.0)
        except queue.Empty:
            continue
        if isinstance(found, dict):
            return found
        on_progress(found)
    raise AffectstreamError(f"no result within {_BENCH_LIMIT_S:.0f} s; run it on a quieter machine")


def _figures(plan: LatencyPlan, departures: Stamps, arrivals: Stamps, warm_up: int) -> Latency:
    measured = list(departures)[warm_up:]
    pairs = [(departures[key][0], arrivals[key]) for key in measured if key in arrivals]
    if not pairs:
        raise AffectstreamError("not one estimate came back; see `affectstream doctor`")
    waited_ms = np.array([arrived[0] - left for left, arrived in pairs]) / 1e6
    stages_ms = np.array([arrived[1] for _, arrived in pairs])  # (n, stages)
    began, ended = departures[measured[0]][0], departures[measured[-1]][0]
    return Latency(
        n=plan.dialogues,
        p50_ms=float(np.percentile(waited_ms, 50)),
        p99_ms=float(np.percentile(waited_ms, 99)),
        max_ms=float(waited_ms.max()),
        mean_ms=float(waited_ms.mean()),
        utterances=len(pairs),
        missing=len(measured) - len(pairs),
        per_second=(len(measured) - 1) / max(1e-9, (ended - began) / 1e9),
        stages_p50_ms=_by_stage(stages_ms, 50),
        stages_p99_ms=_by_stage(stages_ms, 99),
    )


def _by_stage(stages_ms: NDArray[np.float64], percent: float) -> dict[str, float]:
    return dict(zip(STAGES, np.percentile(stages_ms, percent, axis=0).tolist(), strict=True))
