"""Machines joined in one process, in virtual time: it jumps to whatever is due next.

Knows: which machine hears which, and when one of them has something to do.
Refuses to know: what the machines do, sockets, and the real time.

They are the machines that ``loop.run`` joins over the bus, here with nothing between them that
could be late or lost. A recording is worked through as fast as it computes, and always with the
same result. It is a loop of its own because it never waits and steps all machines at one instant;
``loop.run`` waits, and steps one machine whenever something arrives.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import msgspec

from affectstream.messages import Message
from affectstream.run.loop import InputDevice, Machine, PacedInput
from affectstream.timebase import NS_PER_MS, NS_PER_S

SETTLE_NS = 10 * NS_PER_S
"""What falls due within this after the last input has ended is still waited for."""


@dataclass(frozen=True, slots=True, eq=False)
class JoinedMachine:
    """A machine among others.

    Attributes:
        prefixes: the topics that it hears, as it would subscribe to them.
        inputs: what feeds it; it is closed when all of them have ended.
    """

    machine: Machine
    prefixes: tuple[str, ...] = ()
    inputs: tuple[InputDevice, ...] = ()


@dataclass(slots=True)
class _Exchange:
    """Hands on what each part says to those who hear it."""

    parts: Sequence[JoinedMachine]
    closed: list[JoinedMachine] = field(default_factory=list)
    counts: Counter[tuple[int, str]] = field(default_factory=Counter)

    def publish(
        self, speaker: JoinedMachine, said: Iterable[Message], now_ns: int
    ) -> Iterator[Message]:
        """Yield ``said``, and what others answer to it, as they would be on the bus."""
        waiting = deque((speaker, message) for message in said)
        while waiting:
            who, message = waiting.popleft()
            message = self._stamped(who, message, now_ns)
            yield message
            for part in self.parts:
                if (
                    part is not who
                    and part not in self.closed
                    and message.topic.startswith(part.prefixes)
                ):
                    answers = part.machine.receive(message, now_ns)
                    waiting.extend((part, answer) for answer in answers)

    def close(self, part: JoinedMachine, now_ns: int) -> Iterator[Message]:
        """Yield the last words of ``part``, which then hears no more."""
        self.closed.append(part)
        yield from self.publish(part, part.machine.close(now_ns), now_ns)

    @property
    def open(self) -> list[JoinedMachine]:
        """The parts that are not closed."""
        return [part for part in self.parts if part not in self.closed]

    def _stamped(self, who: JoinedMachine, message: Message, now_ns: int) -> Message:
        epoch = 1 + self.parts.index(who)
        seq = self.counts[epoch, message.topic]
        self.counts[epoch, message.topic] += 1
        return msgspec.structs.replace(message, epoch=epoch, seq=seq, sent_ns=now_ns)


def run_in_virtual_time(
    parts: Sequence[JoinedMachine], *, stopping: Callable[[], bool] = lambda: False
) -> Iterator[Message]:
    """Yield every message that is published until all inputs have ended, and the last words.

    Time begins at 0.

    Args:
        parts: those with inputs first, then those who hear them.
        stopping: whether to end early, as if all inputs had ended.
    """
    exchange = _Exchange(parts)
    now_ns, patient_until_ns = 0, SETTLE_NS
    with ExitStack() as stack:
        for part in parts:
            for source in part.inputs:
                stack.callback(source.close)
        while not stopping():
            for part in exchange.open:
                yield from exchange.publish(part, _read(part, now_ns), now_ns)
            for part in exchange.open:
                yield from exchange.publish(part, part.machine.wake(now_ns), now_ns)
            for part in filter(_has_ended, exchange.open):
                yield from exchange.close(part, now_ns)
            due_ns = _due_ns(exchange.open)
            if any(part.inputs for part in exchange.open):
                patient_until_ns = now_ns + SETTLE_NS
            elif due_ns is None or due_ns > patient_until_ns:
                break
            now_ns = max(due_ns or now_ns, now_ns + NS_PER_MS)
        for part in exchange.open:
            yield from exchange.publish(part, part.machine.wake(now_ns), now_ns)
            yield from exchange.close(part, now_ns)


def _read(part: JoinedMachine, now_ns: int) -> Iterator[Message]:
    for source in part.inputs:
        for item in source.read(now_ns):
            yield from part.machine.receive(item, now_ns)


def _has_ended(part: JoinedMachine) -> bool:
    return bool(part.inputs) and all(source.exhausted for source in part.inputs)


def _due_ns(parts: Sequence[JoinedMachine]) -> int | None:
    due = [part.machine.next_wake_ns() for part in parts]
    paced = (source for part in parts for source in part.inputs if isinstance(source, PacedInput))
    due += [source.next_read_ns() for source in paced]
    return min((d for d in due if d is not None), default=None)
