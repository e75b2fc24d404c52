"""Makes messages of all twelve kinds with random content; the codec must accept each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np

from affectstream.messages import (
    Acoustic,
    Audio,
    Dimension,
    Emotion,
    Gap,
    Message,
    Mocap,
    ModelIdentity,
    Observation,
    Progress,
    Status,
    StreamClosed,
    StreamOpened,
    Transcript,
    UtteranceEnded,
    UtteranceStarted,
    Word,
)

_NEAR_NS = 1_700_000_000_000_000_000
_INSTANTS = (0, 1, 2**61, 2**62 - 1)
_STATUSES: tuple[Status, ...] = ("partial", "provisional", "revised", "final")
_REASONS = ("silence", "maximum length", "stream closed", "gap", "corpus")
_SESSIONS, _UTTERANCES = 12, 60  # so many names; one session in a thousand has a new one


class MessageMaker:
    """Makes messages that a codec must accept; their few names make them meet in a node.

    Args:
        random: the source of all its choices.
    """

    def __init__(self, random: Random) -> None:
        self._random = random

    def any(self) -> Message:
        """Return a message of any kind."""
        return self._random.choice(_MAKERS)(self, self._common())

    def _common(self) -> dict[str, Any]:
        random = self._random
        fresh = random.random() < 0.001
        return {
            "session": f"d{random.getrandbits(40) if fresh else random.randrange(_SESSIONS)}",
            "source": f"mic.{random.getrandbits(40) if fresh else random.randrange(4)}",
            "epoch": random.randrange(1, 2**61) if fresh else random.randrange(1, 5),
            "seq": random.randrange(2**62) if fresh else random.randrange(200),
            "sent_ns": self._instant(),
        }

    def _instant(self) -> int:
        if self._random.random() < 0.05:
            return self._random.choice(_INSTANTS)
        return _NEAR_NS + self._random.randrange(60_000_000_000)

    def _span(self) -> dict[str, Any]:
        start_ns, end_ns = sorted((self._instant(), self._instant()))
        return {"start_ns": start_ns, "end_ns": end_ns}

    def _name(self) -> dict[str, Any]:
        random = self._random
        speaker = random.getrandbits(40) if random.random() < 0.01 else random.randrange(3)
        return {
            "utterance": f"u{random.randrange(_UTTERANCES)}",
            "speaker": f"s{speaker}",
        }

    def _text(self) -> str:
        size = self._random.choice((0, 3, 30, 30, 3_000))
        return "".join(self._random.choices("ab cdé\u202e\0\n'", k=size))

    def _floats(self, rows: int, columns: int, *, lost: bool = False) -> dict[str, Any]:
        values = np.frombuffer(self._random.randbytes(2 * rows * columns), "<i2").astype("<f4")
        if self._random.random() < 0.1:
            values *= np.float32(1e34)
        if lost and len(values):
            values[:: self._random.randrange(1, 5)] = np.nan
        return {"rows": rows, "columns": columns, "payload": values.tobytes()}

    def _opened(self, common: dict[str, Any]) -> Message:
        return StreamOpened(
            **common,
            modality=self._random.choice(("speech", "text", "mocap", "corpus")),
            start_ns=self._instant(),
            nominal_rate_hz=self._random.choice((0.0, 120.0, 1e6)),
            drives_clock=self._random.random() < 0.2,
        )

    def _closed(self, common: dict[str, Any]) -> Message:
        return StreamClosed(**common, reason=self._text()[:400], end_ns=self._instant())

    def _audio(self, common: dict[str, Any]) -> Message:
        random = self._random
        return Audio(
            **common,
            first_sample=random.choice((0, 16_000, 2**62 - 1)),
            sample_rate_hz=random.choice((1_000, 16_000, 384_000)),
            start_ns=self._instant(),
            payload=random.randbytes(2 * random.choice((0, 1, 160, 1_600))),
        )

    def _began(self, common: dict[str, Any]) -> Message:
        return UtteranceStarted(**common, **self._name(), start_ns=self._instant())

    def _ended(self, common: dict[str, Any]) -> Message:
        reason: Any = self._random.choice(_REASONS)
        return UtteranceEnded(**common, **self._name(), **self._span(), reason=reason)

    def _acoustic(self, common: dict[str, Any]) -> Message:
        random = self._random
        return Acoustic(
            **common,
            **self._floats(random.choice((0, 1, 5, 40)), random.choice((24, 24, 24, 1, 23))),
            front_end=random.choice(("egemaps", "egemaps", "other")),
            speaker=self._name()["speaker"],
            start_ns=min(self._instant(), 2**61),
            hop_ns=random.choice((1, 10_000_000, 10_000_000, 2**54)),
        )

    def _mocap(self, common: dict[str, Any]) -> Message:
        rows = self._random.choice((0, 1, 3, 40))
        first_ns = min(self._instant(), 2**62 - 1 - rows)
        return Mocap(
            **common,
            **self._floats(rows, self._random.choice((1, 6, 189)), lost=True),
            layout="iemocap.rotated",
            speaker=self._name()["speaker"],
            times_ns=tuple(range(first_ns, first_ns + rows)),
        )

    def _observation(self, common: dict[str, Any]) -> Message:
        random = self._random
        return Observation(
            **common,
            **self._name(),
            **self._span(),
            **self._floats(random.choice((1, 1, 1, 0, 2)), random.choice((47, 47, 47, 1, 46))),
            modality=random.choice(("acoustic", "acoustic", "face")),
            front_end=random.choice(("egemaps47", "egemaps47", "other")),
        )

    def _transcript(self, common: dict[str, Any]) -> Message:
        words = tuple(
            Word(text="w", **self._span(), confidence=self._random.random())
            for _ in range(self._random.choice((0, 0, 3)))
        )
        final = self._random.random() < 0.7
        return Transcript(
            **common,
            **self._name(),
            **self._span(),
            text=self._text(),
            final=final,
            engine="fuzz",
            words=words,
        )

    def _progress(self, common: dict[str, Any]) -> Message:
        random = self._random
        kinds = random.sample(("transcript", "audio", "emotion", "progress", "no/such"), 2)
        return Progress(
            **common,
            watermark_ns=self._instant(),
            now_ns=self._instant() if random.random() < 0.2 else None,
            heads={kind: random.choice((0, 5, 250, 2**62 - 1)) for kind in kinds},
        )

    def _emotion(self, common: dict[str, Any]) -> Message:
        random = self._random
        return Emotion(
            **common,
            **self._name(),
            **self._span(),
            revision=random.choice((0, 1, 7, 2**62 - 1)),
            status=random.choice(_STATUSES),
            categorical={"x": 1.0} | ({"anger": random.random()} if random.random() < 0.9 else {}),
            dimensional={"valence": Dimension(mean=3.0, levels=(0.0, 1.0, 0.5))},
            modalities={"text": 0.5},
            model=ModelIdentity(id="fuzz", sha256="0" * 64),
            latency_ms={"model": 1e9},
        )

    def _gap(self, common: dict[str, Any]) -> Message:
        count = self._random.choice((0, 1, 2**62 - 1))
        return Gap(**common, of="mic.1", lost="audio", count=count, reason=self._text()[:400])


_MAKERS: Sequence[Callable[[MessageMaker, dict[str, Any]], Message]] = (
    MessageMaker._opened,
    MessageMaker._closed,
    MessageMaker._audio,
    MessageMaker._began,
    MessageMaker._ended,
    MessageMaker._acoustic,
    MessageMaker._mocap,
    MessageMaker._observation,
    MessageMaker._transcript,
    MessageMaker._progress,
    MessageMaker._emotion,
    MessageMaker._gap,
)
