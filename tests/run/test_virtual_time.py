"""Machines joined in one process: what each hears, in which time, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from affectstream.messages import Message, Progress, StreamClosed, Transcript
from affectstream.run.virtual_time import JoinedMachine, run_in_virtual_time
from affectstream.timebase import NS_PER_MS

MS = NS_PER_MS


def progress(source: str, at_ns: int) -> Progress:
    return Progress(session="s", source=source, watermark_ns=at_ns)


@dataclass
class Ticks:
    """An input that has something every 10 ms of the time it is told."""

    count: int
    every_ns: int = 10 * MS
    read_at: list[int] = field(default_factory=list)
    closed: bool = False

    @property
    def exhausted(self) -> bool:
        return len(self.read_at) >= self.count

    def fileno(self) -> int:
        return -1

    def next_read_ns(self) -> int | None:
        return None if self.exhausted else self.every_ns * (1 + len(self.read_at))

    def read(self, now_ns: int) -> Iterator[int]:
        while (due := self.next_read_ns()) is not None and due <= now_ns:
            self.read_at.append(now_ns)
            yield due

    def close(self) -> None:
        self.closed = True


@dataclass
class Microphone:
    """Says each tick, and goodbye."""

    name: str

    def receive(self, item: int, now_ns: int) -> list[Message]:
        return [progress(self.name, item)]

    def wake(self, now_ns: int) -> list[Message]:
        return []

    def next_wake_ns(self) -> int | None:
        return None

    def close(self, now_ns: int) -> list[Message]:
        return [StreamClosed(session="s", source=self.name, reason="over", end_ns=now_ns)]


@dataclass
class Listener:
    """Remembers what it hears; answers progress 25 ms later."""

    name: str
    heard: list[Message] = field(default_factory=list)
    due: list[int] = field(default_factory=list)
    woken: list[int] = field(default_factory=list)

    def receive(self, message: Message, now_ns: int) -> list[Message]:
        self.heard.append(message)
        if isinstance(message, Progress):
            self.due.append(now_ns + 25 * MS)
        return []

    def wake(self, now_ns: int) -> Iterator[Message]:
        self.woken.append(now_ns)
        while self.due and self.due[0] <= now_ns:
            at_ns = self.due.pop(0)
            yield Transcript(
                session="s",
                source=self.name,
                utterance="u",
                speaker="a",
                text=str(at_ns // MS),
                start_ns=0,
                end_ns=now_ns,
                final=True,
                engine="fake",
            )

    def next_wake_ns(self) -> int | None:
        return self.due[0] if self.due else None

    def close(self, now_ns: int) -> list[Message]:
        return [StreamClosed(session="s", source=self.name, reason="over", end_ns=now_ns)]


def test_each_hears_what_it_subscribed_to_and_nothing_else() -> None:
    all_ears, words_only = Listener("asr"), Listener("fusion")
    parts = [
        JoinedMachine(Microphone("mic"), inputs=(Ticks(3),)),
        JoinedMachine(all_ears, ("progress/", "stream.closed/")),
        JoinedMachine(words_only, ("transcript/", "stream.closed/s/mic")),
    ]
    list(run_in_virtual_time(parts))
    assert [m.source for m in all_ears.heard] == ["mic"] * 4
    assert {m.kind for m in words_only.heard} == {"transcript", "stream.closed"}
    assert [m.source for m in words_only.heard if m.kind == "stream.closed"] == ["mic"]


def test_time_is_that_of_what_is_due() -> None:
    ticks, listener = Ticks(4, 40 * MS), Listener("asr")
    said = list(
        run_in_virtual_time(
            [
                JoinedMachine(Microphone("mic"), inputs=(ticks,)),
                JoinedMachine(listener, ("progress/",)),
            ]
        )
    )
    assert ticks.read_at == [40 * MS, 80 * MS, 120 * MS, 160 * MS]
    words = [m for m in said if isinstance(m, Transcript)]
    assert [m.sent_ns // MS for m in words] == [65, 105, 145, 185]
    assert [m.text for m in words] == ["65", "105", "145", "185"]
    assert ticks.closed


def test_messages_are_numbered_as_on_the_bus() -> None:
    said = list(
        run_in_virtual_time(
            [
                JoinedMachine(Microphone("one"), inputs=(Ticks(3),)),
                JoinedMachine(Microphone("other"), inputs=(Ticks(5),)),
            ]
        )
    )
    numbers: dict[str, list[int]] = {}
    for message in said:
        numbers.setdefault(message.topic, []).append(message.seq)
        assert message.epoch == (1 if message.source == "one" else 2)
    assert numbers["progress/s/one"] == [0, 1, 2]
    assert numbers["progress/s/other"] == [0, 1, 2, 3, 4]
    assert numbers["stream.closed/s/one"] == [0]


def test_a_part_is_closed_when_its_inputs_have_ended_and_the_rest_at_the_end() -> None:
    listener = Listener("asr")
    parts = [
        JoinedMachine(Microphone("short"), inputs=(Ticks(2),)),
        JoinedMachine(Microphone("long"), inputs=(Ticks(4),)),
        JoinedMachine(listener, ("stream.closed/",)),
    ]
    said = [m for m in run_in_virtual_time(parts) if isinstance(m, StreamClosed)]
    assert [(m.source, m.end_ns // MS) for m in said] == [("short", 20), ("long", 40), ("asr", 40)]
    assert [m.source for m in listener.heard] == ["short", "long"]


def test_a_stop_ends_it_with_the_last_words() -> None:
    ticks = Ticks(100)
    parts = [JoinedMachine(Microphone("mic"), inputs=(ticks,))]
    taken = list(run_in_virtual_time(parts, stopping=lambda: len(ticks.read_at) >= 5))
    assert isinstance(taken[-1], StreamClosed)
    assert len(taken) < 10
    assert ticks.closed


def test_a_machine_that_is_always_due_does_not_stop_time() -> None:
    listener = Listener("asr", due=[0])
    listener.next_wake_ns = lambda: 0  # type: ignore[method-assign]
    taken = run_in_virtual_time(
        [JoinedMachine(Microphone("mic"), inputs=(Ticks(20),)), JoinedMachine(listener)],
        stopping=lambda: len(listener.woken) > 1_000,
    )
    assert len([m for m in taken if isinstance(m, Progress)]) == 20
