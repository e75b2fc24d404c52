"""What one stream sends cannot end the node, hold it up, or cost another stream its utterances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from affectstream.bus.journal import Journal
from affectstream.codec import encode
from affectstream.core.dialogue import context as context_module
from affectstream.core.dialogue import frames as frames_module
from affectstream.core.dialogue.aligner import LONGEST_NS, MAX_ONGOING, SILENT_NS
from affectstream.core.dialogue.emotions import MAX_TEXT_BYTES
from affectstream.core.dialogue.snapshot import encode_snapshot
from affectstream.fusion.journaled_node import JournaledNode
from affectstream.fusion.node import FusionNode
from affectstream.messages import Acoustic, Emotion, Gap, Message, Mocap, StreamClosed
from fakes import (
    MS,
    Driver,
    FakeModel,
    S,
    check_revisions,
    closed,
    ended,
    observation,
    opened,
    progress,
    speaker_normaliser,
    started,
    transcript,
)


class Reads(FakeModel):
    """A fake that reads some kinds of frames."""

    def __init__(self, *kinds: str) -> None:
        super().__init__()
        self.frame_modalities = frozenset(kinds)


class Stumbles(FakeModel):
    """Fails whenever a text says so, in one of its methods."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def encode(self, utterances: Sequence[Any]) -> Sequence[str]:
        if self.where == "encode" and any(u.text == "stumble" for u in utterances):
            raise RuntimeError("no such row\n\x1b[2J")
        marked = [u.text == "stumble" for u in utterances]
        return [
            code + ("!" if bad else "")
            for code, bad in zip(super().encode(utterances), marked, strict=True)
        ]

    def estimate(self, windows: Sequence[Sequence[tuple[Any, Any, Any]]]) -> Any:
        long = any(len(window) > 1 for window in windows)
        bad = any(encoded.endswith("!") for window in windows for _, encoded, _ in window)
        if self.where == ("windows" if long else "newest") and bad:
            raise RuntimeError("no such row")
        return super().estimate(windows)


def node(model: FakeModel, look_ahead: int | None = 2) -> Driver:
    return Driver(FusionNode(model, look_ahead, stopwatch=lambda: 0), now_ns=S)


def whole(name: str, start_ns: int, text: str, session: str = "s1") -> list[Message]:
    return [
        ended(name, start_ns, start_ns + 500 * MS, session=session),
        transcript(name, text, session=session),
        progress(start_ns + 500 * MS, session=session),
    ]


def gaps(said: Sequence[Any]) -> list[str]:
    return [message.reason for message in said if isinstance(message, Gap)]


def test_the_largest_text_that_may_come_in_fits_when_it_goes_out() -> None:
    driver = node(FakeModel())
    driver.give(opened())
    text = "\N{GRINNING FACE}" * 16_280
    encode(transcript("u0", text))  # it is a legal message
    said = driver.give(*whole("u0", 0, text)) + driver.give(closed())
    estimates = [message for message in said if isinstance(message, Emotion)]
    assert {e.status for e in estimates} == {"provisional", "final"}
    for message in said:
        encode(message)
    assert all(len((e.text or "").encode()) <= MAX_TEXT_BYTES for e in estimates)
    assert str(estimates[-1].text).endswith("\N{GRINNING FACE}\N{HORIZONTAL ELLIPSIS}")


@pytest.mark.parametrize("where", ["encode", "newest", "windows"])
def test_a_dialogue_that_fails_is_set_aside_and_the_others_go_on(where: str) -> None:
    driver = node(Stumbles(where))
    names = ("s1", "s2", "s3")
    driver.give(*(opened(session=name) for name in names))
    said: list[Any] = []
    for i in range(4):
        batch = [
            message
            for name in names
            for message in whole(
                f"u{i}", S * i, "stumble" if (name, i) == ("s2", 1) else f"text {i}", name
            )
        ]
        said += driver.give(*batch)
    said += driver.give(*(closed(session=name) for name in names))
    (lost,) = [m for m in said if isinstance(m, Gap)]
    assert (lost.session, lost.lost) == ("s2", "dialogue")
    assert lost.reason.startswith("it failed and was set aside: ")
    assert "no such row" in lost.reason
    assert "\x1b" not in lost.reason
    assert [m.session for m in said if isinstance(m, StreamClosed)] == ["s2", "s1", "s3"]
    check_revisions([m for m in said if isinstance(m, Emotion)])
    finals = sorted(
        (m.session, m.utterance) for m in said if isinstance(m, Emotion) and m.status == "final"
    )
    assert finals == [(name, f"u{i}") for name in ("s1", "s3") for i in range(4)]
    assert driver.give(opened(session="s2"), *whole("u9", 90 * S, "text", "s2")) == []


def test_a_dialogue_that_fails_is_set_aside_after_a_restart_too(tmp_path: Path) -> None:
    def begin(journal: Journal, model: FakeModel) -> JournaledNode:
        return JournaledNode(FusionNode(model, 2, lambda: 0), model, journal, S)

    heads: dict[str, int] = {}

    def publish(journal: Journal, said: Sequence[Message]) -> None:
        for message in said:
            seq = heads.get(message.topic, 0)
            journal.keep(message.topic, seq, encode(msgspec.structs.replace(message, seq=seq)))
            heads[message.topic] = seq + 1

    journal, model = Journal(tmp_path / "journal"), FakeModel()
    machine = begin(journal, model)
    for session in ("s1", "s2"):
        text = "stumble" if session == "s2" else "text"
        for message in [opened(session=session), *whole("u0", 0, text, session)]:
            publish(journal, [*machine.receive(message, S), *machine.wake(S)])
    journal.close()

    journal = Journal(tmp_path / "journal")
    machine = begin(journal, Stumbles("encode"))
    said = list(machine.wake(2 * S))
    assert [(m.kind, m.session) for m in said] == [("gap", "s2"), ("stream.closed", "s2")]
    publish(journal, said)
    said = [*machine.receive(closed(session="s1"), 3 * S), *machine.wake(3 * S)]
    assert [m.utterance for m in said if isinstance(m, Emotion)] == ["u0"]
    assert list(journal.select("SELECT session FROM dialogues")) in ([("s1",)], [])
    journal.close()


def block(
    kind: type[Acoustic | Mocap], at_ns: int, rows: int = 1, speaker: str = "anna"
) -> Message:
    common: dict[str, Any] = {
        "session": "s1",
        "source": f"mic.{speaker}",
        "speaker": speaker,
        "rows": rows,
        "columns": 24,
        "payload": np.zeros((rows, 24), "<f4").tobytes(),
    }
    if kind is Mocap:
        times = tuple(at_ns + 10 * MS * i for i in range(rows))
        return Mocap(layout="test", times_ns=times, **common)
    return Acoustic(front_end="egemaps", start_ns=at_ns, hop_ns=10 * MS, **common)


def test_a_second_of_small_blocks_and_of_beginnings_is_little_work() -> None:
    """What one peer may send in a second: each cut looks at few blocks, few utterances are open."""
    driver = node(Reads("acoustic"))
    driver.give(opened())
    machine = driver.machine
    for i in range(4_000):
        machine.receive(block(Acoustic, 10 * MS * i), driver.now_ns)
    session = machine.sessions["s1"]
    (track,) = session.aligner.frames._tracks.values()
    assert len(track._blocks) <= frames_module.MAX_BLOCKS
    assert len(track) == 4_000  # nothing was dropped
    for i in range(1_000):
        machine.receive(started(f"u{i}", 40 * MS * i), driver.now_ns)
    ongoing = [w for w in session.aligner._waiting.values() if w.ended is None]
    assert len(ongoing) == MAX_ONGOING
    said = driver.give()
    assert sum("others began since" in reason for reason in gaps(said)) == 1_000 - MAX_ONGOING
    partials = [m for _, m in driver.until(driver.now_ns + 600 * MS) if isinstance(m, Emotion)]
    assert len(partials) <= MAX_ONGOING


def test_frames_that_nobody_reads_are_not_kept() -> None:
    driver = node(Reads())
    driver.give(opened(), opened("face.anna", modality="mocap"))
    for i in range(500):
        driver.give(block(Mocap, 100 * MS * i, 10))
    assert driver.machine.sessions["s1"].aligner.frames.size == 0


def test_a_silent_listener_s_frames_are_bounded_in_time() -> None:
    model = Reads("mocap")
    driver = node(model)
    driver.give(opened(), opened("face.anna", modality="mocap"))
    sizes = []
    for minute in range(5):
        for i in range(600):
            driver.give(block(Mocap, minute * 60 * S + 100 * MS * i, 10))
        sizes.append(len(encode_snapshot(driver.machine.sessions["s1"].snapshot(model))))
    assert max(sizes[2:]) < 1.1 * sizes[1]
    assert gaps([m for _, m in driver.said]) == []  # what belongs to no utterance is no loss


def test_all_frames_of_a_dialogue_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_module, "MAX_DIALOGUE_FRAME_BYTES", 200_000)
    driver = node(Reads("mocap"))
    driver.give(opened(), *(started(f"{who}-0", 0, speaker=who) for who in "abcdef"))
    for i in range(20):
        driver.give(*(block(Mocap, S * i, 50, who) for who in "abcdef"))
    assert driver.machine.sessions["s1"].aligner.frames.size <= 200_000
    assert "more frames than are kept" in gaps([m for _, m in driver.said])


def test_an_utterance_whose_worker_died_is_given_up_and_its_frames_go() -> None:
    driver = node(Reads("mocap"))
    driver.give(opened(), opened("asr.mic.anna", modality="text"))
    driver.give(started("u0", 0), block(Mocap, 0, 50), transcript("u0", "I th", final=False))
    for second in range(1, 120):  # the others live on
        driver.until(second * S + S)
        driver.give(progress(second * S, "asr.mic.anna"))
    said = [m for _, m in driver.said]
    lost = [m for m in said if isinstance(m, Gap) and m.lost == "utterance"]
    seconds = SILENT_NS // S
    assert [m.reason for m in lost] == [f"u0 has not ended; nothing was heard for {seconds} s"]
    partials = [m for m in said if isinstance(m, Emotion) and m.status == "partial"]
    assert len(partials) <= 2 * seconds + 2
    assert len(driver.machine.sessions["s1"].aligner._waiting) == 0


def test_an_utterance_that_goes_on_for_ever_is_given_up() -> None:
    driver = node(FakeModel())
    driver.give(opened(), started("u0", 0))
    while driver.now_ns < LONGEST_NS + 5 * S:
        driver.until(driver.now_ns + 2 * S)
        driver.give(progress(driver.now_ns))
    lost = [m.reason for _, m in driver.said if isinstance(m, Gap)]
    assert lost == [f"u0 has not ended within {LONGEST_NS // S} s"]


def test_pieces_whose_utterance_never_comes_are_given_up() -> None:
    driver = node(FakeModel())
    driver.give(opened(), transcript("u0", "nobody said this"))
    driver.until(driver.now_ns + LONGEST_NS + S)
    session = driver.machine.sessions.get("s1")
    assert session is None or len(session.aligner._waiting) == 0
    assert any("u0" in reason for reason in gaps([m for _, m in driver.said]))


def test_with_all_look_ahead_too_the_window_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_module, "MAX_OPEN", 20)
    driver = node(FakeModel(), look_ahead=None)
    driver.give(opened())
    for i in range(100):
        driver.give(*whole(f"u{i}", S * i, f"text {i}"))
        assert len(driver.machine.sessions["s1"].context.utterances) <= 21
    driver.give(closed())
    said = [m for _, m in driver.said if isinstance(m, Emotion)]
    check_revisions(said)
    assert [m.utterance for m in said if m.status == "final"] == [f"u{i}" for i in range(100)]


def test_two_sources_that_use_one_name_lose_nothing_in_silence() -> None:
    driver = node(FakeModel())
    driver.give(opened("mic.anna"), opened("mic.bert"))
    said = driver.give(
        started("u0", 0),
        started("u0", 100 * MS, speaker="bert"),
        observation("u0", 2.0, speaker="bert"),
        ended("u0", 100 * MS, 600 * MS, speaker="bert"),
        observation("u0", 1.0),
        ended("u0", 0, 500 * MS),
        progress(S),
        progress(S, "mic.bert"),
    )
    said += driver.give(closed("mic.anna"), closed("mic.bert"))
    finals = [m for m in said if isinstance(m, Emotion) and m.status == "final"]
    assert [(m.utterance, m.speaker, m.end_ns) for m in finals] == [("u0", "anna", 500 * MS)]
    lost = [(m.of, m.lost, m.count) for m in said if isinstance(m, Gap)]
    assert lost == [
        ("mic.bert", "utterance.started", 1),
        ("mic.bert", "observation", 1),
        ("mic.bert", "utterance.ended", 1),
    ]


def test_a_worker_started_again_under_its_old_names_is_heard() -> None:
    driver = node(FakeModel(), look_ahead=0)

    def of_epoch(epoch: int, start_ns: int) -> list[Message]:
        messages = [opened(), started("u0", start_ns), *whole("u0", start_ns, "text")]
        return [msgspec.structs.replace(message, epoch=epoch) for message in messages]

    driver.give(*of_epoch(1, 0))
    driver.until(driver.now_ns + S)
    driver.give(*of_epoch(2, 10 * S))
    driver.give(closed())
    said = [m for _, m in driver.said]
    finals = [m.start_ns for m in said if isinstance(m, Emotion) and m.status == "final"]
    assert finals == [0, 10 * S]
    assert gaps(said) == []


def test_the_same_name_for_another_utterance_of_the_same_worker_is_said() -> None:
    driver = node(FakeModel(), look_ahead=0)
    driver.give(opened(), *whole("u0", 0, "text"))
    said = driver.give(started("u0", 10 * S), ended("u0", 10 * S, 11 * S))
    assert gaps(said) == ["u0 was complete already; use another name"] * 2


def test_one_wild_value_does_not_spoil_a_speaker() -> None:
    normaliser = speaker_normaliser()
    rng = np.random.default_rng(1)
    usual = rng.uniform(0, 1, (40, 47)).astype(np.float32)
    wild = np.full(47, 1e6, np.float32)
    speakers: Any = {}
    for value in [*usual[:20], wild]:
        _, speakers = normaliser.carry(speakers, "anna", value)
    spoilt, _ = normaliser.carry(speakers, "anna", usual[30])
    speakers = {}
    for value in usual[:20]:
        _, speakers = normaliser.carry(speakers, "anna", value)
    unspoilt, _ = normaliser.carry(speakers, "anna", usual[30])
    np.testing.assert_array_equal(spoilt, unspoilt)
