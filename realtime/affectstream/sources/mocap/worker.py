"""The worker that plays a recording of motion capture as a stream.

Knows: at which pace a recording is played.
Refuses to know: files' formats, messages, and what a face does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from affectstream.bus import Endpoint, HubClock
from affectstream.core.pacing import Pacer
from affectstream.run.loop import run
from affectstream.sources.backpressure import run_with_backpressure
from affectstream.sources.mocap.formats import MocapError
from affectstream.sources.mocap.frames import MocapFrame, MocapLoss, MocapRecording
from affectstream.sources.mocap.stream import (
    BLOCK_NS,
    MocapFailed,
    MocapItem,
    MocapPosition,
    MocapStream,
)
from affectstream.timebase import NS_PER_S

_MOST_PER_READ_NS = NS_PER_S  # of the recording, in one call of ``read``


class MocapReplay:
    """A recording as an input of ``run.loop``, played in real time or ``speed`` times as fast.

    Args:
        recording: the files.
        speed: ``math.inf`` plays as fast as they are read.
        not_before_ns: processing time before which nothing is played, so that several recordings of
            one dialogue begin together.
        resume: an earlier worker began to play it at ``not_before_ns``; go on where it would be by
            now. With an infinite speed it begins at its beginning all the same.

    Raises:
        MocapError: the speed is not above 0.
    """

    def __init__(
        self,
        recording: MocapRecording,
        speed: float = 1.0,
        *,
        not_before_ns: int = 0,
        resume: bool = False,
    ) -> None:
        if not speed > 0:
            raise MocapError(f"a speed of {speed} plays nothing; give a number above 0")
        self._not_before_ns = not_before_ns
        self._resume = resume and not math.isinf(speed)
        self._recording = recording
        self._items: Iterator[MocapFrame | MocapLoss] = recording.frames()
        self._next: MocapFrame | MocapLoss | None = None
        self._pacer = Pacer(speed)
        self._started = False
        self._position_ns = 0
        self._ended = False

    @property
    def exhausted(self) -> bool:
        """Whether the recording is over."""
        return self._ended

    def fileno(self) -> int:
        """Return -1: there is nothing to poll, ``next_read_ns`` says when to read."""
        return -1

    def next_read_ns(self) -> int | None:
        """Return the processing time at which the next block has been played; None at the end."""
        if self._ended:
            return None
        if not self._started:
            return self._not_before_ns
        return self._pacer.due_ns(self._position_ns + BLOCK_NS)

    def read(self, now_ns: int) -> list[MocapItem]:
        """Return what was played until ``now_ns``, one second of the recording at most."""
        if now_ns < self._not_before_ns:
            return []
        if not self._started:
            self._started = True
            if self._resume and now_ns - self._not_before_ns > BLOCK_NS:
                return self._skip(now_ns)
            self._pacer.start(0, now_ns)
        out: list[MocapItem] = []
        last_ns = self._position_ns + _MOST_PER_READ_NS
        while not self._ended and self._position_ns < last_ns:
            until_ns = self._position_ns + BLOCK_NS
            if self._pacer.due_ns(until_ns) > now_ns:
                break
            out += self._take(until_ns)
            self._position_ns = until_ns
            if not self._ended:
                out.append(MocapPosition(until_ns))
        return out

    def close(self) -> None:
        """Close the recording's files."""
        self._recording.close()

    def _skip(self, now_ns: int) -> list[MocapItem]:
        """Go to where the recording is by now.

        The loss that it returns has the count 0: how much the earlier worker played is not known.
        """
        self._pacer.start(0, self._not_before_ns)
        while not self._ended and self._pacer.due_ns(self._position_ns + BLOCK_NS) <= now_ns:
            self._position_ns += BLOCK_NS
            passed = self._take(self._position_ns)
            if passed and isinstance(passed[-1], MocapFailed):
                return passed[-1:]
        at_ns = self._position_ns
        return [MocapLoss("frame", 0, "restarted", at_ns, at_ns), MocapPosition(at_ns)]

    def _take(self, until_ns: int) -> list[MocapItem]:
        out: list[MocapItem] = []
        try:
            while True:
                if self._next is None:
                    self._next = next(self._items, None)
                if self._next is None:
                    self._ended = True
                    return out
                if isinstance(self._next, MocapFrame) and self._next.time_ns >= until_ns:
                    return out
                out.append(self._next)
                self._next = None
        except MocapError as error:
            self._ended = True
            return [*out, MocapFailed(str(error))]


def run_mocap(
    paths: Path | Sequence[Path],
    *,
    speaker: str,
    session: str,
    address: str | Endpoint,
    start_ns: int | None = None,
    speed: float = 1.0,
    resume: bool = False,
    in_step: Sequence[str] = (),
    stopping: Callable[[], bool] = lambda: False,
) -> MocapStream:
    """Publish a recording as the stream ``face.SPEAKER`` until its end or ``stopping()``.

    Args:
        paths: one file, or the rotated, hand and head files of one recording.
        start_ns: event time of the recording's time 0, the same for all recordings of one
            dialogue; None is now. A start in the future is waited for.
        speed, resume: as for ``MocapReplay``.
        in_step: with ``math.inf``, the other streams of the dialogue that are played at once.

    Returns:
        The machine, for its counts.

    Raises:
        MocapError: a file cannot be read, or most of its rows are bad. The stream is closed first.
    """
    recording = MocapRecording([paths] if isinstance(paths, Path) else list(paths))
    with closing(recording), HubClock(address) as clock:
        clock.wait(stopping)
        start_ns = clock.now_ns() if start_ns is None else start_ns
        source = f"face.{speaker}"
        machine = MocapStream(
            recording.layout, session=session, source=source, speaker=speaker, start_ns=start_ns
        )
        replay = MocapReplay(recording, speed, not_before_ns=start_ns, resume=resume)
        if in_step and math.isinf(speed):
            run_with_backpressure(
                *(machine, replay, session, source, address),
                in_step=in_step,
                clock=clock,
                stopping=stopping,
            )
        else:
            run(machine, address=address, inputs=[replay], clock=clock, stopping=stopping)
    if machine.failure is not None:
        raise MocapError(machine.failure)
    return machine
