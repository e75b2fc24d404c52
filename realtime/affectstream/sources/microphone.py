"""The microphone worker.

Knows: a device's callback, a bounded queue, and how a lost device is opened again.
Refuses to know: what an utterance is (``core.segmenter``) and who listens (``runner``).

Three threads meet here. PortAudio's puts blocks into the queue and never waits. A keeper opens
the device, sees when it falls silent, and opens it again: PortAudio may take long over that.
The runner's reads when the pipe says so. Nothing spins.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from affectstream.core.capture import CaptureClock, Captured, DeviceLost
from affectstream.runner import run
from affectstream.sources import devices
from affectstream.sources.errors import SourceError
from affectstream.sources.listening import speech_segmenter
from affectstream.sources.resampling import TimelineResampler
from affectstream.timebase import NS_PER_S, WallClock

log = logging.getLogger(__name__)

QUEUE_BLOCKS = 170  # 10 s
STALLED_S = 1.0
FIRST_BLOCK_S = 5.0  # a device may take its time over the first block
RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class _Block:
    pcm: bytes
    adc_ns: int
    overflow: bool
    dropped: int  # samples thrown away before this block because the queue was full


@dataclass(frozen=True, slots=True)
class _Opened:
    """A device was opened: what follows in the queue is its."""

    rate_hz: int


class Microphone:
    """A device as an input of the runner.

    Args:
        device: a name, a part of one, a number, or None for the default.
        start_ns: event time of sample 0.
        clock: nanoseconds since 1970; the runner's.

    Raises:
        SourceError: PortAudio is missing, or the device does not exist or cannot be opened.
    """

    def __init__(
        self, device: str | int | None, *, start_ns: int, clock: Callable[[], int]
    ) -> None:
        self._clock = clock
        self._start_ns = start_ns
        self._queue: deque[_Block | _Opened | DeviceLost] = deque()
        self._blocks = 0  # in the queue
        self._dropped = 0
        self._lock = threading.Lock()
        self._last_block_ns: int | None = None
        self._opened_ns = 0
        self._capture: CaptureClock | None = None
        self._resampler: TimelineResampler | None = None
        self._rate_hz = 0
        self._stop = threading.Event()
        self._wanted = devices.resolve(device)
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        try:
            opened = self._open_device()
        except BaseException:
            os.close(self._reader)
            os.close(self._writer)
            raise
        self._keeper = threading.Thread(
            target=self._keep_open, args=(opened,), name="microphone", daemon=True
        )
        self._keeper.start()

    @property
    def exhausted(self) -> bool:
        """Never: a microphone has no end."""
        return False

    def fileno(self) -> int:
        """Return a descriptor that is readable when there are blocks."""
        return self._reader

    def read(self, now_ns: int) -> list[Captured]:
        """Return what was captured since the last call, without waiting."""
        del now_ns
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
                    captured += self._place(item)
                case _Opened():
                    self._begin_run(item.rate_hz)
                case DeviceLost():
                    captured += self._end_run(item)
        return captured

    def close(self) -> None:
        """Let go of the device."""
        self._stop.set()
        self._keeper.join(timeout=5.0)
        for end in (self._reader, self._writer):
            os.close(end)

    # Runner's thread: positions

    def _begin_run(self, rate_hz: int) -> None:
        if self._capture is None or self._resampler is None:
            self._capture = CaptureClock(self._start_ns, rate_hz)
            self._resampler = TimelineResampler(rate_hz)
        elif rate_hz != self._resampler.rate_hz:
            log.warning("the device now runs at %d Hz", rate_hz)
            self._capture = CaptureClock(self._start_ns, rate_hz, resume_ns=self._capture.next_ns)
            self._resampler = TimelineResampler(rate_hz, begins_at=self._resampler.next_out)
        self._capture.stop()

    def _end_run(self, lost: DeviceLost) -> list[Captured]:
        rest = self._resampler.end_run() if self._resampler is not None else []
        return [*rest, lost]

    def _place(self, block: _Block) -> list[Captured]:
        if self._capture is None or self._resampler is None:
            return []
        samples = np.frombuffer(block.pcm, dtype=np.int16)
        at = self._capture.place(
            len(samples), block.adc_ns, overflow=block.overflow, dropped=block.dropped
        )
        out: list[Captured] = []
        if at.reason:
            log.warning("%d samples of audio are missing: %s", at.lost, at.reason)
            out += self._resampler.hole(at.first_sample, at.lost, at.reason)
        out += self._resampler.accept(at.first_sample, samples[at.skip :])
        return out

    # PortAudio's thread

    def _take_block(self, pcm: bytes, age_ns: int, overflow: bool) -> None:
        now_ns = self._clock()
        with self._lock:
            self._last_block_ns = now_ns
            if self._blocks >= QUEUE_BLOCKS:
                self._dropped += len(pcm) // 2
                return
            self._queue.append(_Block(pcm, now_ns - age_ns, overflow, self._dropped))
            self._dropped = 0
            self._blocks += 1
        self._ring()

    def _ring(self) -> None:
        try:
            os.write(self._writer, b"\0")
        except BlockingIOError:
            return  # the pipe is full of such bytes: the reader will wake

    # Keeper's thread

    def _open_device(self) -> devices.OpenDevice:
        device = devices.open_device(self._wanted, self._take_block)
        with self._lock:
            self._last_block_ns = None
        self._opened_ns = self._clock()
        self._tell(_Opened(device.rate_hz))
        device.start()
        log.info("listening to %s at %d Hz", device.name, device.rate_hz)
        return device

    def _tell(self, event: _Opened | DeviceLost) -> None:
        with self._lock:
            self._queue.append(event)
        self._ring()

    def _keep_open(self, device: devices.OpenDevice | None) -> None:
        while device is not None:
            why = self._watch(device)
            device.close()
            if why is None:
                return
            log.warning("%s is lost (%s); trying to open it again", device.name, why)
            self._tell(DeviceLost(why))
            device = self._reopen()

    def _watch(self, device: devices.OpenDevice) -> str | None:
        """Wait until the device is gone; return why, or None when we are to stop."""
        while not self._stop.wait(0.1):
            if not device.active:
                return "it was disconnected"
            with self._lock:
                last_ns = self._last_block_ns
            since_ns = self._clock() - (last_ns or self._opened_ns)
            if since_ns > (STALLED_S if last_ns else FIRST_BLOCK_S) * NS_PER_S:
                return "it delivers nothing"
        return None

    def _reopen(self) -> devices.OpenDevice | None:
        while not self._stop.wait(RETRY_S):
            try:
                devices.find_again()
                device = self._open_device()
            except SourceError as error:
                log.debug("still no device: %s", error)
                continue
            log.warning("%s is back", device.name)
            return device
        return None


def run_microphone(
    *,
    address: str,
    session: str,
    speaker: str,
    device: str | int | None = None,
    source: str | None = None,
    publish_audio: bool = True,
    vad: str = "webrtc",
    aggressiveness: int = 2,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Publish a microphone as the stream ``mic.SPEAKER`` until ``stopping()``.

    Args:
        address: the hub's.
        session, speaker: the dialogue, and who speaks.
        device: a name, a part of one, a number, or None for the default.
        source: the stream's name, if not ``mic.SPEAKER``.
        publish_audio: False never lets raw audio leave this process; transcripts need it.
        vad, aggressiveness: the voice detector, see ``listening``.

    Raises:
        SourceError: the device or a library is missing; one sentence with a remedy.
    """
    clock = WallClock().now_ns
    start_ns = clock()
    segmenter = speech_segmenter(
        session=session,
        source=source,
        speaker=speaker,
        start_ns=start_ns,
        publish_audio=publish_audio,
        clock_id="wall",
        vad=vad,
        aggressiveness=aggressiveness,
    )
    microphone = Microphone(device, start_ns=start_ns, clock=clock)
    run(segmenter, address=address, inputs=[microphone], clock=clock, stopping=stopping)
