"""The files of reports: written, and read again.

Knows: for each table a page to read (Markdown), every figure (csv) and two pictures; the costs of
all; and one ``tables.json`` that holds everything with the command, the date, the machine and the
versions that made it. Tables made by other runs stay as they are.
Refuses to know: how the numbers were found.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from affectstream.errors import AffectstreamError
from affectstream_tools.jobs.folders import check_reports, write_whole
from affectstream_tools.jobs.saved_reports import NoReportError
from affectstream_tools.studies.tables.compared import best_confusions, compare_rows
from affectstream_tools.studies.tables.costs import costs_as_markdown
from affectstream_tools.studies.tables.every_figure import as_csv
from affectstream_tools.studies.tables.one_screen import page_of_table
from affectstream_tools.studies.tables.papers import TITLES
from affectstream_tools.studies.tables.report import ConfusionTable, Cost, TableReport
from affectstream_tools.studies.tables.rows import TableRow

_FILE = "tables.json"


def save_table_report(reports: Sequence[TableReport], folder: Path) -> list[Path]:
    """Write the reports' files and return them; ``tables.json`` keeps the other tables' too.

    Raises:
        AffectstreamError: they cannot be written.
    """
    kept = {**_read(folder), **{report.table: report for report in reports}}
    ordered = [kept[table] for table in TITLES if table in kept]
    whole = json.dumps({report.table: asdict(report) for report in ordered}, indent=1)
    beside = [folder / f"{report.table}.{suffix}" for report in reports for suffix in ("md", "csv")]
    check_reports(folder / _FILE, folder / "costs.md", *beside)
    written = [write_whole(folder / _FILE, whole)]
    for report in reports:
        pictures = list(_draw(report, folder))
        page = page_of_table(report, [picture.name for picture in pictures])
        written.append(write_whole(folder / f"{report.table}.md", page))
        written.append(write_whole(folder / f"{report.table}.csv", as_csv(report.rows)))
        written += pictures
    costs = list({cost.job: cost for report in ordered for cost in report.costs}.values())
    written.append(write_whole(folder / "costs.md", costs_as_markdown(costs)))
    return written


def _draw(report: TableReport, folder: Path) -> Iterable[Path]:
    from affectstream_tools.studies.tables import plots

    compared = compare_rows(report.table, report.rows)
    yield plots.plot_compared(compared, folder / f"{report.table}-{compared.metric}.png")
    best = best_confusions(report.table, report.confusions)
    if best:
        path = folder / f"{report.table}-confusion.png"
        yield plots.plot_confusions(TITLES[report.table], best, path)


def load_table_report(folder: Path, tables: Sequence[str]) -> list[TableReport]:
    """Return the saved reports of these tables.

    Raises:
        AffectstreamError: none of them is saved in the folder.
    """
    kept = _read(folder)
    found = [kept[table] for table in tables if table in kept]
    if not found:
        raise NoReportError(f"no report of {', '.join(tables)}", folder)
    return found


def _read(folder: Path) -> dict[str, TableReport]:
    path = folder / _FILE
    try:
        saved: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {table: _from_dict(values) for table, values in saved.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise AffectstreamError(f"{path} is no report of ours ({error}); remove it") from error


def _from_dict(values: dict[str, Any]) -> TableReport:
    return TableReport(
        **{
            **values,
            "rows": [TableRow(**row) for row in values["rows"]],
            "costs": [Cost(**cost) for cost in values["costs"]],
            "confusions": [ConfusionTable(**confusion) for confusion in values["confusions"]],
        }
    )
