"""Rows of the tables of Woellmer et al. (2010) from what their jobs counted.

Knows: the paper's rows, and how counts of folds and seeds become one number.
Refuses to know: how anything was trained.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from affectstream_tools.corpora.annotations import matched
from affectstream_tools.jobs.jobs import JobOutcome
from affectstream_tools.studies.tables.papers import PRINTED
from affectstream_tools.studies.tables.report import ConfusionTable
from affectstream_tools.studies.tables.rows import TableRow
from affectstream_tools.studies.woellmer.classifiers import LOOK_AHEAD
from affectstream_tools.studies.woellmer.scores import chance_of, mean_fold_scores

PROTOCOL_NAMES = {
    "speaker": "speaker (W's folds)",
    "session": "session folds",
    "scenario": "scenario",
}
"""As the tables call them."""

_TASKS = {"clusters-3": "3 clusters", "clusters-4": "4 clusters", "clusters-5": "5 clusters"}
_NOT_RUN = "not run: no job of this row is done"
_DRAWN = "BLSTM, v+f"


@dataclass(slots=True)
class _Measured:
    """What all folds and seeds say of one row, part and protocol."""

    data: str = ""
    counts: list[Any] = field(default_factory=list)
    wall_s: float = 0.0
    peak_mib: float = 0.0


def woellmer_rows(outcomes: Mapping[str, JobOutcome]) -> list[TableRow]:
    """Every row of the paper, once for each protocol, part and data that it was measured in.

    A row that was not measured is there once, and says so.
    """
    measured = _measured(outcomes)
    found: list[TableRow] = []
    for table, row, metric in PRINTED:
        if not table.startswith("w"):
            continue
        own = list(_rows(table, row, metric, measured))
        found += own or [
            TableRow(
                table=table,
                row=row,
                metric=metric,
                paper=PRINTED[table, row, metric],
                ours=None,
                data=_NOT_RUN,
                protocol=PROTOCOL_NAMES["speaker"],
                look_ahead=_look_ahead(row),
            )
        ]
    return found


_Key = tuple[str, str, str, str]


def _measured(outcomes: Mapping[str, JobOutcome]) -> dict[_Key, _Measured]:
    """By row, protocol, part and data, in the order of the outcomes."""
    found: dict[_Key, _Measured] = defaultdict(_Measured)
    for outcome in outcomes.values():
        for fold in outcome.result.get("folds", (outcome.result,)):
            for entry in fold.get("scores", ()):
                if not np.sum(entry["counts"]):
                    continue  # a fold without improvised dialogues
                row = f"{_TASKS.get(entry['task'], entry['task'])}: {entry['row']}"
                own = found[row, fold["protocol"], entry["part"], entry["data"]]
                own.counts.append(np.array(entry["counts"]))
                own.wall_s += entry["wall_s"]
                own.peak_mib = max(own.peak_mib, outcome.peak_mib)
    return found


def _rows(table: str, row: str, metric: str, measured: dict[_Key, _Measured]) -> Iterator[TableRow]:
    for (name, protocol, part, data), own in measured.items():
        if name != row:
            continue
        mean, deviation = mean_fold_scores(own.counts)[metric]
        yield TableRow(
            table=table,
            row=row,
            metric=metric,
            paper=PRINTED[table, row, metric],
            ours=100 * mean,
            data=data,
            protocol=PROTOCOL_NAMES[protocol],
            part=part,
            look_ahead=_look_ahead(row),
            chance=100 * chance_of(metric, own.counts),
            runs=len(own.counts),
            sd=100 * deviation,
            wall_s=round(own.wall_s / len(own.counts), 3),
            peak_mib=own.peak_mib,
        )


def woellmer_confusions(outcomes: Mapping[str, JobOutcome]) -> list[ConfusionTable]:
    """The counts of one classifier, by task, protocol and data; clusters are the first fold's."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for outcome in outcomes.values():
        for fold in outcome.result.get("folds", (outcome.result,)):
            for entry in fold.get("scores", ()):
                if entry["row"] != _DRAWN or entry["part"] != "all":
                    continue
                key = entry["task"], fold["protocol"], entry["data"]
                first = found.setdefault(key, {**entry, "counts": np.zeros_like(entry["counts"])})
                counts = np.array(entry["counts"])
                if entry["centres"] is not None:
                    order = matched(entry["centres"], first["centres"])
                    counts = counts[np.ix_(order, order)]
                first["counts"] += counts
    return [
        ConfusionTable(
            table=_table_of(task),
            title=f"{_TASKS.get(task, task)}: {_DRAWN}; {PROTOCOL_NAMES[protocol]}; {data}",
            labels=first["labels"],
            counts=first["counts"].tolist(),
        )
        for (task, protocol, data), first in found.items()
    ]


def _table_of(task: str) -> str:
    row = f"{_TASKS.get(task, task)}: {_DRAWN}"
    return next(table for table, name, _ in PRINTED if table.startswith("w") and name == row)


def _look_ahead(row: str) -> str:
    classifier = row.partition(": ")[2].partition(",")[0]
    return LOOK_AHEAD[classifier]
