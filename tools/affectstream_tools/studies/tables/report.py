"""What a run of the tables found, saved, and read again.

Knows: the files of a report: for each table text, csv, Markdown and pictures, and one
``tables.json`` that holds everything with the command, the date, the machine and the versions
that made it. Refuses to know: how the numbers were found. Tables made by other runs stay as they
are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

from affectstream.errors import AffectstreamError
from affectstream_tools.jobs.jobs import JobOutcome, write_whole
from affectstream_tools.studies.tables.papers import TITLES
from affectstream_tools.studies.tables.rows import TableRow
from affectstream_tools.studies.tables.tables import (
    TABLES,
    as_csv,
    as_markdown,
    as_text,
    markdown_table,
    text_table,
)

JSON = "tables.json"
_PACKAGES = ("affectstream", "torch", "numpy", "scikit-learn", "hmmlearn", "ray")
_COSTS = ("experiment", "s", "MiB", "machine")


@dataclass(frozen=True, slots=True)
class Cost:
    """What an experiment took."""

    job: str
    wall_s: float
    peak_mib: float
    machine: str


@dataclass(frozen=True, slots=True)
class ConfusionTable:
    """How often what was true (rows) was taken for what (columns), of a row of a table."""

    table: str
    title: str
    """The row, the data and the protocol; a stand-in is named as one."""
    labels: list[str]
    counts: list[list[int]]


@dataclass(frozen=True, slots=True)
class TableReport:
    """One table and what made it."""

    table: str
    rows: list[TableRow]
    command: str
    date: str
    versions: dict[str, str]
    costs: list[Cost] = field(default_factory=list)
    confusions: list[ConfusionTable] = field(default_factory=list)


def table_report_of(
    table: str,
    rows: Sequence[TableRow],
    outcomes: Sequence[JobOutcome],
    command: str,
    confusions: Sequence[ConfusionTable] = (),
) -> TableReport:
    """Return the report of a table from the outcomes of the jobs that filled it.

    Args:
        confusions: of any table.
    """
    return TableReport(
        table=table,
        rows=[row for row in rows if row.table == table],
        command=command,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=dict(_versions()),
        costs=[Cost(o.job.name, o.wall_s, o.peak_mib, o.machine) for o in outcomes],
        confusions=[confusion for confusion in confusions if confusion.table == table],
    )


def confusions_of(module: ModuleType, outcomes: Mapping[str, JobOutcome]) -> list[ConfusionTable]:
    """Return the matrices that a module of experiments draws from its outcomes, if it does."""
    drawn = getattr(module, "confusions", None)
    return [] if drawn is None else list(drawn(outcomes))


def _versions() -> Iterable[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def save_table_report(reports: Sequence[TableReport], folder: Path) -> list[Path]:
    """Write the reports' files and return them; ``tables.json`` keeps the other tables' too.

    Raises:
        AffectstreamError: they cannot be written.
    """
    kept = {**_read(folder), **{report.table: report for report in reports}}
    ordered = [kept[table] for table in TABLES if table in kept]
    written = [
        write_whole(folder / JSON, json.dumps({r.table: asdict(r) for r in ordered}, indent=1))
    ]
    for report in reports:
        title = TITLES[report.table]
        made = f"\nMade {report.date} by `{report.command}`.\n"
        for suffix, text in (
            ("txt", as_text(title, report.rows) + made),
            ("csv", as_csv(report.rows)),
            ("md", as_markdown(title, report.rows) + made),
        ):
            written.append(write_whole(folder / f"{report.table}.{suffix}", text))
        written += _draw(report, folder)
    costs = list({cost.job: cost for report in ordered for cost in report.costs}.values())
    written.append(write_whole(folder / "costs.txt", costs_as_text(costs)))
    written.append(write_whole(folder / "costs.md", costs_as_markdown(costs)))
    return written


def _draw(report: TableReport, folder: Path) -> Iterable[Path]:
    from affectstream_tools.studies.tables import plots

    for metric in dict.fromkeys(row.metric for row in report.rows):
        rows = [row for row in report.rows if row.metric == metric]
        title, name = f"{TITLES[report.table]}, {metric}", f"{report.table}-{metric}"
        yield plots.plot_table(title, rows, folder / f"{name}.png")
        curves = plots.curves(rows)
        if curves:
            yield plots.plot_look_ahead(title, curves, folder / f"{name}-look-ahead.png")
    if report.confusions:
        path = folder / f"{report.table}-confusion.png"
        yield plots.plot_confusions(TITLES[report.table], report.confusions, path)


def load_table_report(folder: Path, tables: Sequence[str]) -> list[TableReport]:
    """Return the saved reports of these tables.

    Raises:
        AffectstreamError: none of them is saved.
    """
    kept = _read(folder)
    found = [kept[table] for table in tables if table in kept]
    if not found:
        raise AffectstreamError(
            f"no report of {', '.join(tables)} is saved in {folder}; "
            "run the command without --report first, or name another folder with --out"
        )
    return found


def _read(folder: Path) -> dict[str, TableReport]:
    path = folder / JSON
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


def costs_as_text(costs: Sequence[Cost]) -> str:
    """Time and memory of each experiment, as lines."""
    title = "Time and most memory of each experiment, one process and one thread each"
    return text_table(title, _COSTS, (False, True, True, False), _lines(costs), width=150)


def costs_as_markdown(costs: Sequence[Cost]) -> str:
    """Time and memory of each experiment, as a Markdown table."""
    table = markdown_table(_COSTS, ("---", "--:", "--:", "---"), _lines(costs))
    return f"## Time and memory of each experiment\n\n{table}"


def _lines(costs: Sequence[Cost]) -> list[tuple[str, str, str, str]]:
    lines = [(c.job, f"{c.wall_s:.1f}", f"{c.peak_mib:.0f}", c.machine) for c in costs]
    total_s = sum(cost.wall_s for cost in costs)
    most = max((cost.peak_mib for cost in costs), default=0.0)
    return [*lines, ("all, one after another; the largest", f"{total_s:.1f}", f"{most:.0f}", "")]
