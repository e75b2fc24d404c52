"""A picture of recognizers under their ceilings, drawn with matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from affectstream_tools.jobs.saved_reports import write_picture
from affectstream_tools.studies.ordering.report import OrderingReport, Summary

_INK, _GRID, _OURS, _CEILING, _FIRST = "#2b2f36", "#d9dce1", "#3b6fb6", "#c8443a", "#e0a021"


def plot_ordering(report: OrderingReport, path: Path) -> Path:
    """Draw each recognizer under its ceiling, and the context model over the look-ahead.

    Raises:
        AffectstreamError: the picture cannot be written.
    """
    figure = Figure(figsize=(12.5, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    lengths = {len(row.modalities) for row in report.rows}
    whole = [row for row in report.rows if len(row.modalities) == max(lengths)]
    curve = [row for row in report.rows if len(row.modalities) < max(lengths)]
    _draw_order(left, whole)
    _draw_curve(right, curve)
    figure.suptitle(
        "Synthetic dialogues, not IEMOCAP: accuracy and the best with the same information",
        fontsize=11,
        color=_INK,
    )
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    return write_picture(path, figure, dpi=130)


def _draw_order(axes: Any, rows: list[Summary]) -> None:
    places = range(len(rows))
    axes.errorbar(
        [row.accuracy for row in rows],
        places,
        xerr=[row.accuracy_sd for row in rows],
        color=_OURS,
        ls="",
        marker="o",
        ms=8,
        elinewidth=1.2,
        capsize=3,
        label="accuracy, mean and sd over runs",
    )
    axes.hlines(
        places,
        [row.accuracy for row in rows],
        [row.ceiling for row in rows],
        color=_OURS,
        lw=1,
        alpha=0.6,
    )
    for place, row in enumerate(rows):
        _draw_bounds(axes, place, row)
    axes.set_yticks(places, [f"{row.recognizer}\n{_SEES[row.look_ahead]}" for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(min(row.accuracy for row in rows) - 2, max(row.ceiling for row in rows) + 6)
    axes.set_xlabel("per cent", color=_INK)
    axes.set_title("voice + words + motion", loc="left", fontsize=10, color=_INK)
    _tidy(axes, "x")


def _draw_bounds(axes: Any, place: int, row: Summary) -> None:
    """Draw the ceiling with the same information, and the one with the true bigram."""
    label = "ceiling: Bayes, the same information" if place == 0 else None
    axes.vlines(row.ceiling, place - 0.4, place + 0.4, color=_CEILING, lw=2, label=label)
    if row.first_order is not None:
        label = "the true bigram, as a first-order chain"
        axes.vlines(row.first_order, place - 0.4, place + 0.4, color=_FIRST, lw=2, label=label)
    axes.text(row.ceiling + 0.4, place, f"{row.accuracy:.1f}, {row.distance:.1f} below", **_SMALL)


_SEES = {"none": "this utterance", "causal": "it and all before", "full": "the whole dialogue"}
_SMALL = {"va": "center", "fontsize": 8, "color": _INK}


def _draw_curve(axes: Any, rows: list[Summary]) -> None:
    places = range(len(rows))
    axes.plot(places, [row.ceiling for row in rows], color=_CEILING, marker="_", ms=12, lw=1.6)
    axes.errorbar(
        places,
        [row.accuracy for row in rows],
        yerr=[row.accuracy_sd for row in rows],
        color=_OURS,
        marker="o",
        ms=4,
        lw=1.6,
        elinewidth=0.8,
        capsize=2,
    )
    axes.set_xticks(places, [row.look_ahead for row in rows])
    axes.set_xlabel("later utterances seen", color=_INK)
    axes.set_ylabel("per cent", color=_INK)
    cues = " + ".join(rows[0].modalities) if rows else ""
    axes.set_title(f"the project's context model: {cues}", loc="left", fontsize=10, color=_INK)
    _tidy(axes, "y")


def _tidy(axes: Any, grid: str) -> None:
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)
    axes.grid(axis=grid, color=_GRID, lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, labelsize=8, length=0)
