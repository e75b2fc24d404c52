"""The Silero voice detector.

Knows: where the package ``silero-vad`` keeps its network, and how onnxruntime runs it.
Refuses to know: utterances (``core.speech.segmenter``). It does not import ``silero-vad`` either,
because that would import torch.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np

from affectstream.errors import SourceError
from affectstream.timebase import SAMPLE_RATE_HZ

NETWORK = "silero_vad/data/silero_vad.onnx"
REMEDY = "pip install 'affectstream[silero]', or leave --vad away"
_WINDOW, _CONTEXT = 512, 64  # samples that the network takes at a time, and of the window before
_BYTES = 2 * _WINDOW
_LEAST_PROBABILITY = 0.5
"""A window with at least this holds speech. Silero's own programs let speech go on down to 0.35; on
acted speech, that only made it end later."""


class SileroDetector:
    """Detects speech with Silero's network, which takes windows of 32 ms.

    The answer for a frame is that of the last whole window, so it comes up to 32 ms late.

    Raises:
        SourceError: silero-vad or onnxruntime is not installed.
    """

    def __init__(self) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise SourceError(f"--vad silero needs the package onnxruntime; {REMEDY}") from error
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        self._network = onnxruntime.InferenceSession(
            str(network_file()), options, providers=["CPUExecutionProvider"]
        )
        self._rate_hz = np.array(SAMPLE_RATE_HZ, np.int64)
        self._state = np.zeros((2, 1, 128), np.float32)
        self._input = np.zeros((1, _CONTEXT + _WINDOW), np.float32)
        self._pending = bytearray()
        self._speech = False

    def is_speech(self, frame: bytes) -> bool:
        """Return whether the audio up to the end of this frame (16 kHz s16 mono) ends in speech."""
        self._pending += frame
        while len(self._pending) >= _BYTES:
            window = np.frombuffer(bytes(self._pending[:_BYTES]), dtype="<i2")
            del self._pending[:_BYTES]
            self._speech = self._run(window) >= _LEAST_PROBABILITY
        return self._speech

    def _run(self, window: np.ndarray[tuple[int], np.dtype[np.int16]]) -> float:
        self._input[0, :_CONTEXT] = self._input[0, -_CONTEXT:]
        self._input[0, _CONTEXT:] = window / np.float32(32768)
        found, self._state = self._network.run(
            None, {"input": self._input, "state": self._state, "sr": self._rate_hz}
        )
        return float(found[0, 0])


def network_file() -> Path:
    """Return the path of the network in the installed package.

    Raises:
        SourceError: the package, or the file in it, is missing.
    """
    try:
        path = Path(str(distribution("silero-vad").locate_file(NETWORK)))
    except PackageNotFoundError as error:
        raise SourceError(f"--vad silero needs the package silero-vad; {REMEDY}") from error
    if not path.is_file():
        raise SourceError(f"silero-vad holds no {NETWORK}; pip install 'silero-vad>=6'")
    return path
