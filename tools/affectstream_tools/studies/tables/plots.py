"""Pictures of the tables: the paper's numbers as marks, ours as bars, and matrices of confusion.

Knows: matplotlib. A picture is 1,200 pixels wide. What was measured on a stand-in is grey, in a
panel of its own that says that it is not IEMOCAP.
Refuses to know: how the numbers were found, and which of them are worth a picture.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isnan
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from PIL import Image

from affectstream.errors import AffectstreamError
from affectstream_tools.studies.tables.compared import ComparedColumn, ComparedTable
from affectstream_tools.studies.tables.papers import REMARKS
from affectstream_tools.studies.tables.report import ConfusionTable

_INK, _GRID, _CHANCE = "#22262d", "#e3e6ea", "#c8443a"
_OURS = ("#2f62a8", "#7fa8dc", "#8a6fc0")
_STAND_INS = ("#c3c7cd", "#dfe2e6", "#eceef0")
_DOTTED = (0, (1.5, 1))
_DPI = 120
_WIDTH = 10.0
"""Inches: 1,200 pixels."""
_BAR, _GAP, _NUMBER = 0.24, 0.14, 0.2
"""Inches of height: a bar, the space above a model, and above that a number of the paper."""
_SIDE, _ACROSS = 3.3, 3
"""Inches of a matrix of confusion, and how many stand side by side."""


@dataclass(frozen=True, slots=True)
class _Panel:
    """The axes of one task: of the paper and IEMOCAP, or of stand-ins."""

    title: str
    task: str
    columns: list[ComparedColumn]
    stand_ins: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a model's bars are, in inches from the top."""

    top: float
    bottom: float


def plot_compared(compared: ComparedTable, path: Path) -> Path:
    """Draw our bars of each model, and the paper's number as a mark across them.

    There is a panel for each task. Stand-ins are drawn only where nothing of ours is of IEMOCAP,
    in a panel of their own beside the paper's.

    Raises:
        AffectstreamError: the picture cannot be written.
    """
    panels = _panels(compared)
    places, height = _places(compared, panels)
    figure = Figure(figsize=(_WIDTH, height + 1.7), layout="constrained", dpi=_DPI)
    wide = {"width_ratios": [3 if panel.stand_ins else 2 for panel in panels]}
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False, gridspec_kw=wide).ravel()
    for axes, panel in zip(all_axes, panels, strict=True):
        _draw_panel(axes, compared, panel, places)
        axes.set_xlim(0, _limit(compared))
    all_axes[0].set_yticks(
        [(place.top + place.bottom) / 2 for place in places],
        [fill(model, 28) for model in compared.models],
    )
    all_axes[0].set_ylim(height, 0)
    figure.suptitle(compared.title, x=0.01, ha="left", fontsize=13, color=_INK, weight="bold")
    figure.legend(
        handles=_legend(compared, panels),
        title=REMARKS[compared.table],
        loc="outside lower left",
        alignment="left",
        ncols=4,
        frameon=False,
        fontsize=9.5,
        title_fontsize=9.5,
    )
    return _save(figure, path)


def _panels(compared: ComparedTable) -> list[_Panel]:
    found = []
    for task in compared.tasks:
        columns = compared.columns(task, stand_ins=False)
        title = task or ("IEMOCAP" if columns else "IEMOCAP: the paper (ours was not run)")
        found.append(_Panel(title, task, columns))
    if not compared.columns(stand_ins=False):
        for task in compared.tasks:
            columns = compared.columns(task, stand_ins=True)
            title = ", ".join(filter(None, ["NOT IEMOCAP: ours on stand-ins", task]))
            found += [_Panel(title, task, columns, stand_ins=True)] if columns else []
    return found


def _places(compared: ComparedTable, panels: Sequence[_Panel]) -> tuple[list[_Place], float]:
    """Where each model is, and the height of all; a number over bars needs room."""
    bars = max(1, *(len(panel.columns) for panel in panels))
    found, bottom = [], 0.0
    for model in compared.models:
        over_bars = any(
            (p.task, model) in compared.paper and p.columns for p in panels if not p.stand_ins
        )
        top = bottom + _GAP + (_NUMBER if over_bars else 0.0)
        bottom = top + bars * _BAR
        found.append(_Place(top, bottom))
    return found, bottom + _GAP


def _limit(compared: ComparedTable) -> float:
    """Per cent: the next ten after the largest number that is drawn."""
    ours = [row.ours or 0.0 for row in compared.rows(compared.columns(stand_ins=False))]
    stand_ins = [row.ours or 0.0 for row in compared.rows(compared.columns(stand_ins=True))]
    best = [row.ceiling or 0.0 for row in compared.ours.values()]
    drawn = [*compared.paper.values(), *(ours or [*stand_ins, *best])]
    largest = max((value for value in drawn if not isnan(value)), default=0.0)
    return min(100.0, 10 * ceil((largest + 6) / 10))


def _draw_panel(
    axes: Any, compared: ComparedTable, panel: _Panel, places: Sequence[_Place]
) -> None:
    for model, place in zip(compared.models, places, strict=True):
        for number in range(len(panel.columns)):
            _draw_bar(axes, compared, model, panel, number, place.top + (number + 0.5) * _BAR)
        if not panel.stand_ins:
            _draw_paper(axes, compared.paper.get((panel.task, model)), panel, place)
    axes.grid(axis="x", color=_GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.set_title(panel.title, loc="left", fontsize=11, color=_INK)
    _tidy(axes)


def _draw_paper(axes: Any, paper: float | None, panel: _Panel, place: _Place) -> None:
    """A mark across the model's bars, its number above; beside it where there are no bars."""
    middle = (place.top + place.bottom) / 2
    if paper is None:
        if not panel.columns:
            _write(axes, 2, middle, "not confirmed by any source", style="italic")
        return
    axes.plot([paper] * 2, [place.top - 0.03, place.bottom], color=_INK, lw=2.6, zorder=4)
    if panel.columns:
        words = f"paper {paper:.2f}"
        _write(axes, paper, place.top - _NUMBER / 2 - 0.03, words, ha="center", weight="bold")
    else:
        _write(axes, paper + 2, middle, f"{paper:.2f}", weight="bold")


def _draw_bar(
    axes: Any, compared: ComparedTable, model: str, panel: _Panel, number: int, middle: float
) -> None:
    """A bar with its figure, ticks where chance and the best decisions are, and the other epoch."""
    column = panel.columns[number]
    row = compared.ours.get((model, column))
    if row is None or row.ours is None or isnan(row.ours):
        return
    axes.barh(middle, row.ours, height=0.9 * _BAR, color=_colour(panel, number))
    ink = _INK if panel.stand_ins or number == 1 else "white"
    end = row.ours - 1.5
    paper = None if panel.stand_ins else compared.paper.get((panel.task, model))
    if paper is not None and end - 12 < paper < row.ours + 1.5:
        end = paper - 2.5  # the figure would lie across the paper's mark
    _write(axes, min(end, row.ours - 1.5), middle, f"{row.ours:.1f}", ha="right", color=ink)
    if not panel.task:
        _write(axes, 1, middle, _name(column), color=ink)
    for value, colour in ((row.chance, _CHANCE), (row.ceiling, _INK)):
        if value is not None:
            ends = [middle - 0.45 * _BAR, middle + 0.45 * _BAR]
            axes.plot([value] * 2, ends, color=colour, lw=1.5, ls=_DOTTED, zorder=3)
    test = compared.test_selected.get((model, column))
    if test is not None and test.ours is not None and abs(test.ours - row.ours) > 0.01:
        axes.plot(test.ours, middle, "o", ms=6, mfc="white", mec=_INK, mew=1.2, zorder=5)


def _colour(panel: _Panel, number: int) -> str:
    colours = _STAND_INS if panel.stand_ins else _OURS
    return colours[number % len(colours)]


def _name(column: ComparedColumn) -> str:
    corpus = column.corpus.partition(",")[0].removesuffix(" corpus")
    return corpus if column.stands_in else column.protocol


def _legend(compared: ComparedTable, panels: Sequence[_Panel]) -> list[Any]:
    """What is drawn and says not itself what it is."""
    shown = compared.rows(column for panel in panels for column in panel.columns)
    found: list[Any] = [Line2D([], [], color=_INK, lw=2.6, label="the paper")]
    if panels[0].task:
        found += [
            Patch(facecolor=_colour(panels[-1], number), label=f"ours: {_name(column)}")
            for number, column in enumerate(panels[-1].columns)
        ]
    if any(row.selected == "test" for row in shown):
        dot: dict[str, Any] = {"marker": "o", "ls": "", "ms": 6, "mfc": "white", "mec": _INK}
        found.append(Line2D([], [], **dot, label="ours, if the epoch is chosen on the scored part"))
    line: dict[str, Any] = {"ls": _DOTTED, "lw": 1.6}
    if any(row.chance is not None for row in shown):
        found.append(Line2D([], [], color=_CHANCE, **line, label="chance"))
    if any(row.ceiling is not None for row in shown):
        found.append(Line2D([], [], color=_INK, **line, label="the best decisions"))
    return found


def _write(axes: Any, at: float, place: float, words: str, **style: Any) -> None:
    axes.text(at, place, words, **{"va": "center", "fontsize": 9, "color": _INK, **style})


def plot_confusions(title: str, confusions: Sequence[ConfusionTable], path: Path) -> Path:
    """Draw matrices side by side: the share of each true class in colour, counts below it.

    Raises:
        AffectstreamError: the picture cannot be written.
    """
    across = min(_ACROSS, len(confusions))
    down = -(-len(confusions) // across)
    size = (_SIDE * across + 1.0 * (across == 1), (_SIDE + 0.7) * down + 0.4)
    figure = Figure(figsize=size, layout="constrained", dpi=_DPI)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, confusion in zip(panels, confusions, strict=False):
        _draw_confusion(axes, confusion)
    for axes in panels[len(confusions) :]:
        axes.set_axis_off()
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=_INK, weight="bold")
    return _save(figure, path)


def _draw_confusion(axes: Any, confusion: ConfusionTable) -> None:
    counts = np.array(confusion.counts, dtype=np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for true, row in enumerate(shares):
        for taken, share in enumerate(row):
            words = f"{share:.0%}\n{counts[true, taken]:.0f}"
            colour = "white" if share > 0.55 else _INK
            _write(axes, taken, true, words, ha="center", color=colour)
    places = range(len(confusion.labels))
    names = [_class_name(label) for label in confusion.labels]
    axes.set_xticks(places, names)
    axes.set_yticks(places, names, rotation=90, va="center", multialignment="center")
    axes.set_xlabel("taken for", fontsize=9.5, color=_INK)
    axes.set_ylabel("true", fontsize=9.5, color=_INK)
    axes.set_title(fill(confusion.title, 40), loc="left", fontsize=9, color=_INK)
    _tidy(axes, ("left", "right", "top", "bottom"))


def _class_name(label: str) -> str:
    """In two lines a cluster, which is named by its centre, such as ``v 1.9 a 3.6``."""
    return re.sub(r"^v ([\d.]+) a ([\d.]+)$", r"val. \1\nact. \2", label)


def _tidy(axes: Any, without: tuple[str, ...] = ("right", "top")) -> None:
    for side in without:
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=_INK, labelsize=9, length=0)


def _save(figure: Figure, path: Path) -> Path:
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    # A picture of few colours: a palette makes the file several times smaller.
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.quantize(method=Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
    except OSError as error:
        raise AffectstreamError(
            f"{path} cannot be written ({error.strerror}); choose another folder"
        ) from error
    return path
