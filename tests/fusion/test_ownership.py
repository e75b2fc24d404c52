"""Of several nodes one has a dialogue: claims, refusals, and what follows when two hold one."""

from __future__ import annotations

import msgspec
import pytest

from affectstream.fusion.ownership import (
    CLAIMED_NS,
    LAPSES_NS,
    LISTENED_NS,
    MAX_KNOWN,
    MAX_WAITING_BYTES,
    OwnedDialogues,
)
from affectstream.fusion.session import CLAIM_SOURCE
from affectstream.messages import Gap, Message, Progress, StreamClosed, StreamOpened
from fakes import MS, S, closed, observation, opened, started

START_NS = 100 * S
LATER_NS = START_NS + LISTENED_NS


class Told:
    """A node that notes what it is told, and opens and closes its own stream as a node does."""

    def __init__(self) -> None:
        self.told: list[Message] = []
        self.abandoned: list[str] = []

    def receive(self, message: Message, now_ns: int) -> list[Message]:
        if message.source == "fusion":
            return []
        self.told.append(message)
        if isinstance(message, StreamOpened):
            return [opened("fusion", message.session, modality="emotion")]
        return [closed("fusion", message.session)] if isinstance(message, StreamClosed) else []

    def wake(self, now_ns: int) -> list[Message]:
        return []

    def next_wake_ns(self) -> int | None:
        return None

    def close(self, now_ns: int) -> list[Message]:
        return []

    def abandon(self, session: str) -> None:
        self.abandoned.append(session)


class Node:
    def __init__(self, epoch: int, *, holds: tuple[str, ...] = (), since_ns: int = START_NS):
        self.epoch, self.machine = epoch, Told()
        self.owned = OwnedDialogues(self.machine, epoch, holds, since_ns)

    def hear(self, message: Message, now_ns: int) -> list[Message]:
        return self.stamped(self.owned.receive(message, now_ns))

    def wake(self, now_ns: int) -> list[Message]:
        return self.stamped(list(self.owned.wake(now_ns)))

    def stamped(self, said: list[Message]) -> list[Message]:
        return [msgspec.structs.replace(message, epoch=self.epoch) for message in said]


def beat(epoch: int, session: str = "s1", **heads: int) -> Progress:
    """A heartbeat of a node's own stream."""
    return Progress(
        session=session,
        source="fusion",
        epoch=epoch,
        watermark_ns=0,
        heads={kind.replace("_", "."): count for kind, count in heads.items()},
    )


def gaps(said: list[Message]) -> list[Gap]:
    return [message for message in said if isinstance(message, Gap)]


@pytest.mark.parametrize("apart_ns", [0, 1, 30 * MS])
@pytest.mark.parametrize("beats_only", [False, True])
def test_the_earliest_claim_holds_and_nothing_is_told_before(
    apart_ns: int, beats_only: bool
) -> None:
    one, other = Node(1), Node(2)
    [first] = one.hear(opened(), LATER_NS)
    [second] = other.hear(opened(), LATER_NS + apart_ns)
    if beats_only:  # the claims themselves were published before the other listened
        first, second = (
            Progress(
                session="s1",
                source=CLAIM_SOURCE,
                epoch=claim.epoch,
                watermark_ns=claim.start_ns,
                heads={"stream.opened": 1},
            )
            for claim in (first, second)
            if isinstance(claim, StreamOpened)
        )
    at_ns = LATER_NS + apart_ns + 5 * MS
    assert one.hear(second, at_ns) == []
    assert [gap.source for gap in gaps(other.hear(first, at_ns))] == [CLAIM_SOURCE]
    assert one.hear(started("u1", 0), at_ns) == other.hear(started("u1", 0), at_ns) == []
    assert one.wake(LATER_NS + CLAIMED_NS - 1) == []
    assert one.owned.next_wake_ns() == LATER_NS + CLAIMED_NS
    said = one.wake(LATER_NS + CLAIMED_NS)
    assert [(m.kind, m.source) for m in said] == [
        ("stream.opened", "fusion"),
        ("stream.closed", CLAIM_SOURCE),
    ]
    assert other.wake(LATER_NS + S) == []
    assert [m.kind for m in one.machine.told] == ["stream.opened", "utterance.started"]
    assert other.machine.told == []


def test_alone_it_takes_every_message_in_order() -> None:
    node = Node(1)
    node.hear(opened(), LATER_NS)
    for number in range(5):
        node.hear(started(f"u{number}", number), LATER_NS)
    node.wake(LATER_NS + CLAIMED_NS)
    node.hear(started("u5", 5), LATER_NS + S)
    assert [getattr(m, "utterance", "") for m in node.machine.told] == [
        "", "u0", "u1", "u2", "u3", "u4", "u5",
    ]  # fmt: skip


@pytest.mark.parametrize("heads", [{"stream_opened": 1}, {"stream_opened": 1, "stream_closed": 1}])
def test_one_that_starts_later_leaves_what_another_holds_or_has_had(heads: dict[str, int]) -> None:
    node = Node(1)
    node.hear(opened(), START_NS + MS)
    assert node.wake(START_NS + CLAIMED_NS + MS) == []  # it still listens
    said = node.hear(beat(7, "s1", **heads), START_NS + 500 * MS)
    assert len(gaps(said)) == 1
    assert node.wake(START_NS + LISTENED_NS) == []
    assert node.hear(started("u1", 0), LATER_NS) == []
    assert node.machine.told == []


def test_a_dialogue_that_nobody_holds_any_more_is_claimed() -> None:
    node = Node(1)
    node.hear(beat(7, stream_opened=1), LATER_NS)
    assert len(gaps(node.hear(started("u1", 0), LATER_NS + LAPSES_NS))) == 1
    assert node.hear(started("u2", 0), LATER_NS + LAPSES_NS) == []  # said once
    node.hear(beat(7, stream_opened=1, stream_closed=1), LATER_NS + LAPSES_NS)
    at_ns = LATER_NS + LAPSES_NS + 1
    [claim] = node.hear(started("u3", 0), at_ns)
    assert (claim.kind, claim.source) == ("stream.opened", CLAIM_SOURCE)
    node.wake(at_ns + CLAIMED_NS)
    assert len(node.machine.told) == 1


def test_of_two_that_hold_one_dialogue_the_higher_epoch_gives_it_up() -> None:
    one, other = Node(1, holds=("s1",)), Node(2, holds=("s1",))
    assert one.hear(beat(2, stream_opened=1), LATER_NS) == []
    said = other.hear(beat(1, stream_opened=1), LATER_NS)
    assert len(gaps(said)) == 1
    assert (said[-1].kind, said[-1].source) == ("stream.closed", "fusion")
    assert (one.machine.abandoned, other.machine.abandoned) == ([], ["s1"])
    one.hear(started("u1", 0), LATER_NS)
    other.hear(started("u1", 0), LATER_NS)
    assert (len(one.machine.told), len(other.machine.told)) == (1, 0)


def test_what_it_holds_from_the_start_needs_no_claim() -> None:
    node = Node(1, holds=("s1",))
    node.hear(beat(7, stream_opened=1, stream_closed=1), START_NS)
    node.hear(started("u1", 0), START_NS)
    assert len(node.machine.told) == 1


def test_a_name_that_is_used_again_is_claimed_again() -> None:
    node = Node(1)
    node.hear(opened(), LATER_NS)
    node.wake(LATER_NS + CLAIMED_NS)
    node.hear(closed(), LATER_NS + S)
    assert [m.source for m in node.hear(opened(), LATER_NS + 2 * S)] == [CLAIM_SOURCE]


def test_what_waits_is_bounded() -> None:
    node = Node(1)
    node.hear(opened(), START_NS)
    large = observation("u1", columns=4_096, rows=16)
    for _ in range(MAX_WAITING_BYTES // len(large.payload) + 1):
        node.hear(large, START_NS)
    node.wake(START_NS)
    assert node.machine.told
    assert node.owned._held_bytes == 0


def test_what_is_known_of_others_is_bounded() -> None:
    node = Node(1)
    for number in range(MAX_KNOWN + 10):
        node.hear(beat(7, session=f"s{number}", stream_opened=1), LATER_NS)
    assert len(node.owned._rivals) == MAX_KNOWN
