"""What the ordering study found: means over seeds, as values and as the cells of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np

from affectstream_tools.jobs.jobs import JobOutcome
from affectstream_tools.studies.ordering.experiment import RECOGNIZERS, Placing

_DATA = "synthetic dialogues, not IEMOCAP"
ORDERING_TITLE = "Context and its ceilings, on synthetic dialogues, not IEMOCAP"
_RISING = ("alone", "hmm-lm", "lstm", "blstm")
"""No context, first-order context, all that came before, all: accuracies should rise. Of the
recognizers without context the network is the strongest, or as strong as the others."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A recognizer over all seeds; per cent, standard deviations over seeds."""

    recognizer: str
    look_ahead: str
    modalities: tuple[str, ...]
    accuracy: float
    accuracy_sd: float
    ceiling: float
    distance: float
    distance_sd: float
    uar: float
    ceiling_uar: float
    first_order: float | None
    runs: int
    utterances: int


@dataclass(frozen=True, slots=True)
class OrderingReport:
    """What the study found.

    Attributes:
        in_order: in how many of the runs accuracy rises from no context to the whole dialogue.
        wall_s: seconds of each job.
    """

    rows: list[Summary]
    in_order: int
    runs: int
    model: dict[str, Any]
    command: str
    date: str
    wall_s: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"title": ORDERING_TITLE, "data": _DATA, **asdict(self)}


def ordering_report_of(outcomes: Mapping[str, JobOutcome], command: str) -> OrderingReport:
    """Summarise what the jobs found."""
    by_seed: dict[int, list[Placing]] = {}
    for outcome in outcomes.values():
        found = [Placing(**values) for values in outcome.result["placings"]]
        by_seed.setdefault(int(outcome.job.options["seed"]), []).extend(found)
    grouped: dict[tuple[str, str], list[Placing]] = {}
    for placings in by_seed.values():
        for placing in placings:
            grouped.setdefault((placing.recognizer, placing.look_ahead), []).append(placing)
    names = list(RECOGNIZERS)
    ordered = sorted(grouped.items(), key=lambda item: names.index(item[0][0]))
    return OrderingReport(
        rows=[_summary(placings) for _, placings in ordered],
        in_order=sum(_in_order(placings) for placings in by_seed.values()),
        runs=len(by_seed),
        model=next(iter(outcomes.values())).result["model"],
        command=command,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        wall_s={name: round(outcome.wall_s, 1) for name, outcome in outcomes.items()},
    )


def _in_order(placings: Sequence[Placing]) -> bool:
    accuracy = {placing.recognizer: placing.accuracy for placing in placings}
    return all(accuracy[worse] < accuracy[better] for worse, better in pairwise(_RISING))


def _summary(placings: Sequence[Placing]) -> Summary:
    def per_cent(values: Sequence[float]) -> tuple[float, float]:
        spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
        return round(100 * float(np.mean(values)), 2), round(100 * float(spread), 2)

    first = placings[0]
    accuracy, accuracy_sd = per_cent([p.accuracy for p in placings])
    distance, distance_sd = per_cent([p.ceiling - p.accuracy for p in placings])
    first_order = [p.first_order for p in placings if p.first_order is not None]
    return Summary(
        recognizer=RECOGNIZERS[first.recognizer],
        look_ahead=first.look_ahead,
        modalities=tuple(first.modalities),
        accuracy=accuracy,
        accuracy_sd=accuracy_sd,
        ceiling=per_cent([p.ceiling for p in placings])[0],
        distance=distance,
        distance_sd=distance_sd,
        uar=per_cent([p.uar for p in placings])[0],
        ceiling_uar=per_cent([p.ceiling_uar for p in placings])[0],
        first_order=per_cent(first_order)[0] if first_order else None,
        runs=len(placings),
        utterances=sum(p.utterances for p in placings),
    )


ORDERING_HEADINGS = (
    "recognizer",
    "sees",
    "cues",
    "accuracy",
    "ceiling",
    "distance (sd)",
    "UAR",
    "ceiling",
    "runs",
)


def ordering_cells(row: Summary) -> tuple[str, ...]:
    """Return a row's cells under ``ORDERING_HEADINGS``."""
    return (
        row.recognizer,
        row.look_ahead,
        "+".join(row.modalities),
        f"{row.accuracy:.2f}",
        f"{row.ceiling:.2f}",
        f"{row.distance:.2f} ({row.distance_sd:.2f})",
        f"{row.uar:.2f}",
        f"{row.ceiling_uar:.2f}",
        str(row.runs),
    )


def ordering_remarks(report: OrderingReport) -> list[str]:
    """Return the sentences that must stand beside the table."""
    said = [
        f"No context < first-order context < LSTM < BLSTM in {report.in_order} of {report.runs} "
        "runs (the LSTM that sees each utterance alone stands for no context).",
        "Per cent, means over runs, each with dialogues of its own. The ceiling is "
        "what the best decisions with the same cues and look-ahead reach on the same dialogues.",
    ]
    said += [
        f"Who knows the model's bigram exactly, but takes emotions for a first-order chain, "
        f"reaches {row.first_order:.2f}."
        for row in report.rows
        if row.first_order is not None
    ]
    return said
