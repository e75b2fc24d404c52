"""Rows of the tables of Tripathi and Beigi (2018) from what their jobs found.

Knows: which network is which row, and how runs become one number.
Refuses to know: which experiments there are, and the paper's numbers (``papers``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np

from affectstream_models.tripathi.networks import NETWORKS
from affectstream_tools.jobs.jobs import JobOutcome
from affectstream_tools.studies.tables.papers import PRINTED, QUOTED, printed
from affectstream_tools.studies.tables.report import ConfusionTable
from affectstream_tools.studies.tables.rows import CEILING_WORDS, TableRow

PAPER_ROWS = {
    ("t1", "Model 1: MLP"): "speech-1",
    ("t1", "Model 2: LSTM"): "speech-2",
    ("t1", "Model 3: attention LSTM"): "speech-3",
    ("t1", "Model 4: bidirectional attention LSTM"): "speech-4",
    ("t2", "Model 4, improvised"): "speech-4",
    ("t2", "Model 4, all"): "speech-4",
    ("t3", "Model 1: CNN, GloVe"): "text-1",
    ("t3", "Model 2: LSTM, GloVe"): "text-2",
    ("t3", "Model 3: LSTM, learned embeddings"): "text-3",
    ("t4", "Head Model 1: LSTM"): "mocap-head-1",
    ("t4", "Head Model 2: dense"): "mocap-head-2",
    ("t4", "Hand Model 1: LSTM"): "mocap-hand-1",
    ("t4", "Hand Model 2: dense"): "mocap-hand-2",
    ("t4", "Face Model 1: LSTM"): "mocap-face-1",
    ("t4", "Face Model 2: CNN"): "mocap-face-2",
    ("t4", "Face Model 3: CNN, dense"): "mocap-face-3",
    ("t4", "Combined Model 3: CNN, dense"): "mocap-combined-3",
    ("t5", "Model 1: text and speech, dense"): "text-speech-1",
    ("t5", "Model 2: text LSTM and speech, learned embeddings"): "text-speech-2",
    ("t5", "Model 3: Model 2 with GloVe"): "text-speech-3",
    ("t5", "Model 4: Model 3 and MoCap Model 2"): "text-speech-mocap-4",
    ("t5", "Model 5: Model 3 and MoCap Model 1"): "text-speech-mocap-5",
    ("t5", "Model 6: Model 4 with attention LSTM for speech"): "text-speech-mocap-6",
}
"""The network of each of the paper's rows; its table and row are named as in ``papers``."""

IMPROVISED_ROW = "Model 4, improvised"
"""The row whose network is trained on improvised dialogues alone."""


def tripathi_rows(outcomes: Mapping[str, JobOutcome]) -> list[TableRow]:
    """Every row of the paper's tables, on each corpus that it was run on, in the paper's order.

    Rows in which the paper quotes another work are not ours to fill.
    """
    by_case = _by_case(outcomes)
    found: list[TableRow] = []
    for table, row in (key[:2] for key in PRINTED if key[0].startswith("t")):
        if row in QUOTED:
            continue
        ours = [
            each
            for (network, _, improvised, protocol), runs in by_case.items()
            if network == PAPER_ROWS[table, row]
            for each in _rows_of(table, row, runs, protocol, improvised=improvised)
        ]
        if not any(each.data.startswith("IEMOCAP") for each in ours):
            found.append(_blank(table, row, _why_not(PAPER_ROWS[table, row])))
        found += ours
    return found


def tripathi_confusions(outcomes: Mapping[str, JobOutcome]) -> list[ConfusionTable]:
    """A matrix for each row, corpus and protocol: the epoch that the development part chose."""
    return [
        ConfusionTable(
            table=table,
            title=f"{row}; {protocol}; {_data(runs)}",
            labels=list(runs[0].result["classes"]),
            counts=np.sum(
                [_scored(run, "development", "all")["confusion"] for run in runs], axis=0
            ).tolist(),
        )
        for (network, _, improvised, protocol), runs in _by_case(outcomes).items()
        for (table, row), its in PAPER_ROWS.items()
        if its == network and improvised == (row == IMPROVISED_ROW)
    ]


def _by_case(
    outcomes: Mapping[str, JobOutcome],
) -> dict[tuple[str, str, bool, str], list[JobOutcome]]:
    """The runs by network, corpus, whether improvised alone, and protocol."""
    found: dict[tuple[str, str, bool, str], list[JobOutcome]] = defaultdict(list)
    for outcome in outcomes.values():
        options = outcome.job.options
        if outcome.job.name.startswith("t/"):
            named, improvised = outcome.result["named"], options["improvised"]
            found[(options["network"], named, improvised, options["protocol"])].append(outcome)
    return found


def _rows_of(
    table: str, row: str, runs: Sequence[JobOutcome], protocol: str, *, improvised: bool
) -> Iterator[TableRow]:
    """The rows of one network on one corpus: each choice of the epoch, all and improvised."""
    if improvised != (row == IMPROVISED_ROW):
        return
    parts = ("improvised",) if improvised else ("all",) if table == "t2" else ("all", "improvised")
    for selected in ("test", "development"):
        for part in parts:
            scored = [_scored(each, selected, part) for each in runs]
            if not all(scored):
                continue  # single sentences are never improvised
            for metric in ("accuracy", "uar"):
                values = [100 * each[metric] for each in scored]
                whole = part == "all" or improvised
                yield TableRow(
                    table=table,
                    row=row,
                    metric=metric,
                    paper=printed(table, row, metric) if whole else None,
                    ours=fmean(values),
                    data=_data(runs, metric, part),
                    protocol=protocol,
                    part=part,
                    selected=selected,
                    chance=fmean(_chance(each["confusion"], metric) for each in scored),
                    runs=len(runs),
                    sd=stdev(values) if len(values) > 1 else None,
                    wall_s=sum(each.wall_s for each in runs),
                    peak_mib=max(each.peak_mib for each in runs),
                )


def _scored(run: JobOutcome, selected: str, part: str) -> dict[str, Any]:
    """What a run reports of a part of its test part; empty where there is nothing in it."""
    found: dict[str, Any] = run.result["selected"][selected]
    return found if part == "all" else found["improvised"] or {}


def _data(runs: Sequence[JobOutcome], metric: str = "accuracy", part: str = "all") -> str:
    """What the runs are of, and what else must be known to read their figures.

    The best that there is on a synthetic corpus is known of all dialogues together.
    """
    first = runs[0].result
    said = [first["named"]]
    if first["vectors"]:
        said.append(f"vectors of {first['vectors'].partition(',')[0]}")
    if first["ceiling"] and part == "all":
        best = fmean(100 * each.result["ceiling"][f"realised_{metric}"] for each in runs)
        said.append(f"{CEILING_WORDS} {best:.1f}")
    return "; ".join(said)


def _chance(confusion: Sequence[Sequence[int]], metric: str) -> float:
    """Of the most frequent class for accuracy, of any class for recall; per cent."""
    counts = [sum(row) for row in confusion if sum(row)]
    return 100 / len(counts) if metric == "uar" else 100 * max(counts) / sum(counts)


def _blank(table: str, row: str, why: str) -> TableRow:
    return TableRow(
        table=table,
        row=row,
        metric="accuracy",
        paper=printed(table, row),
        ours=None,
        data=why,
        protocol="",
        selected="test",
    )


def _why_not(network: str) -> str:
    inputs = NETWORKS[network].inputs
    if inputs == ("tokens",):
        return "IEMOCAP was not run: its transcripts or the word vectors are missing"
    what = "recordings and motion" if "mocap" in inputs else "recordings"
    return f"IEMOCAP was not run: its {what} are in a raw copy only, and there is none"
