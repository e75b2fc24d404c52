"""A table on one screen: the paper's numbers beside ours, and what to know to read them.

Knows: the words and the order of a table that is printed on a terminal or as Markdown.
Refuses to know: which figures there are (``compared``), and where a page is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from affectstream_tools.jobs.saved_reports import markdown_table
from affectstream_tools.studies.tables.compared import (
    ComparedColumn,
    ComparedTable,
    compare_rows,
)
from affectstream_tools.studies.tables.every_figure import STAND_IN, figure_or_dash
from affectstream_tools.studies.tables.papers import QUOTED, REMARKS, TITLES
from affectstream_tools.studies.tables.report import TableReport
from affectstream_tools.studies.tables.rows import TableRow

SCREEN_COLUMNS = 120
_HEADING_COLUMNS = 11
"""A column's heading is broken into lines of about so many characters."""
_STAND_INS = f"NOT IEMOCAP: the same models on stand-ins ({STAND_IN})"

_SEEN = {
    "none": "the utterance alone",
    "causal": "what came before too",
    "full": "the whole dialogue",
}
"""Look-aheads in words; others are a number of later utterances."""

_Cell = tuple[str, str]
"""A figure, and in brackets beside it the figure of the epoch that the test part chose."""


@dataclass(frozen=True, slots=True)
class _Column:
    task: str
    name: list[str]
    """Such as the corpus and the protocol."""
    cells: list[_Cell]
    """One for each model."""
    chance: str = ""


@dataclass(frozen=True, slots=True)
class _Block:
    """A heading, a table and the sentences under it."""

    heading: str
    models: list[str]
    columns: list[_Column]
    notes: list[str]


def screen_of_table(report: TableReport) -> Group:
    """Return what prints a table for a terminal of at least :data:`SCREEN_COLUMNS` columns.

    The figures of the epoch that the test part chose stand in brackets, dimmed.
    """
    compared = compare_rows(report.table, report.rows)
    parts: list[Text | Table] = []
    for block in _blocks(compared):
        parts.append(Text(block.heading, style="bold"))
        parts += [_as_table(block), Text()]
        parts += [Text("\n".join(wrap(note, SCREEN_COLUMNS - 2))) for note in block.notes]
        parts.append(Text())
    parts.insert(-1, Text(f"Made {report.date} by `{report.command}`.", style="dim"))
    return Group(*parts)


def page_of_table(report: TableReport, pictures: Sequence[str] = ()) -> str:
    """Return a table as a page of Markdown.

    Args:
        pictures: names of files beside the page.
    """
    compared = compare_rows(report.table, report.rows)
    lines: list[str] = []
    for depth, block in zip(("##", "###"), _blocks(compared), strict=False):
        lines += [f"{depth} {block.heading}", _as_markdown(block)]
        lines += block.notes
    lines += [f"![{TITLES[report.table]}: {_what(name)}]({name})" for name in pictures]
    lines.append(
        f"Every metric, improvised dialogues alone, deviations: [{report.table}.csv]"
        f"({report.table}.csv). Made {report.date} by `{report.command}`."
    )
    return "\n\n".join(lines) + "\n"


def _what(picture: str) -> str:
    return Path(picture).stem.partition("-")[2]


def _blocks(compared: ComparedTable) -> list[_Block]:
    """IEMOCAP first; what stands in for it in a block of its own."""
    columns = _columns_beside_the_paper(compared)
    found = [_Block(compared.title, compared.models, columns, _notes(compared))]
    stand_ins = compared.columns(stand_ins=True)
    if stand_ins:
        models = [m for m in compared.models if any((m, c) in compared.ours for c in stand_ins)]
        columns = [each for column in stand_ins for each in _stand_in(compared, models, column)]
        notes = _stand_in_notes(compared, stand_ins)
        found.append(_Block(_STAND_INS, models, columns, notes))
    return found


def _columns_beside_the_paper(compared: ComparedTable) -> list[_Column]:
    found: list[_Column] = []
    for task in compared.tasks:
        paper = [compared.paper.get((task, model)) for model in compared.models]
        cells = [(figure_or_dash(value, 2), "") for value in paper]
        found.append(_Column(task, ["paper"], cells))
        columns = compared.columns(task, stand_ins=False)
        several = len({column.corpus for column in columns}) > 1
        for column in columns:
            name = [_short(column.corpus)] if several else []
            found.append(_figures(compared, compared.models, column, [*name, column.protocol]))
        if not columns:
            cells = [("other work" if m in QUOTED else "not run", "") for m in compared.models]
            found.append(_Column(task, ["ours"], cells))
    return found


def _stand_in(
    compared: ComparedTable, models: Sequence[str], column: ComparedColumn
) -> list[_Column]:
    """Our figures, and beside them what the best decisions reach where that is known."""
    name = [_short(column.corpus), column.protocol]
    found = [_figures(compared, models, column, name, STAND_IN)]
    rows = [compared.ours.get((model, column)) for model in models]
    best = [None if row is None else row.ceiling for row in rows]
    if any(value is not None for value in best):
        cells = [(figure_or_dash(value, 1), "") for value in best]
        found.append(_Column(column.task, ["best decisions"], cells))
    return found


def _short(corpus: str) -> str:
    return corpus.partition(",")[0]


def _figures(
    compared: ComparedTable,
    models: Sequence[str],
    column: ComparedColumn,
    name: list[str],
    mark: str = "",
) -> _Column:
    cells: list[_Cell] = []
    for model in models:
        ours, test = (
            _figure(chosen.get((model, column)), mark)
            for chosen in (compared.ours, compared.test_selected)
        )
        cells.append((ours or "-", f"({test})" if test else ""))
    chances = [row.chance for row in compared.rows([column]) if row.chance is not None]
    ends = dict.fromkeys(f"{end(chances):.2f}" for end in (min, max) if chances)
    return _Column(column.task, name, cells, " to ".join(ends))


def _figure(row: TableRow | None, mark: str) -> str:
    return "" if row is None else f"{figure_or_dash(row.ours, 2)}{mark}"


def _notes(compared: ComparedTable) -> list[str]:
    """What the data is and how many runs there are; then how the figures are to be read."""
    columns = compared.columns(stand_ins=False)
    data = [_data(compared, columns)] if columns else _reasons(compared)
    reading = [REMARKS[compared.table], *_test_selected(compared, columns), *_seen(compared)]
    if len(compared.paper) < len(compared.tasks) * len(compared.models):
        reading.append("A dash under paper: no source confirms the number.")
    return [" ".join(data), " ".join(reading)]


def _reasons(compared: ComparedTable) -> list[str]:
    """Why nothing of ours is there."""
    said = [
        f"{reason[0].upper()}{reason[1:]}."
        for reason, models in compared.not_run.items()
        if not QUOTED.issuperset(models)
    ]
    quoted = QUOTED.intersection(compared.models)
    return [*said, "Other work is quoted by the paper."] if quoted else said


def _stand_in_notes(compared: ComparedTable, columns: Sequence[ComparedColumn]) -> list[str]:
    reproduce = "None of these figures reproduces a number of the paper."
    return [_data(compared, columns), " ".join([reproduce, *_test_selected(compared, columns)])]


def _data(compared: ComparedTable, columns: Sequence[ComparedColumn]) -> str:
    parts = dict.fromkeys(part for row in compared.rows(columns) for part in row.data_parts)
    runs = {c.protocol: compared.rows([c])[0].runs for c in columns}
    if set(runs.values()) == {1}:
        said = "One run each."
    elif len(set(runs.values())) == 1:
        said = f"Means of {runs.popitem()[1]} runs."
    else:
        each = [f"{count} runs ({name.partition(' (')[0]})" for name, count in runs.items()]
        said = f"Means of {' and '.join(each)}."
    return f"Data: {'; '.join(parts)}. {said}"


def _test_selected(compared: ComparedTable, columns: Sequence[ComparedColumn]) -> list[str]:
    if not any(column in columns for _, column in compared.test_selected):
        return []
    return [
        "In brackets: ours at the epoch that is best on the scored part. The paper chose its "
        "epochs so; such a figure flatters."
    ]


def _seen(compared: ComparedTable) -> list[str]:
    """How much of the dialogue the models see, where they differ in it."""
    seen: dict[str, dict[str, None]] = {}
    for (model, _), row in compared.ours.items():
        seen.setdefault(row.look_ahead, {})[model.partition(",")[0]] = None
    if len(seen) < 2:
        return []
    order = sorted(seen, key=lambda look: [*_SEEN].index(look) if look in _SEEN else len(_SEEN))
    said = [f"{', '.join(seen[k])}: {_SEEN.get(k, f'{k} later utterances')}" for k in order]
    return [f"What a model sees: {'; '.join(said)}."]


def _as_table(block: _Block) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("model", no_wrap=True, vertical="bottom")
    for heading in _headings(block.columns):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, model in enumerate(block.models):
        table.add_row(model, *(_as_words(column.cells[number]) for column in block.columns))
    if any(column.chance for column in block.columns):
        chances = [column.chance for column in block.columns]
        table.add_row("chance", *chances, style="dim")
    return table


def _headings(columns: Sequence[_Column]) -> list[str]:
    """Narrow lines of equal number: the task over the first of its columns, then the name."""
    names = [_narrow(column.name) for column in columns]
    high = max(map(len, names))
    tasks = [column.task for column in columns]
    found = []
    for number, name in enumerate(names):
        new = number == 0 or tasks[number] != tasks[number - 1]
        above = [tasks[number] if new else ""] if any(tasks) else []
        found.append("\n".join([*above, *[""] * (high - len(name)), *name]))
    return found


def _narrow(parts: Sequence[str]) -> list[str]:
    """Lines of about a column's width; a bracket begins a line of its own."""
    lines = "\n".join(parts).replace(" (", "\n(").split("\n")
    return [short for line in lines for short in wrap(line, _HEADING_COLUMNS)]


def _as_words(cell: _Cell) -> Text:
    figure, aside = cell
    return Text.assemble(figure, (f" {aside}", "dim")) if aside else Text(figure)


def _as_markdown(block: _Block) -> str:
    body = [
        [model, *(" ".join(filter(None, column.cells[number])) for column in block.columns)]
        for number, model in enumerate(block.models)
    ]
    if any(column.chance for column in block.columns):
        body.append(["*chance*", *(column.chance for column in block.columns)])
    headings = [", ".join(filter(None, [each.task, *each.name])) for each in block.columns]
    return markdown_table(["model", *headings], body)
