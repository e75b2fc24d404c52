"""The report of ``affectstream-lab link``: a table, saved and read again.

Knows: what a row looks like, and the files. Refuses to know: how the cases are run (``cases``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affectstream_tools.jobs.saved_reports import read_report, write_report
from affectstream_tools.trials.link.cases import LinkReport, LinkRow

_TITLE = "A replay from one host to another, over a bad link, between clocks that differ"
LINK_HEADINGS = (
    *("link and clock", "same finals", "largest difference", "gaps", "resent"),
    *("packets lost", "clock off, worst ms", "at the end", "bound", "drift ppm", "true", "s"),
)


def link_cells(row: LinkRow) -> list[str]:
    """Return a row of the table."""
    packets = sum(row.packets.values())
    lost = packets - row.packets.get("carried", 0)
    difference = "" if row.difference is None else f"{row.difference:.1g}"
    return [
        row.name,
        f"{row.same} of {row.finals}",
        difference,
        str(len(row.gaps)),
        str(row.resent),
        f"{lost} of {packets}",
        f"{row.worst_off_ms:.2f}",
        f"{row.last_off_ms:.2f}",
        f"{row.error_ms:.1f}",
        f"{row.drift_ppm:.0f}",
        f"{row.true_drift_ppm:.0f}",
        f"{row.seconds:.0f}",
    ]


def link_remarks(report: LinkReport) -> list[str]:
    """What must stand beside the table."""
    said = [
        f"Replayed: {', '.join(report.dialogues)}. The fusion node and the hub run on one host, "
        "the replay and the subscriber on the other; all are processes of their own, in two "
        "network namespaces, and every packet between them is delayed, lost or let overtake.",
        "Clock: how far what the subscriber takes for the hub's time is off, second by second; "
        "the bound is what it states itself. The drift is the hub's against its own clock.",
    ]
    return said + [f"{row.name}: {gap}" for row in report.rows for gap in row.gaps]


def save_link_report(report: LinkReport, folder: Path) -> list[Path]:
    """Write ``link.json`` and ``link.md``.

    Raises:
        AffectstreamError: they cannot be written.
    """
    lines = [
        "| " + " | ".join(LINK_HEADINGS) + " |",
        "|---" + "|--:" * (len(LINK_HEADINGS) - 1) + "|",
    ]
    lines += ["| " + " | ".join(link_cells(row)) + " |" for row in report.rows]
    made = f"Made {report.date} by `{report.command}` on {report.machine}."
    text = "\n\n".join([f"# {_TITLE}", "\n".join(lines), *link_remarks(report), made])
    return write_report(folder, "link", report.to_dict(), text + "\n")


def load_link_report(folder: Path) -> LinkReport:
    """Return the saved report.

    Raises:
        AffectstreamError: there is none, or it is not ours.
    """
    return read_report(folder, "link", _made_of)


def _made_of(found: dict[str, Any]) -> LinkReport:
    return LinkReport(**{**found, "rows": [LinkRow(**row) for row in found["rows"]]})
