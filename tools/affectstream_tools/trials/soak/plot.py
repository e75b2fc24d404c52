"""Draws a day: memory, open files and threads, and what was heard, over event time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from affectstream_tools.jobs.saved_reports import write_picture
from affectstream_tools.trials.soak.measures import DayReport, SoakReport

_INK, _GRID = "#2b2f36", "#d9dce1"
_COLOURS = {
    "fusion": "#3b6fb6",
    "transcribe": "#c8443a",
    "microphone": "#2f8f5b",
    "subscribe": "#e0a021",
}


def plot_soak(report: SoakReport, path: Path) -> Path:
    """Draw each day as a column: memory, open files and threads, what was heard.

    Raises:
        AffectstreamError: the picture cannot be written.
    """
    count = len(report.days)
    figure = Figure(figsize=(1 + 6 * count, 9), layout="constrained")
    axes = figure.subplots(3, count, squeeze=False, sharex="col", height_ratios=(3, 2, 3))
    for column, (name, day) in enumerate(report.days.items()):
        memory, files, heard = axes[:, column]
        _draw_memory(memory, day)
        _draw_files(files, day)
        _draw_heard(heard, day)
        share = f", {100 * day.share_of_speech:.0f} % of the time" if day.share_of_speech else ""
        memory.set_title(f"{day.hours_long:g} h, {name}{share}", loc="left", fontsize=11)
        heard.set_xlabel("hours of event time", color=_INK)
        for one in (memory, files, heard):
            _tidy(one)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False
    )
    return write_picture(path, figure, dpi=110)


def _draw_memory(axes: Any, day: DayReport) -> None:
    hours = [look["event_h"] for look in day.looks]
    for name in day.processes:
        values = [look["processes"][name]["rss_mib"] for look in day.looks]
        axes.plot(hours, values, color=_COLOURS.get(name), lw=1.6, label=name)
        slope = day.processes[name]["rss_mib"]
        axes.annotate(
            f"{slope.per_h:+.2f} MiB/h",
            (hours[-1], values[-1]),
            xytext=(-2, 5),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=_INK,
        )
    axes.set_ylim(bottom=0)
    axes.set_ylabel("resident memory, MiB", color=_INK)


def _draw_files(axes: Any, day: DayReport) -> None:
    hours = [look["event_h"] for look in day.looks]
    for name in day.processes:
        for figure, style in (("files", "-"), ("threads", ":")):
            values = [look["processes"][name][figure] for look in day.looks]
            axes.plot(hours, values, color=_COLOURS.get(name), lw=1.4, ls=style)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("open files (dotted: threads)", color=_INK)


def _draw_heard(axes: Any, day: DayReport) -> None:
    hours = [hour["hour"] + 0.5 for hour in day.hours]
    axes.plot(hours, [hour["utterances"] for hour in day.hours], color=_INK, lw=1.6)
    axes.plot(hours, [hour["finals"] for hour in day.hours], color=_INK, lw=1.6, ls="--")
    axes.set_ylim(bottom=0, top=max([1, *(1.25 * hour["utterances"] for hour in day.hours)]))
    axes.set_ylabel("utterances in the hour (dashed: finals)", color=_INK)
    spoken = [hour for hour in day.hours if hour["words"]]
    if not spoken:
        return
    other = axes.twinx()
    rates = [100 * hour["word_errors"] / hour["words"] for hour in spoken]
    other.plot(
        [hour["hour"] + 0.5 for hour in spoken], rates, color="#8457b0", marker="o", ms=3, lw=1.2
    )
    other.set_ylim(0, max(1.0, 2.5 * max(rates)))
    other.set_ylabel("word error rate, per cent", color="#8457b0")
    other.spines["top"].set_visible(False)
    other.tick_params(colors="#8457b0", labelsize=8, length=0)


def _tidy(axes: Any) -> None:
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color=_GRID, lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, labelsize=8, length=0)
