"""A recording that is played as fast as its listeners take it in.

Knows: how far the stream has come, how far each transcript stream of it has, and how far it may
run ahead of the slowest.
Refuses to know: what is said and heard; a machine inside it does the work.

Queues and rings are bounded: whoever plays hours of audio without looking back loses what the
recogniser has not read yet. It answers each watermark with its own, and that is waited for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from affectstream.core.capture.audio import AudioLost, CapturedAudio, DeviceLost
from affectstream.messages import Message, Progress, StreamClosed
from affectstream.run.loop import InputDevice, Machine, PacedInput
from affectstream.timebase import NS_PER_S

_log = logging.getLogger(__name__)

AHEAD_NS = 20 * NS_PER_S
LISTENER_WAIT_NS = 20 * NS_PER_S


@dataclass(slots=True)
class HeldBack:
    """The machine of one stream; ``runner.run`` runs it, fed by ``HeldInput``.

    Args:
        machine: what is captured goes to it; its watermarks are what listeners answer.
        session, source: the stream.
        ahead_ns: event time that it may run ahead of its slowest listener.
        listeners: how many must have answered before it begins; others may join later.
    """

    machine: Machine
    session: str
    source: str
    ahead_ns: int = AHEAD_NS
    listeners: int = 0
    _answers: dict[str, int] = field(default_factory=dict)
    _said_ns: int | None = None
    _heard_ns: int | None = None

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What it must hear: the transcripts' watermarks and their end."""
        of = f"{self.session}/asr.{self.source}"
        return (f"progress/{of}", f"stream.closed/{of}")

    def receive(
        self, message: CapturedAudio | AudioLost | DeviceLost | Message, now_ns: int
    ) -> list[Message]:
        """Take what was captured, or a listener's answer."""
        if isinstance(message, CapturedAudio | AudioLost | DeviceLost):
            return self._note(self.machine.receive(message, now_ns))
        if isinstance(message, StreamClosed):
            self._answers.pop(message.source, None)
        elif isinstance(message, Progress):
            self._answers[message.source] = message.watermark_ns
            self._heard_ns = now_ns
        return []

    def may_go_on(self, now_ns: int) -> bool:
        """Return whether the listeners have taken in enough of what was said."""
        if self._heard_ns is None:
            self._heard_ns = now_ns
        if now_ns - self._heard_ns >= LISTENER_WAIT_NS and (self._answers or self.listeners):
            _log.warning("%s: who transcribes it has fallen silent; it goes on", self.source)
            self._answers.clear()
            self.listeners = 0
        if len(self._answers) < self.listeners:
            return False
        if self._said_ns is None or not self._answers:
            return True
        return self._said_ns - min(self._answers.values()) < self.ahead_ns

    def wake(self, now_ns: int) -> list[Message]:
        """Do what is due."""
        return self._note(self.machine.wake(now_ns))

    def next_wake_ns(self) -> int | None:
        """Return when something will be due."""
        return self.machine.next_wake_ns()

    def close(self, now_ns: int) -> list[Message]:
        """Say the last words."""
        return self.machine.close(now_ns)

    def _note(self, said: Iterable[Message]) -> list[Message]:
        said = list(said)
        for message in said:
            if isinstance(message, Progress):
                self._said_ns = message.watermark_ns
        return said


class HeldInput:
    """An input of a stream that is held back: it is not read while the listeners are behind."""

    def __init__(self, recording: InputDevice, stream: HeldBack) -> None:
        self._recording, self._stream = recording, stream
        self._held = False

    @property
    def exhausted(self) -> bool:
        """Whether nothing more will come."""
        return self._recording.exhausted

    def fileno(self) -> int:
        """Return the recording's descriptor."""
        return self._recording.fileno()

    def next_read_ns(self) -> int | None:
        """Return when to read; None while an answer is waited for, which wakes the loop."""
        if self._held or not isinstance(self._recording, PacedInput):
            return None
        return self._recording.next_read_ns()

    def read(self, now_ns: int) -> Iterable[object]:
        """Return what there is, or nothing while the listeners are behind."""
        self._held = not self._stream.may_go_on(now_ns)
        return () if self._held else self._recording.read(now_ns)

    def close(self) -> None:
        """Let go of the recording."""
        self._recording.close()
