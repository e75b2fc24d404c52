"""A face, hands and a head that show cues: IEMOCAP's markers around a rest, each cue's own way.

Nothing here was measured on a person. Each of the three kinds of files shows the cue by itself.
Axes are x to the wearer's left, y up, z forward; millimetres, and degrees for the head's turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affectstream_tools.synthesis.iemocap_files import FACE_MARKERS, HAND_MARKERS, HEAD_CHANNELS

_Floats = NDArray[np.float64]

_RISE_S = 0.07  # until a cue shows before its turn, and until it has gone after it
_JITTER = 0.25
_JAW_MM = 3.0
_JAW_HZ = 4.0

_MOUTH = [(25 * np.cos(turn), -33 + 10 * np.sin(turn), 12) for turn in np.arange(8) * np.pi / 4]
_MIDDLE = {
    "CH1": (-14, -62, 8),
    "CH2": (0, -66, 10),
    "CH3": (14, -62, 8),
    "FH1": (-30, 72, -8),
    "FH2": (0, 76, -4),
    "FH3": (30, 72, -8),
    "MH": (0, 40, 2),
    "MNOSE": (0, 20, 8),
    "TNOSE": (0, 0, 20),
    "LNSTRL": (12, -6, 8),
    "RNSTRL": (-12, -6, 8),
    "LLID": (30, 34, -6),
    "RLID": (-30, 34, -6),
    "LHD": (70, 95, -40),
    "RHD": (-70, 95, -40),
    **{f"Mou{number}": place for number, place in enumerate(_MOUTH, 1)},
}
_LEFT = {
    **{f"C{n + 1}": (28 + 9 * (n % 3), 8 - 18 * (n // 3), -6 * (n % 3)) for n in range(8)},
    **{f"BM{n}": (18 + 9 * n, 24, -3 * n) for n in range(4)},
    **{f"BRO{n}": (6 + 10 * n, 50 + 2 * n, -3 * n) for n in range(1, 5)},
}
"""Where the left marker of each pair is at rest, mm."""

# By region and cue (anger, happiness, neutral, sadness): where a marker goes, mm; x is outward.
_SHIFTS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "BRO": ((-3, -8, 2), (2, 3, 0), (0, 0, 0), (-2, 6, 0)),
    "FH": ((0, -3, 0), (0, 1, 0), (0, 0, 0), (0, 3, 0)),
    "BM": ((0, 3, 0), (0, 3, 2), (0, 0, 0), (0, -2, 0)),
    "C": ((0, 1, 0), (3, 6, 3), (0, 0, 0), (-1, -3, 0)),
    "CH": ((0, 2, 3), (0, -3, 0), (0, 0, 0), (0, 4, 2)),
    "Mou": ((-5, 1, 0), (10, 4, -2), (0, 0, 0), (-1, -6, 0)),
}


@dataclass(frozen=True, slots=True)
class _Gesture:
    """How hands and head go with a cue: where they are held, how far and how often they move."""

    held_mm: tuple[float, float, float]  # hands: outward, up, forward
    reach_mm: float
    hand_hz: float
    pitch_deg: float
    roll_deg: float
    swing_deg: float
    swing_hz: float
    shift_mm: tuple[float, float, float]  # head: aside, up, forward


_GESTURES = (
    _Gesture((0, 120, 120), 40, 2.4, -7, 0, 6, 2.2, (6, 5, 26)),
    _Gesture((90, 240, 50), 30, 1.4, 8, 8, 4, 1.2, (-12, 12, 9)),
    _Gesture((0, 0, 0), 6, 0.6, 0, 0, 1, 0.5, (0, 0, 0)),
    _Gesture((-50, -120, -60), 3, 0.3, -18, -8, 1, 0.3, (12, -14, -18)),
)


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """A turn and the cue that is shown in it; the cue is -1 where the tracker lost the markers.

    Attributes:
        speaks: whether the wearer of the markers speaks, so that the jaw moves.
    """

    start_s: float
    end_s: float
    cue: int
    speaks: bool


def move(
    turns: Sequence[ShownTurn], seconds: float, rate_hz: float, rng: np.random.Generator
) -> dict[str, _Floats]:
    """Return ``rotated`` (n, 165), ``hand`` (n, 18) and ``head`` (n, 6) of a whole dialogue."""
    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    strength = np.stack([_strength(turns, cue, times_s) for cue in range(4)])  # (4, n)
    jaw = _strength([turn for turn in turns if turn.speaks], None, times_s)
    jaw *= np.sin(2 * np.pi * _JAW_HZ * times_s) ** 2
    motion = {
        "rotated": _face(strength, jaw, rng),
        "hand": _hands(strength, times_s, rng),
        "head": _head(strength, times_s, rng),
    }
    lost = np.zeros(len(times_s), dtype=bool)
    for turn in turns:
        if turn.cue < 0:
            lost |= (times_s >= turn.start_s) & (times_s < turn.end_s)
    for kind, frames in motion.items():
        frames += _wander(times_s, frames.shape[1], rng) + rng.normal(0, _JITTER, frames.shape)
        motion[kind][lost] = np.nan
    return motion


def _strength(turns: Sequence[ShownTurn], cue: int | None, times_s: _Floats) -> _Floats:
    """How much each frame shows a cue (None: any), 0..1."""
    shown = np.zeros_like(times_s)
    for turn in turns:
        if cue is None or turn.cue == cue:
            inside_s = np.minimum(times_s - turn.start_s, turn.end_s - times_s)
            shown = np.maximum(shown, np.clip(1 + inside_s / _RISE_S, 0, 1))
    return shown


def _rest_and_shifts() -> tuple[_Floats, _Floats]:
    """Where the face's markers are (55, 3), and where each cue moves them (4, 55, 3)."""
    rest = np.zeros((len(FACE_MARKERS), 3))
    shifts = np.zeros((4, len(FACE_MARKERS), 3))
    for row, name in enumerate(FACE_MARKERS):
        middle = name in _MIDDLE
        rest[row] = _MIDDLE[name] if middle else _LEFT[name[1:]]
        if not middle and name[0] == "R":
            rest[row, 0] *= -1
        region = (name if middle else name[1:]).rstrip("0123456789")
        if region in _SHIFTS:
            shifts[:, row] = _SHIFTS[region]
            shifts[:, row, 0] *= np.sign(np.round(rest[row, 0]))
    return rest, shifts


def _face(strength: _Floats, jaw: _Floats, rng: np.random.Generator) -> _Floats:
    rest, shifts = _rest_and_shifts()
    own = rest * rng.normal(1, 0.015, 3) + rng.normal(0, 0.5, rest.shape)
    frames = own + np.einsum("cn,cmx->nmx", strength, shifts)
    low = [name.startswith("CH") or name in ("Mou6", "Mou7", "Mou8") for name in FACE_MARKERS]
    frames[:, low, 1] -= _JAW_MM * jaw[:, None]
    return np.asarray(frames.reshape(len(jaw), -1))


def _hands(strength: _Floats, times_s: _Floats, rng: np.random.Generator) -> _Floats:
    frames = np.zeros((len(times_s), len(HAND_MARKERS), 3))
    for row, name in enumerate(HAND_MARKERS):
        side = 1 if name[0] == "L" else -1
        frames[:, row] = (side * 160 + 12 * (row % 3), -330 + 15 * (row % 3), 190)
    frames += rng.normal(0, 3, 3)
    start = rng.uniform(0, 1)
    outward = np.sign(frames[0, :, :1]) * (1, 0, 0) + (0, 1, 1)
    for shown, gesture in zip(strength, _GESTURES, strict=True):
        beat = gesture.reach_mm * np.sin(2 * np.pi * (gesture.hand_hz * times_s + start))
        held = np.array(gesture.held_mm) + beat[:, None] * (0, 1, 0.5)
        frames += (shown[:, None] * held)[:, None] * outward
    return frames.reshape(len(times_s), -1)


def _head(strength: _Floats, times_s: _Floats, rng: np.random.Generator) -> _Floats:
    column = {name: place for place, name in enumerate(HEAD_CHANNELS)}
    frames = np.zeros((len(times_s), len(HEAD_CHANNELS))) + rng.normal(0, 0.5, len(HEAD_CHANNELS))
    start = rng.uniform(0, 1)
    for shown, gesture in zip(strength, _GESTURES, strict=True):
        swing = gesture.swing_deg * np.sin(2 * np.pi * (gesture.swing_hz * times_s + start))
        frames[:, column["pitch"]] += shown * (gesture.pitch_deg + 0.3 * swing)
        frames[:, column["roll"]] += shown * gesture.roll_deg
        frames[:, column["yaw"]] += shown * swing
        for name, shift in zip(("tra_x", "tra_y", "tra_z"), gesture.shift_mm, strict=True):
            frames[:, column[name]] += shown * shift
    return frames


def _wander(times_s: _Floats, columns: int, rng: np.random.Generator) -> _Floats:
    """Slow noise (n, columns) of about half a unit: nobody keeps still."""
    waves_hz, starts = rng.uniform(0.05, 0.3, (3, columns)), rng.uniform(0, 1, (3, columns))
    turns = waves_hz[:, None] * times_s[:, None] + starts[:, None]
    return np.asarray(0.35 * np.sin(2 * np.pi * turns).sum(axis=0))
