"""What fuzzing found, saved as JSON and Markdown, and read again.

Knows: how a run is shown. Refuses to know: how anything was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from affectstream_tools.jobs.saved_reports import read_report, write_report
from affectstream_tools.trials.fuzzing.coverage_guided import Guided
from affectstream_tools.trials.fuzzing.watching import Failure, Found

MOST_REASONS = 12
_TITLE = "What nobody should send"
FUZZ_HEADINGS = (
    "target",
    "cases",
    "accepted",
    "refused",
    "defects",
    "CPU s",
    "slowest ms",
    "growth MiB",
)


@dataclass(slots=True)
class FuzzReport:
    """One run."""

    found: list[Found]
    guided: list[Guided]
    seed: int
    command: str
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def defects(self) -> int:
        """How many cases did what no case may do."""
        return sum(len(f.failures) for f in self.found) + sum(g.crashed for g in self.guided)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def fuzz_cells(found: Found) -> tuple[str, ...]:
    """What became of one target's cases, under ``FUZZ_HEADINGS``."""
    return (
        found.target,
        f"{found.cases:,}",
        f"{found.accepted:,}",
        f"{sum(found.refused.values()):,}",
        str(len(found.failures)),
        f"{found.seconds:.0f}",
        f"{found.slowest_ms:.0f}",
        f"{found.growth_mib:+.1f}",
    )


def fuzz_remarks(report: FuzzReport) -> list[str]:
    """What must stand beside the table."""
    said = [
        "A case that is accepted does what it says; one that is refused is refused by name, in one "
        "sentence, and counted. A defect is anything else: another exception, an answer after "
        "more than a second of processor time, a good stream beside the garbage that did not "
        "come out whole and in order, a good dialogue whose finals changed, or something said "
        "that nobody could read.",
        "Growth is the most that the process held in the second half of its cases, less the most "
        "in the first.",
    ]
    said += [
        f"Guided by coverage (atheris), {guided.target}: {guided.runs:,} more cases, "
        f"{'a crash' if guided.crashed else 'no defect'}."
        for guided in report.guided
    ]
    return said


def reasons(found: Found) -> str:
    """For what a target's cases were refused."""
    most = sorted(found.refused.items(), key=lambda item: -item[1])[:MOST_REASONS]
    return ", ".join(f"{reason} {count:,}" for reason, count in most)


def save_fuzz_report(report: FuzzReport, folder: Path) -> list[Path]:
    """Write ``fuzz.json`` and ``fuzz.md``, and a file for every defect.

    Raises:
        AffectstreamError: they cannot be written.
    """
    lines = [
        "| " + " | ".join(FUZZ_HEADINGS) + " |",
        "|---" + "|--:" * (len(FUZZ_HEADINGS) - 1) + "|",
    ]
    lines += ["| " + " | ".join(fuzz_cells(found)) + " |" for found in report.found]
    refused = [f"- {f.target}: {reasons(f)}" for f in report.found if f.refused]
    text = "\n\n".join(
        [
            f"# {_TITLE}",
            *fuzz_remarks(report),
            "\n".join(lines),
            "Refused for:",
            "\n".join(refused),
            f"Made {report.date} by `{report.command}`.",
        ]
    )
    return write_report(folder, "fuzz", report.to_dict(), text + "\n")


def save_failures(found: Sequence[Found], folder: Path) -> list[Path]:
    """Write a file for every defect, from which it can be run again."""
    return [failure.save(folder) for each in found for failure in each.failures]


def load_fuzz_report(folder: Path) -> FuzzReport:
    """Return the saved report.

    Raises:
        AffectstreamError: there is none, or it is not ours.
    """
    return read_report(folder, "fuzz", _made_of)


def _made_of(saved: dict[str, Any]) -> FuzzReport:
    found = [_found(values) for values in saved.pop("found")]
    guided = [Guided(**values) for values in saved.pop("guided")]
    return FuzzReport(found=found, guided=guided, **saved)


def _found(values: dict[str, Any]) -> Found:
    failures = [Failure(**failure) for failure in values["failures"]]
    return Found(**{**values, "failures": failures})
