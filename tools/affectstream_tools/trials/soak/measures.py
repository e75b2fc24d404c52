"""What a day has shown: how memory and open files grew, and the first hours beside the last.

The values, and how they are computed; ``words`` and ``plot`` show them, ``report`` saves them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np

from affectstream_tools.trials.soak.day import Day, Look
from affectstream_tools.trials.soak.scoring import Hour

WARM_UP = 0.1
"""Share of the day before slopes are fitted: until then libraries and bounded rings fill."""
_COMPARED = 0.25
"""Share of the hours that count as the first, and as the last."""


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line through the values after warming up.

    Attributes:
        per_h, error: its slope per hour of event time by least squares, and the standard error.
        second_half_per_h: the slope of the second half of the day alone.
        first, last, most: the first value after warming up, the last, and the most.
    """

    per_h: float
    error: float
    second_half_per_h: float
    first: float
    last: float
    most: float


@dataclass(frozen=True, slots=True)
class DayPart:
    """Some hours together.

    Attributes:
        hours: how many.
        found: share of the sentences in which an utterance was found; None without sentences.
        word_error_rate: of the sentences' words; None without any.
        utterances_per_h, finals_per_h: utterances found, and finals.
        model_ms, answer_ms: means over the hours of ``Hour``'s.
    """

    hours: int
    found: float | None
    word_error_rate: float | None
    utterances_per_h: float
    finals_per_h: float
    model_ms: float | None
    answer_ms: float | None


@dataclass(frozen=True, slots=True)
class DayReport:
    """One day.

    Attributes:
        hours_long: event time that was played.
        rss_slope_mib_per_h, rss_slope_error: of all processes' memory together, and its standard
            error; ``rss_second_half_mib_per_h`` of the second half of the day alone.
        processes: by name, the slopes of ``rss_mib``, ``pss_mib``, ``files`` and ``threads``.
        first, last, whole: the first and the last hours, and all of them.
        lost, reader: as in ``Day``.
        looks, hours: what the rest was computed from.
    """

    hours_long: float
    share_of_speech: float
    rss_slope_mib_per_h: float
    rss_slope_error: float
    rss_second_half_mib_per_h: float
    processes: dict[str, dict[str, Slope]]
    first: DayPart
    last: DayPart
    whole: DayPart
    lost: dict[str, int]
    reader: dict[str, int]
    wall_min: float
    cpu_min: float
    looks: list[dict[str, Any]]
    hours: list[dict[str, Any]]

    def summary(self) -> dict[str, Any]:
        """Return it as JSON types, without the series."""
        return {k: v for k, v in asdict(self).items() if k not in ("looks", "hours")}


@dataclass(frozen=True, slots=True)
class SoakReport:
    """Both days, ``speech`` and ``silence``."""

    days: dict[str, DayReport]
    command: str
    date: str

    def summary(self) -> dict[str, Any]:
        """Return what the command prints: JSON types, without the series."""
        return {name: day.summary() for name, day in self.days.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON types."""
        return asdict(self)


def soak_report_of(days: Mapping[str, Day], command: str) -> SoakReport:
    """Return what the days have shown."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return SoakReport({name: _day(day) for name, day in days.items()}, command, date)


def _day(day: Day) -> DayReport:
    names = list(day.looks[0].processes)
    settled = [look for look in day.looks if look.event_h >= WARM_UP * day.plan.hours]
    together = _slope(settled, lambda look: sum(found.rss_mib for found in look.processes.values()))
    figures = ("rss_mib", "pss_mib", "files", "threads")
    per_process = {
        name: {figure: _slope(settled, partial(_figure, name, figure)) for figure in figures}
        for name in names
    }
    compared = max(1, round(_COMPARED * len(day.hours)))
    return DayReport(
        hours_long=round(day.looks[-1].event_h, 1),
        share_of_speech=day.plan.share,
        rss_slope_mib_per_h=together.per_h,
        rss_slope_error=together.error,
        rss_second_half_mib_per_h=together.second_half_per_h,
        processes=per_process,
        first=_part(day.hours[:compared]),
        last=_part(day.hours[-compared:]),
        whole=_part(day.hours),
        lost=day.lost,
        reader=day.reader,
        wall_min=round(day.wall_s / 60, 1),
        cpu_min=round(sum(p.cpu_s for p in day.looks[-1].processes.values()) / 60, 1),
        looks=[_plain(look) for look in day.looks],
        hours=[asdict(hour) for hour in day.hours],
    )


def _figure(name: str, figure: str, look: Look) -> float:
    return float(getattr(look.processes[name], figure))


def _plain(look: Look) -> dict[str, Any]:
    processes = {
        name: {k: round(v, 2) for k, v in asdict(found).items()}
        for name, found in look.processes.items()
    }
    return {
        "event_h": round(look.event_h, 4),
        "wall_s": round(look.wall_s, 1),
        "processes": processes,
    }


def _slope(looks: Sequence[Look], value: Callable[[Look], float]) -> Slope:
    hours = np.array([look.event_h for look in looks])
    values = np.array([value(look) for look in looks], dtype=float)
    per_h, error = fitted_line(hours, values)
    half = len(looks) // 2
    return Slope(
        per_h=round(per_h, 4),
        error=round(error, 4),
        second_half_per_h=round(fitted_line(hours[half:], values[half:])[0], 4),
        first=round(float(values[0]), 1),
        last=round(float(values[-1]), 1),
        most=round(float(values.max()), 1),
    )


def fitted_line(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Return a least-squares line's slope and its standard error; 0 and 0 of too few points."""
    if len(x) < 3 or np.ptp(x) == 0:
        return 0.0, 0.0
    centred = x - x.mean()
    spread = float(centred @ centred)
    slope = float(centred @ y) / spread
    rest = y - y.mean() - slope * centred
    return slope, float(np.sqrt(rest @ rest / (len(x) - 2) / spread))


def _part(hours: Sequence[Hour]) -> DayPart:
    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return round(float(np.mean(known)), 2) if known else None

    said, words = sum(h.said for h in hours), sum(h.words for h in hours)
    count = max(1, len(hours))
    return DayPart(
        hours=len(hours),
        found=round(sum(h.found for h in hours) / said, 5) if said else None,
        word_error_rate=round(sum(h.word_errors for h in hours) / words, 5) if words else None,
        utterances_per_h=round(sum(h.utterances for h in hours) / count, 1),
        finals_per_h=round(sum(h.finals for h in hours) / count, 1),
        model_ms=mean([h.model_ms for h in hours]),
        answer_ms=mean([h.answer_ms for h in hours]),
    )
