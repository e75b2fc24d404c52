"""Made-up dialogues for benchmarks and trials: the messages that workers would publish.

Words and statistics are random: time and memory are measured with them, never recognition.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from affectstream.messages import (
    Message,
    Observation,
    Progress,
    StreamOpened,
    Transcript,
    UtteranceEnded,
    UtteranceStarted,
)
from affectstream.timebase import NS_PER_MS

_SPOKEN_WORDS = (
    *("i", "you", "we", "it", "that", "this", "not", "do", "know", "want", "think", "tell", "why"),
    *("what", "never", "always", "sorry", "please", "stop", "good", "bad", "fine", "happy", "sad"),
    *("angry", "home", "work", "mother", "friend", "money", "today", "again", "really", "love"),
)
_STATISTICS = 47
SILENCE_NS = 300 * NS_PER_MS
"""A microphone says that an utterance is over once it has heard this much silence."""


class DialogueLoad:
    """One dialogue of two speakers: a microphone's stream and its transcript's, in event time.

    Args:
        session: the dialogue's name.
        seed: of its words and statistics.
    """

    def __init__(self, session: str, seed: int) -> None:
        self.session = session
        self.count = 0
        self._random = np.random.default_rng(seed)
        self._end_ns = 0

    def opening(self, now_ns: int) -> list[Message]:
        """Return what opens the dialogue's streams at event time ``now_ns``."""
        self._end_ns = now_ns
        heard: dict[str, Any] = {"session": self.session, "start_ns": now_ns}
        return [
            StreamOpened(source="mic.room", modality="speech", **heard),
            StreamOpened(source="asr.mic.room", modality="text", of="mic.room", **heard),
        ]

    def progress(self, now_ns: int) -> list[Message]:
        """Return both streams' watermarks at ``now_ns``."""
        until_ns = now_ns - SILENCE_NS
        return [self._progress("asr.mic.room", until_ns), self._progress("mic.room", until_ns)]

    def utterance(self, now_ns: int) -> list[Message]:
        """Return the messages of an utterance whose end a microphone notices at ``now_ns``.

        The statistics and the final transcript come first, then ``utterance.ended``, then the
        microphone's watermark: once it has ended, the node has nothing else to wait for.
        """
        end_ns = max(now_ns - SILENCE_NS, self._end_ns + 2)
        start_ns = max(self._end_ns + 1, end_ns - 1_500 * NS_PER_MS)
        self._end_ns = end_ns
        speaker = ("anna", "ben")[self.count % 2]
        name: dict[str, Any] = {
            "session": self.session,
            "utterance": f"{speaker}-{self.count:05d}",
            "speaker": speaker,
            "start_ns": start_ns,
        }
        self.count += 1
        words = " ".join(self._random.choice(_SPOKEN_WORDS, size=int(self._random.integers(3, 15))))
        statistics = self._random.normal(size=_STATISTICS).astype("<f4")
        return [
            UtteranceStarted(source="mic.room", **name),
            Observation(
                source="mic.room",
                end_ns=end_ns,
                modality="acoustic",
                front_end="egemaps47",
                rows=1,
                columns=_STATISTICS,
                payload=statistics.tobytes(),
                **name,
            ),
            Transcript(
                source="asr.mic.room",
                text=words,
                end_ns=end_ns,
                final=True,
                engine="bench",
                **name,
            ),
            self._progress("asr.mic.room", end_ns),
            UtteranceEnded(source="mic.room", end_ns=end_ns, **name),
            self._progress("mic.room", end_ns),
        ]

    def _progress(self, source: str, watermark_ns: int) -> Progress:
        return Progress(session=self.session, source=source, watermark_ns=max(0, watermark_ns))
