"""A picture of the context study: recall by look-ahead and a confusion matrix, with matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from affectstream.core.dialogue.model import CLASSES
from affectstream_tools.jobs.saved_reports import write_picture
from affectstream_tools.studies.context.report import LOOK_AHEAD_NAMES, ContextReport, scores_at

_INK, _GRID = "#2b2f36", "#d9dce1"
_LINES = {"all": "#3b6fb6", "improvised": "#2f7d4f"}


def plot_context(report: ContextReport, path: Path) -> Path:
    """Draw recall by look-ahead, and the confusion matrix of the whole dialogue.

    Raises:
        AffectstreamError: the picture cannot be written.
    """
    figure = Figure(figsize=(11.5, 4.6), layout="constrained")
    curve, matrix = figure.subplots(1, 2, width_ratios=(1.5, 1))
    _draw_curve(curve, report)
    _draw_confusion(matrix, scores_at(report, "full")["confusion"])
    figure.suptitle(
        f"Context model on IEMOCAP, {report['protocol']} protocol, {report['folds']} folds"
        + (" (a trial on a few dialogues)" if report["small"] else ""),
        color=_INK,
    )
    return write_picture(path, figure, dpi=120)


def _draw_curve(axes: Any, report: ContextReport) -> None:
    places = range(len(LOOK_AHEAD_NAMES))
    found = [scores_at(report, name) for name in LOOK_AHEAD_NAMES]
    values = {
        "all": [one["uar"] for one in found],
        "improvised": [one["improvised"]["uar"] for one in found],
    }
    values = {part: one for part, one in values.items() if None not in one}
    for part, own in values.items():
        colour = _LINES[part]
        axes.plot(places, own, "o-", color=colour, label=part)
        for place, value in zip(places, own, strict=True):
            above = value == max(one[place] for one in values.values())
            axes.annotate(
                f"{value:.3f}",
                (place, value),
                textcoords="offset points",
                xytext=(0, 7 if above else -14),
                ha="center",
                fontsize=8,
                color=colour,
            )
    axes.axhline(0.25, color=_GRID, lw=1.2)
    axes.annotate("chance", (0, 0.25), xytext=(0, 4), textcoords="offset points", fontsize=8)
    axes.set_xticks(
        places, [f"L = {name}" if name.isdigit() else name for name in LOOK_AHEAD_NAMES]
    )
    axes.set_ylim(0.2, 1.0)
    axes.set_ylabel("unweighted average recall", color=_INK)
    axes.set_xlabel("later utterances that an estimate may use", color=_INK)
    axes.grid(axis="y", color=_GRID, lw=0.6)
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_confusion(axes: Any, counts: list[list[int]]) -> None:
    table = np.array(counts)
    shares = table / np.maximum(1, table.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*table.shape):
        axes.text(
            column,
            row,
            f"{shares[row, column]:.2f}\n{table[row, column]}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if shares[row, column] > 0.55 else _INK,
        )
    axes.set_xticks(range(len(CLASSES)), CLASSES, fontsize=8)
    axes.set_yticks(range(len(CLASSES)), CLASSES, fontsize=8)
    axes.set_xlabel("estimated (whole dialogue known)", color=_INK)
    axes.set_ylabel("annotated", color=_INK)
