"""Utterances from captured audio: bounds, holes, lengths, and the law of chunks."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.codec import decode, encode
from affectstream.core.capture.audio import AudioLost, Captured, CapturedAudio, DeviceLost
from affectstream.core.dialogue.frames import FrameTrack
from affectstream.core.speech.descriptors import DescriptorExtractor
from affectstream.core.speech.segmenter import UtteranceSegmenter
from affectstream.core.speech.voice_activity import FrameActivity, VoiceActivity, frame_level_db
from affectstream.messages import (
    Acoustic,
    Audio,
    Gap,
    Message,
    Progress,
    StreamClosed,
    StreamOpened,
    UtteranceEnded,
    UtteranceStarted,
)
from affectstream.timebase import Interval
from fakes import FakeFrontEnd

START_NS = 1_700_000_000_000_000_000
RATE_HZ = 16_000
MS = 16


def loud_is_voice(frame: bytes) -> FrameActivity:
    """Stand-in for a detector: what is loud is a voice."""
    level_db = frame_level_db(frame)
    return FrameActivity(level_db > -40, level_db)


def segmenter(**options: object) -> UtteranceSegmenter:
    return UtteranceSegmenter(
        loud_is_voice,
        session="s1",
        source="mic.anna",
        speaker="anna",
        start_ns=START_NS,
        **options,  # type: ignore[arg-type]
    )


def sound(*parts_ms: int) -> NDArray[np.int16]:
    """Silence and voice in turns, beginning with silence, in milliseconds."""
    rng = np.random.default_rng(5)
    levels = [30 if index % 2 == 0 else 5000 for index in range(len(parts_ms))]
    blocks = [rng.normal(0, lv, ms * MS) for lv, ms in zip(levels, parts_ms, strict=True)]
    return np.concatenate(blocks).astype(np.int16)


def feed(machine: UtteranceSegmenter, inputs: Iterable[Captured]) -> list[Message]:
    out = machine.wake(0)
    for item in inputs:
        out += machine.receive(item, 0)
    return out


def chunked(samples: NDArray[np.int16], sizes: Iterable[int]) -> Iterable[CapturedAudio]:
    at = 0
    for size in sizes:
        if at >= len(samples):
            return
        yield CapturedAudio(at, samples[at : at + size])
        at += size


def of(messages: list[Message], kind: type) -> list:
    return [message for message in messages if isinstance(message, kind)]


def ms(instant_ns: int) -> float:
    return (instant_ns - START_NS) / 1e6


def whole(samples: NDArray[np.int16], **options: object) -> list[Message]:
    machine = segmenter(**options)
    return feed(machine, [CapturedAudio(0, samples)]) + machine.close(0)


def test_an_utterance_has_the_bounds_of_its_speech() -> None:
    messages = whole(sound(1000, 800, 1000))
    (started,) = of(messages, UtteranceStarted)
    (ended,) = of(messages, UtteranceEnded)
    assert ms(ended.start_ns) == pytest.approx(1000, abs=60)
    assert ms(ended.end_ns) == pytest.approx(1800, abs=60)
    assert (started.utterance, started.start_ns) == (ended.utterance, ended.start_ns)
    assert (ended.utterance, ended.speaker, ended.reason) == ("anna-0000", "anna", "silence")


def test_a_stream_opens_and_closes() -> None:
    messages = whole(sound(1000))
    assert isinstance(messages[0], StreamOpened)
    assert (messages[0].modality, messages[0].speaker) == ("speech", "anna")
    assert isinstance(messages[-1], StreamClosed)
    assert ms(messages[-1].end_ns) == 1000
    assert not of(messages, UtteranceStarted)


def test_a_blip_is_no_utterance() -> None:
    assert not of(whole(sound(500, 160, 1000)), UtteranceStarted)


def test_a_short_pause_does_not_end_an_utterance() -> None:
    ended = of(whole(sound(500, 600, 250, 600, 1000)), UtteranceEnded)
    assert len(ended) == 1
    assert ms(ended[0].end_ns) == pytest.approx(1950, abs=60)


def test_a_long_pause_makes_two_utterances() -> None:
    ended = of(whole(sound(500, 600, 700, 600, 1000)), UtteranceEnded)
    assert [e.utterance for e in ended] == ["anna-0000", "anna-0001"]


def test_speech_goes_on_after_the_longest_utterance_without_a_hole() -> None:
    ended = of(whole(sound(500, 5000, 1000), longest_ms=2000), UtteranceEnded)
    assert [e.reason for e in ended] == ["maximum length", "maximum length", "silence"]
    assert all(e.end_ns - e.start_ns <= 2_000_000_000 for e in ended)
    assert ended[0].end_ns == ended[1].start_ns
    assert ended[1].end_ns == ended[2].start_ns
    assert ms(ended[2].end_ns) == pytest.approx(5500, abs=60)


def test_an_open_utterance_ends_with_the_stream() -> None:
    (ended,) = of(whole(sound(500, 800)), UtteranceEnded)
    assert ended.reason == "stream closed"
    assert ms(ended.end_ns) == 1300


def test_audio_is_published_in_100_ms_blocks_without_a_hole() -> None:
    samples = sound(500, 800, 507)
    audio = of(whole(samples), Audio)
    assert {len(block.samples) for block in audio[:-1]} == {1600}
    assert np.array_equal(np.concatenate([block.samples for block in audio]), samples)
    assert [block.first_sample for block in audio] == [1600 * i for i in range(len(audio))]
    assert all(b.start_ns == START_NS + b.first_sample * 62_500 for b in audio)


def test_raw_audio_can_be_kept_back() -> None:
    messages = whole(sound(500, 800, 700), publish_audio=False)
    assert not of(messages, Audio)
    assert of(messages, UtteranceEnded)


def test_the_watermark_never_passes_an_end_that_is_still_to_come() -> None:
    random_parts = random.Random(3)
    parts = [random_parts.randint(20, 1200) for _ in range(40)]
    watermark_ns = 0
    for message in whole(sound(*parts), longest_ms=1500):
        if isinstance(message, Progress):
            assert message.watermark_ns >= watermark_ns
            watermark_ns = message.watermark_ns
        elif isinstance(message, UtteranceEnded):
            assert message.end_ns >= watermark_ns


def test_the_watermark_follows_silence_every_100_ms() -> None:
    marks = [ms(p.watermark_ns) for p in of(whole(sound(2000)), Progress)]
    assert max(np.diff(marks)) <= 100
    assert marks[-1] == 2000


def test_utterances_never_overlap_and_strictly_follow() -> None:
    parts = [random.Random(8).randint(20, 900) for _ in range(60)]
    ended = of(whole(sound(*parts), longest_ms=900), UtteranceEnded)
    assert all(a.end_ns <= b.start_ns for a, b in pairwise(ended))
    assert all(e.start_ns < e.end_ns for e in ended)


def test_law_chunks_of_any_size_give_the_same_messages() -> None:
    samples = sound(300, 700, 500, 90, 400, 350, 460)
    longest_ms = 500
    expected = whole(samples, longest_ms=longest_ms)
    rng = random.Random(11)
    by_one: Iterable[int] = (1 for _ in samples)
    at_random = [rng.randint(1, 900) for _ in samples]
    for sizes in (by_one, at_random, (320 for _ in samples), (333 for _ in samples)):
        machine = segmenter(longest_ms=longest_ms)
        assert feed(machine, chunked(samples, sizes)) + machine.close(0) == expected


def test_a_long_hole_ends_the_utterance_and_keeps_the_timeline() -> None:
    first, second = sound(500, 700), sound(200, 600, 700)
    hole = AudioLost(len(first), len(first) + 8000, 8000, "overflow")
    machine = segmenter()
    messages = feed(machine, [CapturedAudio(0, first), hole, CapturedAudio(27_200, second)])
    gap = of(messages, Gap)[0]
    assert (gap.of, gap.lost, gap.count, gap.reason) == ("mic.anna", "audio", 8000, "overflow")
    assert (ms(gap.start_ns), ms(gap.end_ns)) == (1200, 1700)
    ended = of(messages, UtteranceEnded)
    assert [e.reason for e in ended] == ["gap", "silence"]
    assert ms(ended[0].end_ns) == 1200
    assert ms(ended[1].start_ns) == pytest.approx(1900, abs=60)
    assert ms(ended[1].end_ns) == pytest.approx(2500, abs=60)


def test_a_short_hole_stays_inside_the_utterance() -> None:
    first, second = sound(500, 700), sound(0, 600, 700)
    hole = AudioLost(len(first), len(first) + 800, 800, "overflow")
    messages = feed(segmenter(), [CapturedAudio(0, first), hole, CapturedAudio(20_000, second)])
    (ended,) = of(messages, UtteranceEnded)
    assert ms(ended.end_ns) == pytest.approx(1850, abs=60)
    assert len(of(messages, Gap)) == 1


def test_a_jump_that_nobody_explained_is_said() -> None:
    messages = feed(segmenter(), [CapturedAudio(0, sound(100)), CapturedAudio(3200, sound(100))])
    (gap,) = of(messages, Gap)
    assert (gap.count, gap.reason) == (1600, "unexplained")


def test_audio_heard_twice_is_left_out_and_said() -> None:
    samples = sound(400)
    messages = feed(
        segmenter(), [CapturedAudio(0, samples[:3200]), CapturedAudio(1600, samples[1600:])]
    )
    assert np.array_equal(np.concatenate([b.samples for b in of(messages, Audio)]), samples)
    (gap,) = of(messages, Gap)
    assert (gap.count, gap.reason) == (1600, "overlap")


def test_a_lost_device_is_said_at_once_and_its_length_when_it_is_back() -> None:
    machine = segmenter()
    messages = feed(machine, [CapturedAudio(0, sound(500, 700))])
    now_ns = START_NS + 1_250_000_000
    messages = machine.receive(DeviceLost("it was disconnected"), now_ns)
    assert [m.kind for m in messages] == ["utterance.ended", "gap"]
    assert (messages[1].count, messages[1].reason) == (0, "device lost")
    for _ in range(20):  # others must not wait for what cannot come
        now_ns = max(now_ns, machine.next_wake_ns())
        progress = machine.wake(now_ns)
        assert [m.kind for m in progress] == ["progress"]
    assert ms(progress[0].watermark_ns) > 2000
    back = now_ns // 62_500 * 62_500
    at = (back - START_NS) // 62_500
    messages = machine.receive(AudioLost(19_200, at, at - 19_200, "device lost"), now_ns)
    messages += machine.receive(CapturedAudio(at, sound(100, 600, 600)), now_ns)
    assert messages[0].count == at - 19_200
    assert machine.next_wake_ns() is None
    ended = of(messages, UtteranceEnded)[0]
    assert ms(ended.start_ns) == pytest.approx(ms(back) + 100, abs=60)


def test_a_device_that_is_back_without_a_hole_leads_the_watermark_again() -> None:
    machine = segmenter()
    feed(machine, [CapturedAudio(0, sound(1000)), DeviceLost("it was disconnected")])
    assert machine.next_wake_ns() is not None
    machine.receive(CapturedAudio(16_000, sound(100)), START_NS)
    assert machine.next_wake_ns() is None


def test_closing_while_the_device_is_gone_says_how_much_is_missing() -> None:
    machine = segmenter()
    feed(machine, [CapturedAudio(0, sound(1000)), DeviceLost("it was disconnected")])
    messages = machine.close(START_NS + 3_000_000_000)
    (gap,) = of(messages, Gap)
    assert gap.count == 2 * RATE_HZ


def test_audio_may_begin_later_than_its_timeline() -> None:
    messages = feed(segmenter(), [CapturedAudio(4800, sound(100, 600, 700))])
    assert not of(messages, Gap)
    assert ms(of(messages, UtteranceEnded)[0].start_ns) == pytest.approx(400, abs=60)


def test_every_message_passes_the_wire() -> None:
    for message in whole(sound(500, 800, 700), extractor=extractor()):
        assert decode(encode(message)) == message


# Descriptions


def extractor() -> DescriptorExtractor:
    return DescriptorExtractor("egemaps", FakeFrontEnd)


def talk(seed: int) -> NDArray[np.int16]:
    parts = random.Random(seed)
    return sound(*(parts.randint(20, 1200) for _ in range(30)))


def rows_of(messages: list[Message], ended: UtteranceEnded) -> NDArray[np.float32]:
    """What an aligner would cut out for the utterance."""
    track = FrameTrack()
    for block in of(messages, Acoustic):
        track.add(block)
    rows = track.cut(Interval(ended.start_ns, ended.end_ns))
    assert rows is not None
    return rows


@pytest.mark.parametrize("longest_ms", [900, 15_000])
def test_an_utterance_is_described_as_a_recording_of_it_alone_would_be(longest_ms: int) -> None:
    samples = talk(3)
    messages = whole(samples, longest_ms=longest_ms, extractor=extractor())
    utterances = of(messages, UtteranceEnded)
    assert len(utterances) > 5
    for ended in utterances:
        first, last = ((at - START_NS) // 62_500 for at in (ended.start_ns, ended.end_ns))
        alone = FakeFrontEnd()  # the last frame needs what follows the end
        expected = np.concatenate([alone.push(samples[first : last + 960]), alone.finish()])
        got = rows_of(messages, ended)
        assert len(got) >= (last - first - 960) // 160
        np.testing.assert_array_equal(got, expected[: len(got)])


def test_nothing_is_described_while_nobody_speaks() -> None:
    assert not of(whole(sound(3000, 160, 2000), extractor=extractor()), Acoustic)


def test_all_of_an_utterance_is_described_before_its_end_is_said() -> None:
    open_utterance = None
    described: set[str | None] = set()
    for message in whole(talk(4), extractor=extractor()):
        if isinstance(message, UtteranceStarted):
            open_utterance = message.utterance
        elif isinstance(message, Acoustic):
            assert open_utterance is not None
            described.add(open_utterance)
        elif isinstance(message, UtteranceEnded):
            assert message.utterance in described
            open_utterance = None


@pytest.mark.parametrize("seed", range(6))
def test_the_watermark_passes_no_row_and_no_end_that_is_still_to_come(seed: int) -> None:
    watermark_ns = 0
    for message in whole(talk(seed), longest_ms=1500, extractor=extractor()):
        if isinstance(message, Progress):
            assert message.watermark_ns >= watermark_ns
            watermark_ns = message.watermark_ns
        elif isinstance(message, Acoustic | UtteranceStarted):
            assert message.start_ns >= watermark_ns
        elif isinstance(message, UtteranceEnded):
            assert message.end_ns >= watermark_ns


def test_the_watermark_passes_an_utterance_as_soon_as_its_end_is_said() -> None:
    messages = whole(talk(5), extractor=extractor())
    ends = [i for i, m in enumerate(messages) if isinstance(m, UtteranceEnded)]
    for i in ends[:-1]:
        following = messages[i + 1]
        assert isinstance(following, Progress)
        assert following.watermark_ns >= messages[i].end_ns


def test_law_chunks_of_any_size_give_the_same_descriptions() -> None:
    samples = sound(300, 700, 500, 90, 400, 350, 460)
    longest_ms = 500
    expected = whole(samples, longest_ms=longest_ms, extractor=extractor())
    assert of(expected, Acoustic)
    rng = random.Random(12)
    for sizes in ((1 for _ in samples), [rng.randint(1, 900) for _ in samples]):
        machine = segmenter(longest_ms=longest_ms, extractor=extractor())
        assert feed(machine, chunked(samples, sizes)) + machine.close(0) == expected


@pytest.mark.parametrize("hole_samples", [800, 8000])
def test_a_hole_begins_another_description_at_its_end(hole_samples: int) -> None:
    first, second = sound(500, 700), sound(0, 600, 700)
    resumes_at = len(first) + hole_samples
    hole = AudioLost(len(first), resumes_at, hole_samples, "overflow")
    machine = segmenter(extractor=extractor())
    messages = feed(machine, [CapturedAudio(0, first), hole, CapturedAudio(resumes_at, second)])
    blocks = of(messages, Acoustic)
    runs = [block for block in blocks if block.values[0, -1] == 0]
    assert len(runs) == 2
    assert ms(runs[1].start_ns) == pytest.approx(resumes_at / 16, abs=60)
    lengths = [len(block.values) for block in blocks]
    for block, length, later in zip(blocks, lengths, blocks[1:], strict=False):
        assert block.start_ns + length * 10_000_000 <= later.start_ns


def test_what_is_kept_before_an_utterance_is_bounded() -> None:
    """Something that is nearly speech for long: no more than 4 s are described afterwards."""
    machine = DescriptorExtractor("egemaps", FakeFrontEnd)
    frame = bytes(640)
    for number in range(1000):
        assert machine.push(320 * number, frame) == []
    found = machine.begin(0) + machine.end()
    assert found[0].first_sample == 320 * 800
    assert sum(len(rows.values) for rows in found) == 395


def rms_bounds_ms(samples: NDArray[np.int16]) -> tuple[int, int]:
    """Where a clip's speech is: its 10 ms frames within 30 dB of the loudest.

    Islands of such frames that last less than 250 ms and lie 200 ms apart from all others are
    left out: they are clicks and breath, which our own definition of a blip excludes.
    """
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160).astype(np.float64)
    rms = np.sqrt(np.mean(frames**2, axis=1))
    loud = np.flatnonzero(rms > rms.max() * 10 ** (-30 / 20))
    islands = np.split(loud, np.flatnonzero(np.diff(loud) > 20) + 1)
    islands = [island for island in islands if 10 * (island[-1] - island[0] + 1) >= 250]
    return int(islands[0][0]) * 10, int(islands[-1][-1] + 1) * 10


def test_bounds_of_acted_speech(data_folder: Path) -> None:
    """RAVDESS: breath, whispers and rooms of 24 actors; see ``rms_bounds_ms`` for the truth."""
    soundfile = pytest.importorskip("soundfile")
    from affectstream.sources.webrtc import WebRtcDetector

    clips = sorted((data_folder / "ravdess16k").glob("Actor_*/*.flac"))[::9]
    if not clips:
        pytest.skip("needs ravdess16k")
    within = []
    for clip in clips:
        samples, _ = soundfile.read(clip, dtype="int16")
        machine = UtteranceSegmenter(
            VoiceActivity(WebRtcDetector()).classify,
            session="s1",
            source="mic.anna",
            speaker="anna",
            start_ns=START_NS,
        )
        messages = feed(machine, [CapturedAudio(0, samples)]) + machine.close(0)
        ended = of(messages, UtteranceEnded)
        assert ended, f"{clip} holds no utterance"
        first, last = rms_bounds_ms(samples)
        errors = abs(ms(ended[0].start_ns) - first), abs(ms(ended[-1].end_ns) - last)
        within.append(max(errors) <= 200)
    assert np.mean(within) >= 0.9


def test_a_stream_of_another_take_names_its_utterances_differently() -> None:
    samples = sound(300, 500, 800, 500, 800)
    named = [e.utterance for e in of(whole(samples, take="2a"), UtteranceEnded)]
    assert named == ["anna-2a-0000", "anna-2a-0001"]


def test_a_recording_that_is_taken_up_again_says_so_and_goes_on_from_there() -> None:
    samples = sound(300, 500, 800)
    at = 16_000
    taken_up = [AudioLost(at, at, 0, "restarted"), CapturedAudio(at, samples)]
    messages = feed(segmenter(), taken_up)
    (gap,) = of(messages, Gap)
    assert (gap.lost, gap.count, gap.reason) == ("audio", 0, "restarted")
    (fresh,) = of(whole(samples), UtteranceEnded)
    (later,) = of(messages, UtteranceEnded)
    assert later.start_ns - fresh.start_ns == later.end_ns - fresh.end_ns == 1_000_000_000
