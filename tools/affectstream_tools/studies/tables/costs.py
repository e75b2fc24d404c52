"""Time and memory of each experiment, as text and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from affectstream_tools.jobs.saved_reports import markdown_table
from affectstream_tools.studies.tables.every_figure import text_table
from affectstream_tools.studies.tables.report import Cost

_WIDTH = 120
_TITLE = "Time and memory of each experiment"


def costs_as_text(costs: Sequence[Cost]) -> str:
    """The sum in a sentence, then a line for each experiment; in 120 columns."""
    headings, lines = _grid(costs)
    right = [heading in ("s", "MiB") for heading in headings]
    table = text_table("", headings, right, lines, width=_WIDTH)
    return f"{_TITLE}\n{fill(_sum(costs), _WIDTH)}\n{table.rstrip()}\n"


def costs_as_markdown(costs: Sequence[Cost]) -> str:
    """The sum in a sentence, then a Markdown table."""
    headings, lines = _grid(costs)
    return f"## {_TITLE}\n\n{_sum(costs)}\n\n{markdown_table(headings, lines)}\n"


def _sum(costs: Sequence[Cost]) -> str:
    total_s = sum(cost.wall_s for cost in costs)
    most = max((cost.peak_mib for cost in costs), default=0.0)
    machines = sorted({cost.machine for cost in costs})
    where = f", on {machines[0]}" if len(machines) == 1 else ""
    return (
        f"{len(costs)} experiments, a process and a thread each{where}: {total_s:.1f} s "
        f"({total_s / 3600:.1f} h) one after another, at most {most:.0f} MiB."
    )


def _grid(costs: Sequence[Cost]) -> tuple[list[str], list[list[str]]]:
    """Headings and lines; the machine is a column where there are several."""
    several = len({cost.machine for cost in costs}) > 1
    lines = [
        [c.job, f"{c.wall_s:.1f}", f"{c.peak_mib:.0f}", *([c.machine] if several else [])]
        for c in costs
    ]
    return ["experiment", "s", "MiB", *(["machine"] if several else [])], lines
