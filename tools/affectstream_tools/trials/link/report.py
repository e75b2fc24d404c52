"""The report of ``affectstream-lab link``: a table of its cases, and where it is kept."""

from __future__ import annotations

from affectstream_tools.jobs.saved_reports import ReportFile, ReportTable, markdown_table
from affectstream_tools.trials.link.cases import LinkReport, LinkRow

_HEADINGS = (
    *("link and clock", "same finals", "largest difference", "gaps", "resent"),
    *("packets lost", "clock off, worst ms", "at the end", "bound", "drift ppm", "true", "s"),
)


def link_table(report: LinkReport) -> ReportTable:
    """Return the cases, one a row, and what must be said beside them."""
    remarks = [
        f"Replayed: {', '.join(report.dialogues)}. The fusion node and the hub run on one host, "
        "the replay and the subscriber on the other; all are processes of their own, in two "
        "network namespaces, and every packet between them is delayed, lost or let overtake.",
        "Clock: how far what the subscriber takes for the hub's time is off, second by second; "
        "the bound is what it states itself. The drift is the hub's against its own clock.",
        *(f"{row.name}: {gap}" for row in report.rows for gap in row.gaps),
    ]
    return ReportTable(
        "A replay from one host to another, over a bad link, between clocks that differ",
        _HEADINGS,
        [_cells(row) for row in report.rows],
        remarks,
    )


def _cells(row: LinkRow) -> list[str]:
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


def _page(report: LinkReport) -> str:
    table = link_table(report)
    made = f"Made {report.date} by `{report.command}` on {report.machine}."
    cells = markdown_table(table.headings, table.rows)
    return "\n\n".join([f"# {table.title}", cells, *table.remarks, made]) + "\n"


LINK_REPORT = ReportFile("link", LinkReport, _page)
