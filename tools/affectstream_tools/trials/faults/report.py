"""Kills processes over many replays, and reports what was lost, doubled or changed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import replace as replaced
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from affectstream_tools.jobs.job_process import machine
from affectstream_tools.jobs.saved_reports import ReportFile, markdown_table
from affectstream_tools.trials.faults.events import Comparison, EventLine, compare_events, holes
from affectstream_tools.trials.faults.injection import Deaths, Replay, play_disturbed

_DEATHS_PER_REPLAY = 25
_HEADINGS = (
    *("replay", "hub", "killed", "events", "lost", "doubled", "finals changed", "gaps", "s"),
)


@dataclass(frozen=True, slots=True)
class Disturbed:
    """One disturbed replay."""

    hub_alone: bool
    deaths: dict[str, int]
    out_of_turn: int
    comparison: Comparison
    wall_s: float


@dataclass(frozen=True, slots=True)
class FaultReport:
    """All replays.

    Attributes:
        undisturbed_s: how long the replay takes when nothing is killed.
    """

    dialogues: list[str]
    data: str
    undisturbed_s: float
    replays: list[Disturbed]
    command: str
    date: str
    machine: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types, the sums over all replays first."""
        by_role: Counter[str] = Counter()
        for each in self.replays:
            by_role.update(each.deaths)
        sums = {
            name: sum(getattr(each.comparison, name) for each in self.replays)
            for name in ("finals", "events", "lost", "doubled", "changed", "revisions_changed",
                         "gaps")
        }  # fmt: skip
        return {
            "kills": sum(by_role.values()),
            "killed": dict(by_role),
            **sums,
            "out_of_turn": sum(each.out_of_turn for each in self.replays),
            "difference": max((e.comparison.difference for e in self.replays), default=0.0),
            **asdict(self),
        }


def inject(
    replay: Replay,
    folder: Path,
    *,
    kills: int,
    seed: int,
    data: str,
    command: str,
    on_death: Callable[[str], None],
) -> FaultReport:
    """Play a replay undisturbed once, then disturbed until ``kills`` processes were killed.

    Every second disturbed replay has the hub in a process of its own.

    Raises:
        AffectstreamError: a replay did not end, or a process failed by itself.
    """
    began_s = time.monotonic()
    expected = play_disturbed(
        replay, folder / "undisturbed", Deaths(random.Random(seed), 0), on_death
    )
    undisturbed_s = time.monotonic() - began_s
    done: list[Disturbed] = []
    left = kills
    while left > 0:
        number = len(done)
        deaths = Deaths(random.Random(seed + 1 + number), min(left, _DEATHS_PER_REPLAY))
        disturbed = replaced(replay, hub_alone=bool(number % 2))
        done.append(_disturb(disturbed, folder / f"disturbed-{number}", deaths, on_death, expected))
        left -= deaths.counts.total()
    return FaultReport(
        dialogues=list(replay.dialogues),
        data=data,
        undisturbed_s=round(undisturbed_s, 1),
        replays=done,
        command=command,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine(),
    )


def _disturb(
    replay: Replay,
    folder: Path,
    deaths: Deaths,
    on_death: Callable[[str], None],
    expected: Sequence[EventLine],
) -> Disturbed:
    """Play a replay disturbed, and compare it with what is expected of it."""
    began_s = time.monotonic()
    found = play_disturbed(replay, folder, deaths, on_death)
    wall_s = round(time.monotonic() - began_s, 1)
    comparison = compare_events(expected, found)
    return Disturbed(replay.hub_alone, dict(deaths.counts), holes(found), comparison, wall_s)


def fault_page(report: FaultReport) -> str:
    """Return the report as Markdown."""
    found = report.to_dict()
    rows = [_cells(number, each) for number, each in enumerate(report.replays, 1)]
    return "\n".join(
        [
            "# Processes killed at random moments",
            "",
            f"{found['kills']} times `kill -9` ({_killed(found['killed'])}) "
            f"in {len(report.replays)} replays of {len(report.dialogues)} dialogues "
            f"({report.data}), each compared with the undisturbed replay, event by event:",
            "",
            f"- lost: **{found['lost']}** of {found['events']} events; "
            f"doubled: **{found['doubled']}**; out of turn: {found['out_of_turn']}; "
            f"gaps said: {found['gaps']}",
            f"- finals changed: **{found['changed']}** of {found['finals']} "
            f"(largest difference of a probability {found['difference']:.1e}); "
            f"revisions changed: {found['revisions_changed']}",
            "",
            markdown_table(_HEADINGS, rows, names=3),
            "",
            f"Undisturbed the replay takes {report.undisturbed_s} s. Made {report.date} by "
            f"`{report.command}` on {report.machine}.",
            "",
        ]
    )


def _cells(number: int, each: Disturbed) -> list[str]:
    hub = "alone" if each.hub_alone else "in the node"
    seen = each.comparison
    counts = (seen.events, seen.lost, seen.doubled, seen.changed, seen.gaps, each.wall_s)
    return [str(number), hub, _killed(each.deaths), *map(str, counts)]


def _killed(deaths: Mapping[str, int]) -> str:
    return ", ".join(f"{role} {count}" for role, count in sorted(deaths.items()))


FAULT_REPORT = ReportFile("faults", FaultReport, fault_page)
