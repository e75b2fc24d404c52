"""The microphone worker.

Knows: how blocks get from the device's thread to the loop's, and where they lie in time.
Refuses to know: what an utterance is (``core.speech.segmenter``), who listens (``run.loop``), and
how a lost device is opened again (``device_keeper``).

Three threads meet here. PortAudio's puts blocks into a bounded queue and never waits. The device
keeper's puts in when a device was opened or lost. Both write a byte into a pipe, which wakes the
loop's thread to read the queue; nothing polls.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from affectstream.bus import Endpoint, HubClock
from affectstream.core.capture.audio import Captured, DeviceLost
from affectstream.core.capture.clock import CaptureClock
from affectstream.core.capture.hold import BlockHold
from affectstream.core.capture.mute import MuteDetector
from affectstream.errors import SourceError
from affectstream.run.loop import run
from affectstream.sources import devices
from affectstream.sources.device_keeper import DeviceKeeper, Opened
from affectstream.sources.resampling import TimelineResampler
from affectstream.sources.speech import speech_segmenter, take_at, voice_activity

_log = logging.getLogger(__name__)

QUEUE_BLOCKS = 500  # 30 s


@dataclass(frozen=True, slots=True)
class _Block:
    pcm: bytes
    captured_ns: int
    overflow: bool
    dropped: int  # samples lost before this block because the queue was full


class Microphone:
    """A device as an input of ``run.loop``.

    Args:
        device: a name, a part of one, or a number; None for the default, and whichever device
            becomes the default later.
        start_ns: event time of sample 0.
        clock: returns nanoseconds since 1970; the loop's clock.
        wait: whether to wait for a device that is not there yet.
        stopping: returns whether to give up while the device is being opened.

    Raises:
        SourceError: PortAudio is missing, or the device does not exist or cannot be opened.
    """

    def __init__(
        self,
        device: str | int | None,
        *,
        start_ns: int,
        clock: Callable[[], int],
        wait: bool = False,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._clock = clock
        self._start_ns = start_ns
        self._queue: deque[_Block | Opened | DeviceLost] = deque()
        self._blocks = 0  # in the queue
        self._dropped = 0
        self._lock = threading.Lock()
        self._capture: CaptureClock | None = None
        self._resampler: TimelineResampler | None = None
        self._rate_hz = 0
        self._mute = MuteDetector()
        self._lost_reason = ""
        self._hold: BlockHold[_Block] | None = None
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._closed = False
        self._keeper = DeviceKeeper(device, self._take_block, self._tell, wait=wait)
        try:
            self._keeper.start(stopping)
        except BaseException:
            self.close()
            raise

    @property
    def exhausted(self) -> bool:
        """False: a microphone has no end."""
        return False

    def fileno(self) -> int:
        """Return a descriptor that is readable when there is something to read."""
        return self._reader

    def read(self, now_ns: int) -> list[Captured]:
        """Return what was captured since the last call, without waiting.

        Raises:
            SourceError: the keeper's thread has ended.
        """
        del now_ns
        if not self._keeper.alive:
            raise SourceError("the microphone's thread has ended; see the error above, start again")
        try:
            os.read(self._reader, 4096)
        except BlockingIOError:
            return []
        with self._lock:
            items = list(self._queue)
            self._queue.clear()
            self._blocks = 0
        captured: list[Captured] = []
        for item in items:
            match item:
                case _Block():
                    captured += self._take(item)
                case Opened():
                    self._begin_run(item.rate_hz)
                case DeviceLost():
                    captured += self._end_run(item)
        return captured

    def close(self) -> None:
        """Close the device."""
        self._keeper.close()
        with self._lock:  # a device that hangs may still deliver blocks
            self._closed = True
            for end in (self._reader, self._writer):
                os.close(end)

    # The loop's thread: where the blocks lie in time

    def _begin_run(self, rate_hz: int) -> None:
        resume_ns = self._start_ns if self._capture is None else self._capture.next_ns
        self._capture = CaptureClock(
            self._start_ns,
            rate_hz,
            resume_ns=resume_ns if self._lost_reason else None,
            reason=self._lost_reason,
        )
        self._rate_hz = rate_hz
        if self._resampler is None:
            self._resampler = TimelineResampler(rate_hz)
        elif rate_hz != self._resampler.rate_hz:
            _log.warning("the device now runs at %d Hz", rate_hz)
            self._resampler = TimelineResampler(rate_hz, begins_at=self._resampler.next_out)

    def _end_run(self, lost: DeviceLost) -> list[Captured]:
        out = self._place_held()
        self._lost_reason = lost.reason
        if self._resampler is not None:
            out += self._resampler.end_run()
        return [*out, lost]

    def _take(self, block: _Block) -> list[Captured]:
        """Place a block on the timeline and return what it gives.

        Where its time is in doubt (after an overflow, or off what the clock expects), it is held
        until some more blocks show what its time was.
        """
        if self._capture is None:
            return []
        out: list[Captured] = []
        if block.overflow:
            out += self._place_held()
        if self._hold is None:
            if not (block.overflow or self._capture.doubts(block.captured_ns)):
                return self._place(block)
            self._hold = BlockHold(self._rate_hz)
        if self._hold.add(block, len(block.pcm) // 2, block.captured_ns, block.dropped):
            out += self._place_held()
        return out

    def _place_held(self) -> list[Captured]:
        if self._hold is None:
            return []
        held, self._hold = self._hold.release(), None
        out: list[Captured] = []
        for number, (block, captured_ns) in enumerate(held):
            out += self._place(replace(block, captured_ns=captured_ns), sure=number == 0)
        return out

    def _place(self, block: _Block, *, sure: bool = False) -> list[Captured]:
        if self._capture is None or self._resampler is None:
            return []
        samples = np.frombuffer(block.pcm, dtype=np.int16)
        self._say_if_muted(samples, self._rate_hz)
        at = self._capture.place(
            len(samples),
            block.captured_ns,
            overflow=block.overflow,
            dropped=block.dropped,
            sure=sure,
        )
        out: list[Captured] = []
        if at.reason:
            _log.warning("%d samples of audio are missing: %s", at.lost, at.reason)
            out += self._resampler.hole(at.first_sample, at.lost, at.reason)
        out += self._resampler.accept(at.first_sample, samples[at.skip :])
        return out

    def _say_if_muted(self, samples: NDArray[np.int16], rate_hz: int) -> None:
        if self._mute.observe(samples, rate_hz):
            if self._mute.muted:
                _log.warning("the device hands over zeros only: it is muted, or the wrong one")
            else:
                _log.warning("the device is heard again")

    # PortAudio's thread

    def _take_block(self, pcm: bytes, age_ns: int, overflow: bool) -> None:
        captured_ns = self._clock() - age_ns
        with self._lock:
            if self._blocks >= QUEUE_BLOCKS:
                self._dropped += len(pcm) // 2
                return
            self._queue.append(_Block(pcm, captured_ns, overflow, self._dropped))
            self._dropped = 0
            self._blocks += 1
            self._ring()

    def _tell(self, event: Opened | DeviceLost) -> None:
        with self._lock:
            self._queue.append(event)
            self._ring()

    def _ring(self) -> None:
        """Wake the loop. The caller holds the lock."""
        if self._closed:
            return
        try:
            os.write(self._writer, b"\0")
        except BlockingIOError:
            return  # the pipe is full, so the loop will wake anyhow


def run_microphone(
    *,
    address: str | Endpoint,
    session: str,
    speaker: str,
    device: str | int | None = None,
    publish_audio: bool = True,
    vad: str = "webrtc",
    wait: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Publish a microphone as the stream ``mic.SPEAKER`` until ``stopping()``.

    Args:
        session, speaker: the dialogue, and who speaks.
        device, wait: as for ``Microphone``.
        publish_audio: False keeps raw audio inside this process; transcripts need it.
        vad: the voice detector, one of ``speech.DETECTORS``.

    Raises:
        SourceError: the device or a library is missing.
        UsageError: there is no such detector.
    """
    activity = voice_activity(vad)  # what is wrong is said at once, not only when the hub is there
    if not wait:
        devices.open_device(devices.resolve(device), lambda *_: None).close()
    with HubClock(address) as clock:
        clock.wait(stopping)
        start_ns = clock.now_ns()
        segmenter = speech_segmenter(
            session=session,
            speaker=speaker,
            start_ns=start_ns,
            clock_id="wall",
            publish_audio=publish_audio,
            vad=activity,
            take=take_at(start_ns),
        )
        microphone = Microphone(
            device, start_ns=start_ns, clock=clock.now_ns, wait=wait, stopping=stopping
        )
        run(segmenter, address=address, inputs=[microphone], clock=clock, stopping=stopping)
