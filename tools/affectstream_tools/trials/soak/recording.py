"""A recording without end: known sentences, and a room's noise between them.

The sentences are the bundled dialogue's, voices of espeak-ng, which the tiny recogniser knows.
Each is said at a level of its own.
"""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from affectstream.core.capture.audio import CapturedAudio
from affectstream.data import demo_folder
from affectstream.timebase import SAMPLE_RATE_HZ

_SOAK_BLOCK_SAMPLES = SAMPLE_RATE_HZ
_MARGIN_S = 0.05
_NOISE_SAMPLES = 60 * SAMPLE_RATE_HZ + 7_919  # a prime more, so that it never repeats in step
_NOISE_SD = 95.0  # about 20 dB below the voices: a few words in a hundred are misheard
_SHORTEST_PAUSE_S = 1.0
_LEVELS_DB = (-6.0, 3.0)


@dataclass(frozen=True, slots=True)
class RecordedSentence:
    """A sentence and its sound.

    Attributes:
        samples: int16, shape (n,).
    """

    text: str
    samples: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class RecordedTurn:
    """When a sentence is said.

    Attributes:
        sentence: its number.
        start, end: positions in samples.
        gain: how loud; 1 is as recorded.
    """

    sentence: int
    start: int
    end: int
    gain: float


def spoken_sentences() -> list[RecordedSentence]:
    """Return the bundled dialogue's sentences."""
    folder = demo_folder()
    script = json.loads((folder / "dialogue.json").read_text(encoding="utf-8"))
    with wave.open(str(folder / script["audio"])) as wav:
        frames = np.frombuffer(wav.readframes(wav.getnframes()), dtype="<i2")
    channels = {speaker["name"]: speaker["channel"] for speaker in script["speakers"]}
    samples = frames.reshape(-1, len(channels))
    found = []
    for said in script["utterances"]:
        first = round((said["start_s"] - _MARGIN_S) * SAMPLE_RATE_HZ)
        last = round((said["end_s"] + _MARGIN_S) * SAMPLE_RATE_HZ)
        found.append(
            RecordedSentence(said["text"], samples[first:last, channels[said["speaker"]]].copy())
        )
    return found


def recorded_turns(lengths: list[int], share: float, seed: int) -> Iterator[RecordedTurn]:
    """Yield without end when which sentence is said; nothing where ``share`` is 0.

    Args:
        lengths: the sentences', in samples.
        share: of the time in which somebody speaks, below 0.6.
        seed: of all that is random.
    """
    if share <= 0:
        return
    random = np.random.default_rng(seed)
    mean_s = float(np.mean(lengths)) / SAMPLE_RATE_HZ
    pause_s = mean_s * (1 - share) / share - _SHORTEST_PAUSE_S
    position = SAMPLE_RATE_HZ
    while True:
        which = int(random.integers(len(lengths)))
        gain = float(10 ** (random.uniform(*_LEVELS_DB) / 20))
        yield RecordedTurn(which, position, position + lengths[which], gain)
        waited_s = _SHORTEST_PAUSE_S + random.exponential(max(0.1, pause_s))
        position += lengths[which] + round(waited_s * SAMPLE_RATE_HZ)


class EndlessRecording:
    """The recording as an input of the run loop, a second at a time, for ``hours``.

    Args:
        hours: of event time.
        share: of it in which somebody speaks; 0 is an empty room.
        seed: of all that is random.
    """

    def __init__(self, hours: float, share: float, seed: int) -> None:
        self._sentences = spoken_sentences()
        self._turns = recorded_turns([len(s.samples) for s in self._sentences], share, seed)
        self._ahead: list[RecordedTurn] = list(islice(self._turns, 1))
        self._end = round(hours * 3600) * SAMPLE_RATE_HZ
        self._position = 0
        random = np.random.default_rng(seed + 1)
        noise = random.normal(scale=_NOISE_SD, size=_NOISE_SAMPLES)
        self._noise = noise.round().astype(np.int16)
        self._stopped = False

    @property
    def exhausted(self) -> bool:
        """Whether all of it has been read."""
        return self._stopped or self._position >= self._end

    def fileno(self) -> int:
        """Return -1: it is ready at any time."""
        return -1

    def next_read_ns(self) -> int | None:
        """Return 0: it may be read at once."""
        return None if self.exhausted else 0

    def read(self, now_ns: int) -> list[CapturedAudio]:
        """Return the next second."""
        if self.exhausted:
            return []
        first = self._position
        self._position += _SOAK_BLOCK_SAMPLES
        places = np.arange(first, self._position) % len(self._noise)
        block = self._noise[places].astype(np.int32)
        while self._ahead and self._ahead[0].start < self._position:
            self._say(self._ahead[0], first, block)
            if self._ahead[0].end > self._position:
                break
            self._ahead = list(islice(self._turns, 1))
        return [CapturedAudio(first, block.clip(-32_768, 32_767).astype(np.int16))]

    def _say(self, turn: RecordedTurn, first: int, block: NDArray[np.int32]) -> None:
        begin, end = max(turn.start, first), min(turn.end, first + len(block))
        samples = self._sentences[turn.sentence].samples[begin - turn.start : end - turn.start]
        block[begin - first : end - first] += (turn.gain * samples).astype(np.int32)

    def close(self) -> None:
        """End it."""
        self._stopped = True
