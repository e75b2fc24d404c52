"""From samples to estimates: the microphone's machine and the fusion node's, without a bus."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.core.capture.audio import CapturedAudio
from affectstream.core.dialogue.aligned import AlignedUtterance
from affectstream.core.dialogue.aligner import DEADLINE_NS, PARTIAL_NS
from affectstream.core.speech.descriptors import DescriptorExtractor
from affectstream.core.speech.segmenter import UtteranceSegmenter
from affectstream.core.speech.voice_activity import FrameActivity, frame_level_db
from affectstream.features.egemaps.front_end import FRONT_END, Egemaps, extract_egemaps
from affectstream.features.egemaps.statistics import utterance_statistics
from affectstream.fusion.node import FusionNode
from affectstream.messages import Acoustic, Emotion, Message, UtteranceEnded
from affectstream.timebase import NS_PER_S, samples_to_ns
from fakes import MS, FakeModel, check_revisions, finals_of, probabilities, published
from fakes import speaker_normaliser as normaliser

RATE_HZ = 16_000
SPEAKER = "anna"


def loud_is_voice(frame: bytes) -> FrameActivity:
    level_db = frame_level_db(frame)
    return FrameActivity(level_db > -40, level_db)


def segmenter() -> UtteranceSegmenter:
    return UtteranceSegmenter(
        loud_is_voice,
        session="s1",
        source=f"mic.{SPEAKER}",
        speaker=SPEAKER,
        start_ns=0,
        extractor=DescriptorExtractor(FRONT_END, Egemaps),
    )


def voice(seconds: float, pitch_hz: float) -> NDArray[np.float64]:
    times = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return 3000 * sum(np.sin(2 * np.pi * pitch_hz * k * times) / k for k in range(1, 12))


def talk(*pitches_hz: float) -> NDArray[np.int16]:
    """A vowel of each pitch, a second of silence around each."""
    rng = np.random.default_rng(6)
    parts = [np.zeros(RATE_HZ)]
    for number, pitch_hz in enumerate(pitches_hz):
        parts += [voice(1.2 + 0.3 * number, pitch_hz), np.zeros(RATE_HZ)]
    together = np.concatenate(parts)
    return (together + rng.normal(0, 20, len(together))).astype(np.int16)


def play(
    samples: NDArray[np.int16], model: FakeModel, block: int = 960
) -> tuple[list[Message], list[tuple[int, Emotion]]]:
    """Return what the microphone says, and the estimates with their times."""
    machine, node = segmenter(), FusionNode(model, 8, stopwatch=lambda: 0)
    heard: list[Message] = []
    said: list[tuple[int, Emotion]] = []

    def pass_on(messages: list[Message], now_ns: int) -> None:
        heard.extend(messages)
        out = [m for message in messages for m in node.receive(message, now_ns)]
        out += node.wake(now_ns)
        said.extend((now_ns, m) for m in out if isinstance(m, Emotion))

    now_ns = 0
    for first in range(0, len(samples), block):
        part = samples[first : first + block]
        now_ns = samples_to_ns(first + len(part), RATE_HZ)
        pass_on(machine.receive(CapturedAudio(first, part), now_ns), now_ns)
    pass_on(machine.close(now_ns), now_ns)
    return heard, said


def described_alone(heard: list[Message], samples: NDArray[np.int16]) -> list[AlignedUtterance]:
    """Each utterance with the statistics of its own rows, and those a batch would give."""
    utterances = []
    for ended in heard:
        if not isinstance(ended, UtteranceEnded):
            continue
        rows = [
            row
            for block in heard
            if isinstance(block, Acoustic)
            for i, row in enumerate(block.values)
            if ended.start_ns <= block.start_ns + i * block.hop_ns < ended.end_ns
        ]
        statistics = utterance_statistics(np.array(rows, np.float32))
        first, last = (at * RATE_HZ // NS_PER_S for at in (ended.start_ns, ended.end_ns))
        heard_until = last + 360 * RATE_HZ // 1000  # the silence by which the end was known
        alone = extract_egemaps(samples[first:heard_until])[: len(rows)]
        np.testing.assert_allclose(statistics, utterance_statistics(alone), rtol=1e-3, atol=1e-4)
        utterances.append(
            AlignedUtterance(
                ended.utterance,
                SPEAKER,
                ended.start_ns,
                ended.end_ns,
                observations={"acoustic": statistics},
            )
        )
    return utterances


def test_finals_are_those_of_the_utterances_statistics_normalised_by_speaker() -> None:
    samples = talk(110, 210, 150)
    model = FakeModel(normaliser())
    heard, said = play(samples, model)
    utterances = described_alone(heard, samples)
    assert len(utterances) == 3
    check_revisions([emotion for _, emotion in said])
    finals = finals_of([emotion for _, emotion in said])
    expected = model.offline(utterances, 8)
    assert [published(finals[u.id]) for u in utterances] == [probabilities(e) for e in expected]
    bare = [replace(u, observations={}) for u in utterances]
    assert [probabilities(e) for e in model.offline(bare, 8)] != [
        probabilities(e) for e in expected
    ]


def test_an_utterance_has_all_its_rows_when_it_is_estimated_first() -> None:
    """The first estimate comes with the end, not after a deadline, and is not corrected."""
    heard, said = play(talk(110, 210), FakeModel(normaliser()))
    ends = {m.utterance: m.end_ns for m in heard if isinstance(m, UtteranceEnded)}
    first = {e.utterance: (at_ns, e) for at_ns, e in said if e.status == "provisional"}
    finals = finals_of([emotion for _, emotion in said])
    assert first.keys() == ends.keys()
    for name, (at_ns, emotion) in first.items():
        assert at_ns - ends[name] <= 460 * MS  # silence that ends it, 60 ms of a block, no more
        assert emotion.latency_ms["wait"] == 0 < DEADLINE_NS
    (last,) = [name for name in ends if name == max(ends)]
    assert published(first[last][1]) == published(finals[last])


def test_what_was_said_so_far_is_estimated_every_500_ms() -> None:
    """Each partial estimate knows more rows than the one before."""
    _, said = play(talk(140), FakeModel(normaliser()))
    partials = [(at_ns, e) for at_ns, e in said if e.status == "partial"]
    assert len(partials) >= 2
    times = [at_ns for at_ns, _ in partials]
    assert all(abs(b - a - PARTIAL_NS) <= 60 * MS for a, b in pairwise(times))
    assert len({tuple(published(e)) for _, e in partials}) == len(partials)
    lasting = [e.end_ns - e.start_ns for _, e in partials]
    assert lasting == sorted(lasting)
    assert lasting[0] > 0


@pytest.mark.parametrize("seed", [0, 1])
def test_law_what_is_estimated_does_not_depend_on_blocks(seed: int) -> None:
    samples = talk(120, 180)
    block = random.Random(seed).randint(100, 5000)
    finals = [
        {name: published(e) for name, e in finals_of([e for _, e in said]).items()}
        for _, said in (play(samples, FakeModel(normaliser()), size) for size in (960, block))
    ]
    assert finals[0] == finals[1]
