"""Plays a corpus as a stream that drives its sessions' clocks.

Knows: when an instant of a script is due, and how far the replay may run ahead of its listeners.
Refuses to know: what is published (``script``), sockets (``run.loop``), labels, scores.

The fusion node steps exactly at the script's instants, so that every revision, not only the final
one, is the same at any speed. The node answers each instant with its own ``progress``, and so does
a transcript worker. The replay stays at most ``ahead`` instants ahead of the slowest of them, so
that no queue overflows however fast it runs.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import TypeVar

from affectstream.core.pacing import Pacer
from affectstream.corpus.script import Script, ScriptInstant, closing
from affectstream.errors import SourceError
from affectstream.messages import Message, Progress, StreamClosed, StreamOpened
from affectstream.timebase import NS_PER_MS, NS_PER_S

AHEAD = 64
"""Instants that may be unanswered."""

NODE_WAIT_NS = 60 * NS_PER_S
"""How long an answer is waited for. A link may well be down for half of that."""

MAX_REPLAYED_DIALOGUES = 1_024
"""Dialogues whose answers are kept. A replay that goes on after its process was killed may get
answers of dialogues that it has not begun yet."""

SLACK_NS = 50 * NS_PER_MS
"""How far apart two clocks on one host may be that both follow the hub's."""

_NODE = "fusion"
_Value = TypeVar("_Value")


class CorpusReplay:
    """The machine that plays scripts one after the other; ``run.loop.run`` runs it.

    Args:
        scripts: one per dialogue.
        pacer: the speed.
        heard: called with every message that the node publishes.
        ahead: instants that may be unanswered.
        listeners: how many sources other than the node must have answered too, such as the
            transcript streams (``asr.``) of the dialogue's microphones.
        node_ran_before: the node may have heard an earlier replay of the same dialogues and still
            hold its messages about it. Those are ignored.
        slack_ns: how far apart the node's clock and this one may be when a message's age is judged.
        started_ns: when this replay was first started, if it goes on after its process was killed.
            It then plays again from the beginning and hears again what the node answered. None for
            a new replay.
    """

    PREFIXES = ("emotion/", "progress/", "stream.closed/", "gap/")

    def __init__(
        self,
        scripts: Iterable[Script],
        pacer: Pacer,
        heard: Callable[[Message], None],
        *,
        ahead: int = AHEAD,
        listeners: int = 0,
        node_ran_before: bool = False,
        slack_ns: int = SLACK_NS,
        started_ns: int | None = None,
    ) -> None:
        self._scripts = iter(scripts)
        self._pacer = pacer
        self._heard = heard
        self._script: Script = iter(())
        self._session: str | None = None
        self._sources: list[str] = []
        self._at_ns = 0
        self._next: ScriptInstant | None = None
        self._played = True  # the script's last instant was published
        self._unanswered: deque[int] = deque()
        self._answers: OrderedDict[str, dict[str, int]] = OrderedDict()  # session -> source -> ns
        self._over: OrderedDict[str, None] = OrderedDict()  # sessions that the node has closed
        self._ahead, self._listeners = ahead, listeners
        self._node_ran_before, self._slack_ns = node_ran_before, slack_ns
        self._started_ns = started_ns
        self._heard_ns: int | None = None
        self.done = False

    def receive(self, message: Message, now_ns: int) -> list[Message]:
        """Take a message of the node or of a transcript worker. Returns nothing to publish."""
        if message.source == _NODE:
            if self._is_old(message):
                return []
            self._heard(message)
        elif not message.source.startswith("asr."):
            return []
        if message.session == self._session:
            self._heard_ns = now_ns
        if isinstance(message, Progress):
            answers = _entry(self._answers, message.session, dict[str, int]())
            answers[message.source] = message.watermark_ns
        elif isinstance(message, StreamClosed) and message.source == _NODE:
            _entry(self._over, message.session, None)
        self._catch_up()
        return []

    def _is_old(self, message: Message) -> bool:
        """Return whether the node said this before the replay began."""
        if not self._node_ran_before:
            return False
        if self._started_ns is None:
            return True
        return message.sent_ns < self._started_ns - self._slack_ns

    def _catch_up(self) -> None:
        """Take the answers about the dialogue that is being played into account."""
        if self._session is None:
            return
        answers = self._answers.get(self._session, {})
        if len(answers) > self._listeners:
            slowest_ns = min(answers.values())
            while self._unanswered and self._unanswered[0] <= slowest_ns:
                self._unanswered.popleft()
        if self._played and self._session in self._over:
            del self._over[self._session]
            self._answers.pop(self._session, None)
            self._session = None

    def wake(self, now_ns: int) -> list[Message]:
        """Return what is due now; nothing while the listeners are too far behind.

        Raises:
            SourceError: no fusion node has answered for ``NODE_WAIT_NS``.
        """
        said: list[Message] = []
        while (instant := self._ready(now_ns)) is not None:
            said += instant.messages
            self._next, self._at_ns = None, instant.at_ns
            if instant.ticks:
                self._unanswered.append(instant.at_ns)
            self._catch_up()
        if self._waits and self._heard_ns is not None and now_ns >= self._heard_ns + NODE_WAIT_NS:
            raise SourceError(
                "no fusion node answers the replay; start one with `affectstream fusion` at the "
                "same --address, or leave --address away"
            )
        return said

    @property
    def _waits(self) -> bool:
        """Whether nothing can go on before the node answers."""
        return len(self._unanswered) >= self._ahead or (self._played and self._session is not None)

    def _ready(self, now_ns: int) -> ScriptInstant | None:
        """Return the next instant if it may be published now."""
        if self._next is None:
            self._next = next(self._script, None)
            self._played = self._next is None
            self._catch_up()
        if self._next is None and (self._session is not None or not self._begin(now_ns)):
            return None
        assert self._next is not None
        if len(self._unanswered) >= self._ahead or now_ns < self._pacer.due_ns(self._next.at_ns):
            return None
        return self._next

    def _begin(self, now_ns: int) -> bool:
        """Begin the next dialogue, the one before being over; return False if there is none."""
        if self._started_ns is None:
            self._started_ns = now_ns
        script = next(self._scripts, None)
        if script is None:
            self.done = True
            return False
        self._script, self._next, self._played = script, next(script), False
        self._session, self._heard_ns = self._next.session, now_ns
        opened = [m for m in self._next.messages if isinstance(m, StreamOpened)]
        self._sources = [m.source for m in opened if not m.drives_clock]
        self._unanswered.clear()
        self._pacer.start(self._next.at_ns, now_ns)
        return True

    def next_wake_ns(self) -> int | None:
        """Return when the next instant is due, or until when an answer is waited for."""
        if self.done:
            return None
        if self._waits:
            return (self._heard_ns or 0) + NODE_WAIT_NS
        return 0 if self._next is None else self._pacer.due_ns(self._next.at_ns)

    def close(self, now_ns: int) -> list[Message]:
        """Return what closes a dialogue that was interrupted."""
        if self._session is None:
            return []
        return list(closing(self._session, self._sources, self._at_ns).messages)


def _entry(book: OrderedDict[str, _Value], session: str, value: _Value) -> _Value:
    """Return the session's entry, adding ``value`` if there is none; the oldest makes room."""
    found = book.setdefault(session, value)
    if len(book) > MAX_REPLAYED_DIALOGUES:
        book.popitem(last=False)
    return found
