"""One person among the faces of a recording, whatever numbers the tracker gives them.

Knows: where each face was last, and which face of the next frame is the same person's.
Refuses to know: files, and what a face does.

OpenFace numbers faces by the place in its list that happens to be free, so that a number changes
when a face is lost and found, and two may swap. A person is where the person was: each face of a
frame is given to the person to whom it is nearest, the nearest pair first. A number that stays
counts half the distance. Nearness is of the head's position, or of the landmarks in the picture. In
a file that has neither, it is of all values, which change little between two frames.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affectstream.errors import worth_logging
from affectstream.sources.mocap.rows import MocapRow

_log = logging.getLogger(__name__)

_HEAD = ("pose_Tx", "pose_Ty", "pose_Tz")  # mm
_HEAD_REACH = 150.0  # mm that a head moves from one frame to the next, at most
_REACH_GROWS = 0.1  # by this part for each frame since a person was seen
_LONGEST_UNSEEN = 1_000_000  # frames; larger differences are wrong numbers
_MOST_FACES = 32  # in one frame; more are no recording of a dialogue
_MOST_PERSONS = 16


@dataclass(slots=True)
class _Person:
    """Where somebody was last.

    Attributes:
        face: the tracker's last number.
        at: what nearness is computed of.
        frame: in which frame.
    """

    face: int
    at: NDArray[np.float32]
    frame: int


class FaceFollower:
    """Rows of all faces in, the rows of one person out.

    Args:
        channels: names of the values.
        face: the tracker's number of the person when first seen.
        name: of the file, for the log.

    Attributes:
        renumbered: how often the person got another number.
    """

    def __init__(self, channels: tuple[str, ...], face: int, name: str) -> None:
        self.renumbered = 0
        self._face, self._name = face, name
        self._columns, self._reach = _nearness(channels)
        self._frame: list[MocapRow] = []
        self._persons: list[_Person] = []
        self._followed: _Person | None = None
        self._last_frame: int | None = None

    def receive(self, row: MocapRow) -> list[MocapRow]:
        """Take one row; return the person's row of the frame that it ends, if there is one."""
        face = self._followed.face if self._followed else self._face
        if self._last_frame is not None and row.frame <= self._last_frame and row.face != face:
            return []  # a file that has one face after the other
        done: list[MocapRow] = []
        if self._frame and (
            row.frame != self._frame[0].frame or any(row.face == r.face for r in self._frame)
        ):
            done = self.close()
        if len(self._frame) < _MOST_FACES:
            self._frame.append(row)
        return done

    def close(self) -> list[MocapRow]:
        """Return the person's row of the last frame, if there is one."""
        rows, self._frame = self._frame, []
        if not rows:
            return []
        seen = [row for row in rows if row.tracked]
        persons = self._identify(seen)
        for row, person in zip(seen, persons, strict=True):
            if person is self._followed and person is not None:
                self._last_frame = row.frame
                return [row]
        face = self._followed.face if self._followed else self._face
        lost = [row for row in rows if row.face == face and not row.tracked]
        if lost:
            self._last_frame = lost[0].frame
        return lost[:1]

    def _identify(self, rows: list[MocapRow]) -> list[_Person | None]:
        """Return whose each of a frame's faces is; None where there are too many persons."""
        found: list[_Person | None] = [None] * len(rows)
        at = [row.values[self._columns] for row in rows]
        pairs = [
            (cost, person, index)
            for person, known in enumerate(self._persons)
            for index, row in enumerate(rows)
            if (cost := self._cost(known, row, at[index])) is not None
        ]
        taken: set[int] = set()
        for _, person, index in sorted(pairs):
            if person not in taken and found[index] is None:
                taken.add(person)
                found[index] = self._persons[person]
        for index, row in enumerate(rows):
            found[index] = self._update(found[index], row, at[index])
        return found

    def _cost(self, known: _Person, row: MocapRow, at: NDArray[np.float32]) -> float | None:
        """Return how far a face is from where a person was; None where it cannot be the same."""
        if self._followed is None and row.face == self._face != known.face:
            return None  # the person to follow comes only now
        change = np.abs(at - known.at)
        change = change[np.isfinite(change)]
        cost = float(change.mean()) if len(change) else 0.0
        frames = min(abs(row.frame - known.frame), _LONGEST_UNSEEN)
        if self._reach is not None and cost > self._reach(at) * (1 + _REACH_GROWS * frames):
            return None
        return cost if row.face != known.face else cost / 2

    def _update(
        self, person: _Person | None, row: MocapRow, at: NDArray[np.float32]
    ) -> _Person | None:
        face = row.face
        if person is None:
            if len(self._persons) >= _MOST_PERSONS:
                gone = max(self._persons, key=lambda p: (p is not self._followed, -p.frame))
                self._persons.remove(gone)
            person = _Person(face, at, row.frame)
            self._persons.append(person)
            if self._followed is None and face == self._face:
                self._followed = person
            elif len(self._persons) == 2:
                _log.warning(
                    "%s shows several faces; the one that begins as number %d is followed",
                    *(self._name, self._face),
                )
        if person is self._followed and face != person.face:
            self.renumbered += 1
            if worth_logging(self.renumbered):
                _log.warning(
                    "%s: the face that is followed was number %d and is now %d (change %d)",
                    *(self._name, person.face, face, self.renumbered),
                )
        person.face, person.at, person.frame = face, at, row.frame
        return person


def _nearness(
    channels: tuple[str, ...],
) -> tuple[list[int], Callable[[NDArray[np.float32]], float] | None]:
    """Return the columns that nearness is computed of, and how far a face moves in one frame.

    The latter is computed of the columns' values, and None where no distance says that two faces
    cannot be the same.
    """
    head = [channels.index(name) for name in _HEAD if name in channels]
    if len(head) == len(_HEAD):
        return head, lambda at: _HEAD_REACH
    x, y = (
        [i for i, name in enumerate(channels) if re.fullmatch(rf"{axis}_\d+", name)]
        for axis in "xy"
    )
    if x and y:
        return [*x, *y], lambda at: float(np.ptp(at[: len(x)]))  # the face's width
    return list(range(len(channels))), None
