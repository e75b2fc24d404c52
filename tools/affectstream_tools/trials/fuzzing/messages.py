"""Messages of every kind with random content, and the frames of what is no message.

Knows: the twelve kinds, what each field may hold, and how a header is confused.
Refuses to know: sockets, and what a reader makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import msgpack
import numpy as np

from affectstream.codec import MAX_PAYLOAD_BYTES, encode
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
from affectstream_tools.trials.fuzzing.spoiling import ODD_VALUES, spoiled_bytes

_NEAR_NS = 1_700_000_000_000_000_000
_INSTANTS = (0, 1, 2**61, 2**62 - 1)
_STATUSES: tuple[Status, ...] = ("partial", "provisional", "revised", "final")
_REASONS = ("silence", "maximum length", "stream closed", "gap", "corpus")
_COMMON = ("session", "source", "epoch", "seq", "sent_ns")


class MessageMaker:
    """Makes messages that a codec must accept, few names in them so that they meet.

    Args:
        random: all its choices.
        sessions, utterances: how many different names there are; one time in a thousand a name is
            new.
    """

    def __init__(self, random: Random, sessions: int = 12, utterances: int = 60) -> None:
        self._random = random
        self._sessions, self._utterances = sessions, utterances

    def any(self) -> Message:
        """Return a message of any kind."""
        return self._random.choice(_MAKERS)(self, self._common())

    def _common(self) -> dict[str, Any]:
        random = self._random
        fresh = random.random() < 0.001
        return {
            "session": f"d{random.getrandbits(40) if fresh else random.randrange(self._sessions)}",
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
            "utterance": f"u{random.randrange(self._utterances)}",
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
            categorical={} if random.random() < 0.1 else {"anger": random.random(), "x": 1.0},
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


class FrameSpoiler:
    """Frames of messages, most of them spoiled, drawn from a stock that was encoded once."""

    def __init__(self, random: Random, stock: int = 600) -> None:
        self._random = random
        maker = MessageMaker(random)
        self._stock = [encode(maker.any()) for _ in range(stock)]
        self._headers = [msgpack.unpackb(packed) for _, packed, _ in self._stock]

    def good(self) -> list[bytes]:
        """Return the frames of a message, as they are."""
        return list(self._random.choice(self._stock))

    def next(self) -> list[bytes]:
        """Return three frames or another number of them, of which little is right."""
        random = self._random
        kind = random.randrange(16)
        if kind < 2:
            return self.good()
        if kind < 9:
            return self._confused()
        if kind < 13:
            frames = self.good()
            at = random.randrange(3)
            frames[at] = spoiled_bytes(frames[at], random)
            return frames
        if kind == 13:
            return self._shuffled()
        if kind == 14:
            return [self.good()[0], self.good()[1], self.good()[2]]
        return self._resized()

    def _confused(self) -> list[bytes]:
        """A field is another value, is missing, or is there under another name."""
        random = self._random
        index = random.randrange(len(self._stock))
        header, (topic, _, payload) = dict(self._headers[index]), self._stock[index]
        for _ in range(random.choice((1, 1, 2))):
            key = random.choice(list(header))
            kind = random.randrange(8)
            if kind == 0:
                del header[key]
                header["v"] = header.get("v", 1)
            elif kind == 1:
                header[random.choice(("more", "payload", "é", key.upper()))] = header.pop(key)
            elif kind == 2 and isinstance(header[key], dict | list) and header[key]:
                header[key] = self._confused_inside(header[key])
            elif kind == 3:
                header["v"] = random.choice((0, 2, 99, -1, "1", 1.0, True, None, 2**63))
            else:
                header[key] = random.choice(ODD_VALUES)
        if random.random() < 0.7 and isinstance(header.get("kind"), str):
            names = (header.get("kind"), header.get("session"), header.get("source"))
            topic = "/".join(str(name)[:300] for name in names).encode(errors="replace")
        return [topic, msgpack.packb(header), payload]

    def _confused_inside(self, value: Any) -> Any:
        odd = self._random.choice(ODD_VALUES)
        if isinstance(value, dict):
            key = self._random.choice(list(value))
            return {**value, key: odd} if self._random.random() < 0.7 else {**value, "more": odd}
        at = self._random.randrange(len(value))
        return [*value[:at], odd, *value[at + 1 :]]

    def _shuffled(self) -> list[bytes]:
        random, frames = self._random, self.good()
        kind = random.randrange(4)
        if kind == 0:
            random.shuffle(frames)
        elif kind == 1:
            del frames[random.randrange(3)]
        elif kind == 2:
            frames.insert(random.randrange(4), random.choice(frames))
        else:
            frames = frames * random.choice((0, 2, 30))
        return frames

    def _resized(self) -> list[bytes]:
        random, frames = self._random, self.good()
        size = random.choice((0, 1, 2, 3, 4, 4_096, 4_096, 4_097))
        frames[2] = bytes(size)
        if random.random() < 0.01:
            frames[2] = bytes(MAX_PAYLOAD_BYTES + random.choice((0, 1)))
        return frames

    def renumbered(self, epoch: int, seq: int) -> list[bytes]:
        """Return a message of one outlet's, with the number given."""
        index = self._random.randrange(len(self._stock))
        topic, _, payload = self._stock[index]
        header = {**self._headers[index], "epoch": epoch, "seq": seq}
        return [topic, msgpack.packb(header), payload]
