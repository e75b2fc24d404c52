"""The WebRTC voice detector.

Knows: webrtcvad and its aggressiveness.
Refuses to know: utterances; ``core.segmenter`` makes those.
"""

from __future__ import annotations

from affectstream.errors import SourceError
from affectstream.timebase import SAMPLE_RATE_HZ


class WebRtcDetector:
    """Hears voices with WebRTC's detector.

    Args:
        aggressiveness: 0 takes nearly everything for speech, 3 nearly nothing.

    Raises:
        SourceError: webrtcvad is not installed.
    """

    def __init__(self, aggressiveness: int = 2) -> None:
        try:
            import webrtcvad
        except ImportError as error:
            raise SourceError(
                "finding utterances needs the package webrtcvad-wheels; "
                "pip install 'affectstream[mic]'"
            ) from error
        self._vad = webrtcvad.Vad(aggressiveness)

    def is_speech(self, frame: bytes) -> bool:
        """Return whether the frame (20 ms of 16 kHz s16 mono) holds speech."""
        return bool(self._vad.is_speech(frame, SAMPLE_RATE_HZ))
