"""A corpus as a simulated stream that drives its sessions' clocks.

Knows: how far a replay may run ahead of those that listen, and when an instant is due.
Refuses to know: what is published (``scripts``), sockets (``runner``), labels, scores.

The node steps exactly at the script's instants, so that every revision, not only the finals, is
the same at any speed. It answers each instant with its own progress, as a transcript worker does,
and the replay stays at most ``ahead`` instants before the slowest of them: no queue can overflow,
however fast it runs.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import TypeVar

from affectstream.core.pacing import Pacer
from affectstream.corpus.script import Script, ScriptInstant, closing
from affectstream.messages import Message, Progress, StreamClosed, StreamOpened
from affectstream.sources.errors import SourceError
from affectstream.timebase import NS_PER_MS, NS_PER_S

AHEAD = 64
NODE_WAIT_NS = 60 * NS_PER_S
"""A node is waited for as long; a link that was cut for half of it is a matter of course."""
MAX_REPLAYED_DIALOGUES = 1_024
"""Of other dialogues' answers, which come early where a replay goes on."""
_NODE = "fusion"
_Value = TypeVar("_Value")
SLACK_NS = 50 * NS_PER_MS
"""How far two clocks that follow the hub's may be apart on one host."""


class CorpusReplay:
    """Plays scripts one after the other; ``runner.run`` runs it.

    Args:
        scripts: one per dialogue.
        pacer: the speed.
        heard: called with every message that the node publishes.
        ahead: instants that may be unanswered.
        listeners: how many other sources, such as transcript streams of the dialogue's
            microphones (``asr.``), must have answered too.
        node_ran_before: what the node said of an earlier replay of the same dialogues, and still
            remembers, is not about this one. Its clock and ours both follow the hub's,
        slack_ns: and are this far apart at most.
        started_ns: when this replay was first started, if it goes on after its process was killed:
            it plays again from the beginning, and hears again what the node answered then.

    Raises (from ``wake``):
        SourceError: no fusion node answers.
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
        """Take what the node says: estimates for the listener, progress for the pace."""
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
        """Note what was answered of the dialogue that is played."""
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
        """Publish what is due, unless the node is too far behind."""
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
        """Whether it is the node's turn."""
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
        """Begin the next dialogue; the node has closed the one before."""
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
        """Return when the next instant is due, or when patience with the node ends."""
        if self.done:
            return None
        if self._waits:
            return (self._heard_ns or 0) + NODE_WAIT_NS
        return 0 if self._next is None else self._pacer.due_ns(self._next.at_ns)

    def close(self, now_ns: int) -> list[Message]:
        """Close a dialogue that was interrupted."""
        if self._session is None:
            return []
        return list(closing(self._session, self._sources, self._at_ns).messages)


def _entry(book: OrderedDict[str, _Value], session: str, value: _Value) -> _Value:
    """Return what is noted of a session; of those that nobody asks for, the oldest makes room."""
    found = book.setdefault(session, value)
    if len(book) > MAX_REPLAYED_DIALOGUES:
        book.popitem(last=False)
    return found
