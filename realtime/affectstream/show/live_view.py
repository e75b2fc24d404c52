"""The terminal's view of a live dialogue.

Knows: the latest estimate of each utterance, who is speaking, and how rich draws it.
Refuses to know: sockets and processes; it is given messages.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from affectstream.core.dialogue.revision_book import RevisionBook
from affectstream.errors import printable
from affectstream.messages import (
    Emotion,
    Gap,
    Message,
    StreamClosed,
    StreamOpened,
    Transcript,
    UtteranceEnded,
    UtteranceStarted,
)
from affectstream.show.wording import NOTICE, clock, event_line, label, printable_message

TERMINAL_COLOURS = {"anger": "red", "happiness": "yellow", "neutral": "white", "sadness": "blue"}
SHOWN_ROWS = 14  # of the table: the latest utterances
WITH_SCALES, WITH_BARS = 70, 96  # least widths of the terminal for valence and activation, for bars


class LiveView:
    """Shows a dialogue while it goes on: a table on a terminal, plain lines elsewhere.

    Args:
        console: where to draw.
        title: of the table.
        origin_ns: event time that is shown as 00:00; 0 shows live streams' time of day.

    Attributes:
        counts: events by status (``provisional``, ...), and ``gaps``.
    """

    def __init__(self, console: Console, title: str, origin_ns: int = 0) -> None:
        self._console, self._title, self._origin_ns = console, title, origin_ns
        self._book = RevisionBook()
        self._rows: OrderedDict[str, Emotion] = OrderedDict()
        self._changes: Counter[str] = Counter()
        self._speaking: OrderedDict[str, str] = OrderedDict()
        self._streams: dict[str, str] = {}
        self._gaps: deque[str] = deque(maxlen=3)
        self.counts: Counter[str] = Counter()
        self._live = Live(console=console, refresh_per_second=8, get_renderable=self.render)

    def __enter__(self) -> LiveView:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._console.print(NOTICE, soft_wrap=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    @property
    def streams(self) -> list[str]:
        """Names of the streams that are open, sorted."""
        return sorted(self._streams)

    def receive(self, message: Message) -> None:
        """Take one message into the picture."""
        message = printable_message(message)
        if isinstance(message, Emotion) and not self._accept(message):
            return
        if isinstance(message, UtteranceStarted):
            self._speaking[message.speaker] = "…"
        elif isinstance(message, Transcript) and not message.final:
            if message.speaker in self._speaking:
                self._speaking[message.speaker] = message.text
        elif isinstance(message, UtteranceEnded):
            self._speaking.pop(message.speaker, None)
        elif isinstance(message, StreamOpened):
            self._streams[message.source] = message.modality
        elif isinstance(message, StreamClosed):
            self._streams.pop(message.source, None)
        elif isinstance(message, Gap):
            self.counts["gaps"] += 1
            self._gaps.append(event_line(message) or "")
        if not self._console.is_terminal and (words := event_line(message, self._origin_ns)):
            self.say(words)

    def say(self, words: str) -> None:
        """Print a line that stays on the screen, above the table if there is one."""
        said = Text(printable(words))
        self._console.print(said, soft_wrap=True)

    def _accept(self, emotion: Emotion) -> bool:
        if not self._book.accept(emotion):
            return False
        self.counts[emotion.status] += 1
        known = self._rows.get(emotion.utterance)
        if known is not None and known.label != emotion.label:
            self._changes[emotion.utterance] += 1
        self._rows[emotion.utterance] = emotion
        while len(self._rows) > SHOWN_ROWS:
            gone, _ = self._rows.popitem(last=False)
            self._changes.pop(gone, None)
        return True

    def render(self) -> RenderableType:
        """Return the picture as it is now."""
        width = self._console.width
        table = Table(expand=True, box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("time", no_wrap=True)
        table.add_column("who", no_wrap=True, max_width=10)
        table.add_column("words", ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column("emotion", no_wrap=True)
        if width >= WITH_SCALES:
            table.add_column("val", no_wrap=True, justify="right")
            table.add_column("act", no_wrap=True, justify="right")
        table.add_column("state", no_wrap=True)
        for emotion in self._rows.values():
            table.add_row(*self._cells(emotion, width))
        speaking = [f"{who}: {words}" for who, words in self._speaking.items()]
        below = [
            _single("speaking  " + ("   ".join(speaking) or "–"), "green"),
            _single("streams   " + (", ".join(sorted(self._streams)) or "–"), "dim"),
            _single("val, act  valence and activation, 1 to 5   ≠  changed its mind", "dim"),
            *(Text(gap, style="red") for gap in self._gaps),
            Text(NOTICE, style="dim italic"),
        ]
        return Panel(Group(table, Text(), *below), title=Text(self._title), border_style="dim")

    def _cells(self, emotion: Emotion, width: int) -> list[RenderableType]:
        share = emotion.categorical[emotion.label]
        full = round(10 * share)
        bar = "█" * full + "░" * (10 - full) + " " if width >= WITH_BARS else ""
        colour = TERMINAL_COLOURS.get(emotion.label, "") if emotion.sure else "dim"
        words = label(emotion) if width >= WITH_SCALES or emotion.sure else f"{emotion.label}?"
        means = [
            f"{emotion.dimensional[name].mean:.1f}" if name in emotion.dimensional else "–"
            for name in ("valence", "activation")
        ]
        mark = " ≠" if self._changes[emotion.utterance] else ""
        count = f" {emotion.revision}" if emotion.status == "revised" else ""
        return [
            clock(emotion.end_ns, self._origin_ns),
            Text(emotion.speaker),
            Text(emotion.text or "–", style="" if emotion.text else "dim"),
            Text(f"{bar}{words:<9} {share:4.0%}", style=colour),
            *(means if width >= WITH_SCALES else ()),
            Text(f"{emotion.status}{count}{mark}", "bold" if emotion.status == "final" else "dim"),
        ]


def _single(words: str, style: str) -> Text:
    return Text(words, style=style, no_wrap=True, overflow="ellipsis")
