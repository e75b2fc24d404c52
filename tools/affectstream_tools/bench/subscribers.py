"""What bad subscribers do to the others: latency beside them, and the memory of node and hub."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial

import numpy as np

from affectstream.run.processes import Processes
from affectstream_tools.bench.bad_subscribers import bad_subscribers
from affectstream_tools.bench.footprint import Footprint, footprint
from affectstream_tools.bench.latency import Latency, measure_latency

SITUATIONS: Mapping[str, Mapping[str, int]] = {
    "nobody else": {},
    "1 stopped": {"stopped": 1},
    "100 stopped": {"stopped": 100},
    "1 that never reads": {"unread_by": 1},
    "1 that asks without end": {"greedy_ones": 1},
}
_LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class SituationOutcome:
    """What was measured in one of ``SITUATIONS``: medians over rounds, and the range of the p50s.

    Attributes:
        company: which.
        missing: estimates that did not arrive, in all rounds.
        node_mib, node_most_mib: memory of the process of node and hub when the bad subscribers
            were there, and the most after that.
        node_cpu_ms: processor time of that process per utterance, the least of all rounds.
    """

    company: str
    p50_ms: float
    p50_least_ms: float
    p50_most_ms: float
    p99_ms: float
    missing: int
    utterances: int
    node_mib: float
    node_most_mib: float
    node_cpu_ms: float

    def to_dict(self) -> dict[str, object]:
        """Return the figures, rounded."""
        return {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class _Node:
    """What the process of node and hub held, look by look, in one run."""

    looks: list[Footprint] = field(default_factory=list)


def measure_subscribers(
    *,
    rounds: int,
    dialogues: int,
    utterances: int,
    warm_up: int,
    seed: int,
    on_progress: Callable[[int], None] = lambda _: None,
) -> list[SituationOutcome]:
    """Return what was measured in each of ``SITUATIONS``, each once in every round.

    Args:
        dialogues, utterances, warm_up, seed: of each run, as for ``measure_latency``.
        on_progress: called with how many runs are done.

    Raises:
        AffectstreamError: a process failed or did not answer.
    """
    seen: dict[str, list[tuple[Latency, _Node]]] = {name: [] for name in SITUATIONS}
    for turn in range(rounds):
        for number, (name, company) in enumerate(SITUATIONS.items()):
            node = _Node()
            latency = measure_latency(
                dialogues,
                utterances=utterances,
                warm_up=warm_up,
                seed=seed + turn,
                beside=partial(_watched, company, node),
            )
            seen[name].append((latency, node))
            on_progress(turn * len(SITUATIONS) + number + 1)
    return [_beside(name, runs) for name, runs in seen.items()]


@contextmanager
def _watched(
    company: Mapping[str, int], node: _Node, address: str, processes: Processes
) -> Iterator[None]:
    """Keep the bad subscribers at the bus, and look at the node meanwhile."""
    over, pid = threading.Event(), processes.pids["fusion"]

    def look() -> None:
        while not over.wait(_LOOK_S):
            node.looks.append(footprint(pid))

    with bad_subscribers(address, processes, **company):
        node.looks.append(footprint(pid))
        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


def _beside(name: str, runs: list[tuple[Latency, _Node]]) -> SituationOutcome:
    p50 = [latency.p50_ms for latency, _ in runs]
    return SituationOutcome(
        company=name,
        p50_ms=float(np.median(p50)),
        p50_least_ms=min(p50),
        p50_most_ms=max(p50),
        p99_ms=float(np.median([latency.p99_ms for latency, _ in runs])),
        missing=sum(latency.missing for latency, _ in runs),
        utterances=sum(latency.utterances for latency, _ in runs),
        node_mib=float(np.median([node.looks[0].rss_mib for _, node in runs])),
        node_most_mib=max(look.rss_mib for _, node in runs for look in node.looks),
        node_cpu_ms=min(
            1000 * (node.looks[-1].cpu_s - node.looks[0].cpu_s) / latency.utterances
            for latency, node in runs
        ),
    )
