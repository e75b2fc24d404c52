"""Backpressure: a recording that is played as fast as the transcript workers can follow.

Knows: how far the recording has been published, how far each transcript stream has followed, how
far other recordings of the dialogue are, and how far the recording may run ahead of the slowest.
Refuses to know: what is published; the machine inside decides that.

Queues and retransmission buffers are bounded. If hours of audio were published at full speed, the
recogniser would lose what it has not read yet. A transcript worker answers every watermark of the
audio with its own watermark, and those are waited for here. Recordings of one dialogue that are
played as fast as they can be read keep in step in the same way: none begins before the others have
opened their streams, and none runs far ahead.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from affectstream.bus import Endpoint, HubClock
from affectstream.messages import Message, Progress, StreamClosed, StreamOpened
from affectstream.run.loop import InputDevice, Machine, PacedInput, run
from affectstream.timebase import NS_PER_S

_log = logging.getLogger(__name__)

_OVER_NS = 1 << 62  # position of a stream that is over

AHEAD_NS = 20 * NS_PER_S
"""How far a recording may run ahead of its slowest listener, in event time."""

STEP_NS = 2 * NS_PER_S
"""How far a recording may run ahead of those that it keeps in step with, in event time."""

LISTENER_WAIT_NS = 20 * NS_PER_S
"""After so long without any answer, the listeners are no longer waited for."""


def run_with_backpressure(
    machine: Machine,
    recording: InputDevice,
    session: str,
    source: str,
    address: str | Endpoint,
    *,
    listeners: int = 0,
    in_step: Sequence[str] = (),
    clock: HubClock | None = None,
    stopping: Callable[[], bool],
) -> None:
    """Run the machine of a stream on a recording, as fast as its transcript workers can follow.

    Args:
        session, source, listeners, in_step: as for ``BackpressuredStream``.
        address, clock, stopping: as for ``run.loop.run``.
    """
    peers: dict[str, int | None] = dict.fromkeys(in_step)
    stream = BackpressuredStream(machine, session, source, listeners=listeners, peers=peers)
    run(
        stream,
        address=address,
        prefixes=stream.prefixes,
        from_start=bool(in_step),  # they may have opened before
        inputs=[BackpressuredInput(recording, stream)],
        clock=clock,
        stopping=stopping,
    )


@dataclass(slots=True)
class BackpressuredStream:
    """A machine around the one of a stream; it also receives the listeners' answers.

    ``run.loop`` runs it, with a ``BackpressuredInput`` as its input.

    Args:
        machine: gets what is captured, and publishes it.
        session, source: the stream that ``machine`` publishes.
        ahead_ns: event time by which it may run ahead of its slowest listener.
        listeners: how many must have answered before it begins; others may join later.
        peers: the streams that it keeps in step with -> their watermarks, None until they open.
    """

    machine: Machine
    session: str
    source: str
    ahead_ns: int = AHEAD_NS
    listeners: int = 0
    peers: dict[str, int | None] = field(default_factory=dict)
    _answers: dict[str, int] = field(default_factory=dict)  # listener -> its watermark
    _published_ns: int | None = None  # watermark of what was published
    _answered_ns: int | None = None  # processing time of the last answer

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The topics to subscribe to: progress and end of the stream's transcripts and peers."""
        of = f"{self.session}/asr.{self.source}"
        transcripts = (f"progress/{of}", f"stream.closed/{of}")
        kinds = ("stream.opened", "progress", "stream.closed")
        return transcripts + tuple(
            f"{k}/{self.session}/{peer}" for peer in self.peers for k in kinds
        )

    def receive(self, message: object, now_ns: int) -> list[Message]:
        """Take what was captured, or another stream's message; return what to publish."""
        if not isinstance(message, Message):
            return self._note(self.machine.receive(message, now_ns))
        self._answered_ns = now_ns
        if message.source in self.peers:
            self._move_peer(message)
        elif isinstance(message, StreamClosed):
            self._answers.pop(message.source, None)
        elif isinstance(message, Progress) and message.source.startswith(f"asr.{self.source}"):
            self._answers[message.source] = message.watermark_ns
        return []

    def _move_peer(self, message: Message) -> None:
        if isinstance(message, StreamClosed):
            self.peers[message.source] = _OVER_NS
        elif isinstance(message, StreamOpened):
            self.peers[message.source] = message.start_ns
        elif isinstance(message, Progress):
            self.peers[message.source] = message.watermark_ns

    def may_read(self, now_ns: int) -> bool:
        """Return whether the others have followed far enough for more to be read."""
        if self._answered_ns is None:
            self._answered_ns = now_ns
        if now_ns - self._answered_ns >= LISTENER_WAIT_NS:
            self._give_up()
        if len(self._answers) < self.listeners:
            return False
        positions = [at for at in self.peers.values() if at is not None]
        if len(positions) < len(self.peers):
            return False
        if self._published_ns is None:
            return True
        if positions and self._published_ns - min(positions) >= STEP_NS:
            return False
        return not self._answers or (
            self._published_ns - min(self._answers.values()) < self.ahead_ns
        )

    def _give_up(self) -> None:
        """Wait no longer for those who have said nothing for long."""
        if self._answers or self.listeners:
            _log.warning("%s: its transcript worker no longer answers; going on", self.source)
            self._answers.clear()
            self.listeners = 0
        if any(at != _OVER_NS for at in self.peers.values()):
            _log.warning("%s: nothing comes of %s; going on", self.source, ", ".join(self.peers))
            self.peers.clear()

    def wake(self, now_ns: int) -> list[Message]:
        """Return what the machine inside publishes when woken."""
        return self._note(self.machine.wake(now_ns))

    def next_wake_ns(self) -> int | None:
        """Return when the machine inside is to be woken."""
        return self.machine.next_wake_ns()

    def close(self, now_ns: int) -> list[Message]:
        """Return what the machine inside publishes at its end."""
        return self.machine.close(now_ns)

    def _note(self, published: Iterable[Message]) -> list[Message]:
        messages = list(published)
        for message in messages:
            if isinstance(message, Progress):
                self._published_ns = message.watermark_ns
        return messages


class BackpressuredInput:
    """The input of a ``BackpressuredStream``: not read while the listeners are too far behind.

    Args:
        recording: the input to be read.
        stream: decides when.
    """

    def __init__(self, recording: InputDevice, stream: BackpressuredStream) -> None:
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
        """Return when to read; None while an answer is waited for, as that wakes the loop."""
        if self._held or not isinstance(self._recording, PacedInput):
            return None
        return self._recording.next_read_ns()

    def read(self, now_ns: int) -> Iterable[object]:
        """Return what the recording has, or nothing while the listeners are too far behind."""
        self._held = not self._stream.may_read(now_ns)
        return () if self._held else self._recording.read(now_ns)

    def close(self) -> None:
        """Close the recording."""
        self._recording.close()
