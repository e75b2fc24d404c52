"""What a reader asks an outlet for.

Knows: the three questions. Refuses to know: when they are asked, and how they travel.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resend:
    """Ask the outlet ``epoch`` for messages ``first..last`` of ``topic``."""

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
    """Ask the outlet ``epoch`` for what its ring holds under ``prefixes`` from ``position`` on.

    Attributes:
        seen: topics and the first message of each that is wanted; all of it where not named.
    """

    epoch: int
    prefixes: tuple[str, ...]
    position: int
    seen: tuple[tuple[str, int], ...] = ()


Request = Resend | AskState | AskHistory
