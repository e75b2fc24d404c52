"""What a day has shown, in words and tables."""

from __future__ import annotations

import numpy as np

from affectstream_tools.jobs.saved_reports import markdown_table
from affectstream_tools.trials.soak.measures import (
    WARM_UP,
    DayPart,
    DayReport,
    Slope,
    SoakReport,
    fitted_line,
)

_ABOUT = """\
Real processes through the real bus, as fast as they compute: the fusion node with its hub and the
shipped model, a microphone's worker (voice detector, eGeMAPS, segmenter) whose microphone is a
recording without end, the transcript worker (Vosk with the tiny model), and `affectstream
subscribe`. The microphone stays at most 20 s of event time before the transcript worker. Each
process is looked at from outside, every few minutes of event time. The sentences are the bundled
dialogue's, voices of espeak-ng in a noisy room; what they show is whether recognition decays, not
how good it is."""

MEMORY = ("process", "RSS first", "last", "most", "MiB per h (se)", "2nd half", "files", "threads")
HEARD = (
    "hours",
    "sentences found",
    "word error rate",
    "utterances per h",
    "finals per h",
    "model",
    "end to estimate",
)


def memory_rows(day: DayReport) -> list[tuple[str, ...]]:
    """Return what each process held, under ``MEMORY``."""
    return [
        (
            name,
            f"{slopes['rss_mib'].first:.1f}",
            f"{slopes['rss_mib'].last:.1f}",
            f"{slopes['rss_mib'].most:.1f}",
            f"{slopes['rss_mib'].per_h:+.3f} ({slopes['rss_mib'].error:.3f})",
            f"{slopes['rss_mib'].second_half_per_h:+.3f}",
            _from_to(slopes["files"]),
            _from_to(slopes["threads"]),
        )
        for name, slopes in day.processes.items()
    ]


def heard_rows(day: DayReport) -> list[tuple[str, ...]]:
    """Return how well speech was recognised in the first and the last hours, under ``HEARD``."""
    named = (("first", day.first), ("last", day.last), ("all", day.whole))
    return [(f"{name} {part.hours}", *_cells(part)) for name, part in named]


def _cells(part: DayPart) -> tuple[str, ...]:
    return (
        _per_cent(part.found),
        _per_cent(part.word_error_rate),
        f"{part.utterances_per_h:.1f}",
        f"{part.finals_per_h:.1f}",
        "" if part.model_ms is None else f"{part.model_ms:.1f} ms",
        "" if part.answer_ms is None else f"{part.answer_ms:.0f} ms",
    )


def _per_cent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f} %"


def _from_to(slope: Slope) -> str:
    same = slope.first == slope.last == slope.most
    return f"{slope.last:.0f}" if same else f"{slope.first:.0f} to {slope.last:.0f}"


def soak_remarks(name: str, day: DayReport) -> list[str]:
    """Return what must be said beside the tables of one day."""
    what = (
        f"{100 * day.share_of_speech:.0f} % of the time somebody speaks, the rest is a room's noise"
        if day.share_of_speech
        else "a room's noise, and nobody speaks"
    )
    lost = "nothing was lost" if not day.lost else f"lost: {day.lost}"
    return [
        f"{name}: {day.hours_long:g} h of event time, {what}; {day.wall_min:.0f} min, of which "
        f"the processes worked {day.cpu_min:.0f}; {lost}.",
        f"Resident memory of all processes together: {day.rss_slope_mib_per_h:+.3f} MiB per hour "
        f"of event time (standard error {day.rss_slope_error:.3f}) after the first "
        f"{100 * WARM_UP:.0f} %, {day.rss_second_half_mib_per_h:+.3f} in the second half.",
        *_decay(day),
    ]


def _decay(day: DayReport) -> list[str]:
    """Say whether words were misrecognised more and more."""
    spoken = [hour for hour in day.hours if hour["words"]]
    if len(spoken) < 3:
        return []
    rates = [100 * hour["word_errors"] / hour["words"] for hour in spoken]
    slope, error = fitted_line(
        np.array([hour["hour"] for hour in spoken], dtype=float), np.array(rates)
    )
    return [
        f"The word error rate moved by {slope:+.3f} points per hour (standard error {error:.3f})."
    ]


def soak_page(report: SoakReport) -> str:
    """Return the whole report as Markdown."""
    parts = ["# A day of the live path", _ABOUT]
    for name, day in report.days.items():
        parts += [
            f"## {name.capitalize()}",
            *soak_remarks(name.capitalize(), day),
            markdown_table(MEMORY, memory_rows(day)),
            markdown_table(HEARD, heard_rows(day)),
        ]
    parts += [
        "![memory, files, and what was heard](soak.png)",
        f"Made {report.date} by `{report.command}`.",
    ]
    return "\n\n".join(parts) + "\n"
