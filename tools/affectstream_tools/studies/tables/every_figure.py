"""The long form of a table: a line for every metric, protocol, part and choice of the epoch.

Knows: which columns a line has, as text and as csv.
Refuses to know: how a number was found, and where what is written here is kept.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from affectstream_tools.studies.tables.rows import TableRow

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


def table_cells(row: TableRow) -> dict[str, str]:
    """Return a row's cells as words; what is not known is a dash."""
    found = {name: str(getattr(row, name)) for name in _HEADINGS}
    for name in ("paper", "ours", "sd", "chance"):
        found[name] = figure_or_dash(getattr(row, name), 2)
    for name in ("wall_s", "peak_mib"):
        found[name] = figure_or_dash(getattr(row, name), 0)
    if row.ours is not None and row.stands_in:
        found["ours"] += STAND_IN
    return found


def figure_or_dash(value: float | None, digits: int) -> str:
    """A number with so many digits after the point; a dash where it is not known."""
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
    """A table in lines of at most ``width`` characters; long words are folded.

    Args:
        right: for each column, whether it is aligned to the right.
    """
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
