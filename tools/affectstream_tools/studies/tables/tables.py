"""The papers' tables: which experiments fill them, and how their rows are written.

Knows: the order of the papers' rows; text, csv and Markdown. Refuses to know: how a number was
found, and where what is written here is kept.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from importlib import import_module
from types import ModuleType

from affectstream_tools.jobs.jobs import Job
from affectstream_tools.studies.tables.papers import PRINTED, QUOTED, TITLES
from affectstream_tools.studies.tables.rows import TableRow

TABLES = tuple(TITLES)
STAND_IN = "*"
FOOTNOTE = (
    f"{STAND_IN} measured on a stand-in, not on IEMOCAP: no reproduction of the paper's number. "
    "Figures are per cent. Where the epoch was selected on the test part, the number compares with "
    "the paper's but flatters."
)
_HEADINGS = {
    "row": "row",
    "metric": "metric",
    "paper": "paper",
    "ours": "ours",
    "sd": "sd",
    "chance": "chance",
    "data": "data of ours",
    "protocol": "protocol",
    "part": "part",
    "selected": "selected on",
    "look_ahead": "look-ahead",
    "runs": "runs",
    "wall_s": "s",
    "peak_mib": "MiB",
}
_FIGURES = {"paper", "ours", "sd", "chance", "runs", "wall_s", "peak_mib"}


def experiments_of(tables: Iterable[str]) -> list[ModuleType]:
    """Return the modules whose jobs fill these tables.

    Raises:
        ValueError: there is no such table.
    """
    for table in tables:
        if table not in TITLES:
            raise ValueError(f"there is no table {table!r}; use {', '.join(TABLES)}")
    papers = {"t": "tripathi", "w": "woellmer"}
    names = dict.fromkeys(papers[table[0]] for table in tables)
    return [import_module(f"affectstream_tools.studies.{name}.tables") for name in names]


def tables_of(module: ModuleType, job: Job) -> frozenset[str]:
    """Return the tables that need a job: as its module says, else all."""
    named = getattr(module, "tables_of", None)
    return frozenset(TABLES) if named is None else frozenset(named(job))


def completed(rows: Iterable[TableRow], tables: Sequence[str]) -> list[TableRow]:
    """Return the rows of these tables in the papers' order; a row of theirs never is left out.

    A metric is, where the paper's number is not known and the row has another metric.
    """
    ours: dict[tuple[str, str, str], list[TableRow]] = {}
    for row in rows:
        ours.setdefault((row.table, row.row, row.metric), []).append(row)
    present = {key[:2] for key in ours}
    found = []
    for table in tables:
        named = list(dict.fromkeys(key[1] for key in (*PRINTED, *ours) if key[0] == table))
        keys = dict.fromkeys(key for key in (*PRINTED, *ours) if key[0] == table)
        for key in sorted(keys, key=lambda key: named.index(key[1])):
            if key in ours:
                found += ours[key]
            elif PRINTED[key] is not None or key[:2] not in present:
                found.append(_missing(*key))
    return found


def _missing(table: str, row: str, metric: str) -> TableRow:
    return TableRow(
        table=table,
        row=row,
        metric=metric,
        paper=PRINTED[table, row, metric],
        ours=None,
        data="another work, quoted by the paper" if row in QUOTED else "not run",
        protocol="",
        selected="",
        look_ahead="",
        runs=0,
    )


def table_cells(row: TableRow) -> dict[str, str]:
    """Return a row's cells as words; what is not known is a dash."""
    found = {name: str(getattr(row, name)) for name in _HEADINGS}
    for name in ("paper", "ours", "sd", "chance"):
        found[name] = _figure(getattr(row, name), 2)
    for name in ("wall_s", "peak_mib"):
        found[name] = _figure(getattr(row, name), 0)
    if row.ours is not None and row.stands_in:
        found["ours"] += STAND_IN
    return found


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None or value != value else f"{value:.{digits}f}"


def as_csv(rows: Iterable[TableRow]) -> str:
    """One line a row, the fields of :class:`TableRow`; unknown figures are empty."""
    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        values = {**row.to_dict(), "stand_in": row.ours is not None and row.stands_in}
        if writer is None:
            writer = csv.DictWriter(text, list(values), lineterminator="\n")
            writer.writeheader()
        writer.writerow(values)
    return text.getvalue()


def as_markdown(title: str, rows: Sequence[TableRow]) -> str:
    """A Markdown table under a heading."""
    body = [[*table_cells(row).values()] for row in rows]
    aligned = ["--:" if name in _FIGURES else "---" for name in _HEADINGS]
    return f"## {title}\n\n{markdown_table(list(_HEADINGS.values()), aligned, body)}\n{FOOTNOTE}\n"


def markdown_table(
    headings: Sequence[str], aligned: Sequence[str], body: Iterable[Sequence[str]]
) -> str:
    """The lines of a Markdown table."""
    lines = [headings, aligned, *body]
    return "".join(
        f"| {' | '.join(c.replace('|', chr(92) + '|') for c in line)} |\n" for line in lines
    )


def as_text(title: str, rows: Sequence[TableRow], *, width: int = 190) -> str:
    """The table as lines of at most ``width`` characters."""
    body = [[*table_cells(row).values()] for row in rows]
    right = [name in _FIGURES for name in _HEADINGS]
    return text_table(title, list(_HEADINGS.values()), right, body, width=width) + FOOTNOTE + "\n"


def text_table(
    title: str,
    headings: Sequence[str],
    right: Sequence[bool],
    body: Iterable[Sequence[str]],
    *,
    width: int,
) -> str:
    """A table in characters, long words folded."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading, to_right in zip(headings, right, strict=True):
        table.add_column(heading, justify="right" if to_right else "left", overflow="fold")
    for line in body:
        table.add_row(*line)
    text = io.StringIO()
    Console(file=text, width=width, markup=False, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"
