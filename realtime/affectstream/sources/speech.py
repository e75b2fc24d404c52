"""A machine that listens to one speaker: the one that microphones and recordings share.

Knows: which voice detectors there are, and which front end describes speech.
Refuses to know: where the audio comes from.
"""

from __future__ import annotations

from affectstream.core.speech.descriptors import SpeechDescriber
from affectstream.core.speech.segmenter import UtteranceSegmenter
from affectstream.core.speech.voice_activity import VoiceActivity
from affectstream.errors import UsageError
from affectstream.features.egemaps.front_end import FRONT_END, Egemaps
from affectstream.sources.silero import SileroDetector
from affectstream.sources.webrtc import WebRtcDetector
from affectstream.timebase import NS_PER_S

DETECTORS = ("webrtc", "silero")


def speech_segmenter(
    *,
    session: str,
    source: str | None,
    speaker: str,
    start_ns: int,
    publish_audio: bool,
    clock_id: str,
    vad: str = "webrtc",
    aggressiveness: int = 2,
    take: str = "",
) -> UtteranceSegmenter:
    """Return a machine for the stream ``source``, or else ``mic.SPEAKER``.

    Args:
        vad: one of ``DETECTORS``.
        aggressiveness: of WebRTC's, 0..3.
        take: see ``take_at``; empty for a stream that is alike whenever it is made.

    Raises:
        SourceError: the detector's library is missing.
        UsageError: there is no such detector.
    """
    return UtteranceSegmenter(
        voice_activity(vad, aggressiveness).hear,
        session=session,
        source=source or f"mic.{speaker}",
        speaker=speaker,
        start_ns=start_ns,
        publish_audio=publish_audio,
        clock_id=clock_id,
        describer=SpeechDescriber(FRONT_END, Egemaps),
        take=take,
    )


def take_at(now_ns: int) -> str:
    """Return a name for a stream that begins now, so that its utterances are no earlier one's.

    A worker that is started again counts its utterances from 0 again; under the old names they
    would be taken for what was said already.
    """
    return f"{now_ns // NS_PER_S:x}"


def voice_activity(vad: str = "webrtc", aggressiveness: int = 2) -> VoiceActivity:
    """Return what tells voices from the rest, with the detector that ``vad`` names.

    Raises:
        SourceError: the detector's library is missing.
        UsageError: there is no such detector.
    """
    check_detector(vad)
    if vad == "silero":
        return VoiceActivity(SileroDetector(), trusted=True)
    return VoiceActivity(WebRtcDetector(aggressiveness))


def check_detector(vad: str) -> None:
    """Look at the name before anything is loaded.

    Raises:
        UsageError: there is no such detector.
    """
    if vad not in DETECTORS:
        raise UsageError(f"{vad!r} is no voice detector; choose one of {', '.join(DETECTORS)}")
