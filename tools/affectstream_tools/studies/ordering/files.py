"""The ordering study's report as files: ``ordering.json``, ``ordering.md`` and ``ordering.png``."""

from __future__ import annotations

from pathlib import Path

from affectstream_tools.jobs.saved_reports import ReportFile, markdown_table
from affectstream_tools.studies.ordering.report import (
    ORDERING_HEADINGS,
    ORDERING_TITLE,
    OrderingReport,
    ordering_cells,
    ordering_remarks,
)


def _page(report: OrderingReport) -> str:
    parts = [
        f"# {ORDERING_TITLE}",
        *ordering_remarks(report),
        markdown_table(ORDERING_HEADINGS, map(ordering_cells, report.rows), names=3),
        "![accuracies and ceilings](ordering.png)",
        f"Made {report.date} by `{report.command}`.",
    ]
    return "\n\n".join(parts) + "\n"


ORDERING_REPORT = ReportFile("ordering", OrderingReport, _page)


def save_ordering_report(report: OrderingReport, folder: Path) -> list[Path]:
    """Write ``ordering.json``, ``ordering.md`` and ``ordering.png``; return the files.

    Raises:
        AffectstreamError: they cannot be written.
    """
    from affectstream_tools.studies.ordering.plot import plot_ordering

    return [*ORDERING_REPORT.save(report, folder), plot_ordering(report, folder / "ordering.png")]
