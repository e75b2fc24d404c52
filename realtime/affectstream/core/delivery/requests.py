"""What a reader asks an outlet for.

Knows: the three requests. Refuses to know: when they are sent, and how they travel.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resend:
    """Ask the outlet ``epoch`` for the messages ``first..last`` of ``topic``, both included."""

    epoch: int
    topic: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class AskState:
    """Ask the outlet ``epoch`` for the last state under ``prefixes``."""

    epoch: int
    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AskHistory:
    """Ask the outlet ``epoch`` for what it keeps under ``prefixes`` from ``position`` on.

    Attributes:
        seen: topics, each with the number of the first message that is wanted; of topics that are
            not named everything is wanted.
    """

    epoch: int
    prefixes: tuple[str, ...]
    position: int
    seen: tuple[tuple[str, int], ...] = ()


Request = Resend | AskState | AskHistory
