"""Recordings as microphones: pace, rates, channels, and files that are broken."""

from __future__ import annotations

import logging
import math
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.bus import Hub
from affectstream.core.capture.audio import AudioLost, Captured, CapturedAudio
from affectstream.errors import SourceError, UsageError
from affectstream.messages import Audio, StreamClosed, UtteranceEnded
from affectstream.run.processes import free_address
from affectstream.sources.audio_file import AudioFile, run_audio_file
from affectstream.sources.microphone import run_microphone
from affectstream.sources.resampling import TimelineResampler
from affectstream_tools.bench.microphone.virtual import write_samples
from bus_listener import Listener

NOW_NS = 1_700_000_000_000_000_000


def tone(seconds: float, rate_hz: int, frequency_hz: float = 440.0) -> NDArray[np.int16]:
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    return (8000 * np.sin(2 * np.pi * frequency_hz * times)).astype(np.int16)


def play(file: AudioFile) -> list[Captured]:
    """Read the whole file as soon as it allows."""
    captured: list[Captured] = []
    now_ns = NOW_NS
    while not file.exhausted:
        captured += file.read(now_ns)
        now_ns = max(now_ns, file.next_read_ns() or now_ns)
    file.close()
    return captured


def joined(captured: list[Captured]) -> NDArray[np.int16]:
    blocks = [item for item in captured if isinstance(item, CapturedAudio)]
    ends = [block.first_sample + len(block.samples) for block in blocks]
    assert [block.first_sample for block in blocks[1:]] == ends[:-1]
    return np.concatenate([block.samples for block in blocks])


def test_a_file_at_16_khz_is_played_as_it_is(tmp_path: Path) -> None:
    samples = tone(0.5, 16_000)
    file = AudioFile(write_samples(tmp_path / "a.wav", samples))
    assert np.array_equal(joined(play(file)), samples)


def test_a_file_keeps_its_pace(tmp_path: Path) -> None:
    file = AudioFile(write_samples(tmp_path / "a.wav", tone(1.0, 16_000)), speed=2.0)
    assert file.read(NOW_NS) == []
    assert file.next_read_ns() == NOW_NS + 30_000_000  # a block of 60 ms, twice as fast
    heard = [file.read(NOW_NS + ms * 1_000_000) for ms in (100, 200)]
    assert [len(joined(items)) for items in heard] == [3200, 3200]
    file.close()


def test_a_start_in_the_future_is_waited_for(tmp_path: Path) -> None:
    file = AudioFile(
        write_samples(tmp_path / "a.wav", tone(1, 16_000)), not_before_ns=NOW_NS + 10**9
    )
    assert file.next_read_ns() == NOW_NS + 10**9
    assert file.read(NOW_NS + 10**9 - 1) == []
    file.read(NOW_NS + 10**9)
    assert len(joined(file.read(NOW_NS + 11 * 10**8))) == 1600
    file.close()


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
@pytest.mark.parametrize("speed", [1.0, 4.0])
def test_a_recording_that_is_resumed_goes_on_where_it_is_by_now(
    tmp_path: Path, rate_hz: int, speed: float
) -> None:
    ramp = np.arange(2 * rate_hz).astype(np.int16)
    path = write_samples(tmp_path / "a.wav", ramp, rate_hz)
    file = AudioFile(path, speed=speed, not_before_ns=NOW_NS, resume=True)
    later_ns = NOW_NS + round(1.5 / speed * 1e9)
    assert file.read(later_ns) == [AudioLost(24_000, 24_000, 0, "restarted")]
    captured: list[Captured] = []
    while not file.exhausted:
        captured += file.read(later_ns := max(later_ns, file.next_read_ns() or 0))
    assert later_ns - NOW_NS == pytest.approx(2.0 / speed * 1e9, abs=2e8)
    first = next(item for item in captured if isinstance(item, CapturedAudio))
    assert first.first_sample == 24_000
    assert len(joined(captured)) == 8_000
    file.close()


def test_a_recording_that_would_be_over_by_now_ends_at_once(tmp_path: Path) -> None:
    path = write_samples(tmp_path / "a.wav", tone(1, 16_000))
    file = AudioFile(path, not_before_ns=NOW_NS, resume=True)
    assert file.read(NOW_NS + 10**12) == [AudioLost(16_000, 16_000, 0, "restarted")]
    assert file.read(NOW_NS + 10**12 + 10**9) == []
    assert file.exhausted
    file.close()


@pytest.mark.parametrize(("speed", "after_ms"), [(1.0, 50), (math.inf, 10**6)])
def test_what_had_not_begun_or_has_no_pace_is_resumed_at_its_beginning(
    tmp_path: Path, speed: float, after_ms: int
) -> None:
    path = write_samples(tmp_path / "a.wav", tone(1, 16_000))
    file = AudioFile(path, speed=speed, not_before_ns=NOW_NS, resume=True)
    captured: list[Captured] = []
    now_ns = NOW_NS + after_ms * 1_000_000
    while not file.exhausted:
        captured += file.read(now_ns)
        now_ns = max(now_ns, file.next_read_ns() or 0)
    assert len(joined(captured)) == 16_000
    file.close()


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
def test_a_file_at_another_rate_keeps_its_length_and_its_place(
    tmp_path: Path, rate_hz: int
) -> None:
    click = np.zeros(rate_hz, np.int16)
    click[rate_hz // 2 - 20 : rate_hz // 2 + 20] = 20_000
    heard = joined(play(AudioFile(write_samples(tmp_path / "a.wav", click, rate_hz))))
    assert abs(len(heard) - 16_000) <= 1
    assert abs(int(np.average(np.arange(len(heard)), weights=np.abs(heard))) - 8_000) <= 2


def test_one_channel_is_chosen(tmp_path: Path) -> None:
    both = np.stack([tone(0.2, 16_000), tone(0.2, 16_000, 1000.0)], axis=1)
    path = write_samples(tmp_path / "a.wav", both)
    assert np.array_equal(joined(play(AudioFile(path, channel=1))), both[:, 1])


def test_a_truncated_file_is_played_and_what_is_missing_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_samples(tmp_path / "a.wav", tone(1.0, 48_000), 48_000)
    path.write_bytes(path.read_bytes()[: 44 + 2 * 24_000])
    with caplog.at_level(logging.WARNING):
        captured = play(AudioFile(path))
    lost = captured[-1]
    assert len(joined(captured)) == 8_000
    assert lost == AudioLost(8_000, 16_000, 8_000, "truncated")
    assert "is truncated: 24000 of its 48000 samples are missing" in caplog.text


def test_a_file_that_does_not_know_its_length_is_not_truncated(tmp_path: Path) -> None:
    path = write_samples(tmp_path / "a.wav", tone(0.1, 16_000))
    header = bytearray(path.read_bytes())
    header[4:8] = header[40:44] = b"\xff\xff\xff\xff"  # as ffmpeg writes into a pipe
    path.write_bytes(header)
    captured = play(AudioFile(path))
    assert len(joined(captured)) == 1600
    assert not [item for item in captured if isinstance(item, AudioLost)]


def test_files_that_cannot_be_played_say_why(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("this is no sound at all, but it is long enough for a header")
    header = tmp_path / "header.wav"
    header.write_bytes(write_samples(tmp_path / "good.wav", tone(0.1, 16_000)).read_bytes()[:20])
    empty = write_samples(tmp_path / "empty.wav", np.zeros(0, np.int16))
    nothing = tmp_path / "nothing.wav"
    nothing.touch()
    for path, words in (
        (tmp_path / "absent.wav", "does not exist"),
        (text, "ffmpeg -i"),
        (header, "ffmpeg -i|holds no audio"),
        (nothing, "ffmpeg -i"),
        (empty, "holds no audio"),
    ):
        with pytest.raises(SourceError, match=words):
            AudioFile(path)
    with pytest.raises(SourceError, match=r"has no channel 1; choose one of 0\.\.0"):
        AudioFile(tmp_path / "good.wav", channel=1)
    with pytest.raises(SourceError, match="a speed of 0"):
        AudioFile(tmp_path / "good.wav", speed=0.0)


def test_other_containers_are_read_by_soundfile(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    samples = tone(0.3, 16_000)
    soundfile.write(tmp_path / "a.flac", samples, 16_000)
    assert np.array_equal(joined(play(AudioFile(tmp_path / "a.flac"))), samples)


def test_resampling_in_chunks_equals_resampling_at_once() -> None:
    samples = tone(0.5, 44_100)
    at_once = TimelineResampler(44_100)
    expected = joined([*at_once.accept(0, samples), *at_once.end_run()])
    chunked = TimelineResampler(44_100)
    blocks: list[Captured] = []
    for at in range(0, len(samples), 777):
        blocks += chunked.accept(at, samples[at : at + 777])
    heard = joined([*blocks, *chunked.end_run()])
    assert np.array_equal(heard, expected)


def test_a_hole_is_said_at_16_khz_and_the_next_run_lies_behind_it() -> None:
    resampler = TimelineResampler(48_000)
    before = resampler.accept(0, tone(0.5, 48_000))
    hole = resampler.hole(48_000, 24_000, "overflow")
    after = resampler.accept(48_000, tone(0.5, 48_000)) + resampler.end_run()
    assert len(joined([*before, *hole[:-1]])) == 8_000
    assert hole[-1] == AudioLost(8_000, 16_000, 8_000, "overflow")
    assert after[0].first_sample == 16_000


@pytest.mark.parametrize("worker", ["recording", "microphone"])
def test_what_is_wrong_is_said_without_a_hub(tmp_path: Path, worker: str) -> None:
    path = write_samples(tmp_path / "a.wav", tone(0.1, 16_000))
    begin = partial(run_audio_file, path) if worker == "recording" else run_microphone
    asked: list[int] = []

    def stopping() -> bool:
        asked.append(1)
        return len(asked) > 20

    with pytest.raises(UsageError, match="'ear' is no voice detector"):
        begin(address=free_address(), session="s1", speaker="anna", vad="ear", stopping=stopping)
    assert not asked, "the hub was waited for"


def test_the_worker_publishes_a_recording(tmp_path: Path, espeak) -> None:
    spoken = np.pad(espeak.say("i am so happy today").samples, 16_000)
    path = write_samples(tmp_path / "a.wav", spoken)
    address = free_address()
    with Hub(address):
        listener = Listener(address)
        worker = threading.Thread(
            target=run_audio_file,
            args=(path,),
            kwargs={
                "address": address,
                "session": "s1",
                "speaker": "anna",
                "speed": math.inf,
                "start_ns": 5_000_000_000,
            },
        )
        worker.start()
        try:
            listener.until(lambda: bool(listener.of(StreamClosed)))
            worker.join(timeout=5)
        finally:
            listener.close()
    (ended,) = listener.of(UtteranceEnded)
    assert 5.9e9 < ended.start_ns < 6.2e9
    assert np.array_equal(np.concatenate([b.samples for b in listener.of(Audio)]), spoken)


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (4, b"\xff\xff\xff\x7f", None),  # the length of the whole
        (16, b"\xff\xff\xff\x7f", "no PCM wav file|cannot be read"),  # of the format
        (22, b"\xff\x00", "255 channels"),
        (24, bytes(4), "0 samples a second|cannot be read"),
        (24, b"\x01\0\0\0", "1 samples a second"),
        (24, b"\xff\xff\xff\xff", "samples a second|cannot be read"),
    ],
)
def test_a_header_that_cannot_be_is_refused(
    at: int, value: bytes, words: str | None, tmp_path: Path
) -> None:
    path = write_samples(tmp_path / "a.wav", tone(0.1, 16_000))
    data = bytearray(path.read_bytes())
    data[at : at + len(value)] = value
    path.write_bytes(data)
    if words is None:
        assert len(joined(play(AudioFile(path)))) == 1600
        return
    with pytest.raises(SourceError, match=words) as refused:
        AudioFile(path)
    assert len(str(refused.value).splitlines()) == 1


def test_a_compressed_file_that_is_broken_inside_ends_there_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, 80_000), 16_000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4_000] = bytes(4_000)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        captured = play(AudioFile(path, speed=math.inf))
    lost = [item for item in captured if isinstance(item, AudioLost)]
    assert [item.reason for item in lost] == ["truncated"]
    assert "cannot be read on" in caplog.text
