"""The context study's report: the folds' counts pooled, as values and as the cells of tables.

Scores of the four classes are of all folds' counts together: every labelled utterance of the corpus
once. Those of the levels and clusters are means over sessions, as Wöllmer et al. (2010) print them.
"""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import torch
from numpy.typing import ArrayLike

from affectstream.corpus.scoring import Confusion
from affectstream_models.context.network import SCALES
from affectstream_tools.corpora.annotations import matched
from affectstream_tools.evaluate.dialogue_scores import LOOK_AHEADS
from affectstream_tools.jobs.jobs import JobOutcome
from affectstream_tools.studies.context.counts import (
    SCORED_PARTS,
    Counts,
    look_ahead_name,
)
from affectstream_tools.studies.woellmer.scores import mean_fold_scores

LOOK_AHEAD_NAMES = ("none", *(look_ahead_name(look_ahead) for look_ahead in LOOK_AHEADS))
"""The names of the look-aheads, from no context to the whole dialogue."""

_TASKS = (*SCALES, "clusters-3", "clusters-4", "clusters-5")

ContextReport = dict[str, Any]


def context_report_of(
    outcomes: Mapping[str, JobOutcome],
    protocol: str,
    command: str,
    centres: Mapping[str, Mapping[str, ArrayLike]],
    *,
    small: bool = False,
) -> ContextReport:
    """Pool the folds' counts into the report, of JSON values throughout.

    Args:
        centres: fold -> task -> centres of its clusters. Folds' clusters differ a little, and
            may be in another order; those of a session are put in the order of its first fold.
    """
    pooled, by_session = _pooled(outcomes.values(), centres)
    levels: dict[str, Any] = {str(n): {} for n in LOOK_AHEADS if n}
    report: ContextReport = {
        "protocol": protocol,
        "data": "IEMOCAP, derived set: 47 eGeMAPS statistics, transcripts",
        "small": small,
        "chance_uar": 0.25,
        "folds": len({str(o.job.options["held_out"]) for o in outcomes.values()}),
        "seeds": sorted({int(o.job.options["seed"]) for o in outcomes.values()}),
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": next(iter(outcomes.values())).machine,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "recipe": next(iter(outcomes.values())).result["recipe"],
    }
    for name in LOOK_AHEAD_NAMES:
        (levels if name in levels else report)[name] = _scores(pooled, by_session, name)
    report["look_ahead"] = levels
    report["sessions"] = {
        session: {name: _four(counts, name, "all")["uar"] for name in LOOK_AHEAD_NAMES}
        for session, counts in sorted(by_session.items())
    }
    report["streamed"] = _streamed(outcomes.values())
    report["cost"] = _cost(outcomes.values())
    return report


def _pooled(
    outcomes: Iterable[JobOutcome], centres: Mapping[str, Mapping[str, ArrayLike]]
) -> tuple[Counts, dict[str, Counts]]:
    """Return the counts of all folds together, and of each session's folds."""
    pooled = Counts()
    by_session: dict[str, Counts] = defaultdict(Counts)
    first: dict[str, str] = {}
    for outcome in outcomes:
        fold = str(outcome.job.options["held_out"])
        session = fold.partition(",")[0]
        reference = centres[first.setdefault(session, fold)]
        counts = _counts(outcome).reordered(
            {task: matched(own, reference[task]) for task, own in centres[fold].items()}
        )
        pooled.add(counts)
        by_session[session].add(counts)
    return pooled, by_session


def _cost(outcomes: Collection[JobOutcome]) -> dict[str, Any]:
    return {
        "wall_s": round(sum(o.wall_s for o in outcomes), 1),
        "longest_s": round(max(o.wall_s for o in outcomes), 1),
        "peak_mib": round(max(o.peak_mib for o in outcomes), 1),
        "jobs": len(outcomes),
    }


def scores_at(report: ContextReport, name: str) -> dict[str, Any]:
    """Return the report's scores at one of ``LOOK_AHEAD_NAMES``."""
    found: dict[str, Any] = report["look_ahead"].get(name) or report[name]
    return found


def _counts(outcome: JobOutcome) -> Counts:
    plain = outcome.result["counts"]
    if outcome.job.options["kind"] == "alone":
        plain = {"none": plain[look_ahead_name(0)]}
    return Counts.from_dict(plain)


def _scores(pooled: Counts, by_session: Mapping[str, Counts], name: str) -> dict[str, Any]:
    parts = {part: _four(pooled, name, part) for part in SCORED_PARTS}
    tasks = {
        task: {
            part: {
                metric: round(mean, 4)
                for metric, (mean, _) in mean_fold_scores(
                    [counts.tables[name, part, task] for counts in by_session.values()]
                ).items()
            }
            for part in SCORED_PARTS
            if all((name, part, task) in counts.tables for counts in by_session.values())
        }
        for task in _TASKS
    }
    for scale in SCALES:
        for part in tasks[scale]:
            tasks[scale][part]["ccc"] = round(pooled.concordance(name, part, scale), 4)
    return {**parts["all"], "improvised": parts["improvised"], "tasks": tasks}


def _four(counts: Counts, name: str, part: str) -> dict[str, Any]:
    table = counts.tables.get((name, part, "emotion"))
    if table is None:
        return {"uar": None, "wa": None, "weighted_f1": None, "utterances": 0, "confusion": []}
    found = Confusion(table)
    return {**found.as_dict(), "utterances": found.utterances, "confusion": table.tolist()}


def _streamed(outcomes: Iterable[JobOutcome]) -> dict[str, Any]:
    """Return the fusion node's scores over all folds, and its largest difference from offline."""
    found = [o.result["streamed"] for o in outcomes if "streamed" in o.result]
    tables: dict[str, dict[str, Confusion]] = defaultdict(lambda: defaultdict(Confusion))
    for one in found:
        for name, parts in one["counts"].items():
            for part, table in parts.items():
                tables[name][part].counts += table
    total = {
        key: sum(one[key] for one in found)
        for key in ("revisions", "changes", "finals", "final_changes")
    }
    return {
        "scores": {
            name: {part: table.as_dict() for part, table in parts.items()}
            for name, parts in tables.items()
        },
        "largest_difference": max(one["difference"] for one in found),
        **total,
        "revision_changes_label": round(total["changes"] / max(1, total["revisions"]), 4),
        "final_changes_label": round(total["final_changes"] / max(1, total["finals"]), 4),
    }


def class_rows(report: ContextReport) -> list[list[str]]:
    """Return the table of the four classes: a heading, then a row for each look-ahead."""
    rows = [["context", "UAR", "WA", "wF1", "impr. UAR", "WA", "wF1", "streamed UAR"]]
    for name in LOOK_AHEAD_NAMES:
        found = scores_at(report, name)
        cells = [found, found["improvised"]]
        figures = [one[key] for one in cells for key in ("uar", "wa", "weighted_f1")]
        streamed = report["streamed"]["scores"].get(name, {}).get("all", {}).get("uar")
        rows.append([_label(name), *(_figure(value) for value in (*figures, streamed))])
    return rows


def task_rows(report: ContextReport) -> list[list[str]]:
    """Return the table of the other tasks: F1 at each look-ahead, and the scales' concordance."""
    rows = [["task", "part", *(f"F1 {_label(name)}" for name in LOOK_AHEAD_NAMES), "CCC full"]]
    for task in _TASKS:
        for part in scores_at(report, "full")["tasks"][task]:
            each = [scores_at(report, name)["tasks"][task][part] for name in LOOK_AHEAD_NAMES]
            figures = [*(one["f1"] for one in each), each[-1].get("ccc")]
            rows.append([task, part, *(_figure(value) for value in figures)])
    return rows


def context_remarks(report: ContextReport) -> list[str]:
    """Return the sentences that must stand beside the tables."""
    streamed, full = report["streamed"], scores_at(report, "full")
    held = {
        "session": "Folds leave one session out: neither speaker was heard, the scenarios were.",
        "scenario": "Folds leave out one scenario of one session: neither the session nor the "
        "scenario, in any session, is learned from.",
    }[report["protocol"]]
    return [
        f"{held} {report['folds']} folds, {full['utterances']} labelled utterances "
        f"({full['improvised']['utterances']} improvised), chance UAR 0.25.",
        "The recipe was chosen on sessions 1 to 4 alone, by folds of the same kind; session 5 was "
        "in no choice. "
        + ", ".join(
            f"{session}: {figures['full']:.3f}" for session, figures in report["sessions"].items()
        )
        + " (UAR, full).",
        f"Streamed through the fusion node, first estimates and finals differ from the offline "
        f"model's by {streamed['largest_difference']:.1e} at most. "
        f"{100 * streamed['revision_changes_label']:.1f} % of {streamed['revisions']} revisions "
        f"name another class than the estimate before; "
        f"{100 * streamed['final_changes_label']:.1f} % of the finals another than the first.",
    ]


def _label(name: str) -> str:
    return f"L = {name}" if name.isdigit() else name


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
