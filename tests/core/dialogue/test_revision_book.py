"""What a subscriber believes."""

from __future__ import annotations

from typing import Any

from affectstream.core.dialogue import revision_book
from affectstream.core.dialogue.revision_book import RevisionBook
from affectstream.messages import Emotion, ModelIdentity


def emotion(
    revision: int = 0,
    status: Any = "provisional",
    *,
    utterance: str = "anna-0000",
    start_ns: int = 0,
    epoch: int = 1,
    session: str = "s1",
) -> Emotion:
    return Emotion(
        session=session,
        source="fusion",
        epoch=epoch,
        utterance=utterance,
        speaker="anna",
        start_ns=start_ns,
        end_ns=start_ns + 10,
        revision=revision,
        status=status,
        categorical={"anger": 1.0},
        model=ModelIdentity(id="m", sha256="0"),
    )


def test_news_is_accepted_and_becomes_the_latest() -> None:
    book = RevisionBook()
    for revision, status in enumerate(["partial", "provisional", "revised", "final"]):
        assert book.accept(emotion(revision, status))
    (latest,) = book.latest("s1")
    assert latest.status == "final"
    assert book.counts == {"partial": 1, "provisional": 1, "revised": 1, "final": 1}


def test_duplicates_and_what_was_overtaken_are_refused_and_counted() -> None:
    book = RevisionBook()
    assert book.accept(emotion(3))
    assert not book.accept(emotion(3))
    assert not book.accept(emotion(1))
    assert book.counts["overtaken"] == 2


def test_nothing_comes_after_final() -> None:
    book = RevisionBook()
    assert book.accept(emotion(3, "final"))
    assert not book.accept(emotion(4, "revised"))
    assert not book.accept(emotion(0, "provisional", epoch=2))
    assert book.counts["after final"] == 2


def test_a_restarted_node_begins_anew_with_what_was_not_final() -> None:
    book = RevisionBook()
    assert book.accept(emotion(7, "revised", epoch=1))
    assert book.accept(emotion(0, "provisional", epoch=2))
    assert book.accept(emotion(1, "revised", epoch=2))


def test_a_name_that_is_used_again_for_another_time_is_another_utterance() -> None:
    book = RevisionBook()
    assert book.accept(emotion(3, "final", start_ns=100))
    assert book.accept(emotion(0, "provisional", start_ns=900))
    assert book.latest("s1")[0].start_ns == 900


def test_dialogues_do_not_mix_and_are_given_in_the_order_of_ends() -> None:
    book = RevisionBook()
    book.accept(emotion(utterance="b", start_ns=50))
    book.accept(emotion(utterance="a", start_ns=20))
    book.accept(emotion(utterance="a", start_ns=20, session="s2"))
    assert [e.utterance for e in book.latest("s1")] == ["a", "b"]
    assert len(book.latest("s2")) == 1


def test_memory_is_bounded() -> None:
    book = RevisionBook()
    for i in range(revision_book.MAX_BOOKED + 100):
        book.accept(emotion(utterance=f"u{i}", start_ns=i))
    assert len(book.latest("s1")) == revision_book.MAX_BOOKED
