"""What microphones and recordings share: the machine that finds and describes utterances.

Knows: which voice detectors there are, and which front end describes speech.
Refuses to know: where the audio comes from.
"""

from __future__ import annotations

from affectstream.core.speech.descriptors import DescriptorExtractor
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
    speaker: str,
    start_ns: int,
    clock_id: str,
    publish_audio: bool = True,
    vad: str | VoiceActivity = "webrtc",
    take: str = "",
) -> UtteranceSegmenter:
    """Return the machine of the stream ``mic.SPEAKER``: audio in, utterances and descriptors out.

    Args:
        start_ns: event time of sample 0.
        clock_id: what stamps the audio, for ``stream.opened``.
        publish_audio: whether it publishes the audio as well.
        vad: one of ``DETECTORS``, or what ``voice_activity`` returned.
        take: part of the utterances' names, see ``take_at``; empty where they shall be the same
            every time the stream is made.

    Raises:
        SourceError: the detector's library is missing.
        UsageError: there is no such detector.
    """
    return UtteranceSegmenter(
        (voice_activity(vad) if isinstance(vad, str) else vad).classify,
        session=session,
        source=f"mic.{speaker}",
        speaker=speaker,
        start_ns=start_ns,
        publish_audio=publish_audio,
        clock_id=clock_id,
        extractor=DescriptorExtractor(FRONT_END, Egemaps),
        take=take,
    )


def take_at(now_ns: int) -> str:
    """Return a name for this start of a stream, which its utterances carry in their names.

    A worker that is started again counts its utterances from 0. Without this, they would have the
    names of utterances that were published before.
    """
    return f"{now_ns // NS_PER_S:x}"


def voice_activity(vad: str = "webrtc") -> VoiceActivity:
    """Return a ``VoiceActivity`` with the detector that ``vad`` names.

    Raises:
        SourceError: the detector's library is missing.
        UsageError: there is no such detector.
    """
    check_detector(vad)
    if vad == "silero":
        return VoiceActivity(SileroDetector(), trusted=True)
    return VoiceActivity(WebRtcDetector())


def check_detector(vad: str) -> None:
    """Refuse an unknown detector before anything is loaded.

    Raises:
        UsageError: there is no such detector.
    """
    if vad not in DETECTORS:
        raise UsageError(f"{vad!r} is no voice detector; choose one of {', '.join(DETECTORS)}")
