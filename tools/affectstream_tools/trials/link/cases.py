"""The cases that a link and two clocks are put through, each compared with the undisturbed one."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from affectstream_tools.trials.link.link import Impairment
from affectstream_tools.trials.link.trial import LinkCase, TrialOutcome

LINK_CASES = (
    LinkCase(name="undisturbed"),
    LinkCase(name="delay 20 ms, loss 10 %", impairment=Impairment(delay_ms=20, loss=0.1)),
    LinkCase(name="delay 20 ms, jitter 200 ms", impairment=Impairment(delay_ms=20, jitter_ms=200)),
    LinkCase(name="delay 50 ms, 25 % overtake", impairment=Impairment(delay_ms=50, reorder=0.25)),
    LinkCase(name="delay 20 ms, cut for 30 s", impairment=Impairment(delay_ms=20), cut_s=30),
    LinkCase(
        name="delay 20 ms, clock 5 s ahead, +200 ppm",
        impairment=Impairment(delay_ms=20),
        ahead_s=5,
        drift_ppm=200,
        at_least_s=120,
    ),
    LinkCase(
        name="delay 20 ms, clock 5 s behind, -200 ppm",
        impairment=Impairment(delay_ms=20),
        ahead_s=-5,
        drift_ppm=-200,
        at_least_s=120,
    ),
    LinkCase(
        name="loss, jitter, overtaking, cut, clock 5 s ahead, +200 ppm at once",
        impairment=Impairment(delay_ms=20, jitter_ms=200, loss=0.1, reorder=0.1),
        cut_s=30,
        ahead_s=5,
        drift_ppm=200,
        at_least_s=120,
    ),
)
_SAME_WITHIN = 1e-5
"""Finals closer than this are the same: rounding depends on the size of a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow:
    """One case beside the undisturbed one; the other fields are those of ``TrialOutcome``.

    Attributes:
        same, finals: how many finals are the same, and how many there are.
        difference: the largest of a probability or a mean.
        true_drift_ppm: of the hub's clock, seen from the listener's.
    """

    name: str
    same: int
    finals: int
    difference: float | None
    gaps: list[str]
    resent: int
    packets: dict[str, int]
    worst_off_ms: float
    last_off_ms: float
    error_ms: float
    true_drift_ppm: float
    drift_ppm: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReport:
    """What the cases showed, and where."""

    date: str
    command: str
    machine: str
    dialogues: list[str]
    rows: list[LinkRow]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


def compare_trials(case: LinkCase, outcome: TrialOutcome, undisturbed: TrialOutcome) -> LinkRow:
    """Compare what a case showed with what the undisturbed one showed."""
    both = outcome.finals.keys() & undisturbed.finals.keys()
    differences = {name: _apart(outcome.finals[name], undisturbed.finals[name]) for name in both}
    return LinkRow(
        name=case.name,
        same=sum(difference < _SAME_WITHIN for difference in differences.values()),
        finals=len(undisturbed.finals),
        difference=max(differences.values(), default=None),
        gaps=outcome.gaps,
        resent=outcome.resent,
        packets=outcome.packets,
        worst_off_ms=outcome.worst_off_ms,
        last_off_ms=outcome.last_off_ms,
        error_ms=outcome.error_ms,
        true_drift_ppm=0.0 - case.drift_ppm,
        drift_ppm=outcome.drift_ppm,
        seconds=outcome.seconds,
    )


def _apart(one: dict[str, float], other: dict[str, float]) -> float:
    """Return the largest difference; infinite where the two have other names in them."""
    if one.keys() != other.keys():
        return float("inf")
    return max(abs(one[name] - other[name]) for name in one)


def run_cases(
    cases: Sequence[LinkCase], trial: Callable[[LinkCase], TrialOutcome]
) -> Iterator[LinkRow]:
    """Yield a row for each case; the first is the one that the others are compared with."""
    undisturbed: TrialOutcome | None = None
    for case in cases:
        outcome = trial(case)
        undisturbed = undisturbed or outcome
        yield compare_trials(case, outcome, undisturbed)


def link_report_of(rows: list[LinkRow], dialogues: Sequence[str], command: str) -> LinkReport:
    """Return the report of what was run here and now."""
    return LinkReport(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        command=command,
        machine=f"Linux {platform.release()}, {platform.machine()}",
        dialogues=list(dialogues),
        rows=rows,
    )
