"""The microphone between its callback and the runner, with a device made by hand."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from affectstream.core.capture import AudioLost, Captured, CapturedAudio, DeviceLost
from affectstream.sources import devices, microphone
from affectstream.sources.errors import SourceError
from affectstream.sources.microphone import Microphone

START_NS = 1_700_000_000_000_000_000
BLOCK_NS = 20_000_000


class FakeDevice:
    """A device whose blocks the test delivers."""

    name = "fake"

    def __init__(self, on_block: devices.OnBlock, rate_hz: int) -> None:
        self._on_block = on_block
        self.rate_hz = rate_hz
        self.active = True
        self.closed = False

    def start(self) -> None:
        self.active = True

    def close(self) -> None:
        self.closed = True

    def deliver(self, value: int, overflow: bool = False) -> None:
        samples = np.full(self.rate_hz // 50, value, np.int16)
        self._on_block(samples.tobytes(), BLOCK_NS, overflow)


class Bench:
    """A microphone, its fake devices and its clock."""

    def __init__(self) -> None:
        self.now_ns = START_NS
        self.opened: list[FakeDevice] = []
        self.refuse = False
        self.rate_hz = 16_000

    def open(self, device: object, on_block: devices.OnBlock) -> FakeDevice:
        if self.refuse:
            raise SourceError("nothing there")
        self.opened.append(FakeDevice(on_block, self.rate_hz))
        return self.opened[-1]

    def deliver(self, blocks: int, value: int = 1, overflow: bool = False) -> None:
        for _ in range(blocks):
            self.now_ns += BLOCK_NS
            self.opened[-1].deliver(value, overflow)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench()
    monkeypatch.setattr(devices, "resolve", lambda device: device)
    monkeypatch.setattr(devices, "open_device", bench.open)
    monkeypatch.setattr(devices, "find_again", lambda: None)
    monkeypatch.setattr(microphone, "RETRY_S", 0.01)
    return bench


@pytest.fixture
def heard(bench: Bench) -> Iterator[Callable[[], list[Captured]]]:
    source = Microphone(None, start_ns=START_NS, clock=lambda: bench.now_ns)

    def read() -> list[Captured]:
        if not select.select([source.fileno()], [], [], 0)[0]:
            return []
        return source.read(bench.now_ns)

    yield read
    source.close()
    assert bench.opened[-1].closed


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_blocks_come_in_order_at_their_positions(
    bench: Bench, heard: Callable[[], list[Captured]]
) -> None:
    bench.deliver(3)
    blocks = heard()
    assert [b.first_sample for b in blocks if isinstance(b, CapturedAudio)] == [0, 320, 640]
    assert heard() == []


def test_an_overflow_is_a_hole(bench: Bench, heard: Callable[[], list[Captured]]) -> None:
    bench.deliver(2)
    bench.now_ns += 3 * BLOCK_NS
    bench.deliver(1, overflow=True)
    lost, block = heard()[-2:]
    assert lost == AudioLost(640, 1600, 960, "overflow")
    assert isinstance(block, CapturedAudio)
    assert block.first_sample == 1600


def test_a_full_queue_drops_blocks_and_counts_them(
    bench: Bench, heard: Callable[[], list[Captured]]
) -> None:
    bench.deliver(microphone.QUEUE_BLOCKS + 7)
    first = heard()
    assert len([b for b in first if isinstance(b, CapturedAudio)]) == microphone.QUEUE_BLOCKS
    bench.deliver(1)
    lost, block = heard()
    end = microphone.QUEUE_BLOCKS * 320
    assert lost == AudioLost(end, end + 7 * 320, 7 * 320, "overflow")
    assert isinstance(block, CapturedAudio)
    assert block.first_sample == end + 7 * 320


def test_a_lost_device_is_said_and_opened_again(
    bench: Bench, heard: Callable[[], list[Captured]]
) -> None:
    bench.deliver(5)
    heard()
    bench.refuse = True
    bench.opened[0].active = False
    collected: list[Captured] = []
    wait_for(lambda: bool(collected.extend(heard()) or collected))
    assert collected == [DeviceLost("it was disconnected")]
    bench.now_ns += 2_000_000_000
    bench.refuse = False
    wait_for(lambda: len(bench.opened) == 2)
    assert bench.opened[0].closed
    bench.deliver(1)
    wait_for(lambda: bool(collected.extend(heard()) or len(collected) >= 3))
    lost, block = collected[1:]
    assert lost == AudioLost(1600, 33_600, 32_000, "device lost")
    assert isinstance(block, CapturedAudio)
    assert block.first_sample == 33_600


def test_a_device_that_falls_silent_is_lost(
    bench: Bench, heard: Callable[[], list[Captured]]
) -> None:
    bench.deliver(5)
    heard()
    bench.now_ns += 1_500_000_000
    collected: list[Captured] = []
    wait_for(lambda: bool(collected.extend(heard()) or collected))
    assert collected == [DeviceLost("it delivers nothing")]


def test_a_device_at_its_own_rate_is_resampled_onto_the_same_timeline(
    bench: Bench,
) -> None:
    bench.rate_hz = 44_100
    source = Microphone(None, start_ns=START_NS, clock=lambda: bench.now_ns)
    bench.now_ns += 100_000_000
    bench.deliver(50, value=1000)
    blocks = [b for b in source.read(bench.now_ns) if isinstance(b, CapturedAudio)]
    source.close()
    assert blocks[0].first_sample == 1600
    ends = [b.first_sample + len(b.samples) for b in blocks]
    assert [b.first_sample for b in blocks[1:]] == ends[:-1]
    assert 16_000 * 0.95 < ends[-1] - 1600 <= 16_000


def test_the_first_of_several_channels_is_taken() -> None:
    taken: list[tuple[bytes, int, bool]] = []
    callback = devices._callback(lambda *block: taken.append(block), 2, 16_000)
    pcm = np.arange(640, dtype=np.int16).tobytes()
    when = SimpleNamespace(currentTime=5.0, inputBufferAdcTime=4.98)
    callback(pcm, 320, when, SimpleNamespace(input_overflow=True))
    ((first, age_ns, overflow),) = taken
    assert np.array_equal(np.frombuffer(first, np.int16), np.arange(0, 640, 2))
    assert (age_ns, overflow) == (BLOCK_NS, True)


@pytest.mark.parametrize(("adc", "age_ms"), [(0.0, 60), (5.0, 20), (4.96, 40), (9.0, 20)])
def test_impossible_capture_times_are_not_believed(adc: float, age_ms: int) -> None:
    taken: list[int] = []
    callback = devices._callback(lambda pcm, age_ns, overflow: taken.append(age_ns), 1, 16_000)
    when = SimpleNamespace(currentTime=5.0, inputBufferAdcTime=adc)
    callback(bytes(640), 320, when, SimpleNamespace(input_overflow=False))
    assert taken == [pytest.approx(age_ms * 1_000_000, abs=1000)]
