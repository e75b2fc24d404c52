"""What fault injection found: made, saved and read again.

Knows: how many deaths are shared out among replays, and what is said of the outcome.
Refuses to know: how processes are killed (``injection``) and events compared (``events``).
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from affectstream_tools.jobs.job_process import machine
from affectstream_tools.jobs.saved_reports import read_report, write_report
from affectstream_tools.trials.faults.events import Comparison, compare_events, holes
from affectstream_tools.trials.faults.injection import Deaths, Replay, play_disturbed

DEATHS_PER_REPLAY = 25
NAME = "faults"


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
    """All replays; sums are over them.

    Attributes:
        undisturbed_s: how long the replay takes where nobody dies.
    """

    dialogues: list[str]
    data: str
    undisturbed_s: float
    replays: list[Disturbed]
    command: str
    date: str
    machine: str

    def to_dict(self) -> dict[str, Any]:
        """The report, its sums first."""
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
    """Play a replay undisturbed once, then disturbed until ``kills`` processes have died.

    Half of the disturbed replays have the hub within the fusion node, half have it alone.

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
        began_s, number = time.monotonic(), len(done)
        alone = Replay(replay.corpus, replay.dialogues, replay.checkpoint, bool(number % 2))
        deaths = Deaths(random.Random(seed + 1 + number), min(left, DEATHS_PER_REPLAY))
        found = play_disturbed(alone, folder / f"disturbed-{number}", deaths, on_death)
        left -= deaths.counts.total()
        wall_s = round(time.monotonic() - began_s, 1)
        comparison = compare_events(expected, found)
        done.append(
            Disturbed(alone.hub_alone, dict(deaths.counts), holes(found), comparison, wall_s)
        )
    return FaultReport(
        dialogues=list(replay.dialogues),
        data=data,
        undisturbed_s=round(undisturbed_s, 1),
        replays=done,
        command=command,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine(),
    )


def save_fault_report(report: FaultReport, folder: Path) -> list[Path]:
    """Write ``faults.json`` and ``faults.md``; return the files.

    Raises:
        AffectstreamError: they cannot be written.
    """
    found = report.to_dict()
    return write_report(folder, NAME, found, _as_markdown(found))


def load_fault_report(folder: Path) -> dict[str, Any]:
    """Return the saved report.

    Raises:
        AffectstreamError: there is none, or it is not ours.
    """
    return read_report(folder, NAME, _made_of)


def _made_of(found: dict[str, Any]) -> dict[str, Any]:
    _as_markdown(found)  # what it does not find is no report of ours
    return found


def _as_markdown(found: dict[str, Any]) -> str:
    """The report as a page."""
    lines = [
        "# Processes killed at random moments",
        "",
        f"{found['kills']} times `kill -9` ("
        + ", ".join(f"{role} {count}" for role, count in sorted(found["killed"].items()))
        + f") in {len(found['replays'])} replays of {len(found['dialogues'])} dialogues "
        f"({found['data']}), each compared with the undisturbed replay, event by event:",
        "",
        f"- lost: **{found['lost']}** of {found['events']} events; "
        f"doubled: **{found['doubled']}**; out of turn: {found['out_of_turn']}; "
        f"gaps said: {found['gaps']}",
        f"- finals changed: **{found['changed']}** of {found['finals']} "
        f"(largest difference of a probability {found['difference']:.1e}); "
        f"revisions changed: {found['revisions_changed']}",
        "",
        "| replay | hub | killed | events | lost | doubled | finals changed | gaps | s |",
        "|--:|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for number, each in enumerate(found["replays"], 1):
        killed = ", ".join(f"{role} {n}" for role, n in sorted(each["deaths"].items()))
        c = each["comparison"]
        lines.append(
            f"| {number} | {'alone' if each['hub_alone'] else 'in the node'} | {killed} "
            f"| {c['events']} | {c['lost']} | {c['doubled']} | {c['changed']} | {c['gaps']} "
            f"| {each['wall_s']} |"
        )
    lines += [
        "",
        f"Undisturbed the replay takes {found['undisturbed_s']} s. Made {found['date']} by "
        f"`{found['command']}` on {found['machine']}.",
    ]
    return "\n".join(lines) + "\n"
