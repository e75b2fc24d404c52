"""The score of a replay while it runs, and its table at the end.

Knows: which of the node's messages count, and how scores are drawn with rich.
Refuses to know: sockets, and how a score is computed (``corpus.scoring``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from affectstream.core.dialogue.revision_book import RevisionBook
from affectstream.corpus.dialogues import CorpusDialogue
from affectstream.corpus.scoring import LiveScore
from affectstream.messages import Emotion, Gap, Message, StreamClosed
from affectstream.show.wording import event_line


class ScoredListener:
    """Hears the node's messages, scores them, and shows them.

    Args:
        dialogues: those that are played.
        console: where events are printed, or None to keep quiet.
    """

    def __init__(self, dialogues: Sequence[CorpusDialogue], console: Console | None) -> None:
        self.score = LiveScore()
        self.counts: Counter[str] = Counter()
        self._book = RevisionBook()
        self._console = console
        self._corpus = {(d.id, u.id): (u, d.improvised) for d in dialogues for u in d.utterances}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[score]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=console is None or not console.is_terminal,
        )
        self._task = self._progress.add_task("replay", total=len(self._corpus), score="")

    def __call__(self, message: Message) -> None:
        """Take one message of the node in."""
        if isinstance(message, Emotion):
            self._estimate(message)
        elif isinstance(message, Gap):
            self.counts["gaps"] += 1
            self._say(message)
        elif isinstance(message, StreamClosed):
            self.counts["dialogues"] += 1
            if self._console is not None and not self._console.is_terminal:
                self._console.print(f"{message.session}: {self.running()}")

    def _estimate(self, emotion: Emotion) -> None:
        known = self._corpus.get((emotion.session, emotion.utterance))
        if known is None or not self._book.accept(emotion):
            self.counts["not of this replay" if known is None else "out of order"] += 1
            return
        self.counts[emotion.status] += 1
        self.score.add(emotion, *known)
        if emotion.status == "final":
            self._progress.update(self._task, advance=1, score=self.running("\n"))
        if emotion.status in ("provisional", "final"):
            self._say(emotion)

    def _say(self, message: Message) -> None:
        if self._console is not None and self._console.is_terminal:
            self._progress.console.print(event_line(message))

    def running(self, between: str = "  ") -> str:
        """Return the score so far, provisional and final, in a few words."""
        first, last = self.score.row("provisional"), self.score.row("final")
        return between.join(
            (
                f"UAR {first.uar:.3f} → {last.uar:.3f}",
                f"WA {first.weighted_accuracy:.3f} → {last.weighted_accuracy:.3f}",
                f"wF1 {first.weighted_f1:.3f} → {last.weighted_f1:.3f}",
            )
        )

    def __enter__(self) -> ScoredListener:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def table(self) -> Table:
        """Return the table by look-ahead, all and improvised only."""
        count, improvised_count = (
            self.score.row("final", improvised=improvised).utterances
            for improvised in (False, True)
        )
        table = Table(
            title=Text(
                "Anger, happiness + excitement, neutral, sadness; chance UAR 0.25\n"
                f"left: all {count} labelled utterances, right: {improvised_count} improvised"
            )
        )
        for name in ("estimate", "UAR", "WA", "wF1", "impr. UAR", "WA", "wF1"):
            table.add_column(name, justify="left" if name == "estimate" else "right", no_wrap=True)
        rows = [f"look-ahead {look_ahead}" for look_ahead in self.score.look_aheads]
        for name in ("provisional", *rows, "final"):
            cells: list[str] = []
            for improvised in (False, True):
                counts = self.score.row(name, improvised=improvised)
                scores = (counts.uar, counts.weighted_accuracy, counts.weighted_f1)
                cells += [f"{value:.3f}" for value in scores]
            table.add_row(name, *cells)
        return table
