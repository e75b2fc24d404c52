"""A picture of an analysed recording: the waveform, and the estimated emotions over it.

Knows: matplotlib.
Refuses to know: how the estimates were made.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from affectstream.errors import AffectstreamError, printable
from affectstream.messages import Emotion
from affectstream.show.picture_file import save_picture
from affectstream.timebase import NS_PER_S

if TYPE_CHECKING:
    from affectstream.fusion.pipeline import Analysis

PLOT_COLOURS = {
    "anger": "#c8443a",
    "happiness": "#e0a021",
    "neutral": "#8a929c",
    "sadness": "#3b6fb6",
}
_OTHER = "#6b4f9e"
SCALE_COLOURS = {"valence": "#2f7d4f", "activation": "#b5542d", "dominance": "#5b5f97"}
_INK = "#2b2f36"
_POINT_S = 0.02  # time between two points of the envelope
_WORDS_IN = 0.45  # width of a label in inches


def plot_timeline(analysis: Analysis, path: Path) -> None:
    """Write the picture of one recording to ``path``; the suffix gives the format.

    Raises:
        AffectstreamError: matplotlib does not know the format, the file cannot be written, or is
            there already and is no picture of ours.
    """
    speakers = list(analysis.envelope)
    width = float(np.clip(4 + analysis.duration_s / 4, 9, 24))
    figure = Figure(figsize=(width, 2.0 * len(speakers) + 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(speakers) + 1, 1, sharex=True, squeeze=False)[:, 0]
    for axes, speaker in zip(rows, speakers, strict=False):
        _draw_voice(axes, analysis, speaker, least_s=_WORDS_IN * analysis.duration_s / width)
    _draw_scales(rows[-1], analysis)
    _add_legend(figure, analysis)
    name = printable(analysis.path.name)
    figure.suptitle(name, x=0.01, ha="left", fontsize=11, color=_INK, parse_math=False)
    try:
        save_picture(figure, path, dpi=130)
    except (ValueError, OSError) as error:
        raise AffectstreamError(f"{path} cannot be drawn: {error}; name a .png file") from error


def _draw_voice(axes: Any, analysis: Analysis, speaker: str, least_s: float) -> None:
    """Draw one speaker's row; utterances shorter than ``least_s`` get no label."""
    envelope = analysis.envelope[speaker]
    loudest = float(envelope.max(initial=0.0)) or 1.0
    time_s = np.arange(len(envelope)) * _POINT_S
    axes.fill_between(time_s, -envelope / loudest, envelope / loudest, color=_INK, lw=0, alpha=0.75)
    for emotion in analysis.emotions:
        if emotion.speaker == speaker:
            _draw_utterance(axes, emotion, least_s)
    axes.set_ylim(-1.15, 1.9)
    axes.set_yticks([])
    name = printable(speaker)
    axes.set_ylabel(name, rotation=0, ha="right", va="center", color=_INK, parse_math=False)
    _tidy(axes, ("left", "right", "top"))


def _draw_utterance(axes: Any, emotion: Emotion, least_s: float) -> None:
    start_s, end_s = emotion.start_ns / NS_PER_S, emotion.end_ns / NS_PER_S
    share = emotion.categorical[emotion.label]
    axes.axvspan(
        start_s,
        end_s,
        facecolor=PLOT_COLOURS.get(emotion.label, _OTHER),
        alpha=0.15 + 0.45 * share,
        hatch=None if emotion.sure else "////",
        edgecolor="white",
        lw=0.8,
        zorder=0,
    )
    if end_s - start_s < least_s:
        return
    words = f"{emotion.label}\n{share:.0%}" if emotion.sure else f"{emotion.label}?"
    axes.annotate(
        words,
        (start_s, 1.8),
        xytext=(2, 0),
        textcoords="offset points",
        va="top",
        fontsize=7.5,
        color=_INK,
        annotation_clip=True,
        clip_on=True,
    )


def _draw_scales(axes: Any, analysis: Analysis) -> None:
    for name, colour in SCALE_COLOURS.items():
        known = [e for e in analysis.emotions if name in e.dimensional]
        for emotion in known:
            mean = emotion.dimensional[name].mean
            span_s = (emotion.start_ns / NS_PER_S, emotion.end_ns / NS_PER_S)
            axes.plot(span_s, (mean, mean), color=colour, lw=2.6, solid_capstyle="butt")
        if known:
            middle_s = [(e.start_ns + e.end_ns) / 2 / NS_PER_S for e in known]
            means = [e.dimensional[name].mean for e in known]
            axes.plot(middle_s, means, color=colour, lw=0.8, alpha=0.5)
    axes.set_ylim(0.9, 5.1)
    axes.set_yticks([1, 3, 5])
    axes.set_xlim(0, max(analysis.duration_s, 0.1))
    axes.set_xlabel("seconds", color=_INK)
    axes.set_ylabel("scale", color=_INK)
    axes.grid(axis="y", color="#d9dce1", lw=0.6)
    _tidy(axes, ("right", "top"))


def _add_legend(figure: Any, analysis: Analysis) -> None:
    labels = dict.fromkeys(name for e in analysis.emotions for name in e.categorical)
    handles: list[Any] = [
        Patch(facecolor=PLOT_COLOURS.get(name, _OTHER), alpha=0.6, label=name) for name in labels
    ]
    if any(not e.sure for e in analysis.emotions):
        handles.append(Patch(facecolor="#cccccc", edgecolor="white", hatch="////", label="unsure"))
    scales = dict.fromkeys(name for e in analysis.emotions for name in e.dimensional)
    handles += [Line2D([], [], color=SCALE_COLOURS.get(n, _OTHER), lw=2.6, label=n) for n in scales]
    if handles:
        figure.legend(
            handles=handles,
            loc="outside upper right",
            ncols=len(handles),
            frameon=False,
            fontsize=8,
        )


def _tidy(axes: Any, without: tuple[str, ...]) -> None:
    for side in without:
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=_INK, labelsize=8)
