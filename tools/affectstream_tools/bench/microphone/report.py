"""The report of ``bench microphone``: a table, saved and read again.

Knows: what is printed of an outcome, and where it is kept.
Refuses to know: how it was measured.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from affectstream_tools.bench.microphone.stress import DisturbanceOutcome
from affectstream_tools.jobs.saved_reports import read_report, write_report

_TITLE = "A microphone's timeline under disturbances"
DISTURBANCE_HEADINGS = (
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

    def to_dict(self) -> dict[str, object]:
        """Return the report as JSON can hold it."""
        return asdict(self)


def disturbance_cells(row: DisturbanceOutcome) -> list[str]:
    """Return a row of the table; what was not measured is a dash."""
    median_ms, largest_ms = row.error_ms or (None, None)
    figures = (row.recovered_ms, row.missing, row.said, median_ms, largest_ms)
    shown = ["-" if figure is None else str(figure) for figure in figures]
    return [row.name, *shown, ", ".join(row.reasons) or "-", str(row.stop_ms)]


def save_microphone_report(report: MicrophoneReport, folder: Path) -> list[Path]:
    """Write ``microphone.json`` and ``microphone.md``.

    Raises:
        AffectstreamError: they cannot be written.
    """
    lines = ["| " + " | ".join(DISTURBANCE_HEADINGS) + " |", "|---|--:|--:|--:|--:|--:|---|--:|"]
    lines += ["| " + " | ".join(disturbance_cells(row)) + " |" for row in report.rows]
    made = f"Made {report.date} by `{report.command}`."
    text = "\n\n".join([f"# {_TITLE}", "\n".join(lines), made])
    return write_report(folder, "microphone", report.to_dict(), text + "\n")


def load_microphone_report(folder: Path) -> MicrophoneReport:
    """Return the saved report.

    Raises:
        AffectstreamError: there is none, or it is not ours.
    """
    return read_report(folder, "microphone", _made_of)


def _made_of(found: dict[str, Any]) -> MicrophoneReport:
    rows = [
        DisturbanceOutcome(
            **{
                **row,
                "error_ms": row["error_ms"] and tuple(row["error_ms"]),
                "reasons": tuple(row["reasons"]),
            }
        )
        for row in found["rows"]
    ]
    return MicrophoneReport(rows, found["date"], found["command"])
