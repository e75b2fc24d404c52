"""`affectstream replay`: a corpus through the real bus, scored as it goes.

Knows: which dialogues are played, and how the running score is shown.
Refuses to know: how the stream is made (``sources.replay``) and how it is scored (``scoring``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from affectstream.bus import Endpoint, HubClock, measure_clock_offset
from affectstream.bus.journal import Journal
from affectstream.core.dialogue.revision_book import RevisionBook
from affectstream.core.pacing import Pacer
from affectstream.corpus.dialogues import Corpus, CorpusDialogue
from affectstream.corpus.reader import open_corpus
from affectstream.corpus.replay import SLACK_NS, CorpusReplay
from affectstream.corpus.scoring import LiveScore
from affectstream.corpus.script import Script, derived_script, raw_script
from affectstream.errors import SourceError, UsageError
from affectstream.messages import Emotion, Gap, Message, StreamClosed
from affectstream.run.loop import run
from affectstream.run.processes import Processes, free_address, stop_when_told
from affectstream.show.wording import event_line
from affectstream.sources.asr import HOW_TO_GET_A_MODEL, find_model

HUB_S = 5.0
"""How long a hub that is to run already may take to answer, over whatever link."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPlan:
    """What is replayed, how fast, and to whom.

    Attributes:
        sessions, dialogues: those that are wanted; empty means all.
        look_ahead: for a node of our own, as on its command line.
        live_asr: recognise the words of a raw copy instead of reading them.
        address: of a node that runs already; None starts one.
        keys: the folder of keys that the bus is used with.
        journal: a file that lets the replay go on after its process was killed.
    """

    path: Path
    sessions: tuple[int, ...] = ()
    dialogues: tuple[str, ...] = ()
    speed: float = math.inf
    look_ahead: str = "8"
    transcript_delay_ns: int = 0
    live_asr: bool = False
    vosk_model: Path | None = None
    address: str | None = None
    keys: Path | None = None
    checkpoint: str = "replay"
    journal: Path | None = None

    def choose(self, corpus: Corpus) -> list[CorpusDialogue]:
        """Return the dialogues that are wanted.

        Raises:
            SourceError: there are none.
        """
        chosen = [
            d
            for d in corpus.dialogues
            if (not self.sessions or d.session in self.sessions)
            and (not self.dialogues or d.id in self.dialogues)
        ]
        if not chosen:
            there = ", ".join(map(str, sorted({d.session for d in corpus.dialogues})))
            raise SourceError(f"{self.path} has no such dialogues; its sessions are {there}")
        return chosen

    def script(self, corpus: Corpus, dialogue: CorpusDialogue) -> Script:
        """Return what is published of one dialogue."""
        if corpus.kind == "derived":
            return derived_script(dialogue, self.transcript_delay_ns)
        return raw_script(dialogue, self.transcript_delay_ns, transcripts=not self.live_asr)


def play_corpus(plan: ReplayPlan, console: Console) -> dict[str, object]:
    """Play what ``plan`` says, show the score, and return it.

    Raises:
        SourceError: the corpus cannot be read, or no fusion node answers.
        UsageError: a journal without a node that runs already.
        JournalError: the journal cannot be used.
        ProcessError: a process of our own failed.
    """
    if plan.journal is not None and (plan.address is None or plan.live_asr):
        raise UsageError(
            "a replay that can be gone on with needs a node that outlives it; name its --address, "
            "and leave --live-asr away"
        )
    corpus = open_corpus(plan.path)
    if plan.live_asr and corpus.kind == "derived":
        raise SourceError("the derived set has no audio to recognise; leave --live-asr away")
    for warning in corpus.warnings:
        console.print(f"-- {warning}", soft_wrap=True)
    dialogues = plan.choose(corpus)
    vosk_model = _vosk_model(plan)
    listener = ScoredListener(dialogues, console)
    with ExitStack() as stack:
        stopped = stack.enter_context(stop_when_told())
        processes = stack.enter_context(Processes())
        stack.enter_context(listener)
        endpoint = Endpoint.open(plan.address or free_address(), plan.keys)
        if plan.address is None:
            _start_node(plan, endpoint, processes, console, stopped)
        journal = stack.enter_context(closing(Journal(plan.journal))) if plan.journal else None
        if journal is not None:
            processes.wait_for_hub(endpoint, stopped)  # the node may be on its way back too
        elif plan.address is not None:
            measure_clock_offset(endpoint, probes=1, timeout_s=HUB_S)
        clock = stack.enter_context(HubClock(endpoint))
        clock.wait(stopped)
        estimate = clock.estimate()
        machine = CorpusReplay(
            _scripts(plan, corpus, dialogues, processes, endpoint, vosk_model),
            Pacer(plan.speed),
            listener,
            node_ran_before=plan.address is not None,
            slack_ns=SLACK_NS + (estimate.error_ns if estimate is not None else 0),
            started_ns=int(journal.meta("started_ns", clock.now_ns())) if journal else None,
            **({"ahead": 5, "listeners": 1} if plan.live_asr else {}),
        )

        def ended() -> bool:
            processes.check()  # without its workers a replay would wait for ever
            return machine.done or stopped()

        run(
            machine,
            address=endpoint,
            prefixes=CorpusReplay.PREFIXES,
            clock=clock,
            stopping=ended,
            ring=journal,
            regenerated=journal is not None,
        )
        processes.check()
        memory = processes.memory_mib()
    console.print(listener.table())
    summary = listener.score.as_dict()
    summary["estimates"] = dict(listener.counts)
    summary["memory_mib"] = {name: round(size, 1) for name, size in memory.items()}
    return summary


def _vosk_model(plan: ReplayPlan) -> Path | None:
    if not plan.live_asr:
        return None
    model = find_model(plan.vosk_model)
    if model is None:
        raise SourceError(HOW_TO_GET_A_MODEL)
    return model


def _scripts(
    plan: ReplayPlan,
    corpus: Corpus,
    dialogues: Sequence[CorpusDialogue],
    processes: Processes,
    endpoint: Endpoint,
    vosk_model: Path | None,
) -> Iterator[Script]:
    """Yield each dialogue's script as it begins, with a transcript worker of its own if wanted."""
    worker: int | None = None
    for dialogue in dialogues:
        if worker is not None:
            processes.end(worker)
        if vosk_model is not None:
            where = (*endpoint.options, "--session", dialogue.id)
            model = ("--vosk-model", str(vosk_model))
            worker = processes.start("transcript", "transcribe", *where, *model)
        yield plan.script(corpus, dialogue)


def _start_node(
    plan: ReplayPlan,
    endpoint: Endpoint,
    processes: Processes,
    console: Console,
    stopped: Callable[[], bool],
) -> None:
    options = ("--look-ahead", plan.look_ahead, "--checkpoint", plan.checkpoint)
    processes.start("fusion", "fusion", *endpoint.options, *options)
    with console.status("loading the model"):
        processes.wait_for_hub(endpoint, stopped)
