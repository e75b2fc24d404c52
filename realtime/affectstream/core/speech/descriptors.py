"""Speech into the rows of a front end.

Knows: audio by position, the little of it that is kept before speech is announced, and where a
row lies.
Refuses to know: what a row means, time, messages, and where speech starts.

A front end runs over one stretch of speech: it starts at the utterance's first sample, as it would
on a recording of that utterance alone, and is finished at its end, so that all rows are out before
the end is announced. Between utterances nothing is computed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

KEPT_FRAMES = 200
"""Frames of 20 ms that are kept; an utterance is announced within 2 s of its first sound."""

FRAMES_AT_ONCE = 5
"""A front end is fed 100 ms at a time: fewer calls, each of which costs."""


class FrontEnd(Protocol):
    """Describes one stretch of 16 kHz audio, and is not used again."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns."""

    @property
    def hop_samples(self) -> int:
        """From one row to the next."""

    def push(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        """Take samples (n,); return the rows (k, columns) that they complete."""

    def finish(self) -> NDArray[np.float32]:
        """Return the rows that are left."""


@dataclass(frozen=True, slots=True)
class DescriptorRows:
    """Rows of one stretch of speech.

    Attributes:
        first_sample: position of the first row's frame.
        hop_samples: from one row to the next.
        values: float32, shape (n, columns).
    """

    first_sample: int
    hop_samples: int
    values: NDArray[np.float32]


class DescriptorExtractor:
    """Runs a front end over each utterance.

    Args:
        name: the front end's, for the wire.
        make_front_end: is called once per stretch of speech without a hole.
    """

    def __init__(self, name: str, make_front_end: Callable[[], FrontEnd]) -> None:
        self.name = name
        self._make = make_front_end
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=KEPT_FRAMES)
        self._speaking = False
        self._front_end: FrontEnd | None = None
        self._first_sample = 0  # of what this front end was given
        self._rows = 0  # that this front end has returned
        self._next_sample = 0
        self._pending: list[bytes] = []

    @property
    def reached(self) -> int | None:
        """The position before which every row is out; None while nobody speaks."""
        if not self._speaking:
            return None
        if self._front_end is None:
            return self._next_sample
        return self._first_sample + self._rows * self._front_end.hop_samples

    def push(self, position: int, frame: bytes) -> list[DescriptorRows]:
        """Take the frame (s16 mono) at ``position``; return the rows that it completes."""
        if not self._speaking:
            self._kept.append((position, frame))
            return []
        return self._feed(position, frame)

    def begin(self, position: int) -> list[DescriptorRows]:
        """Describe what was pushed since ``position``, where an utterance started."""
        self._speaking, self._next_sample = True, position
        found = []
        for first, frame in self._kept:
            skipped = 2 * max(0, position - first)
            if skipped < len(frame):
                found += self._feed(max(first, position), frame[skipped:])
        self._kept.clear()
        return found

    def end(self) -> list[DescriptorRows]:
        """End the utterance; return the rows that are left."""
        found = self._finish()
        self._speaking = False
        return found

    def _feed(self, position: int, frame: bytes) -> list[DescriptorRows]:
        found = []
        if self._front_end is None or position != self._next_sample:
            found = self._finish()
            self._front_end, self._first_sample, self._rows = self._make(), position, 0
        self._pending.append(frame)
        self._next_sample = position + len(frame) // 2
        if len(self._pending) >= FRAMES_AT_ONCE:
            found += self._push(self._front_end)
        return found

    def _push(self, front_end: FrontEnd) -> list[DescriptorRows]:
        samples = np.frombuffer(b"".join(self._pending), dtype="<i2")
        self._pending.clear()
        return self._placed(front_end, front_end.push(samples))

    def _finish(self) -> list[DescriptorRows]:
        front_end = self._front_end
        if front_end is None:
            return []
        found = self._push(front_end)
        found += self._placed(front_end, front_end.finish())
        self._front_end = None
        return found

    def _placed(self, front_end: FrontEnd, values: NDArray[np.float32]) -> list[DescriptorRows]:
        """Return the front end's next rows with their position; [] where there are none."""
        if not len(values):
            return []
        first = self._first_sample + self._rows * front_end.hop_samples
        self._rows += len(values)
        return [DescriptorRows(first, front_end.hop_samples, values)]
