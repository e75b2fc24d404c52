"""A table as a person reads it: one metric, a row for each model, a column for each protocol.

Knows: which of a report's rows stand in which row and column, and which confusions are worth a
picture.
Refuses to know: how that is printed or drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from affectstream_tools.studies.tables.papers import HEADLINES, TITLES, task_and_model
from affectstream_tools.studies.tables.report import ConfusionTable
from affectstream_tools.studies.tables.rows import TableRow

_AS_THE_PAPERS = ("last 20 %", "speaker (W's folds)")
"""The protocols that compare best with the papers' come first."""


@dataclass(frozen=True, slots=True)
class ComparedColumn:
    """What all figures of a column have in common."""

    task: str
    """``valence``, ``3 clusters`` ..; empty where the table has one task."""
    corpus: str
    protocol: str
    stands_in: bool
    """Whether the corpus is not IEMOCAP."""


@dataclass(frozen=True, slots=True)
class ComparedTable:
    """The paper's and our figures of one table, by model."""

    table: str
    metric: str
    tasks: list[str]
    models: list[str]
    paper: dict[tuple[str, str], float] = field(default_factory=dict)
    """Per cent, by task and model; numbers that no source confirms are not in it."""
    ours: dict[tuple[str, ComparedColumn], TableRow] = field(default_factory=dict)
    """By model and column; the epoch was chosen on a development part."""
    test_selected: dict[tuple[str, ComparedColumn], TableRow] = field(default_factory=dict)
    """The same where the epoch was chosen on the test part, as the papers did."""
    not_run: dict[str, list[str]] = field(default_factory=dict)
    """Why there is nothing of ours on IEMOCAP, and for which models."""

    @property
    def title(self) -> str:
        """The table's name and what its figures are."""
        metric = "F1" if self.metric == "f1" else self.metric.capitalize()
        return f"{TITLES[self.table]}. {metric}, per cent"

    def columns(self, task: str | None = None, *, stand_ins: bool) -> list[ComparedColumn]:
        """The columns of a task, or of all, measured on IEMOCAP or on what stands in for it."""
        found = dict.fromkeys(column for _, column in (*self.ours, *self.test_selected))
        own = [c for c in found if c.stands_in == stand_ins and task in (None, c.task)]
        return sorted(own, key=lambda c: (self.tasks.index(c.task), _place(c.protocol)))

    def rows(self, columns: Iterable[ComparedColumn]) -> list[TableRow]:
        """All of our rows in these columns, the test-selected too."""
        wanted = set(columns)
        both = (*self.ours.items(), *self.test_selected.items())
        return [row for (_, column), row in both if column in wanted]


def _place(protocol: str) -> int:
    return 0 if protocol in _AS_THE_PAPERS else 1


def compare_rows(table: str, rows: Sequence[TableRow]) -> ComparedTable:
    """Arrange the rows of one table by model and column.

    Of each of the paper's rows all dialogues are taken, or the improvised ones where the row is of
    these alone. Metrics but the headline are left out.
    """
    own = [row for row in rows if row.table == table]
    split = [task_and_model(table, row.row) for row in own]
    found = ComparedTable(
        table,
        HEADLINES[table],
        tasks=list(dict.fromkeys(task for task, _ in split)),
        models=list(dict.fromkeys(model for _, model in split)),
    )
    with_all = {row.row for row in own if row.part == "all" and row.ours is not None}
    for (task, model), row in zip(split, own, strict=True):
        if row.metric != found.metric:
            continue
        if row.paper is not None:
            found.paper[task, model] = row.paper
        if row.ours is None:
            models = found.not_run.setdefault(row.data, [])
            models += [] if model in models else [model]
        elif row.part == "all" or row.row not in with_all:
            chosen = found.test_selected if row.selected == "test" else found.ours
            column = ComparedColumn(task, row.data_parts[0], row.protocol, row.stands_in)
            chosen.setdefault((model, column), row)
    return found


def best_confusions(table: str, confusions: Sequence[ConfusionTable]) -> list[ConfusionTable]:
    """The most accurate matrix of each task on IEMOCAP; there is none of stand-ins.

    Whole sessions are preferred to other protocols, which leave the test speakers in training.
    """
    best: dict[str, ConfusionTable] = {}
    for each in confusions:
        task, _ = task_and_model(table, each.row)
        if not each.stands_in and (task not in best or _rank(each) > _rank(best[task])):
            best[task] = each
    return list(best.values())


def _rank(confusion: ConfusionTable) -> tuple[bool, float]:
    return confusion.protocol.startswith("session"), confusion.accuracy
