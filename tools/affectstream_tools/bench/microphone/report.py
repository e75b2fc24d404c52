"""The report of ``bench microphone``: a table of its disturbances, and where it is kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from affectstream_tools.bench.microphone.stress import DisturbanceOutcome
from affectstream_tools.jobs.saved_reports import ReportFile, ReportTable, markdown_table

_HEADINGS = (
    "disturbance",
    "heard again after (ms)",
    "samples missing",
    "samples said",
    "timeline error after it, median (ms)",
    "largest (ms)",
    "said as",
    "end after SIGTERM (ms)",
)


@dataclass(frozen=True, slots=True)
class MicrophoneReport:
    """All outcomes of one run.

    Attributes:
        rows: one for each disturbance.
        date: when they were measured, ISO 8601.
        command: what measured them.
    """

    rows: list[DisturbanceOutcome]
    date: str
    command: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


def microphone_table(report: MicrophoneReport) -> ReportTable:
    """Return the disturbances, one a row; what was not measured is a dash."""
    rows = [_cells(row) for row in report.rows]
    return ReportTable("A microphone's timeline under disturbances", _HEADINGS, rows)


def _cells(row: DisturbanceOutcome) -> list[str]:
    median_ms, largest_ms = row.error_ms or (None, None)
    figures = (row.recovered_ms, row.missing, row.said, median_ms, largest_ms)
    shown = ["-" if figure is None else str(figure) for figure in figures]
    return [row.name, *shown, ", ".join(row.reasons) or "-", str(row.stop_ms)]


def _page(report: MicrophoneReport) -> str:
    table = microphone_table(report)
    cells = markdown_table(table.headings, table.rows)
    made = f"Made {report.date} by `{report.command}`."
    return "\n\n".join([f"# {table.title}", cells, made]) + "\n"


MICROPHONE_REPORT = ReportFile("microphone", MicrophoneReport, _page)
