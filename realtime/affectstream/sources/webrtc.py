"""The WebRTC voice detector.

Knows: the package webrtcvad.
Refuses to know: utterances (``core.speech.segmenter``).
"""

from __future__ import annotations

from affectstream.errors import SourceError
from affectstream.timebase import SAMPLE_RATE_HZ

_AGGRESSIVENESS = 2
"""WebRTC's setting: 0 takes nearly everything for speech, 3 nearly nothing."""


class WebRtcDetector:
    """Detects speech with WebRTC's detector.

    Raises:
        SourceError: webrtcvad is not installed.
    """

    def __init__(self) -> None:
        try:
            import webrtcvad
        except ImportError as error:
            raise SourceError(
                "finding utterances needs the package webrtcvad-wheels; "
                "pip install 'affectstream[mic]'"
            ) from error
        self._vad = webrtcvad.Vad(_AGGRESSIVENESS)

    def is_speech(self, frame: bytes) -> bool:
        """Return whether the frame (20 ms of 16 kHz s16 mono) holds speech."""
        return bool(self._vad.is_speech(frame, SAMPLE_RATE_HZ))
