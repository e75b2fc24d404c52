"""What a reader holds of one outlet is counted and bounded, to the message and to the byte."""

from __future__ import annotations

import msgspec
import pytest

from affectstream.core.delivery import known_outlet
from affectstream.core.delivery.known_outlet import KnownOutlet
from affectstream.messages import Audio
from bus_helpers import transcript


def audio(samples: int, seq: int = 0) -> Audio:
    return Audio(
        session="s1",
        source="mic.anna",
        seq=seq,
        first_sample=0,
        start_ns=0,
        sample_rate_hz=16_000,
        payload=bytes(2 * samples),
    )


def test_it_is_full_of_messages_exactly_at_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_outlet, "MAX_HELD", 3)
    outlet = KnownOutlet()
    for number in range(3):
        assert not outlet.is_full
        outlet.hold(transcript(number))
    assert outlet.is_full


def test_it_is_full_of_bytes_exactly_at_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    outlet = KnownOutlet()
    outlet.hold(audio(1_000))
    monkeypatch.setattr(known_outlet, "MAX_HELD_BYTES", outlet.held_bytes + 1)
    assert not outlet.is_full
    monkeypatch.setattr(known_outlet, "MAX_HELD_BYTES", outlet.held_bytes)
    assert outlet.is_full


def test_what_is_taken_off_makes_room_again() -> None:
    outlet, second_alone = KnownOutlet(), KnownOutlet()
    outlet.hold(audio(1_000))
    outlet.hold(audio(10, seq=1))
    second_alone.hold(audio(10, seq=1))
    outlet.earlier.append(audio(500))
    held_bytes = outlet.held_bytes
    outlet.pop(outlet.earlier)  # what was resent is not held
    assert outlet.held_bytes == held_bytes > second_alone.held_bytes > 0
    outlet.pop(outlet.held)
    assert outlet.held_bytes == second_alone.held_bytes
    outlet.pop(outlet.held)
    assert outlet.held_bytes == 0


def test_of_too_many_topics_the_longest_unused_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known_outlet, "MAX_TOPICS", 3)
    outlet = KnownOutlet()
    for topic in ("a", "b", "c"):
        outlet.expect(topic, 1)
    assert set(outlet.expected) == {"a", "b", "c"}  # as many as may be
    outlet.expect("a", 2)
    outlet.expect("d", 1)
    assert dict(outlet.expected) == {"c": 1, "a": 2, "d": 1}


def test_of_what_found_no_place_a_bounded_number_of_topics_is_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known_outlet, "MAX_TOPICS", 2)
    outlet = KnownOutlet()
    for source in ("mic.anna", "mic.bert", "mic.carl"):
        message = transcript(0, source=source)
        outlet.let_one_go(msgspec.structs.replace(message, seq=4))
    assert outlet.let_go == {"transcript/s1/mic.anna": 5, "transcript/s1/mic.bert": 5}
