"""From streams to utterances, with a clock that is advanced by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from affectstream.core.dialogue import aligner as module
from affectstream.core.dialogue.aligner import (
    DEADLINE_NS,
    PARTIAL_NS,
    TRANSCRIPT_WAIT_NS,
    Change,
    UtteranceAligner,
)
from affectstream.core.dialogue.frames import MAX_TRACKS
from affectstream.core.dialogue.watermark import STALL_NS
from affectstream.messages import Message, Mocap
from fakes import (
    MS,
    Driver,
    S,
    closed,
    ended,
    observation,
    opened,
    progress,
    started,
    transcript,
)


def aligner(*sources: str, **options: Any) -> Driver:
    """A dialogue at processing time 1 s whose streams have just been opened."""
    machine = UtteranceAligner("s1")
    if "stall_ns" in options:
        machine.watermarks.stall_ns = options["stall_ns"]
    driver = Driver(machine, now_ns=S)
    driver.give(*(opened(source) for source in sources))
    return driver


def ids(changes: list[Change]) -> list[tuple[str, bool]]:
    return [(change.utterance.id, change.complete) for change in changes]


def gaps(driver: Driver) -> list[str]:
    return [gap.reason for gap in driver.machine.gaps]


def test_an_utterance_is_ready_and_complete_when_every_watermark_has_passed_its_end() -> None:
    driver = aligner("mic.anna", "asr.mic.anna")
    assert driver.give(started("u0", 0), ended("u0", 0, 100)) == []
    assert driver.give(observation("u0", 7.0), progress(100)) == []
    assert driver.give(transcript("u0", "hello")) == []
    (change,) = driver.give(progress(100, "asr.mic.anna"))
    assert change.complete
    assert change.utterance.text == "hello"
    assert change.utterance.observations["acoustic"].shape == (47,)
    assert (change.utterance.start_ns, change.utterance.end_ns) == (0, 100)
    assert change.utterance.announced_ns == S


def test_an_end_without_a_beginning_is_an_utterance_too() -> None:
    driver = aligner("mic.anna")
    (change,) = driver.give(ended("u0", 10, 100), progress(100))
    assert change.utterance.start_ns == 10
    assert change.utterance.empty


def test_pieces_that_come_before_their_utterance_wait_for_it() -> None:
    driver = aligner("mic.anna")
    driver.give(observation("u0"), transcript("u0", "early"))
    (change,) = driver.give(ended("u0", 0, 100), progress(100))
    assert change.utterance.text == "early"
    assert change.utterance.observations.keys() == {"acoustic"}


def test_a_stream_that_lags_is_waited_for_exactly_until_the_deadline() -> None:
    driver = aligner("mic.anna", "asr.mic.anna")
    driver.give(ended("u0", 0, 100), progress(100))
    assert driver.machine.next_wake_ns() == S + DEADLINE_NS
    assert driver.until(S + DEADLINE_NS - 1) == []
    ((at_ns, change),) = driver.until(S + DEADLINE_NS)
    assert at_ns == S + DEADLINE_NS
    assert not change.complete
    assert change.utterance.text is None


def test_a_text_that_comes_after_the_deadline_changes_the_utterance() -> None:
    driver = aligner("mic.anna", "asr.mic.anna")
    driver.give(ended("u0", 0, 100), progress(100))
    driver.until(S + 400 * MS)
    (change,) = driver.give(transcript("u0", "late"))
    assert change.utterance.text == "late"
    assert not change.complete
    (change,) = driver.give(progress(100, "asr.mic.anna"))
    assert change.complete


def test_patience_ends_exactly_after_five_seconds() -> None:
    driver = aligner("mic.anna", "asr.mic.anna", stall_ns=None)
    driver.give(ended("u0", 0, 100), progress(100))
    driver.until(S + TRANSCRIPT_WAIT_NS - 1)
    assert driver.machine.next_wake_ns() == S + TRANSCRIPT_WAIT_NS
    ((at_ns, change),) = driver.until(S + TRANSCRIPT_WAIT_NS)
    assert at_ns == S + TRANSCRIPT_WAIT_NS
    assert change.complete
    assert driver.machine.next_wake_ns() is None


def test_a_piece_that_comes_after_completion_is_dropped_counted_and_named() -> None:
    driver = aligner("mic.anna", "asr.mic.anna", stall_ns=None)
    driver.give(ended("u0", 0, 100))
    driver.until(S + TRANSCRIPT_WAIT_NS)
    assert driver.give(transcript("u0", "too late"), observation("u0")) == []
    (text, features) = driver.machine.gaps
    assert (text.lost, text.of, text.count) == ("transcript", "asr.mic.anna", 1)
    assert text.reason == "it came after u0 was complete"
    assert features.lost == "observation"


def test_a_guess_or_an_announcement_that_comes_twice_is_no_loss() -> None:
    driver = aligner("mic.anna")
    driver.give(ended("u0", 0, 100), progress(100))
    again = (started("u0", 0), ended("u0", 0, 100), transcript("u0", "gu", final=False))
    assert driver.give(*again) == []
    assert gaps(driver) == []


def test_a_silent_stream_is_named_after_three_seconds_and_no_longer_waited_for() -> None:
    driver = aligner("mic.anna", "asr.mic.anna")
    driver.until(2 * S)
    driver.give(ended("u0", 0, 100), progress(100))
    said = driver.until(S + STALL_NS - 1)
    assert ids([change for _, change in said]) == [("u0", False)]
    assert gaps(driver) == []
    ((at_ns, change),) = driver.until(S + STALL_NS)
    assert at_ns == S + STALL_NS
    assert change.complete
    (gap,) = driver.machine.gaps
    assert (gap.of, gap.lost) == ("asr.mic.anna", "stream")


def test_while_it_goes_on_an_utterance_is_handed_out_every_500_ms() -> None:
    driver = aligner("mic.anna", stall_ns=None)
    driver.give(started("u0", 40))
    driver.give(transcript("u0", "I am", final=False))
    driver.give(progress(300))
    said = driver.until(S + 3 * PARTIAL_NS)
    assert [at_ns for at_ns, _ in said] == [S + n * PARTIAL_NS for n in (1, 2, 3)]
    assert all(change.partial and not change.complete for _, change in said)
    assert said[0][1].utterance.text == "I am"
    assert (said[0][1].utterance.start_ns, said[0][1].utterance.end_ns) == (40, 300)


def test_a_partial_that_was_slept_through_is_not_made_up_for() -> None:
    driver = aligner("mic.anna", stall_ns=None)
    driver.give(started("u0", 0), transcript("u0", "I", final=False))
    assert len(driver.machine.wake(S + 5 * PARTIAL_NS + 1)) == 1
    assert driver.machine.next_wake_ns() == S + 6 * PARTIAL_NS


def test_an_utterance_of_which_nothing_is_known_has_no_partial() -> None:
    driver = aligner("mic.anna", stall_ns=None)
    driver.give(started("u0", 0))
    assert driver.until(S + 10 * PARTIAL_NS) == []


def test_a_guess_is_no_evidence_about_a_whole_utterance() -> None:
    driver = aligner("mic.anna")
    driver.give(started("u0", 0), transcript("u0", "a guess", final=False))
    (change,) = driver.give(ended("u0", 0, 100), progress(100))
    assert change.utterance.text is None


def test_a_final_text_is_not_overwritten() -> None:
    driver = aligner("mic.anna")
    driver.give(transcript("u0", "right"), transcript("u0", "wr", final=False))
    driver.give(transcript("u0", "wrong"))
    (change,) = driver.give(ended("u0", 0, 100), progress(100))
    assert change.utterance.text == "right"


def test_an_empty_text_is_no_text() -> None:
    driver = aligner("mic.anna")
    (change,) = driver.give(transcript("u0", ""), ended("u0", 0, 100), progress(100))
    assert change.utterance.text is None
    assert change.utterance.empty


def test_changes_come_in_dialogue_order() -> None:
    driver = aligner("mic.anna", "mic.bert")
    driver.give(ended("late", 0, 300), ended("early", 50, 200, "bert"), ended("tie", 40, 200))
    changes = driver.give(progress(300), progress(300, "mic.bert"))
    assert [name for name, _ in ids(changes)] == ["tie", "early", "late"]


def test_a_closed_stream_is_not_waited_for() -> None:
    driver = aligner("mic.anna", "asr.mic.anna")
    driver.give(ended("u0", 0, 100), progress(100))
    (change,) = driver.give(closed("asr.mic.anna"))
    assert change.complete


def test_the_source_that_drives_the_clock_promises_nothing() -> None:
    driver = Driver(UtteranceAligner("s1"))
    driver.give(opened("corpus", modality="corpus", drives_clock=True))
    assert ids(driver.give(ended("u0", 0, 100))) == [("u0", True)]


def test_bad_times_are_named_and_stop_nothing() -> None:
    driver = aligner("mic.anna")
    driver.give(ended("u0", 100, 50))
    assert gaps(driver) == ["it ends before it starts"]
    assert ids(driver.give(ended("u1", 0, 100), progress(100))) == [("u1", True)]


def test_closing_completes_what_has_ended_and_names_what_has_not() -> None:
    driver = aligner("mic.anna", "asr.mic.anna")
    driver.give(ended("u1", 0, 200), ended("u0", 0, 100), started("u2", 210))
    assert ids(driver.machine.close(driver.now_ns)) == [("u0", True), ("u1", True)]
    assert gaps(driver) == ["the dialogue was closed before u2 ended"]


def mocap(times: list[int], speaker: str = "anna", columns: int = 2) -> Mocap:
    values = np.array(times, dtype="<f4").repeat(columns).reshape(len(times), columns)
    return Mocap(
        session="s1",
        source=f"face.{speaker}",
        layout="test",
        speaker=speaker,
        times_ns=tuple(times),
        rows=len(times),
        columns=columns,
        payload=values.tobytes(),
    )


def test_frames_of_the_speaker_within_the_utterance_belong_to_it() -> None:
    driver = aligner("mic.anna")
    driver.give(mocap([90, 100, 110]), mocap([150, 199, 200]), mocap([120], "bert"))
    (change,) = driver.give(ended("u0", 100, 200), progress(200))
    assert change.utterance.frames["mocap"][:, 0].tolist() == [100, 110, 150, 199]


def test_frames_that_an_open_utterance_of_the_speaker_needs_are_kept() -> None:
    driver = aligner("mic.anna")
    driver.give(mocap([10, 20]), mocap([110, 120]), started("u1", 0))
    driver.give(ended("u0", 0, 100), progress(100))
    (change,) = driver.give(ended("u1", 0, 200), progress(200))
    assert len(change.utterance.frames["mocap"]) == 4


def test_frames_of_another_width_stop_nothing() -> None:
    driver = aligner("mic.anna")
    driver.give(mocap([10], columns=2), mocap([20], columns=3))
    (change,) = driver.give(ended("u0", 0, 100), progress(100))
    assert change.utterance.frames["mocap"].shape == (1, 3)


def test_ten_thousand_utterances_leave_nothing_behind() -> None:
    driver = aligner("mic.anna")
    done = 0
    for i in range(10_000):
        start_ns = 100 * i
        pieces: list[Message] = [
            started(f"u{i}", start_ns),
            transcript(f"u{i}", "text"),
            transcript(f"nobody{i}", "an orphan"),
            ended(f"u{i}", start_ns, start_ns + 90),
            progress(start_ns + 90),
        ]
        done += len(driver.give(*pieces))
        driver.said.clear()
        driver.machine.gaps[:-1] = []
        assert len(driver.machine._waiting) <= module.MAX_WAITING_UTTERANCES
        assert len(driver.machine._done) <= module.MAX_WAITING_UTTERANCES
    assert done == 10_000


def test_what_makes_room_has_not_ended_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_UTTERANCES", 3)
    driver = aligner("mic.anna")
    driver.give(ended("u0", 0, 100), transcript("ghost", "boo"), ended("u1", 0, 110))
    driver.give(ended("u2", 0, 120))
    (gap,) = driver.machine.gaps
    assert (gap.lost, gap.count, gap.of) == ("utterance", 1, "asr.mic.anna")
    assert "ghost" in gap.reason
    driver.give(transcript("ghost", "again"))
    assert gaps(driver)[-1] == "it came after ghost was complete"
    assert [name for name, _ in ids(driver.give(progress(120)))] == ["u0", "u1", "u2"]


def test_a_beginning_that_comes_after_its_end_changes_nothing() -> None:
    driver = aligner("mic.anna")
    driver.give(ended("u0", 0, 100), started("u0", 500))
    (change,) = driver.give(progress(100))
    assert (change.utterance.start_ns, change.utterance.end_ns) == (0, 100)


def test_a_stream_too_many_is_named_and_holds_nothing_up() -> None:
    driver = aligner(*(f"mic.{n}" for n in range(module.MAX_STREAMS)))
    driver.give(opened("mic.late"))
    assert gaps(driver) == ["256 streams are open in its dialogue"]


def test_of_too_many_speakers_the_one_not_seen_for_longest_is_forgotten_and_named() -> None:
    driver = aligner("mic.anna")
    driver.give(*(mocap([10], f"s{n}") for n in range(MAX_TRACKS)), mocap([11], "s0"))
    assert gaps(driver) == []
    driver.give(mocap([10, 20], "late"))
    (gap,) = driver.machine.gaps
    assert (gap.of, gap.lost, gap.count) == ("s1", "mocap", 1)


def test_losses_that_nobody_asks_for_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_GAPS", 3)
    driver = aligner("mic.anna")
    for number in range(10):
        driver.give(ended(f"u{number}", 100, 50))
    assert len(driver.machine.gaps) == 3
    assert sum(gap.count for gap in driver.machine.gaps) == 10


def test_what_a_dead_worker_left_open_is_named_when_its_stream_begins_anew() -> None:
    driver = aligner()
    driver.give(replace(opened("mic.anna"), epoch=1), replace(opened("mic.bert"), epoch=3))
    driver.give(started("anna-0000", 0), started("bert-0000", 0, speaker="bert"))
    driver.give(replace(opened("mic.anna"), epoch=1))  # said twice, by the same
    assert gaps(driver) == []
    driver.give(replace(opened("mic.anna"), epoch=2))
    assert gaps(driver) == ["its worker was started again before anna-0000 ended"]
    assert driver.machine.gaps[0].of == "anna"
    driver.give(
        ended("bert-0000", 0, 100, speaker="bert"), progress(200), progress(200, "mic.bert")
    )
    assert len(gaps(driver)) == 1


def test_what_a_dead_worker_left_open_is_over_and_its_name_may_be_used_again() -> None:
    driver = aligner(stall_ns=None)
    driver.give(replace(opened("mic.anna"), epoch=1))
    driver.give(replace(started("u0", 0), epoch=1), transcript("u0", "I am", final=False))
    driver.give(replace(opened("mic.anna"), epoch=2))
    assert driver.until(S + 4 * PARTIAL_NS) == []  # it has no partial any more
    driver.give(transcript("u0", "I am late"))
    assert gaps(driver)[1:] == ["it came after u0 was complete"]
    driver.give(replace(ended("u0", 2 * S, 3 * S), epoch=2))
    assert ids(driver.machine.close(driver.now_ns)) == [("u0", True)]
    assert len(gaps(driver)) == 2  # it is named once


def test_what_a_dead_worker_had_ended_goes_on() -> None:
    driver = aligner()
    driver.give(replace(opened("mic.anna"), epoch=1), started("u0", 0), ended("u0", 0, 100))
    driver.give(replace(opened("mic.anna"), epoch=2))
    assert gaps(driver) == []
    assert ids(driver.give(progress(200))) == [("u0", True)]
