"""The demo dialogue's faces: made-up motion in OpenFace's form, 30 frames a second.

Nothing here was measured on a person. The action units of each emotion are those of Ekman and
Friesen's EMFACS prototypes; the jaw follows the voice.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from affectstream_tools.build.demo_dialogue.audio import (
    SPOKEN_RATE_HZ,
    DialogueAudio,
    SpokenTurn,
)
from affectstream_tools.build.demo_dialogue.script import SPEAKERS

FRAME_RATE_HZ = 30
_KEYS = ("frame", "timestamp", "confidence", "success")
_POSE = ("gaze_angle_x", "gaze_angle_y", "pose_Rx", "pose_Ry", "pose_Rz")
_UNITS = tuple(
    f"AU{number:02d}_r" for number in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
)

_FEELINGS: dict[str, dict[str, float]] = {
    "neutral": {},
    "happiness": {"AU06_r": 2.2, "AU12_r": 3.2, "AU01_r": 0.4, "AU02_r": 0.4},
    "sadness": {"AU01_r": 2.2, "AU04_r": 1.4, "AU15_r": 2.0, "AU17_r": 1.0},
    "anger": {"AU04_r": 2.8, "AU05_r": 1.2, "AU07_r": 2.0, "AU23_r": 1.8, "AU10_r": 0.6},
}
# In radians: sad heads hang, angry ones come forward.
_NOD: dict[str, float] = {"sadness": 0.16, "anger": -0.06, "happiness": -0.03}
_LISTENER_SHARE = 0.4  # of what the speaker shows
_ONSET_S, _RELEASE_S = 0.35, 0.9
_BLINK = np.array([0.8, 2.4, 3.2, 2.0, 0.7])


def face_motion(audio: DialogueAudio, speaker: str, seed: int) -> NDArray[np.float64]:
    """Return the speaker's frames, shape (frames, 4 + 5 + 17): ``_KEYS``, ``_POSE``, ``_UNITS``."""
    channel = list(SPEAKERS).index(speaker)
    generator = np.random.default_rng((seed, channel))
    voice = _loudness(audio.samples[:, channel])
    count = len(voice)
    times_s = np.arange(count) / FRAME_RATE_HZ
    units = {name: np.zeros(count) for name in _UNITS}
    nod = np.zeros(count)
    for feeling, strength in _strengths(audio.turns, speaker, times_s).items():
        for name, value in _FEELINGS[feeling].items():
            units[name] += value * strength
        nod += _NOD.get(feeling, 0.0) * strength
    units["AU25_r"] += 2.4 * voice
    units["AU26_r"] += 1.8 * voice
    units["AU20_r"] += 0.5 * voice
    for start in _blinks(generator, count):
        units["AU45_r"][start : start + len(_BLINK)] += _BLINK[: count - start]
    intensities = np.stack([units[name] for name in _UNITS], axis=1)
    intensities += 0.06 * np.abs(_drift(generator, intensities.shape, 0.3))
    pose = 0.03 * _drift(generator, (count, len(_POSE)), 1.5)
    pose[:, _POSE.index("pose_Rx")] += nod + 0.03 * voice
    pose[:, _POSE.index("gaze_angle_y")] += 1.5 * np.maximum(nod, 0.0)
    keys = np.stack([np.arange(1, count + 1), times_s, np.full(count, 0.98), np.ones(count)], 1)
    return np.concatenate([keys, pose, np.clip(intensities, 0.0, 5.0)], axis=1)


def csv_lines(frames: NDArray[np.float64]) -> Iterable[str]:
    """Yield the lines of OpenFace's csv."""
    yield ",".join((*_KEYS, *_POSE, *_UNITS)) + "\n"
    for row in frames:
        frame, time_s, confidence, success = row[:4]
        values = ",".join(f"{value:.3f}" for value in np.round(row[4:], 3) + 0.0)  # no -0.000
        yield f"{frame:.0f},{time_s:.3f},{confidence:.2f},{success:.0f},{values}\n"


def _loudness(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the voice's level per frame, 0..1, as a jaw would follow it."""
    step = SPOKEN_RATE_HZ // FRAME_RATE_HZ
    count = len(samples) * FRAME_RATE_HZ // SPOKEN_RATE_HZ
    starts = np.arange(count) * SPOKEN_RATE_HZ // FRAME_RATE_HZ
    energies = [np.mean(samples[start : start + step].astype(np.float64) ** 2) for start in starts]
    level = np.sqrt(energies) / 3000.0
    return _smooth(np.clip(level - 0.02, 0.0, 1.0), 0.04, 0.08)


def _strengths(
    turns: Iterable[SpokenTurn], speaker: str, times_s: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return feeling -> how strongly it shows, 0..1, per frame."""
    targets = {feeling: np.zeros(len(times_s)) for feeling in _FEELINGS}
    for turn in turns:
        share = 1.0 if turn.turn.speaker == speaker else _LISTENER_SHARE
        during = (times_s >= turn.start_s - 0.2) & (times_s < turn.end_s + 0.3)
        target = targets[turn.turn.emotion]
        target[during] = np.maximum(target[during], share)
    return {feeling: _smooth(target, _ONSET_S, _RELEASE_S) for feeling, target in targets.items()}


def _smooth(target: NDArray[np.float64], onset_s: float, release_s: float) -> NDArray[np.float64]:
    """Return ``target`` approached with one time constant and left with another."""
    rise, fall = (1 - np.exp(-1 / (FRAME_RATE_HZ * t)) for t in (onset_s, release_s))
    out, value = np.empty_like(target), 0.0
    for index, wanted in enumerate(target):
        value += (rise if wanted > value else fall) * (wanted - value)
        out[index] = value
    return out


def _drift(
    generator: np.random.Generator, shape: tuple[int, int], constant_s: float
) -> NDArray[np.float64]:
    """Return slow noise of about unit size."""
    keep = np.exp(-1 / (FRAME_RATE_HZ * constant_s))
    noise: NDArray[np.float64] = generator.standard_normal(shape) * np.sqrt(1 - keep**2)
    for index in range(1, shape[0]):
        noise[index] += keep * noise[index - 1]
    return noise


def _blinks(generator: np.random.Generator, count: int) -> Iterable[int]:
    frame = int(generator.uniform(0.5, 3.0) * FRAME_RATE_HZ)
    while frame < count:
        yield frame
        frame += int(generator.uniform(2.0, 5.0) * FRAME_RATE_HZ)
