"""Loss made visible: what an outlet keeps, and how an inlet puts a stream together again.

Knows: sequence numbers, resend requests, heads, the bounded ring and the last state.
Refuses to know: sockets and clocks; requests and answers are values that the bus carries.

Rules:
1. An outlet counts the messages of each topic from 0 (``seq``) and keeps the latest in a ring
   that is bounded in bytes.
2. ``Progress.heads`` says how many messages of each kind the source has published. A reader that
   has seen fewer has a hole, even if nothing came after it.
3. While one topic of an outlet has a hole, everything later from that outlet waits, so that a
   watermark never overtakes what it vouches for.
4. A hole is asked for as long as ``patience`` says. What cannot be had is said as a ``Gap`` in its
   place. What was resent is checked like everything else: a resent watermark waits too.
5. A reader that meets an outlet for the first time either asks for all that the ring still has,
   page by page in the order of publication, or for the last state of what is open; nothing is
   passed on before the answer.
6. A reader that holds too much while it waits lets later messages go and asks for them again.
7. Holes are filled topic by topic, or, where the order between topics matters, with all that is
   missing of the session, in the order of publication.
8. A reader that was there before (``positions``) asks an outlet it knows for all that it has not
   seen, in the order of publication.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence

from affectstream.core.delivery import retention
from affectstream.core.delivery.known_outlet import KnownOutlet, Lost
from affectstream.core.delivery.requests import AskHistory, AskState, Request, Resend
from affectstream.core.delivery.retention import matches
from affectstream.messages import MESSAGE_KINDS, Gap, Message, Progress

MAX_TOPICS = 65_536
MAX_OUTLETS = 1_024
MAX_SEEN = 512
"""Topics that a request names as seen; what else comes again is dropped by its number."""

Positions = Mapping[int, Mapping[str, int]]
"""Epoch -> topic -> the number of the first message of it that a reader has not had."""


class Reassembler:
    """Puts the messages of many outlets in order, asks for what is missing, says what is lost.

    Args:
        prefixes: the reader's subscriptions.
        from_start: on first meeting an outlet, ask for everything its ring still holds; otherwise
            for the last state of what is open.
        positions: what the reader has had already, before it was started again.
        since: topic -> the first message of it that is wanted, whoever publishes it.
        in_order: fill a hole with all that is missing of its session, in the order of publication,
            and not topic by topic: for who reads several topics that tell one story.
    """

    def __init__(
        self,
        prefixes: Sequence[str],
        *,
        from_start: bool,
        positions: Positions | None = None,
        since: Mapping[str, int] | None = None,
        in_order: bool = False,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._prefixes = tuple(prefixes)
        self._from_start, self._in_order = from_start, in_order
        self._since = dict(since or {})
        self._outlets: OrderedDict[int, KnownOutlet] = OrderedDict(
            (epoch, KnownOutlet(OrderedDict(topics), known=True, history_at=0))
            for epoch, topics in (positions or {}).items()
        )
        self._requests: list[Request] = []

    @property
    def positions(self) -> dict[int, dict[str, int]]:
        """What was passed on so far, for a reader that is started again."""
        return {epoch: dict(outlet.expected) for epoch, outlet in self._outlets.items()}

    def receive(self, message: Message, now_ns: int) -> list[Message]:
        """Take a message in; return those whose turn has come."""
        outlet = self._meet(message.epoch, now_ns)
        outlet.patience.hear(now_ns)
        if outlet.full:
            self.counts["let go"] += 1
            if isinstance(message, Progress) or len(outlet.let_go) >= MAX_TOPICS:
                return []  # a later one will say as much
            head = max(message.seq + 1, outlet.let_go.get(message.topic, 0))
            outlet.let_go[message.topic] = head
            return []
        outlet.hold(message)
        return self._drain(message.epoch, now_ns)

    def resent(
        self, epoch: int, topic: str, first: int, last: int, found: Sequence[Message], now_ns: int
    ) -> list[Message]:
        """Take the answer to a ``Resend``; what was not found is lost for good."""
        outlet = self._outlets.get(epoch)
        if outlet is None or outlet.asked != Resend(epoch, topic, first, last):
            return []
        outlet.patience.answer(now_ns)
        by_seq = {m.seq: m for m in found if m.epoch == epoch and m.topic == topic}
        outlet.asked = None
        items: list[Message | Lost] = []
        next_seq = first
        for seq in sorted(seq for seq in by_seq if first <= seq <= last):
            if seq > next_seq:
                items.append(Lost(topic, next_seq, seq - 1, "no longer in the outlet's ring"))
            items.append(by_seq[seq])
            self.counts["resent"] += 1
            next_seq = seq + 1
        if next_seq <= last:
            items.append(Lost(topic, next_seq, last, "no longer in the outlet's ring"))
        outlet.earlier.extendleft(reversed(items))
        return self._drain(epoch, now_ns)

    def history(
        self,
        epoch: int,
        position: int,
        found: Sequence[Message],
        next_position: int | None,
        now_ns: int,
    ) -> list[Message]:
        """Take the answer to an ``AskHistory``: one page, in the order of publication."""
        outlet = self._outlets.get(epoch)
        asked = outlet.asked if outlet is not None else None
        if outlet is None or not isinstance(asked, AskHistory) or asked.position != position:
            return []
        outlet.asked = None
        outlet.patience.answer(now_ns)
        outlet.earlier.extend(m for m in found if m.epoch == epoch)
        onward = next_position is not None and next_position > position
        outlet.history_at = next_position if onward else None
        outlet.scope = outlet.scope if onward else None
        self.counts["resent"] += len(found)
        return self._drain(epoch, now_ns)

    def state(
        self, epoch: int, heads: dict[str, int], messages: Sequence[Message], now_ns: int
    ) -> list[Message]:
        """Take the answer to an ``AskState``: the topics' heads and what is open.

        What was heard since the question is held, and is news though the answer covers it.
        """
        outlet = self._outlets.get(epoch)
        if outlet is None or outlet.known:
            return []
        outlet.known, outlet.asked = True, None
        outlet.patience.answer(now_ns)
        outlet.expected.update(heads)
        for held in outlet.held:
            outlet.expected[held.topic] = min(held.seq, outlet.expected.get(held.topic, held.seq))
        heads_known = outlet.expected
        state = [m for m in messages if m.epoch == epoch and m.seq < heads_known.get(m.topic, 0)]
        return self._wanted(state) + self._drain(epoch, now_ns)

    def unreachable(self, epoch: int, now_ns: int) -> None:
        """Take the hub's word that it knows no such outlet: it has ended, or its link is cut."""
        if outlet := self._outlets.get(epoch):
            outlet.patience.miss(now_ns)

    def requests(self) -> list[Request]:
        """Return the requests that are to be sent now, once."""
        requests, self._requests = self._requests, []
        return requests

    def next_wake_ns(self) -> int | None:
        """Return when ``wake`` has something to do."""
        return min(
            (o.patience.repeat_at_ns for o in self._outlets.values() if o.asked), default=None
        )

    def wake(self, now_ns: int) -> list[Message]:
        """Repeat requests that were not answered; give up those asked for long enough."""
        delivered: list[Message] = []
        for epoch, outlet in list(self._outlets.items()):
            if outlet.asked is None or now_ns < outlet.patience.repeat_at_ns:
                continue
            if outlet.patience.ended(now_ns):
                delivered += self._give_up(epoch, now_ns)
            else:
                outlet.patience.repeat(now_ns)
                self._requests.append(outlet.asked)
        return delivered

    def _meet(self, epoch: int, now_ns: int) -> KnownOutlet:
        outlet = self._outlets.get(epoch)
        if outlet is None:
            outlet = self._outlets[epoch] = KnownOutlet()
            if self._from_start:
                outlet.known, outlet.history_at = True, 0
                outlet.expected.update(self._since)
            else:
                self._ask(outlet, AskState(epoch, self._prefixes), now_ns)
            if len(self._outlets) > MAX_OUTLETS:
                _, forgotten = self._outlets.popitem(last=False)
                self.counts["outlets forgotten"] += 1
                self.counts["lost"] += len(forgotten.held) + len(forgotten.earlier)
        self._outlets.move_to_end(epoch)
        return outlet

    def _ask(self, outlet: KnownOutlet, request: Request, now_ns: int) -> None:
        outlet.asked = request
        outlet.patience.ask(now_ns)
        self._requests.append(request)

    def _drain(self, epoch: int, now_ns: int) -> list[Message]:
        """Deliver what comes next until something has to be asked for."""
        outlet = self._outlets[epoch]
        delivered: list[Message] = []
        while outlet.asked is None and (queue := self._queue(epoch, outlet, now_ns)):
            item = queue[0]
            if isinstance(item, Lost):
                outlet.pop(queue)
                delivered += self._gap(outlet, item)
                continue
            expected = outlet.expected.setdefault(item.topic, 0)
            if item.seq < expected:
                self.counts["duplicates"] += 1
                outlet.pop(queue)
                continue
            hole = self._hole(outlet, item)
            if hole is not None:
                self._fill(epoch, outlet, hole, now_ns)
                continue
            self._expect(outlet, item.topic, item.seq + 1)
            delivered.append(item)
            outlet.pop(queue)
        return self._wanted(delivered)

    def _queue(
        self, epoch: int, outlet: KnownOutlet, now_ns: int
    ) -> deque[Message] | deque[Message | Lost] | None:
        """Return the queue whose turn it is, or None after asking or when there is nothing."""
        if outlet.earlier:
            return outlet.earlier
        if outlet.history_at is not None:
            prefixes = outlet.scope or self._prefixes
            seen = tuple(item for item in outlet.expected.items() if matches(item[0], prefixes))
            request = AskHistory(epoch, prefixes, outlet.history_at, seen[-MAX_SEEN:])
            self._ask(outlet, request, now_ns)
            return None
        if outlet.held:
            return outlet.held
        for topic, head in list(outlet.let_go.items()):
            expected = outlet.expected.get(topic, 0)
            if head > expected:
                self._fill(epoch, outlet, (topic, expected, head - 1), now_ns)
                return self._queue(epoch, outlet, now_ns) if outlet.asked is None else None
            del outlet.let_go[topic]
        return None

    def _hole(self, outlet: KnownOutlet, message: Message) -> tuple[str, int, int] | None:
        """Return the first hole before ``message``: topic, first and last."""
        expected = outlet.expected[message.topic]
        if message.seq > expected and matches(message.topic, self._prefixes):
            return (message.topic, expected, message.seq - 1)
        if isinstance(message, Progress):
            for kind, head in message.heads.items():
                topic = f"{kind}/{message.session}/{message.source}"
                expected = outlet.expected.get(topic, 0)
                if head > expected and kind in MESSAGE_KINDS and matches(topic, self._prefixes):
                    return (topic, expected, head - 1)
        return None

    def _fill(
        self, epoch: int, outlet: KnownOutlet, hole: tuple[str, int, int], now_ns: int
    ) -> None:
        topic, first, last = hole
        if outlet.silent:
            outlet.earlier.appendleft(Lost(topic, first, last, "the outlet does not answer"))
        elif self._in_order and not outlet.earlier and outlet.filled != (topic, first):
            outlet.filled, outlet.history_at = (topic, first), 0
            outlet.scope = self._of_session(topic.split("/")[1])
        else:
            last = min(last, first + retention.RESENT_AT_ONCE - 1)
            self._ask(outlet, Resend(epoch, topic, first, last), now_ns)

    def _of_session(self, session: str) -> tuple[str, ...]:
        """Return the prefixes of what is read of one session."""
        streams = [f"{kind}/{session}/" for kind in MESSAGE_KINDS]
        whole = {each for each in streams if matches(each, self._prefixes)}
        parts = {prefix for prefix in self._prefixes if matches(prefix, streams)}
        return (*sorted(whole), *sorted(p for p in parts if not matches(p, whole)))

    def _give_up(self, epoch: int, now_ns: int) -> list[Message]:
        outlet = self._outlets[epoch]
        asked, outlet.asked = outlet.asked, None
        self.counts["requests given up"] += 1
        if isinstance(asked, AskState):
            # Without its state the outlet is followed from here on.
            outlet.known = True
            for message in outlet.held:
                outlet.expected.setdefault(message.topic, message.seq)
                if isinstance(message, Progress):
                    for kind, head in message.heads.items():
                        topic = f"{kind}/{message.session}/{message.source}"
                        outlet.expected.setdefault(topic, head)
        outlet.history_at, outlet.scope = None, None
        outlet.silent = True  # one silence is enough for all that waits now
        delivered = self._drain(epoch, now_ns)
        outlet.silent = False
        return delivered

    def _expect(self, outlet: KnownOutlet, topic: str, seq: int) -> None:
        outlet.expected[topic] = seq
        outlet.expected.move_to_end(topic)
        if len(outlet.expected) > MAX_TOPICS:
            outlet.expected.popitem(last=False)

    def _gap(self, outlet: KnownOutlet, lost: Lost) -> list[Message]:
        kind, session, source = lost.topic.split("/")
        count = lost.last - lost.first + 1
        self._expect(outlet, lost.topic, lost.last + 1)
        self.counts["lost"] += count
        return [
            Gap(
                session=session,
                source=source,
                of=source,
                lost=kind,
                count=count,
                reason=lost.reason,
            )
        ]

    def _wanted(self, messages: Iterable[Message]) -> list[Message]:
        """Drop the heartbeats that were followed for their heads alone."""
        return [m for m in messages if isinstance(m, Gap) or matches(m.topic, self._prefixes)]
