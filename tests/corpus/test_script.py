"""What is published of a dialogue, and when."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from affectstream.codec import decode, encode
from affectstream.corpus.dialogues import CorpusDialogue, CorpusUtterance, dialogue_order
from affectstream.corpus.reader import open_corpus
from affectstream.corpus.script import (
    CLOCK,
    GRID_NS,
    SPEECH,
    TEXT,
    ScriptInstant,
    derived_script,
    raw_script,
)
from affectstream.messages import (
    Acoustic,
    Audio,
    Message,
    Mocap,
    Observation,
    Progress,
    StreamClosed,
    StreamOpened,
    Transcript,
    UtteranceEnded,
)
from iemocap_copy import write_copy

MS = 1_000_000


def utterance(name: str, start_ms: int, end_ms: int, speaker: str = "F") -> CorpusUtterance:
    values = np.full(47, float(start_ms), dtype=np.float32)
    return CorpusUtterance(
        f"d_{name}",
        "d",
        speaker,
        start_ms * MS,
        end_ms * MS,
        "neu",
        *(3.0, 3.0, 3.0),
        text=name,
        acoustic=values,
    )


def dialogue(*utterances: CorpusUtterance) -> CorpusDialogue:
    return CorpusDialogue("d", 1, tuple(sorted(utterances, key=dialogue_order)))


OVERLAPPING = dialogue(
    utterance("one", 0, 2000), utterance("two", 1500, 1900, "M"), utterance("three", 2000, 2600)
)


def messages(script: list[ScriptInstant]) -> list[Message]:
    return [message for instant in script for message in instant.messages]


def check_promises(script: list[ScriptInstant]) -> None:
    """No stream says that something ended which lies before what it has promised."""
    marks: dict[str, int] = {}
    for message in messages(script):
        if isinstance(message, Progress):
            assert message.watermark_ns >= marks.get(message.source, 0)
            marks[message.source] = message.watermark_ns
        elif isinstance(message, UtteranceEnded | Observation | Transcript):
            assert message.end_ns > marks.get(message.source, -1) or message.end_ns == 0, message
        elif isinstance(message, Mocap):
            assert message.times_ns[-1] > marks[message.source]


def test_a_script_begins_with_its_streams_and_ends_with_their_close() -> None:
    script = list(derived_script(OVERLAPPING))
    opened = [m for m in script[0].messages if isinstance(m, StreamOpened)]
    assert [m.source for m in opened] == [CLOCK, SPEECH, TEXT]
    assert [m.drives_clock for m in opened] == [True, False, False]
    assert {m.source for m in script[-1].messages} == {CLOCK, SPEECH, TEXT}
    assert all(isinstance(m, StreamClosed) for m in script[-1].messages)
    assert not script[-1].ticks
    assert all(instant.ticks for instant in script[:-1])


def test_every_instant_ends_with_the_promises_and_last_the_clock() -> None:
    for instant in list(derived_script(OVERLAPPING))[:-1]:
        clock = instant.messages[-1]
        assert isinstance(clock, Progress)
        assert (clock.source, clock.now_ns) == (CLOCK, instant.at_ns)
        assert [m.source for m in instant.messages[-3:]] == [SPEECH, TEXT, CLOCK]


@pytest.mark.parametrize("delay_ms", [0, 1, 300, 7000])
def test_instants_increase_and_no_promise_is_broken(delay_ms: int) -> None:
    script = list(derived_script(OVERLAPPING, delay_ms * MS))
    instants = [instant.at_ns for instant in script]
    assert instants == sorted(instants)
    check_promises(script)
    kinds = Counter(m.kind for m in messages(script))
    assert kinds["utterance.started"] == kinds["utterance.ended"] == 3
    assert kinds["observation"] == kinds["transcript"] == 3


def test_a_text_comes_later_by_its_delay_and_its_stream_promises_less() -> None:
    script = list(derived_script(OVERLAPPING, 300 * MS))
    for instant in script[:-1]:
        for message in instant.messages:
            if isinstance(message, Transcript):
                assert instant.at_ns == message.end_ns + 300 * MS
            if isinstance(message, Progress) and message.source == TEXT:
                assert message.watermark_ns == max(0, instant.at_ns - 300 * MS)


def test_messages_of_one_instant_keep_the_utterance_together() -> None:
    (instant,) = (i for i in derived_script(OVERLAPPING) if i.at_ns == 2000 * MS)
    assert [m.kind for m in instant.messages] == [
        *("utterance.ended", "observation", "transcript", "utterance.started"),
        *("progress", "progress", "progress"),
    ]


def test_an_utterance_without_statistics_has_no_observation() -> None:
    bare = CorpusUtterance("d_x", "d", "F", 0, 5, "neu", 3.0, 3.0, 3.0, text=None)
    kinds = Counter(m.kind for m in messages(list(derived_script(dialogue(bare)))))
    assert kinds["observation"] == 0
    assert kinds["transcript"] == 1


def test_what_is_published_can_be_sent() -> None:
    for message in messages(list(derived_script(OVERLAPPING, 50 * MS))):
        assert decode(encode(message)) == message


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> list[CorpusDialogue]:
    return list(open_corpus(write_copy(tmp_path_factory.mktemp("raw"))).dialogues)


def test_a_raw_copy_gives_each_speaker_a_microphone_and_one_of_them_a_face(
    raw: list[CorpusDialogue],
) -> None:
    script = list(raw_script(raw[0], 200 * MS))
    check_promises(script)
    kinds = Counter(m.kind for m in messages(script))
    assert kinds["utterance.ended"] == kinds["transcript"] == 4
    sources = {m.source for m in messages(script) if isinstance(m, StreamOpened)}
    assert sources == {CLOCK, "mic.Ses01F", "mic.Ses01M", "face.Ses01F", TEXT}
    spans = [instant.at_ns for instant in script[1:-1]]
    assert all(at_ns % GRID_NS == 0 for at_ns in spans)
    for message in messages(script):
        assert decode(encode(message)).kind == message.kind


def test_the_audio_of_a_raw_copy_is_whole_and_in_order(raw: list[CorpusDialogue]) -> None:
    blocks = [
        m
        for m in messages(list(raw_script(raw[0])))
        if isinstance(m, Audio) and m.source == "mic.Ses01M"
    ]
    position = 0
    for block in blocks:
        assert block.first_sample == position
        position += len(block.samples)
    assert position == round(4.5 * 16_000)


def test_each_utterance_of_a_raw_copy_is_described_when_it_ends(
    raw: list[CorpusDialogue],
) -> None:
    for whole in raw:
        script = list(raw_script(whole))
        blocks = {m.start_ns: m for m in messages(script) if isinstance(m, Acoustic)}
        assert blocks.keys() == {u.start_ns for u in whole.utterances}
        for utterance in whole.utterances:
            block = blocks[utterance.start_ns]
            assert (block.front_end, block.columns) == ("egemaps", 24)
            assert block.rows == round((utterance.end_ns - utterance.start_ns) / 10e6)
            semitones = np.median(block.values[5:-10, 10])  # above 27.5 Hz
            pitch_hz = 220 if utterance.speaker.endswith("F") else 120
            assert semitones == pytest.approx(12 * np.log2(pitch_hz / 27.5), abs=0.5)
        for instant in script:
            seen = [m.kind for m in instant.messages]
            assert seen.count("acoustic") == seen.count("utterance.ended")


def test_without_transcripts_the_words_are_left_to_a_worker(raw: list[CorpusDialogue]) -> None:
    script = list(raw_script(raw[0], transcripts=False))
    assert not any(isinstance(m, Transcript) or m.source == TEXT for m in messages(script))


def test_a_copy_without_recordings_still_has_its_utterances(
    raw: list[CorpusDialogue], tmp_path: Path
) -> None:
    bare = CorpusDialogue(raw[0].id, 1, raw[0].utterances, None)
    kinds = Counter(m.kind for m in messages(list(raw_script(bare))))
    assert kinds["utterance.ended"] == 4
    assert kinds["audio"] == kinds["mocap"] == 0
