"""Compares the events that a subscriber wrote to a file with those of an undisturbed replay."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

EventLine = Mapping[str, Any]


def read_events(path: Path) -> list[EventLine]:
    """Return the events of a file that ``affectstream subscribe --to`` has written."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]  # what is not ended is not written yet
    return [msgspec.json.decode(line) for line in lines]


def closed_dialogues(events: Sequence[EventLine]) -> set[str]:
    """Return the dialogues that the node has closed."""
    return {event["session"] for event in events if event["kind"] == "stream.closed"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A disturbed run beside the undisturbed one.

    Attributes:
        finals, events: how many the undisturbed run has.
        lost: events of the undisturbed run that this one does not have.
        doubled: events that came more than once, or that the undisturbed run does not have.
        changed: finals with another label, probability (by more than 1e-5), revision or look-ahead.
        revisions_changed: the same, of all events.
        difference: the largest between probabilities of finals.
        gaps: gap messages.
    """

    finals: int
    events: int
    lost: int
    doubled: int
    changed: int
    revisions_changed: int
    difference: float
    gaps: int


def compare_events(undisturbed: Sequence[EventLine], disturbed: Sequence[EventLine]) -> Comparison:
    """Compare two runs event by event, by dialogue, utterance and revision."""
    expected, _ = _by_name(undisturbed)
    found, copies = _by_name(disturbed)
    changed, revisions_changed, difference = 0, 0, 0.0
    for name, event in expected.items():
        other = found.get(name)
        if other is None:
            continue
        apart = _distance(event, other)
        same = apart <= 1e-5 and all(event[k] == other[k] for k in ("status", "look_ahead", "text"))
        revisions_changed += not same
        if event["status"] == "final":
            changed += not same
            difference = max(difference, apart)
    return Comparison(
        finals=sum(event["status"] == "final" for event in expected.values()),
        events=len(expected),
        lost=len(expected.keys() - found.keys()),
        doubled=copies + len(found.keys() - expected.keys()),
        changed=changed,
        revisions_changed=revisions_changed,
        difference=difference,
        gaps=sum(event["kind"] == "gap" for event in disturbed),
    )


def holes(events: Sequence[EventLine]) -> int:
    """Return how many sequence numbers are missing or out of order, within each topic's events."""
    next_of: dict[tuple[int, str, str], int] = defaultdict(int)
    wrong = 0
    for event in events:
        if event["kind"] == "emotion":
            key = (event["epoch"], event["session"], event["source"])
            wrong += event["seq"] != next_of[key]
            next_of[key] = event["seq"] + 1
    return wrong


def _by_name(events: Sequence[EventLine]) -> tuple[dict[tuple[str, str, int], EventLine], int]:
    """Return estimates by dialogue, utterance and revision, and how many came again."""
    emotions = [event for event in events if event["kind"] == "emotion"]
    names = [(e["session"], e["utterance"], e["revision"]) for e in emotions]
    again = sum(count - 1 for count in Counter(names).values())
    return dict(zip(names, emotions, strict=True)), again


def _distance(event: EventLine, other: EventLine) -> float:
    mine: dict[str, float] = event["categorical"]
    others: dict[str, float] = other["categorical"]
    return max(abs(mine[name] - others.get(name, 0.0)) for name in mine)
