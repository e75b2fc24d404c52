"""A stream that must arrive whole and in order whatever else is sent, and its check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from affectstream.messages import (
    Emotion,
    Gap,
    Message,
    ModelIdentity,
    Progress,
    StreamOpened,
    Transcript,
)

GOOD_SESSION = "good"
_GOOD_SOURCE = "mic.good"


def good_message(number: int) -> Message:
    """Return the ``number``-th message of the stream; its outlet numbers it."""
    name: dict[str, Any] = {"session": GOOD_SESSION, "source": _GOOD_SOURCE}
    if number == 0:
        return StreamOpened(**name, modality="speech")
    if number % 5 == 4:
        return Progress(**name, watermark_ns=number)
    span: dict[str, Any] = {"utterance": f"u{number}", "speaker": "s"}
    span |= {"start_ns": number, "end_ns": number + 1}
    if number % 5 == 3:
        return Emotion(
            **name,
            **span,
            revision=0,
            status="final",
            categorical={"neutral": 1.0},
            model=ModelIdentity(id="good", sha256="0" * 64),
        )
    return Transcript(**name, **span, text=f"word {number}", final=True, engine="fuzz")


class StreamChecker:
    """Checks that a reader receives the whole stream, in order and once.

    Args:
        epoch: of the stream's outlet.
    """

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._next: Counter[str] = Counter()

    def take(self, messages: Iterable[Message]) -> int:
        """Check what a reader was given; return how many of the messages were the stream's.

        Raises:
            AssertionError: a message is missing, came twice, or is out of order.
        """
        count = 0
        for message in messages:
            if message.session != GOOD_SESSION:
                continue
            assert not isinstance(message, Gap), f"the good stream lost {message}"
            assert message.epoch == self._epoch, f"{message.topic} of another epoch came out"
            expected = self._next[message.kind]
            assert message.seq == expected, f"{message.topic} {message.seq}, not {expected}"
            self._next[message.kind] += 1
            count += 1
            if isinstance(message, Progress):
                behind = {k: h for k, h in message.heads.items() if self._next[k] < h}
                assert not behind, f"a watermark overtook {behind}"
        return count

    @property
    def taken(self) -> int:
        """How many messages of the stream have come."""
        return self._next.total()
