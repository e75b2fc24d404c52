"""The microphone between its callback and the loop, with a device made by hand."""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from affectstream.core.capture.audio import AudioLost, Captured, CapturedAudio, DeviceLost
from affectstream.errors import SourceError
from affectstream.sources import device_keeper, devices, microphone
from affectstream.sources.default_input import DefaultInput
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
        self.new_defaults: dict[int, str] = {}
        self.hang: threading.Event | None = None

    def open(self, device: object, on_block: devices.OnBlock) -> FakeDevice:
        if self.hang is not None:
            self.hang.wait()
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
    monkeypatch.setattr(devices, "refresh_devices", lambda: None)
    monkeypatch.setattr(device_keeper, "RETRY_S", 0.01)
    monkeypatch.setattr(device_keeper, "TICK_S", 0.01)
    monkeypatch.setattr(device_keeper, "STALLED_S", 0.2)
    monkeypatch.setattr(DefaultInput, "begin", lambda self: None)
    monkeypatch.setattr(DefaultInput, "changed", lambda self: bench.new_defaults.pop(0, None))
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
    bench.deliver(4)
    assert heard() == []  # the first may be late: the fifth shows that it was not
    bench.deliver(1)
    blocks = heard()
    assert [b.first_sample for b in blocks if isinstance(b, CapturedAudio)] == [
        320 * i for i in range(5)
    ]
    assert heard() == []


def test_a_first_block_that_comes_late_is_placed_by_those_after_it(
    bench: Bench, heard: Callable[[], list[Captured]]
) -> None:
    bench.now_ns += 5 * BLOCK_NS
    for _ in range(6):
        bench.opened[-1].deliver(1)
    bench.deliver(5)
    blocks = heard()
    assert not [b for b in blocks if not isinstance(b, CapturedAudio)]
    assert [b.first_sample for b in blocks][:3] == [0, 320, 640]


def test_an_overflow_is_a_hole(bench: Bench, heard: Callable[[], list[Captured]]) -> None:
    bench.deliver(6)
    heard()
    bench.now_ns += 3 * BLOCK_NS
    bench.deliver(1, overflow=True)
    assert heard() == []
    bench.deliver(4)
    lost, block = heard()[:2]
    assert lost == AudioLost(1920, 2880, 960, "overflow")
    assert isinstance(block, CapturedAudio)
    assert block.first_sample == 2880


def test_blocks_that_waited_while_we_were_held_up_are_not_moved(
    bench: Bench, heard: Callable[[], list[Captured]]
) -> None:
    bench.deliver(6)
    heard()
    bench.now_ns += 50 * BLOCK_NS
    for _ in range(50):
        bench.opened[-1].deliver(1)
    bench.deliver(4)
    blocks = heard()
    assert [b.first_sample for b in blocks if isinstance(b, CapturedAudio)] == [
        320 * i for i in range(6, 60)
    ]
    assert len(blocks) == 54


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
    bench.deliver(5)
    wait_for(lambda: bool(collected.extend(heard()) or len(collected) >= 3))
    lost, block = collected[1:3]
    assert lost == AudioLost(1600, 33_600, 32_000, "device lost")
    assert isinstance(block, CapturedAudio)
    assert block.first_sample == 33_600


def test_a_device_that_falls_silent_is_lost(
    bench: Bench, heard: Callable[[], list[Captured]]
) -> None:
    bench.deliver(5)
    heard()
    collected: list[Captured] = []
    wait_for(lambda: bool(collected.extend(heard()) or collected))
    assert collected == [DeviceLost("it delivers nothing")]


def until(heard: Callable[[], list[Captured]], count: int) -> list[Captured]:
    collected: list[Captured] = []
    wait_for(lambda: bool(collected.extend(heard()) or len(collected) >= count))
    return collected


def test_a_device_that_goes_before_its_first_block_counts_from_the_beginning(
    bench: Bench, heard: Callable[[], list[Captured]]
) -> None:
    bench.opened[0].active = False
    wait_for(lambda: len(bench.opened) == 2)
    bench.now_ns += 1_000_000_000
    bench.deliver(5)
    gone, lost, block = until(heard, 3)[:3]
    assert gone == DeviceLost("it was disconnected")
    assert lost == AudioLost(0, 16_000, 16_000, "device lost")
    assert isinstance(block, CapturedAudio)


def test_a_new_default_input_is_followed(bench: Bench, heard: Callable[[], list[Captured]]) -> None:
    bench.deliver(5)
    heard()
    bench.new_defaults[0] = "headset"
    wait_for(lambda: len(bench.opened) == 2)
    assert bench.opened[0].closed
    bench.now_ns += 200_000_000
    bench.deliver(5)
    gone, lost = until(heard, 3)[:2]
    assert gone == DeviceLost("the default input is now headset", "device changed")
    assert lost == AudioLost(1600, 4800, 3200, "device changed")


def test_a_named_device_is_stayed_with(bench: Bench) -> None:
    bench.new_defaults[0] = "headset"
    source = Microphone("desk", start_ns=START_NS, clock=lambda: bench.now_ns)
    bench.deliver(5)
    time.sleep(0.1)
    source.close()
    assert len(bench.opened) == 1


def test_a_device_that_is_not_there_yet_is_waited_for_if_so_asked(bench: Bench) -> None:
    bench.refuse = True
    with pytest.raises(SourceError, match="nothing there"):
        Microphone(None, start_ns=START_NS, clock=lambda: bench.now_ns)
    source = Microphone(None, start_ns=START_NS, clock=lambda: bench.now_ns, wait=True)
    wait_for(lambda: source.read(0) == [DeviceLost("there is none yet")])
    bench.refuse = False
    wait_for(lambda: len(bench.opened) == 1)
    bench.now_ns += 2_000_000_000
    bench.deliver(5)
    assert source.read(0)[0] == AudioLost(0, 32_000, 32_000, "device lost")
    source.close()


def test_a_stop_does_not_wait_for_a_device_that_hangs(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.hang = threading.Event()
    begin_s = time.monotonic()
    source = Microphone(None, start_ns=START_NS, clock=lambda: bench.now_ns, stopping=lambda: True)
    source.close()
    assert time.monotonic() - begin_s < 2
    assert "does not answer" in caplog.text
    bench.hang.set()
    wait_for(lambda: bool(bench.opened) and bench.opened[-1].closed)


def test_an_error_that_nobody_foresaw_ends_the_worker(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[object] = []
    monkeypatch.setattr(threading, "excepthook", said.append)
    source = Microphone(None, start_ns=START_NS, clock=lambda: bench.now_ns)

    def fail() -> None:
        raise RuntimeError("bug")

    monkeypatch.setattr(devices, "refresh_devices", fail)
    bench.opened[0].active = False
    wait_for(lambda: bool(said))
    with pytest.raises(SourceError, match="thread has ended"):
        wait_for(lambda: source.read(0) is None)
    source.close()


def test_a_muted_device_is_said_once(
    bench: Bench, heard: Callable[[], list[Captured]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for _ in range(6):
        bench.deliver(200, value=0)
        heard()
    bench.deliver(1)
    heard()
    assert [m for m in caplog.messages if "device" in m] == [
        "the device hands over zeros only: it is muted, or the wrong one",
        "the device is heard again",
    ]


@pytest.mark.parametrize(
    ("takes", "expected"),
    [
        ([(16_000, 1), (48_000, 2)], (16_000, 1)),
        ([(44_100, 1)], (44_100, 1)),
        ([(8_000, 1)], (8_000, 1)),
        ([(48_000, 2)], (48_000, 2)),
        ([(16_000, 8)], (16_000, 8)),
    ],
)
def test_a_device_is_opened_as_it_can_be(
    takes: list[tuple[int, int]], expected: tuple[int, int]
) -> None:
    class RefusedError(Exception):
        pass

    def check(device: object, channels: int, dtype: str, samplerate: int) -> None:
        if (samplerate, channels) not in takes:
            raise RefusedError

    portaudio = SimpleNamespace(PortAudioError=RefusedError, check_input_settings=check)
    found = {"default_samplerate": 44_100.0, "max_input_channels": 8}
    assert devices._format(portaudio, None, found) == expected


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
    callback = devices._callback(lambda *block: taken.append(block), 2, 16_000, trust_adc_time=True)
    pcm = np.arange(640, dtype=np.int16).tobytes()
    when = SimpleNamespace(currentTime=5.0, inputBufferAdcTime=4.98)
    callback(pcm, 320, when, SimpleNamespace(input_overflow=True))
    ((first, age_ns, overflow),) = taken
    assert np.array_equal(np.frombuffer(first, np.int16), np.arange(0, 640, 2))
    assert (age_ns, overflow) == (BLOCK_NS, True)


@pytest.mark.parametrize(("adc", "age_ms"), [(0.0, 20), (5.0, 20), (4.96, 40), (9.0, 20)])
def test_impossible_capture_times_are_not_believed(adc: float, age_ms: int) -> None:
    taken: list[int] = []
    callback = devices._callback(
        lambda pcm, age_ns, overflow: taken.append(age_ns), 1, 16_000, trust_adc_time=True
    )
    when = SimpleNamespace(currentTime=5.0, inputBufferAdcTime=adc)
    callback(bytes(640), 320, when, SimpleNamespace(input_overflow=False))
    assert taken == [pytest.approx(age_ms * 1_000_000, abs=1000)]
