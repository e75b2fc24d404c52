"""The microphone worker against a real PortAudio device, and its parts against hand-made ones."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from affectstream.bus import Hub
from affectstream.messages import (
    Audio,
    Gap,
    Progress,
    Transcript,
    UtteranceEnded,
)
from affectstream.run.processes import free_address
from affectstream_tools.bench.microphone.virtual import VirtualMicrophone, missing_packages
from bus_helpers import DEADLINE_S
from bus_listener import Listener
from conftest import lacks
from espeak import Espeak

MODEL = Path(__file__).parents[2] / "realtime" / "affectstream" / "data" / "vosk-tiny"
RATE_HZ = 16_000
MICROPHONE = """
import logging, sys
from affectstream.run.leash import stop_when_told
from affectstream.sources.microphone import run_microphone
logging.basicConfig(level=logging.WARNING)
with stop_when_told() as stopping:
    run_microphone(address=sys.argv[1], session="s1", speaker="anna", stopping=stopping)
"""
TRANSCRIBER = """
import sys
from affectstream.run.leash import stop_when_told
from affectstream.sources.asr import run_transcriber
with stop_when_told() as stopping:
    run_transcriber(address=sys.argv[1], session="s1", model=sys.argv[2], stopping=stopping)
"""


@contextmanager
def session(microphone: VirtualMicrophone, *workers: tuple[str, ...]) -> Iterator:
    """Run a hub, a listener and worker processes."""
    address = free_address()
    with Hub(address):
        listener = Listener(address)
        processes = [microphone.python(code, address, *rest) for code, *rest in workers]
        try:
            yield listener, processes
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            errors = [process.communicate(timeout=DEADLINE_S)[1] for process in processes]
            listener.close()
        assert [process.returncode for process in processes] == [0] * len(processes), errors


def recorded(listener: Listener) -> tuple[int, NDArray[np.float32]]:
    """Return the event time of the first sample, and the audio with zeros in its holes."""
    blocks = listener.of(Audio)
    first = blocks[0].first_sample
    sound = np.zeros(blocks[-1].first_sample + len(blocks[-1].samples) - first, np.float32)
    for block in blocks:
        at = block.first_sample - first
        sound[at : at + len(block.samples)] = block.samples
    return blocks[0].start_ns, sound


def find(played: NDArray[np.int16], sound: NDArray[np.float32]) -> int:
    """Return where in ``sound`` the played samples begin, by cross-correlation."""
    size = 1 << (len(sound) + len(played)).bit_length()
    spectrum = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(played.astype(np.float32), size))
    return int(np.argmax(np.fft.irfft(spectrum, size)[: len(sound)]))


def assert_true_timeline(audio: list[Audio]) -> None:
    """Every block leaves the worker right after its last sample was captured."""
    age_ms = [
        (block.sent_ns - block.start_ns) / 1e6 - 1000 * len(block.samples) / RATE_HZ
        for block in audio
    ]
    assert -30 < np.median(age_ms) < 150
    assert np.percentile(age_ms, 1) > -60


def speak(
    microphone: VirtualMicrophone, listener: Listener, samples: NDArray[np.int16]
) -> tuple[int, int]:
    """Play and wait for the end of an utterance; return the event times it was played between."""
    ended = len(listener.of(UtteranceEnded))
    start_ns = time.time_ns()
    player = microphone.play(samples)
    listener.until(lambda: len(listener.of(UtteranceEnded)) > ended)
    listener.until(lambda: player.poll() is not None)
    return start_ns, time.time_ns()


def finals(listener: Listener) -> list[Transcript]:
    return [transcript for transcript in listener.of(Transcript) if transcript.final]


def word_errors_ms(
    transcript: Transcript, begin_ns: int, starts_s: list[float | None]
) -> list[float]:
    return [
        (word.start_ns - begin_ns) / 1e6 - 1000 * start
        for word, start in zip(transcript.words, starts_s, strict=True)
        if start is not None
    ]


def test_speech_is_transcribed_with_true_word_times(
    virtual_microphone: VirtualMicrophone, espeak: Espeak
) -> None:
    with session(virtual_microphone, (MICROPHONE,), (TRANSCRIBER, str(MODEL))) as (listener, _):
        listener.until(lambda: len(listener.of(Audio)) > 10)
        for text in ("i am so happy today", "please do not leave me", "why are you so sad"):
            spoken = espeak.say(text)
            count = len(finals(listener))
            speak(virtual_microphone, listener, np.pad(spoken.samples // 2, 4_000))
            listener.until(lambda count=count: len(finals(listener)) > count)
            start_ns, sound = recorded(listener)
            begin_ns = start_ns + find(spoken.samples, sound) * 1_000_000_000 // RATE_HZ
            transcript = finals(listener)[-1]
            assert transcript.text == text
            assert np.abs(word_errors_ms(transcript, begin_ns, spoken.word_starts_s)).max() < 100
        assert_true_timeline(listener.of(Audio))
        partials = [t for t in listener.of(Transcript) if not t.final]
        assert partials
        named = [ended.utterance.rpartition("-") for ended in listener.of(UtteranceEnded)]
        assert [number for _, _, number in named] == ["0000", "0001", "0002"]
        assert len({take for take, _, _ in named}) == 1


def test_a_lost_device_is_said_and_comes_back_in_its_true_place(
    virtual_microphone: VirtualMicrophone, espeak: Espeak
) -> None:
    spoken = espeak.say("i am very sad today")
    with session(virtual_microphone, (MICROPHONE,)) as (listener, _):
        listener.until(lambda: len(listener.of(Audio)) > 10)
        unplugged_ns = time.time_ns()
        virtual_microphone.unplug()
        try:
            listener.until(lambda: bool(listener.of(Gap)))
            listener.for_seconds(1.2)
            waiting = listener.of(Progress)[-1].watermark_ns
        finally:
            virtual_microphone.plug()
        plugged_ns = time.time_ns()
        assert waiting > unplugged_ns + 500_000_000  # others need not wait for a lost device
        before = len(listener.of(Audio))
        listener.until(lambda: len(listener.of(Audio)) > before + 10)
        played = speak(virtual_microphone, listener, np.pad(spoken.samples // 2, 4_000))
        begins, lost = (gap for gap in listener.of(Gap) if gap.reason != "clock")
        assert (begins.reason, begins.count, begins.end_ns) == ("device lost", 0, None)
        assert lost.reason == "device lost"
        assert lost.start_ns is not None
        assert lost.end_ns is not None
        assert abs(lost.start_ns - unplugged_ns) < 300_000_000
        assert lost.end_ns >= plugged_ns - 100_000_000
        assert lost.count == pytest.approx((lost.end_ns - lost.start_ns) * RATE_HZ / 1e9, abs=2)
        ended = listener.of(UtteranceEnded)[-1]
        assert played[0] < ended.start_ns < ended.end_ns < played[1]
        assert_true_timeline(listener.of(Audio)[before:])
        silent = [block for block in listener.of(Audio) if begins.start_ns < block.start_ns]
        assert min(block.start_ns for block in silent) >= lost.end_ns  # no silence made up


def test_a_clip_is_found_within_200_ms(
    virtual_microphone: VirtualMicrophone, data_folder: Path
) -> None:
    soundfile = pytest.importorskip("soundfile")
    clip = data_folder / "ravdess16k" / "Actor_01" / "03-01-01-01-01-01-01.flac"
    samples, _ = soundfile.read(clip, dtype="int16")
    with session(virtual_microphone, (MICROPHONE,)) as (listener, processes):
        listener.until(lambda: len(listener.of(Audio)) > 10)
        speak(virtual_microphone, listener, samples)
        start_ns, sound = recorded(listener)
        begin_ns = start_ns + find(samples, sound) * 1_000_000_000 // RATE_HZ
        (ended,) = listener.of(UtteranceEnded)
        first_s, last_s = speech_bounds_s(samples)
        assert (ended.start_ns - begin_ns) / 1e9 == pytest.approx(first_s, abs=0.2)
        assert (ended.end_ns - begin_ns) / 1e9 == pytest.approx(last_s, abs=0.2)
        worker = psutil.Process(processes[0].pid)
        assert worker.memory_info().rss < 100e6
        before = worker.cpu_times()
        listener.for_seconds(1.0)
        after = worker.cpu_times()
        assert after.user + after.system - before.user - before.system < 0.25  # it does not spin


def speech_bounds_s(samples: NDArray[np.int16]) -> tuple[float, float]:
    """The first and the last 10 ms whose RMS lies above -30 dB of the loudest 10 ms."""
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160).astype(np.float64)
    rms = np.sqrt(np.mean(frames**2, axis=1))
    loud = np.flatnonzero(rms > rms.max() * 10 ** (-30 / 20))
    return loud[0] / 100, (loud[-1] + 1) / 100


def test_raw_audio_can_be_kept_here(virtual_microphone: VirtualMicrophone, espeak: Espeak) -> None:
    private = MICROPHONE.replace('speaker="anna",', 'speaker="anna", publish_audio=False,')
    with session(virtual_microphone, (private,)) as (listener, _):
        listener.until(lambda: len(listener.of(Progress)) > 5)
        speak(virtual_microphone, listener, espeak.say("i am so happy today").samples)
        assert not listener.of(Audio)
    assert listener.of(UtteranceEnded)


def test_a_device_that_does_not_exist_is_named(virtual_microphone: VirtualMicrophone) -> None:
    wrong = MICROPHONE.replace('speaker="anna",', 'speaker="anna", device="no such thing",')
    process = virtual_microphone.python(wrong, free_address())
    error = process.communicate(timeout=DEADLINE_S)[1]
    assert "there is no one input device 'no such thing'; choose one of these" in error


def test_without_portaudio_the_remedy_is_named(tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from affectstream.sources.devices import input_devices\n"
        "from affectstream.errors import SourceError\n"
        "try: input_devices()\n"
        "except SourceError as error: sys.exit(str(error))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert "apt-get install libportaudio2" in run.stderr
    assert "brew install portaudio" in run.stderr
    assert "Traceback" not in run.stderr


def changes(listener: Listener) -> list[Gap]:
    return [gap for gap in listener.of(Gap) if gap.reason == "device changed"]


def test_the_default_input_is_followed_and_a_hanging_server_does_not_keep_the_worker() -> None:
    if missing := missing_packages():
        lacks(f"the packages {' '.join(missing)}")
    with VirtualMicrophone(None, rate_hz=RATE_HZ) as microphone:
        microphone.add_input("desk")
        microphone.add_input("headset")
        microphone.set_default("desk")
        warm = microphone.keep_warm()
        try:
            with session(microphone, (MICROPHONE,)) as (listener, (worker,)):
                listener.until(lambda: len(listener.of(Audio)) > 10)
                microphone.set_default("headset")
                listener.until(lambda: len(changes(listener)) == 2)
                begins, lost = changes(listener)
                assert begins.end_ns is None
                assert lost.count == pytest.approx((lost.end_ns - lost.start_ns) * 16e-6, abs=2)
                microphone.hold_up(True)
                worker.send_signal(signal.SIGTERM)
                worker.wait(timeout=10)  # 2 s on a machine that has nothing else to do
        finally:
            warm.kill()
            warm.wait()


def test_a_device_that_is_not_there_is_an_error_unless_it_is_waited_for() -> None:
    if missing := missing_packages():
        lacks(f"the packages {' '.join(missing)}")
    with VirtualMicrophone("late", rate_hz=RATE_HZ) as microphone:
        refused = microphone.python(MICROPHONE, free_address())
        error = refused.communicate(timeout=DEADLINE_S)[1]
        assert refused.returncode == 1
        assert "the default input device cannot be opened" in error
        assert "plug a microphone in" in error
        waiting = MICROPHONE.replace('speaker="anna",', 'speaker="anna", wait=True,')
        with session(microphone, (waiting,)) as (listener, _):
            listener.until(lambda: bool(listener.of(Gap)))
            microphone.add_input("late")
            listener.until(lambda: len(listener.of(Audio)) > 3)
            begins, lost = listener.of(Gap)[:2]
            assert (begins.count, begins.end_ns) == (0, None)
            assert begins.start_ns == lost.start_ns
            assert lost.end_ns == listener.of(Audio)[0].start_ns
