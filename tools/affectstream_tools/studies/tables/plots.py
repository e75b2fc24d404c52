"""Pictures of the tables: our bars under the paper's, curves, and matrices of confusion.

Knows: matplotlib. Refuses to know: how the numbers were found. A number measured on a stand-in is
grey and hatched, and says that it is not IEMOCAP.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from PIL import Image

from affectstream.errors import AffectstreamError
from affectstream_tools.studies.tables.rows import TableRow

if TYPE_CHECKING:
    from affectstream_tools.studies.tables.report import ConfusionTable

_INK, _GRID = "#2b2f36", "#d9dce1"
_PAPER, _OURS, _TEST, _STAND_IN = "#8a929c", "#3b6fb6", "#9dbce4", "#e4e6ea"
_LINES = (_OURS, "#c8443a", "#2f7d4f", "#e0a021", "#6b4f9e", "#b5542d")
PLOTTED_LOOK_AHEADS = ("none", "causal", "1", "2", "4", "8", "full")
_ACROSS = 4
_DPI = 120
_BAR = 0.24
"""Inches of height a bar."""
_GAP, _WORDS = 0.8, 107.0
"""Per cent: from a bar to its number, and where what it was measured on is written."""


def plot_table(title: str, rows: Sequence[TableRow], path: Path) -> Path:
    """Draw the rows of one metric: for each of the paper's rows its bar, and under it ours.

    Raises:
        AffectstreamError: the picture cannot be written.
    """
    groups: dict[str, list[TableRow]] = {}
    for row in rows:
        groups.setdefault(row.row, []).append(row)
    lines = sum(1.7 + len(group) for group in groups.values())
    figure = Figure(figsize=(14, 1.5 + _BAR * lines), layout="constrained", dpi=_DPI)
    axes = figure.subplots()
    top, ticks = 0.0, []
    for name, group in groups.items():
        ticks += _draw_group(axes, top, name, group)
        top += 1.7 + len(group)
    axes.set_ylim(top - 0.6, -0.9)
    axes.set_yticks([place for place, _ in ticks], [label for _, label in ticks])
    for label in axes.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() in groups else "normal")
    axes.set_xlim(0, 100)
    axes.set_xlabel("per cent", color=_INK)
    axes.grid(axis="x", color=_GRID, lw=0.6)
    axes.set_axisbelow(True)
    _tidy(axes)
    axes.set_title(title, loc="left", fontsize=11, color=_INK, pad=26)
    _add_legend(axes)
    return _save(figure, path)


def _draw_group(
    axes: Any, top: float, name: str, group: Sequence[TableRow]
) -> list[tuple[float, str]]:
    """Draw the paper's bar and ours below it; return the places and labels of their ticks."""
    paper = next((row.paper for row in group if row.paper is not None), None)
    if paper is None:
        _write(axes, 0.6, top, "the paper's number is not known", style="italic")
    else:
        axes.barh(top, paper, height=0.8, color=_PAPER)
        _write(axes, paper + _GAP, top, f"{paper:.2f}")
        _write(axes, _WORDS, top, "the paper")
    ticks = [(top, name)]
    for place, row in enumerate(group, 1):
        _draw_ours(axes, top + place, row)
        if row.ours is not None:
            asides = [row.protocol, "" if row.part == "all" else row.part, _look_ahead(row)]
            ticks.append((top + place, ", ".join(filter(None, asides))))
    return ticks


def _look_ahead(row: TableRow) -> str:
    return "" if row.look_ahead in ("", "none") else f"look-ahead {row.look_ahead}"


def _draw_ours(axes: Any, place: float, row: TableRow) -> None:
    if row.ours is None:
        _write(axes, 0.6, place, f"no number of ours: {row.data}", style="italic")
        return
    colour = _TEST if row.selected == "test" else _OURS
    axes.barh(
        place,
        row.ours,
        height=0.8,
        xerr=row.sd,
        color=_STAND_IN if row.stands_in else colour,
        alpha=1 if row.stands_in else 0.75,
        hatch="////" if row.stands_in else None,
        edgecolor="#a9afb8" if row.stands_in else "none",
        lw=0.6,
        error_kw={"ecolor": _INK, "lw": 0.8, "capsize": 2},
    )
    if row.chance is not None:
        axes.vlines(row.chance, place - 0.4, place + 0.4, color="#c8443a", lw=1.6, zorder=3)
    chosen = ", selected on test" if row.selected == "test" else ""
    runs = f", {row.runs} runs" if row.runs > 1 else ""
    _write(axes, row.ours + (row.sd or 0.0) + _GAP, place, f"{row.ours:.2f}")
    _write(axes, _WORDS, place, f"{_data(row)}{chosen}{runs}")


def _data(row: TableRow) -> str:
    """What a row was measured on; a stand-in that does not say so itself is called one."""
    unsaid = row.stands_in and "not IEMOCAP" not in row.data
    return f"{row.data}, not IEMOCAP" if unsaid else row.data


def _write(axes: Any, at: float, place: float, words: str, style: str = "normal") -> None:
    axes.text(at, place, words, va="center", fontsize=7.5, color=_INK, style=style)


def _add_legend(axes: Any) -> None:
    axes.legend(
        handles=[
            Patch(facecolor=_PAPER, label="the paper"),
            Patch(facecolor=_OURS, alpha=0.75, label="ours, IEMOCAP"),
            Patch(facecolor=_TEST, alpha=0.75, label="ours, epoch selected on test"),
            Patch(facecolor=_STAND_IN, edgecolor="#a9afb8", hatch="////", label="not IEMOCAP"),
            Line2D([], [], color="#c8443a", lw=1.6, label="chance"),
        ],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=5,
        frameon=False,
        fontsize=8,
        borderaxespad=0.2,
    )


def curves(rows: Sequence[TableRow]) -> dict[str, list[TableRow]]:
    """Return, by name, the rows of at least three look-aheads that differ in nothing else."""
    found: dict[str, dict[str, TableRow]] = {}
    for row in rows:
        if row.ours is not None and row.look_ahead in PLOTTED_LOOK_AHEADS:
            part = "" if row.part == "all" else f", {row.part}"
            name = f"{row.row}; {row.protocol}{part}, selected on {row.selected}; {_data(row)}"
            found.setdefault(name, {})[row.look_ahead] = row
    return {
        name: [by_look_ahead[each] for each in PLOTTED_LOOK_AHEADS if each in by_look_ahead]
        for name, by_look_ahead in found.items()
        if len(by_look_ahead) > 2
    }


def plot_look_ahead(title: str, lines: dict[str, list[TableRow]], path: Path) -> Path:
    """Draw a figure against the later utterances that were seen, a line each of :func:`curves`.

    Raises:
        AffectstreamError: the picture cannot be written.
    """
    figure = Figure(figsize=(9, 4.2 + 0.2 * len(lines)), layout="constrained", dpi=_DPI)
    axes = figure.subplots()
    for colour, (name, rows) in zip(cycle(_LINES), lines.items(), strict=False):
        places = [PLOTTED_LOOK_AHEADS.index(row.look_ahead) for row in rows]
        values = [float("nan") if row.ours is None else row.ours for row in rows]
        stands_in = any(row.stands_in for row in rows)
        axes.errorbar(
            places,
            values,
            yerr=[row.sd or 0.0 for row in rows],
            color=_PAPER if stands_in else colour,
            ls="--" if stands_in else "-",
            marker="o",
            ms=4,
            lw=1.6,
            elinewidth=0.8,
            capsize=2,
            label=name,
        )
    axes.set_xticks(range(len(PLOTTED_LOOK_AHEADS)), PLOTTED_LOOK_AHEADS)
    axes.set_xlabel("later utterances seen", color=_INK)
    axes.set_ylabel("per cent", color=_INK)
    axes.grid(axis="y", color=_GRID, lw=0.6)
    axes.set_title(title, loc="left", fontsize=11, color=_INK)
    _tidy(axes)
    figure.legend(loc="outside lower left", frameon=False, fontsize=7.5)
    return _save(figure, path)


def plot_confusions(title: str, confusions: Sequence[ConfusionTable], path: Path) -> Path:
    """Draw matrices side by side: the share of each true class in colour, counts below it.

    Raises:
        AffectstreamError: the picture cannot be written.
    """
    across = min(_ACROSS, len(confusions))
    down = -(-len(confusions) // across)
    figure = Figure(
        figsize=(max(3.5 * across, 5.0), 3.7 * down + 0.9), layout="compressed", dpi=_DPI
    )
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, confusion in zip(panels, confusions, strict=False):
        _draw_confusion(axes, confusion)
    for axes in panels[len(confusions) :]:
        axes.set_axis_off()
    figure.suptitle(f"{title}: share and number of each true class", x=0.01, ha="left", color=_INK)
    figure.supxlabel("taken for", fontsize=9, color=_INK)
    figure.supylabel("true", fontsize=9, color=_INK)
    return _save(figure, path)


def _draw_confusion(axes: Any, confusion: ConfusionTable) -> None:
    counts = np.array(confusion.counts, dtype=np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for true, row in enumerate(shares):
        for taken, share in enumerate(row):
            axes.text(
                taken,
                true,
                f"{share:.0%}\n{counts[true, taken]:.0f}",
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if share > 0.55 else _INK,
            )
    places = range(len(confusion.labels))
    names = [fill(label, 6, break_long_words=False) for label in confusion.labels]
    axes.set_xticks(places, names)
    axes.set_yticks(places, names, rotation=90, va="center", multialignment="center")
    axes.set_title(fill(confusion.title, 46), loc="left", fontsize=7.5, color=_INK)
    _tidy(axes, ("left", "right", "top", "bottom"))


def _tidy(axes: Any, without: tuple[str, ...] = ("right", "top")) -> None:
    for side in without:
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=_INK, labelsize=8, length=0)


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
