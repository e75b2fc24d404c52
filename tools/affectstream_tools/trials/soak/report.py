"""The report of ``affectstream-lab soak``: JSON, a page, and a picture."""

from __future__ import annotations

from pathlib import Path

from affectstream_tools.jobs.saved_reports import ReportFile
from affectstream_tools.trials.soak.measures import SoakReport
from affectstream_tools.trials.soak.words import soak_page

SOAK_REPORT = ReportFile("soak", SoakReport, soak_page)


def save_soak_report(report: SoakReport, folder: Path) -> list[Path]:
    """Write ``soak.json``, ``soak.md`` and ``soak.png``; return the files.

    Raises:
        AffectstreamError: they cannot be written.
    """
    from affectstream_tools.trials.soak.plot import plot_soak

    return [*SOAK_REPORT.save(report, folder), plot_soak(report, folder / "soak.png")]
