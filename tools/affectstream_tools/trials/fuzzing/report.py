"""The report of ``affectstream-lab fuzz``: a table of its targets, and where it is kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from affectstream_tools.jobs.saved_reports import ReportFile, ReportTable, markdown_table
from affectstream_tools.trials.fuzzing.coverage_guided import GuidedRun
from affectstream_tools.trials.fuzzing.runs import Failure, TargetOutcome

_MOST_REASONS = 12
_HEADINGS = (
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
    """One run.

    Attributes:
        found: by target.
        guided: by target, where atheris is installed.
    """

    found: list[TargetOutcome]
    guided: list[GuidedRun]
    seed: int
    command: str
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def failures(self) -> list[Failure]:
        """The defects of all targets; crashes of guided cases are not among them."""
        return [failure for found in self.found for failure in found.failures]

    @property
    def defects(self) -> int:
        """How many defects there are, crashes of guided cases included."""
        return len(self.failures) + sum(guided.crashed for guided in self.guided)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


def fuzz_table(report: FuzzReport) -> ReportTable:
    """Return the targets, one a row, and what the counts mean."""
    remarks = [
        "A case that is accepted does what it says; one that is refused is refused by name, in one "
        "sentence, and counted. A defect is anything else: another exception, an answer after "
        "more than a second of processor time, a good stream beside the garbage that did not "
        "come out whole and in order, a good dialogue whose finals changed, or something said "
        "that nobody could read.",
        "Growth is the most that the process held in the second half of its cases, less the most "
        "in the first.",
        *(
            f"Guided by coverage (atheris), {guided.target}: {guided.runs:,} more cases, "
            f"{'a crash' if guided.crashed else 'no defect'}."
            for guided in report.guided
        ),
    ]
    rows = [_cells(found) for found in report.found]
    return ReportTable("What nobody should send", _HEADINGS, rows, remarks)


def _cells(found: TargetOutcome) -> tuple[str, ...]:
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


def _page(report: FuzzReport) -> str:
    table = fuzz_table(report)
    refused = [f"- {found.target}: {_reasons(found)}" for found in report.found if found.refused]
    parts = [
        f"# {table.title}",
        *table.remarks,
        markdown_table(table.headings, table.rows),
        "Refused for:",
        "\n".join(refused),
        f"Made {report.date} by `{report.command}`.",
    ]
    return "\n\n".join(parts) + "\n"


def _reasons(found: TargetOutcome) -> str:
    """Say what a target's cases were refused for, the commonest reason first."""
    most = sorted(found.refused.items(), key=lambda item: -item[1])[:_MOST_REASONS]
    return ", ".join(f"{reason} {count:,}" for reason, count in most)


FUZZ_REPORT = ReportFile("fuzz", FuzzReport, _page)
