"""46 face markers without the head's motion, and their slopes, after Wöllmer et al. (2010).

Knows: which of IEMOCAP's 55 markers show expression, which are fixed to the skull, and how the
head's motion is removed.
Refuses to know: files, utterances, and the reduction to 30 principal features.

Of the 55 markers, the five of the nose and the two of the eyelids hardly move or are often lost,
and the two of the headband are not on the face; 46 remain. The nose and the headband are fixed to
the skull. Each frame is turned so that they lie as in a reference frame (least squares, Kabsch
1976), and shifted so that the tip of the nose is the origin. The reference is the first frame that
has them all, turned so that x points to the left of the head and y up the nose. So the result does
not depend on how the head was held at the beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXPRESSIVE = (
    *(f"CH{n}" for n in range(1, 4)),
    *(f"FH{n}" for n in range(1, 4)),
    *(f"{side}C{n}" for side in "LR" for n in range(1, 9)),
    *(f"{side}BM{n}" for side in "LR" for n in range(4)),
    *(f"{side}BRO{n}" for side in "LR" for n in range(1, 5)),
    *(f"MOU{n}" for n in range(1, 9)),
)
"""Chin, forehead, cheeks, below the eyes, brows, mouth."""

RIGID = ("TNOSE", "MH", "MNOSE", "LNSTRL", "RNSTRL", "LHD", "RHD")
"""Markers that are fixed to the skull: tip of the nose first, nose, headband."""

_TIP, _BRIDGE, _LEFT, _RIGHT = (RIGID.index(name) for name in ("TNOSE", "MH", "LHD", "RHD"))
_AXES = "xyz"
_POSITIONS = tuple(f"{marker}.{axis}" for marker in EXPRESSIVE for axis in _AXES)
_LEAST = 3  # markers that are needed to find a rotation

_Floats = NDArray[np.float64]
_Rows = NDArray[np.float32]


class FaceMarkers:
    """Turns frames into 138 positions (mm, as recorded) and 138 slopes (per frame).

    A coordinate that the tracker lost is NaN, and so is a slope if a neighbour is missing. A frame
    with fewer than three of the skull's markers is turned as the frame before it.

    Args:
        channels: names of the frames' columns, such as ``CH1.x``, in upper or lower case. Columns
            that are no marker's are ignored.
        reference: (7, 3), the markers ``RIGID`` at rest; None takes them from the stream.

    Raises:
        ValueError: a marker's column is missing.
    """

    names = (*_POSITIONS, *(f"delta_{name}" for name in _POSITIONS))

    def __init__(self, channels: Sequence[str], reference: _Floats | None = None) -> None:
        place = {channel.upper(): number for number, channel in enumerate(channels)}
        wanted = [f"{marker}.{axis}".upper() for marker in (*EXPRESSIVE, *RIGID) for axis in _AXES]
        if missing := [channel for channel in wanted if channel not in place]:
            raise ValueError(f"the frames lack {', '.join(missing[:3])}, ...")
        self._columns = np.array([place[channel] for channel in wanted])
        self._reference = None if reference is None else _upright(reference)
        self._rotation = np.eye(3)
        self._held: _Floats | None = None  # the last two frames' positions

    def push(self, frames: NDArray[Any]) -> _Rows:
        """Take frames (n, columns); return the rows (m, 276) of those whose next frame has come."""
        if not len(frames):
            return np.empty((0, len(self.names)), dtype=np.float32)
        points = frames[:, self._columns].astype(np.float64).reshape(len(frames), -1, 3)
        points[~np.isfinite(points)] = np.nan
        face, skull = np.split(points, [len(EXPRESSIVE)], axis=1)
        still = self._still(face, skull).reshape(len(frames), -1)
        held = still[:1] if self._held is None else self._held
        around = np.concatenate((held, still))
        self._held = around[-2:].copy()
        return _with_slopes(around)

    def finish(self) -> _Rows:
        """Return the last frame's row, (1, 276); (0, 276) if no frame came."""
        if self._held is None:
            return np.empty((0, len(self.names)), dtype=np.float32)
        return _with_slopes(np.concatenate((self._held, self._held[-1:])))

    def _still(self, face: _Floats, skull: _Floats) -> _Floats:
        """Return the face (n, 46, 3) without the head's motion.

        Before a reference is found, only the nose's tip is subtracted.
        """
        if self._reference is None:
            whole = np.flatnonzero(np.isfinite(skull).all(axis=(1, 2)))
            if not len(whole):
                return face - skull[:, _TIP : _TIP + 1]
            before, after = np.split(np.arange(len(face)), whole[:1])
            self._reference = _upright(skull[whole[0]])
            early = face[before] - skull[before, _TIP : _TIP + 1]
            return np.concatenate((early, self._still(face[after], skull[after])))
        turns, tips = self._alignments(skull, self._reference)
        still: _Floats = (face - tips[:, None]) @ turns
        return still

    def _alignments(self, skull: _Floats, reference: _Floats) -> tuple[_Floats, _Floats]:
        """Return each frame's rotation onto the reference (n, 3, 3), and its nose's tip (n, 3)."""
        seen = np.asarray(np.isfinite(skull).all(axis=2))  # (n, 7)
        share = seen / np.maximum(seen.sum(axis=1, keepdims=True), 1)
        points = np.where(seen[..., None], skull, 0.0)
        centre = np.einsum("nm,nmx->nx", share, points)
        rest_centre = share @ reference
        spread = np.where(seen[..., None], points - centre[:, None], 0.0)
        rest = reference - rest_centre[:, None]
        left, _, right = np.linalg.svd(np.einsum("nmx,nmy->nxy", spread, rest))
        left[:, :, 2] *= np.sign(np.linalg.det(left @ right))[:, None]  # no reflection
        turns = left @ right
        settled = seen.sum(axis=1) >= _LEAST
        latest = np.maximum.accumulate(np.where(settled, np.arange(len(turns)) + 1, 0))
        turns = np.concatenate((self._rotation[None], turns))[latest]
        self._rotation = turns[-1]
        guessed = centre - np.einsum("nx,nyx->ny", rest_centre - reference[_TIP], turns)
        guessed[~seen.any(axis=1)] = np.nan
        return turns, np.where(seen[:, _TIP, None], skull[:, _TIP], guessed)


def _upright(skull: _Floats) -> _Floats:
    """Return a skull (7, 3) with the nose's tip at 0, x to the head's left and y up the nose."""
    centred = skull - skull[_TIP]
    across = centred[_LEFT] - centred[_RIGHT]
    across = across / max(float(np.linalg.norm(across)), 1e-9)
    up = centred[_BRIDGE] - across * (across @ centred[_BRIDGE])
    up = up / max(float(np.linalg.norm(up)), 1e-9)
    upright: _Floats = centred @ np.stack((across, up, np.cross(across, up)), axis=1)
    return upright


def _with_slopes(around: _Floats) -> _Rows:
    """Return the inner frames, each beside half the difference of its two neighbours."""
    slopes = 0.5 * (around[2:] - around[:-2])
    return np.concatenate((around[1:-1], slopes), axis=1).astype(np.float32)
