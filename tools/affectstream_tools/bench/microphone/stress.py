"""What happens to a microphone's timeline when its device is disturbed.

A real worker with the real PortAudio records a virtual microphone that plays noise. Every 100 ms
of the noise can be found again, so it is known where in it each published block lies. That place
must differ from the block's time stamp by the same amount before and after a disturbance; what it
differs by more is the timeline's error.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

from affectstream.bus import Hub, Inlet
from affectstream.messages import Audio, Gap, Message, Progress
from affectstream.run.processes import free_address
from affectstream.timebase import NS_PER_S
from affectstream_tools.bench.microphone.virtual import VirtualMicrophone

RATE_HZ = 16_000
_WATCHED_PREFIXES = ("audio/", "gap/", "progress/", "stream.")
_SETTLED_S = 4.0
_AFTER_S = 5.0
_PLAYED_S = 60
_PINNED, _OTHER = "desk", "headset"
WORKER = (
    "import logging; logging.basicConfig(level=logging.WARNING, format='%(message)s'); "
    "from affectstream.commands.app import main; main()"
)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One disturbance of a running worker.

    Attributes:
        name: what is done.
        do: does it, and returns when the device can be heard again.
        follows: whether the worker records the default input; otherwise one input by its name.
        hangs: whether the sound server stays stopped, so that nothing is heard again.
    """

    name: str
    do: Callable[[RunningWorker], None]
    follows: bool = False
    hangs: bool = False


@dataclass(frozen=True, slots=True)
class DisturbanceOutcome:
    """What one disturbance did; None for what cannot be measured.

    Attributes:
        recovered_ms: from when the device can be heard again to the arrival of the next block.
        missing: samples that are in no block, from the first block to the last.
        said: samples that gap messages say are missing.
        error_ms: the timeline's error in the blocks after it, median and largest.
        reasons: what the gap messages give.
        watermark_ms: how far the watermark was behind the clock at most, when it arrived.
        stop_ms: how long the worker took to end after SIGTERM.
    """

    name: str
    recovered_ms: int | None
    missing: int | None
    said: int | None
    error_ms: tuple[float, float] | None
    reasons: tuple[str, ...]
    watermark_ms: int | None
    stop_ms: int


@dataclass(slots=True)
class RunningWorker:
    """A worker that records, the messages that it published, and when (ns) each arrived."""

    microphone: VirtualMicrophone
    worker: subprocess.Popen[bytes]
    inlet: Inlet
    heard: list[tuple[int, Message]] = field(default_factory=list)

    def listen(self, seconds: float) -> None:
        """Collect messages for that many seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            now_ns = time.time_ns()
            self.heard += [(now_ns, message) for message in self.inlet.read()]
            time.sleep(0.01)

    def count(self, kind: type[Message]) -> int:
        """Return how many messages of a kind have come."""
        return sum(isinstance(message, kind) for _, message in self.heard)


def _unplug(seconds: float, times: int = 1) -> Callable[[RunningWorker], None]:
    def do(stage: RunningWorker) -> None:
        for again in range(times):
            stage.listen(0.7 if again else 0)
            stage.microphone.remove_input(_PINNED)
            stage.listen(seconds)
            stage.microphone.add_input(_PINNED)

    return do


def _change_default(stage: RunningWorker) -> None:
    stage.microphone.set_default(_OTHER)


def _hold_up(seconds: float) -> Callable[[RunningWorker], None]:
    def do(stage: RunningWorker) -> None:
        stage.worker.send_signal(signal.SIGSTOP)
        stage.listen(seconds)
        stage.worker.send_signal(signal.SIGCONT)

    return do


DISTURBANCES = (
    Disturbance("none", lambda stage: None),
    Disturbance("unplugged for 0.3 s", _unplug(0.3)),
    Disturbance("unplugged for 2 s", _unplug(2)),
    Disturbance("unplugged for 10 s", _unplug(10)),
    Disturbance("unplugged 3 times in a row", _unplug(0.5, times=3)),
    Disturbance("another default input chosen", _change_default, follows=True),
    Disturbance("worker held up for 1 s", _hold_up(1)),
    Disturbance("worker held up for 15 s", _hold_up(15)),
    Disturbance(
        "sound server hangs at the end", lambda stage: stage.microphone.hold_up(True), hangs=True
    ),
)


def measure_disturbance(disturbance: Disturbance) -> DisturbanceOutcome:
    """Disturb a worker once and return what happened."""
    noise = np.random.default_rng(0).normal(0, 3000, _PLAYED_S * RATE_HZ).astype(np.int16)
    with _stage(noise, follows=disturbance.follows) as stage:
        while stage.count(Audio) < 5:
            stage.listen(0.1)
        stage.listen(_SETTLED_S)
        before_ns = time.time_ns()
        disturbance.do(stage)
        ready_ns = time.time_ns()
        stage.listen(0.5 if disturbance.hangs else _AFTER_S)
        stopping = time.monotonic()
        stage.worker.send_signal(signal.SIGTERM)
        stage.worker.wait(timeout=30)
        stop_ms = round(1000 * (time.monotonic() - stopping))
    if disturbance.hangs:
        return DisturbanceOutcome(disturbance.name, None, None, None, None, (), None, stop_ms)
    return _outcome(disturbance.name, stage.heard, noise, before_ns, ready_ns, stop_ms)


@contextmanager
def _stage(noise: NDArray[np.int16], *, follows: bool) -> Iterator[RunningWorker]:
    address = free_address()
    with VirtualMicrophone(None if follows else _PINNED, rate_hz=RATE_HZ) as microphone:
        for name in (_PINNED, _OTHER):
            microphone.add_input(name)
        microphone.set_default(_PINNED)
        helpers = [microphone.keep_warm(), microphone.play(noise)]
        with Hub(address):
            inlet = Inlet(address, _WATCHED_PREFIXES, from_start=True)
            worker = subprocess.Popen(
                [sys.executable, "-c", WORKER, "microphone", "--address", address],
                env=microphone.environment,
                stderr=subprocess.DEVNULL,
            )
            try:
                yield RunningWorker(microphone, worker, inlet)
            finally:
                inlet.close()
                for process in (worker, *helpers):
                    process.kill()
                    process.wait()


def _outcome(
    name: str,
    heard: list[tuple[int, Message]],
    noise: NDArray[np.int16],
    before_ns: int,
    ready_ns: int,
    stop_ms: int,
) -> DisturbanceOutcome:
    blocks = [(at_ns, m) for at_ns, m in heard if isinstance(m, Audio)]
    audio = [m for _, m in blocks]
    gaps = [m for _, m in heard if isinstance(m, Gap) and (m.start_ns or 0) > before_ns - NS_PER_S]
    steady = [m for m in audio if m.start_ns > before_ns - 2 * NS_PER_S]
    finder = BlockFinder(noise)
    positions = [finder.offset_ms(m) for m in steady]
    reference = median(o for m, o in zip(steady, positions, strict=True) if m.start_ns < before_ns)
    after = [
        abs(o - reference)
        for m, o in zip(steady, positions, strict=True)
        if m.start_ns >= before_ns
    ]
    first, last = steady[0], steady[-1]
    whole = round((last.start_ns - first.start_ns) * RATE_HZ / NS_PER_S) + len(last.samples)
    lags = [
        (at_ns - m.watermark_ns) / 1e6
        for at_ns, m in heard
        if isinstance(m, Progress) and at_ns > before_ns
    ]
    return DisturbanceOutcome(
        name=name,
        recovered_ms=(min(at for at, m in blocks if m.start_ns > ready_ns) - ready_ns) // 1_000_000,
        missing=whole - sum(len(m.samples) for m in steady),
        said=sum(gap.count for gap in gaps),
        error_ms=(round(median(after), 2), round(max(after), 2)),
        reasons=tuple(dict.fromkeys(gap.reason for gap in gaps)),
        watermark_ms=round(max(lags)),
        stop_ms=stop_ms,
    )


class BlockFinder:
    """Finds in the noise where a published block lies.

    The first block is searched everywhere, the others near the place that their times give.
    """

    NEAR = 2 * RATE_HZ

    def __init__(self, noise: NDArray[np.int16]) -> None:
        self._noise = noise.astype(np.float32)
        self._begin_ns: int | None = None  # event time of the first sample played

    def offset_ms(self, block: Audio) -> float:
        """Return the block's time stamp less the time of its place in the noise, in ms."""
        sound = block.samples.astype(np.float32)
        if self._begin_ns is None:
            at = _peak(self._noise, sound)
            self._begin_ns = block.start_ns - at * NS_PER_S // RATE_HZ
        else:
            expected = (block.start_ns - self._begin_ns) * RATE_HZ // NS_PER_S
            first = max(0, expected - self.NEAR)
            at = first + _peak(self._noise[first : expected + self.NEAR], sound)
        return (block.start_ns - self._begin_ns) / 1e6 - 1000 * at / RATE_HZ


def _peak(within: NDArray[np.float32], sound: NDArray[np.float32]) -> int:
    size = 1 << (len(within) + len(sound)).bit_length()
    product = np.fft.rfft(within, size) * np.conj(np.fft.rfft(sound, size))
    return int(np.argmax(np.fft.irfft(product, size)[: len(within)]))
