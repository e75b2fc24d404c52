"""Loss made visible: how a reader puts the streams of outlets together again.

Knows: sequence numbers, requests, heads, and the order in which messages are passed on.
Refuses to know: sockets and clocks; requests and answers are values that the bus carries. What an
outlet keeps is ``retention``'s.

Rules:
1. An outlet counts the messages of each topic from 0 (``seq``) and keeps the latest in a ring
   that is bounded in bytes.
2. ``Progress.heads`` says how many messages of each kind the source has published. A reader that
   has seen fewer has a hole, even if nothing came after it.
3. While one topic of an outlet has a hole, everything later from that outlet waits, so that no
   watermark is passed on before the messages that it vouches for.
4. A hole is asked for as long as ``retry`` says. What cannot be had is said as a ``Gap`` in its
   place. What was resent is checked like everything else: a resent watermark waits too.
5. A reader that meets an outlet for the first time either asks for all that the ring still has,
   page by page in the order of publication, or for the last state of what is open; nothing is
   passed on before the answer.
6. A reader that holds too much while it waits lets later messages go and asks for them again.
7. Holes are filled topic by topic. Where the order between topics matters, all that is missing of
   the session is asked for instead, in the order of publication.
8. A reader that was there before (``positions``) asks an outlet that it knows for all that it has
   not seen, in the order of publication.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence

from affectstream.core.delivery import retention
from affectstream.core.delivery.hole_search import HoleSearch
from affectstream.core.delivery.known_outlet import Hole, KnownOutlet, Lost, with_losses
from affectstream.core.delivery.requests import AskHistory, AskState, Request, Resend
from affectstream.core.delivery.retention import matches
from affectstream.messages import MESSAGE_KINDS, Gap, Message

MAX_OUTLETS = 1_024
"""Outlets that have answered; beyond it the one that was not heard for longest is forgotten."""
MAX_STRANGERS = 256
"""Outlets that have not answered yet: they push out one another, and none that has answered."""
STRANGER_BYTES = 256 * 1024
"""So much is held of each of them; what comes beyond it is asked for later."""
MAX_SEEN = 512
"""Topics that a request names as seen; of other topics, what comes twice is dropped."""

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
            and not topic by topic. A reader of several topics that belong together needs this.

    Attributes:
        counts: what was dropped, resent, lost or given up, by name.
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
            (epoch, KnownOutlet(OrderedDict(topics), is_met=True, history_at=0))
            for epoch, topics in (positions or {}).items()
        )
        self._strangers: OrderedDict[int, None] = OrderedDict()
        self._requests: list[Request] = []

    @property
    def positions(self) -> dict[int, dict[str, int]]:
        """What was passed on so far, for a reader that is started again.

        Epoch -> topic -> the number of its next message.
        """
        return {epoch: dict(outlet.expected) for epoch, outlet in self._outlets.items()}

    def receive(self, message: Message, now_ns: int) -> list[Message]:
        """Take a message in; return those that can be passed on now."""
        outlet = self._meet(message.epoch, now_ns)
        outlet.retry.heard(now_ns)
        is_stranger = message.epoch in self._strangers
        if outlet.is_full or (is_stranger and outlet.held_bytes >= STRANGER_BYTES):
            self.counts["let go"] += 1
            outlet.let_one_go(message)
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
        self._answered(epoch, outlet, now_ns)
        by_seq = {m.seq: m for m in found if m.epoch == epoch and m.topic == topic}
        lowest = min((seq for seq in by_seq if first <= seq <= last), default=None)
        if self._searches(epoch, outlet, (first, last), lowest, now_ns):
            return self._drain(epoch, now_ns)
        items = with_losses(topic, first, last, by_seq)
        self.counts["resent"] += sum(not isinstance(item, Lost) for item in items)
        outlet.earlier.extendleft(reversed(items))
        return self._drain(epoch, now_ns)

    def _searches(
        self,
        epoch: int,
        outlet: KnownOutlet,
        page: tuple[int, int],
        lowest: int | None,
        now_ns: int,
    ) -> bool:
        """Return whether an answer served to find out how much of a long hole is lost."""
        hole, search = outlet.hole, outlet.search
        if hole is None:
            return False
        if search is None:
            if lowest is not None or page[1] >= hole.last:
                return False
            search = outlet.search = HoleSearch(hole.last, lost_to=page[1])
        else:
            search.note(*page, lowest)
        if search.is_over():
            outlet.search = outlet.hole = None
            reason = "no longer in the outlet's ring"
            outlet.earlier.appendleft(Lost(hole.topic, hole.first, search.lost_to, reason))
        else:
            page = search.next_page(retention.RESENT_AT_ONCE)
            self._ask(outlet, Resend(epoch, hole.topic, *page), now_ns)
        return True

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
        self._answered(epoch, outlet, now_ns)
        outlet.earlier.extend(m for m in found if m.epoch == epoch)
        onward = next_position is not None and next_position > position
        outlet.history_at = next_position if onward else None
        outlet.history_of = outlet.history_of if onward else None
        self.counts["resent"] += len(found)
        return self._drain(epoch, now_ns)

    def state(
        self, epoch: int, heads: dict[str, int], messages: Sequence[Message], now_ns: int
    ) -> list[Message]:
        """Take the answer to an ``AskState``: the topics' heads and what is open.

        What came since the request is held, and is passed on though the answer covers it.
        """
        outlet = self._outlets.get(epoch)
        if outlet is None or outlet.is_met:
            return []
        self._answered(epoch, outlet, now_ns)
        outlet.take_state(heads)
        expected = outlet.expected
        state = [m for m in messages if m.epoch == epoch and m.seq < expected.get(m.topic, 0)]
        return self._wanted(state) + self._drain(epoch, now_ns)

    def unreachable(self, epoch: int, now_ns: int) -> None:
        """Note that the hub knows no such outlet: it has ended, or its link is cut."""
        if outlet := self._outlets.get(epoch):
            outlet.retry.unreachable(now_ns)

    def requests(self) -> list[Request]:
        """Return the requests that are to be sent now, once."""
        requests, self._requests = self._requests, []
        return requests

    def next_wake_ns(self) -> int | None:
        """Return when ``wake`` has something to do."""
        return min((o.retry.repeat_at_ns for o in self._outlets.values() if o.asked), default=None)

    def wake(self, now_ns: int) -> list[Message]:
        """Repeat requests that were not answered, or give them up; return what is passed on."""
        delivered: list[Message] = []
        for epoch, outlet in list(self._outlets.items()):
            if outlet.asked is None or now_ns < outlet.retry.repeat_at_ns:
                continue
            if outlet.retry.expired(now_ns):
                delivered += self._give_up(epoch, now_ns)
            else:
                outlet.retry.repeat(now_ns)
                self._requests.append(outlet.asked)
        return delivered

    def _meet(self, epoch: int, now_ns: int) -> KnownOutlet:
        outlet = self._outlets.get(epoch)
        if outlet is None:
            outlet = self._outlets[epoch] = KnownOutlet()
            if self._from_start:
                outlet.is_met, outlet.history_at = True, 0
                outlet.expected.update(self._since)
            else:
                self._ask(outlet, AskState(epoch, self._prefixes), now_ns)
            self._strangers[epoch] = None
            if len(self._strangers) > MAX_STRANGERS:
                self._forget(next(iter(self._strangers)))
        self._outlets.move_to_end(epoch)
        if epoch in self._strangers:
            self._strangers.move_to_end(epoch)
        return outlet

    def _answered(self, epoch: int, outlet: KnownOutlet, now_ns: int) -> None:
        """Note an answer: whoever can answer is no mere number that somebody made up."""
        outlet.asked = None
        outlet.retry.answered(now_ns)
        if epoch in self._strangers:
            del self._strangers[epoch]
            if len(self._outlets) - len(self._strangers) > MAX_OUTLETS:
                self._forget(next(e for e in self._outlets if e not in self._strangers))

    def _forget(self, epoch: int) -> None:
        outlet = self._outlets.pop(epoch)
        self._strangers.pop(epoch, None)
        self.counts["outlets forgotten"] += 1
        self.counts["lost"] += len(outlet.held) + len(outlet.earlier)

    def _ask(self, outlet: KnownOutlet, request: Request, now_ns: int) -> None:
        outlet.asked = request
        outlet.retry.start(now_ns)
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
            hole = outlet.first_hole(item, self._prefixes)
            if hole is not None:
                self._fill(epoch, outlet, hole, now_ns)
                continue
            outlet.expect(item.topic, item.seq + 1)
            delivered.append(item)
            outlet.pop(queue)
        return self._wanted(delivered)

    def _queue(
        self, epoch: int, outlet: KnownOutlet, now_ns: int
    ) -> deque[Message] | deque[Message | Lost] | None:
        """Return the queue that comes next; None if both are empty, or something was asked for."""
        if outlet.earlier:
            return outlet.earlier
        if outlet.history_at is not None:
            prefixes = outlet.history_of or self._prefixes
            seen = tuple(item for item in outlet.expected.items() if matches(item[0], prefixes))
            request = AskHistory(epoch, prefixes, outlet.history_at, seen[-MAX_SEEN:])
            self._ask(outlet, request, now_ns)
            return None
        if outlet.held:
            return outlet.held
        for topic, head in list(outlet.let_go.items()):
            expected = outlet.expected.get(topic, 0)
            if head > expected:
                self._fill(epoch, outlet, Hole(topic, expected, head - 1), now_ns)
                return self._queue(epoch, outlet, now_ns) if outlet.asked is None else None
            del outlet.let_go[topic]
        return None

    def _fill(self, epoch: int, outlet: KnownOutlet, hole: Hole, now_ns: int) -> None:
        topic, first, last = hole.topic, hole.first, hole.last
        if outlet.is_silent:
            outlet.earlier.appendleft(Lost(topic, first, last, "the outlet does not answer"))
        elif self._in_order and not outlet.earlier and outlet.filled != (topic, first):
            outlet.filled, outlet.history_at = (topic, first), 0
            outlet.history_of = self._of_session(topic.split("/")[1])
        else:
            outlet.hole, outlet.search = hole, None
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
            outlet.follow_from_here()
        outlet.history_at, outlet.history_of = None, None
        outlet.hole, outlet.search = None, None
        outlet.is_silent = True  # what waits now is not asked for: one wait is enough
        delivered = self._drain(epoch, now_ns)
        outlet.is_silent = False
        return delivered

    def _gap(self, outlet: KnownOutlet, lost: Lost) -> list[Message]:
        kind, session, source = lost.topic.split("/")
        count = lost.last - lost.first + 1
        outlet.expect(lost.topic, lost.last + 1)
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
        """Return the messages under the prefixes: others were read for their heads alone."""
        return [m for m in messages if isinstance(m, Gap) or matches(m.topic, self._prefixes)]
