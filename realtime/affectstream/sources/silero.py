"""The Silero voice detector.

Knows: the network that the package ``silero-vad`` carries, and the state that it needs.
Refuses to know: utterances (``core.segmenter``), and the package itself: importing it would import
torch. Its network is a file, found through the package's list of files and run by onnxruntime.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np

from affectstream.errors import SourceError
from affectstream.timebase import SAMPLE_RATE_HZ

NETWORK = "silero_vad/data/silero_vad.onnx"
REMEDY = "pip install 'affectstream[silero]', or leave --vad away"
_WINDOW, _CONTEXT = 512, 64
_BYTES = 2 * _WINDOW


class SileroDetector:
    """Hears voices with Silero's network, which looks at 32 ms at a time.

    A frame's answer is that of the last whole window, so speech is heard up to 32 ms late.

    Args:
        threshold: probability from which on a window holds speech. Silero's own programs let
            speech go on down to 0.35; measured on acted speech, that only makes it end later.

    Raises:
        SourceError: silero-vad or onnxruntime is not installed.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise SourceError(f"--vad silero needs the package onnxruntime; {REMEDY}") from error
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        self._network = onnxruntime.InferenceSession(
            str(network_file()), options, providers=["CPUExecutionProvider"]
        )
        self._threshold = threshold
        self._rate_hz = np.array(SAMPLE_RATE_HZ, np.int64)
        self._state = np.zeros((2, 1, 128), np.float32)
        self._input = np.zeros((1, _CONTEXT + _WINDOW), np.float32)
        self._pending = bytearray()
        self._speech = False

    def is_speech(self, frame: bytes) -> bool:
        """Return whether the sound up to this frame (16 kHz s16 mono) ends in speech."""
        self._pending += frame
        while len(self._pending) >= _BYTES:
            window = np.frombuffer(bytes(self._pending[:_BYTES]), dtype="<i2")
            del self._pending[:_BYTES]
            self._speech = self._run(window) >= self._threshold
        return self._speech

    def _run(self, window: np.ndarray[tuple[int], np.dtype[np.int16]]) -> float:
        self._input[0, :_CONTEXT] = self._input[0, -_CONTEXT:]
        self._input[0, _CONTEXT:] = window / np.float32(32768)
        found, self._state = self._network.run(
            None, {"input": self._input, "state": self._state, "sr": self._rate_hz}
        )
        return float(found[0, 0])


def network_file() -> Path:
    """Return the network's file in the installed package.

    Raises:
        SourceError: there is none.
    """
    try:
        path = Path(str(distribution("silero-vad").locate_file(NETWORK)))
    except PackageNotFoundError as error:
        raise SourceError(f"--vad silero needs the package silero-vad; {REMEDY}") from error
    if not path.is_file():
        raise SourceError(f"silero-vad holds no {NETWORK}; pip install 'silero-vad>=6'")
    return path
