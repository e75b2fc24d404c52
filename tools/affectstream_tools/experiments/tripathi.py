"""The experiments of Tripathi and Beigi (2018): which there are, and their rows in the tables.

Knows: which network is which row, what it is run on, how long it is trained.
Refuses to know: how an experiment is done (``tripathi_experiment``), and the paper's numbers
(``papers``).

Text runs on IEMOCAP's transcripts. Speech runs on sentences that actors read (RAVDESS), and what
needs IEMOCAP's recordings runs on a synthetic corpus in its layout, whose best possible score is
known and printed beside. Where ``data`` holds ``IEMOCAP_full_release``, all runs on that too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

import numpy as np

from affectstream.sources.iemocap_raw import find_sessions
from affectstream_models.tripathi import NETWORKS
from affectstream_tools.experiments.jobs import Job, Outcome
from affectstream_tools.experiments.papers import PRINTED, QUOTED, printed
from affectstream_tools.experiments.report import Confusion
from affectstream_tools.experiments.rows import Row
from affectstream_tools.experiments.tripathi_experiment import SYNTHETIC, Plan
from affectstream_tools.experiments.tripathi_protocols import ACTORS, LAST, RANDOM, SESSION
from affectstream_tools.experiments.tripathi_training import Schedule

VECTORS = Path("glove-50d-5k") / "glove-50d-5k.json"

Where = Literal["transcripts", "ravdess", "synthetic", "iemocap"]

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

_ADAM_INSTEAD = ("text-2", "text-3")
"""Trained with Adam in the published notebook (text.ipynb), which prints the paper's figures; with
Adadelta they are at chance after five epochs."""

_RUN = "affectstream_tools.experiments.tripathi_experiment:run"
_SMALL = ("speech-1", "text-3", "mocap-head-2", "text-speech-2")


@dataclass(frozen=True, slots=True)
class _Case:
    """What a network is run on."""

    where: Where
    protocol: str
    improvised: bool = False

    def path(self, network: str, seed: int) -> str:
        protocol = self.protocol.replace(" %", "").partition(" (")[0].replace(" ", "-")
        part = "improvised" if self.improvised else "all"
        return f"t/{network}/{self.where}/{protocol}/{part}/seed-{seed}"


def jobs(data: Path, cache: Path, *, seeds: Sequence[int] = (0,), small: bool = False) -> list[Job]:
    """Every experiment that ``data`` allows.

    Args:
        data: the folder that holds ``iemocap-derived``, ``ravdess16k`` and ``glove-50d-5k``, any
            of which may be missing, and ``IEMOCAP_full_release`` where there is one.
        cache: where prepared features and the synthetic corpus lie.
        small: a few experiments on a few utterances, one epoch each.
    """
    data, cache = data.resolve(), cache.resolve()
    found: list[Job] = []
    for network in _SMALL if small else NETWORKS:
        if NETWORKS[network].embedding == "glove" and not (data / VECTORS).is_file():
            continue
        for case in _cases(network, data, small):
            for seed in seeds:
                plan = _plan(network, case, data, seed, small)
                options = {"cache": str(cache), **asdict(plan)}
                found.append(Job(case.path(network, seed), _RUN, options))
    return found


def tables_of(job: Job) -> frozenset[str]:
    """The tables that need a job."""
    named = {
        table
        for (table, row), network in PAPER_ROWS.items()
        if network == job.options["network"]
        and job.options["improvised"] == (row == IMPROVISED_ROW)
    }
    return frozenset(named)


def rows(outcomes: Mapping[str, Outcome]) -> list[Row]:
    """Every row of the paper's tables, on each corpus that it was run on, in the paper's order.

    Rows in which the paper quotes another work are not ours to fill.
    """
    by_case = _by_case(outcomes)
    found: list[Row] = []
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


def confusions(outcomes: Mapping[str, Outcome]) -> list[Confusion]:
    """A matrix for each row, corpus and protocol: the epoch that the development part chose."""
    return [
        Confusion(
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
    outcomes: Mapping[str, Outcome],
) -> dict[tuple[str, str, bool, str], list[Outcome]]:
    """The runs by network, corpus, whether improvised alone, and protocol."""
    found: dict[tuple[str, str, bool, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes.values():
        options = outcome.job.options
        if outcome.job.name.startswith("t/"):
            named, improvised = outcome.result["named"], options["improvised"]
            found[(options["network"], named, improvised, options["protocol"])].append(outcome)
    return found


def _cases(network: str, data: Path, small: bool) -> Iterator[_Case]:
    inputs = NETWORKS[network].inputs
    if inputs == ("tokens",):
        if (data / "iemocap-derived").is_dir():
            yield _Case("transcripts", SESSION)
            if not small:
                yield _Case("transcripts", LAST)
                yield _Case("transcripts", RANDOM)
    else:
        yield _Case("synthetic", SESSION)
    if inputs == ("speech",) and (data / "ravdess16k").is_dir():
        yield _Case("ravdess", ACTORS)
    if network == "speech-4":
        yield _Case("synthetic", SESSION, improvised=True)
    if find_sessions(data):
        yield _Case("iemocap", SESSION)
        yield _Case("iemocap", LAST)
        yield _Case("iemocap", RANDOM)
        if network == "speech-4":
            yield _Case("iemocap", LAST, improvised=True)


def _plan(network: str, case: _Case, data: Path, seed: int, small: bool) -> Plan:
    corpus = {
        "transcripts": str(data / "iemocap-derived"),
        "ravdess": str(data / "ravdess16k"),
        "synthetic": SYNTHETIC,
        "iemocap": str(data),
    }[case.where]
    schedule = Schedule(32, 1, 1) if small else _schedule(network, case.where)
    return Plan(
        network=network,
        corpus=corpus,
        vectors=str(data / VECTORS),
        protocol=case.protocol,
        batch=schedule.batch,
        epochs=schedule.epochs,
        patience=schedule.patience,
        improvised=case.improvised,
        optimiser="adam" if network in _ADAM_INSTEAD else "",
        seed=seed,
        small=small,
    )


def _schedule(network: str, where: Where) -> Schedule:
    """Enough for the development part's choice to stand; theirs were 20 to 125 epochs."""
    if where in ("transcripts", "iemocap"):
        return Schedule(100, 12, 5) if network == "text-1" else Schedule(100, 6, 2)
    return Schedule(32, 20 if network == "speech-2" else 12, 4)


def _rows_of(
    table: str, row: str, runs: Sequence[Outcome], protocol: str, *, improvised: bool
) -> Iterator[Row]:
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
                yield Row(
                    table=table,
                    row=row,
                    metric=metric,
                    paper=printed(table, row, metric) if whole else None,
                    ours=fmean(values),
                    data=_data(runs),
                    protocol=protocol,
                    part=part,
                    selected=selected,
                    chance=fmean(_chance(each["confusion"], metric) for each in scored),
                    runs=len(runs),
                    sd=stdev(values) if len(values) > 1 else None,
                    wall_s=sum(each.wall_s for each in runs),
                    peak_mib=max(each.peak_mib for each in runs),
                )


def _scored(run: Outcome, selected: str, part: str) -> dict[str, Any]:
    """What a run reports of a part of its test part; empty where there is nothing in it."""
    found: dict[str, Any] = run.result["selected"][selected]
    return found if part == "all" else found["improvised"] or {}


def _data(runs: Sequence[Outcome]) -> str:
    """What the runs are of, and what else must be known to read their figures."""
    first = runs[0].result
    said = [first["named"]]
    if first["vectors"]:
        said.append(f"vectors of {first['vectors'].partition(',')[0]}")
    if first["ceiling"]:
        best = fmean(100 * each.result["ceiling"]["realised_accuracy"] for each in runs)
        said.append(f"best possible accuracy {best:.1f}")
    return "; ".join(said)


def _chance(confusion: Sequence[Sequence[int]], metric: str) -> float:
    """Of the most frequent class for accuracy, of any class for recall; per cent."""
    counts = [sum(row) for row in confusion if sum(row)]
    return 100 / len(counts) if metric == "uar" else 100 * max(counts) / sum(counts)


def _blank(table: str, row: str, why: str) -> Row:
    return Row(
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
