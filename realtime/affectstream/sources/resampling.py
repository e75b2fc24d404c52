"""Resamples audio of any rate to 16 kHz and keeps track of where the output lies.

Knows: soxr's streaming resampler, and the positions of its input and output.
Refuses to know: where the samples come from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectstream.core.capture.audio import AudioLost, CapturedAudio
from affectstream.errors import SourceError
from affectstream.timebase import SAMPLE_RATE_HZ


class TimelineResampler:
    """Resamples runs of adjacent samples. A position that jumps ahead begins a new run.

    soxr makes up for its own delay: the first sample out lies where the first sample in does, and
    the last ones come out when the run is ended.

    Args:
        rate_hz: sample rate of the input.
        begins_at: the least position, at 16 kHz, of the first sample out.

    Attributes:
        next_out: position, at 16 kHz, of the next sample out.

    Raises:
        SourceError: the rate is not 16 kHz, and soxr is not installed.
    """

    def __init__(self, rate_hz: int, *, begins_at: int = 0) -> None:
        self.rate_hz = rate_hz
        self._soxr = _soxr() if rate_hz != SAMPLE_RATE_HZ else None
        self._stream: Any = None
        self._next_in: int | None = None
        self.next_out = begins_at

    def accept(self, first_sample: int, samples: NDArray[np.int16]) -> list[CapturedAudio]:
        """Return what ``samples``, (n,), become; ``first_sample`` is their place in the input."""
        out: list[CapturedAudio] = []
        if first_sample != self._next_in:
            out = self.end_run()
            self.next_out = max(self.next_out, self.position(first_sample))
            if self._soxr is not None:
                self._stream = self._soxr.ResampleStream(
                    self.rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32"
                )
        self._next_in = first_sample + len(samples)
        if self._stream is not None:
            samples = _rounded(self._stream.resample_chunk(samples.astype(np.float32)))
        return out + self._emit(samples)

    def end_run(self) -> list[CapturedAudio]:
        """End the run and return the samples that the resampler still held."""
        self._next_in = None
        if self._stream is None:
            return []
        rest = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        self._stream = None
        return self._emit(_rounded(rest))

    def hole(self, resumes_at: int, samples: int, reason: str) -> list[CapturedAudio | AudioLost]:
        """End the run; return its last samples, and a report that some are missing.

        Args:
            resumes_at: position at which the input goes on, at its rate. It need not jump: a full
                queue loses samples without a gap in the positions.
            samples: how many are missing, at the input's rate.
            reason: why.
        """
        out: list[CapturedAudio | AudioLost] = [*self.end_run()]
        begins, self.next_out = self.next_out, max(self.next_out, self.position(resumes_at))
        out.append(AudioLost(begins, self.next_out, self.position(samples), reason))
        return out

    def position(self, at_input_rate: int) -> int:
        """Return a position of the input as a position at 16 kHz."""
        return (at_input_rate * SAMPLE_RATE_HZ + self.rate_hz // 2) // self.rate_hz

    def _emit(self, samples: NDArray[np.int16]) -> list[CapturedAudio]:
        if not len(samples):
            return []
        first, self.next_out = self.next_out, self.next_out + len(samples)
        return [CapturedAudio(first, samples)]


def _rounded(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Return s16 samples.

    soxr's own rounding adds random dither, so its output would depend on how the input was cut.
    """
    return np.clip(np.rint(samples), -32_768, 32_767).astype(np.int16)


def _soxr() -> Any:
    try:
        import soxr
    except ImportError as error:
        raise SourceError(
            "audio that is not at 16 kHz needs the package soxr; pip install 'affectstream[mic]'"
        ) from error
    return soxr
