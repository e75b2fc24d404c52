"""The report of a table: its rows, and what made them.

Knows: values only.
Refuses to know: files, pictures, and how the numbers were found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from affectstream_tools.jobs.jobs import JobOutcome
from affectstream_tools.studies.tables.rows import TableRow

_PACKAGES = ("affectstream", "torch", "numpy", "scikit-learn", "hmmlearn", "ray")


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
    """The row, the protocol and the data, with ``; `` between them; a stand-in is named as one."""
    labels: list[str]
    counts: list[list[int]]

    @property
    def row(self) -> str:
        """The table's row, such as ``Model 2: LSTM, GloVe``."""
        return self.title.partition("; ")[0]

    @property
    def protocol(self) -> str:
        """Such as ``session 5``; empty where the title has no more than the row."""
        return self.title.partition("; ")[2].partition("; ")[0]

    @property
    def stands_in(self) -> bool:
        """Whether it was counted on something other than IEMOCAP."""
        return "not IEMOCAP" in self.title

    @property
    def accuracy(self) -> float:
        """The share of all that was taken for what it was; 0 where nothing was counted."""
        right = sum(row[place] for place, row in enumerate(self.counts))
        return right / max(1, sum(map(sum, self.counts)))


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


def _versions() -> Iterable[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
