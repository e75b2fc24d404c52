"""`affectstream replay`: a corpus through the real bus, scored as it goes.

Knows: which dialogues are played, and which processes that needs.
Refuses to know: how the stream is made (``corpus.replay``), and how it is scored and shown
(``show.replay_score``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from affectstream.bus import Endpoint, HubClock, measure_clock_offset
from affectstream.bus.journal import Journal
from affectstream.core.pacing import Pacer
from affectstream.corpus.dialogues import Corpus, CorpusDialogue
from affectstream.corpus.reader import open_corpus
from affectstream.corpus.replay import SLACK_NS, CorpusReplay
from affectstream.corpus.script import Script, derived_script, raw_script
from affectstream.errors import SourceError, UsageError
from affectstream.run.leash import stop_when_told
from affectstream.run.loop import run
from affectstream.run.processes import Processes, free_address
from affectstream.show.replay_score import ScoredListener
from affectstream.sources.asr import HOW_TO_GET_A_MODEL, find_model

HUB_S = 5.0
"""How long a hub that is to run already may take to answer, over whatever link."""


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
    corpus = _open(plan, console)
    dialogues = plan.choose(corpus)
    vosk_model = _vosk_model(plan)
    listener = ScoredListener(dialogues, console)
    with ExitStack() as stack:
        stopping = stack.enter_context(stop_when_told())
        processes = stack.enter_context(Processes())
        stack.enter_context(listener)
        endpoint = Endpoint.open(plan.address or free_address(), plan.keys)
        journal = stack.enter_context(closing(Journal(plan.journal))) if plan.journal else None
        _find_node(plan, endpoint, processes, console, stopping)
        clock = stack.enter_context(HubClock(endpoint))
        clock.wait(stopping)
        scripts = _scripts(plan, corpus, dialogues, processes, endpoint, vosk_model)
        _play(plan, scripts, listener, endpoint, clock, journal, processes, stopping)
        processes.check()
        memory = processes.memory_mib()
    console.print(listener.table())
    summary = listener.score.as_dict()
    summary["estimates"] = dict(listener.counts)
    summary["memory_mib"] = {name: round(size, 1) for name, size in memory.items()}
    return summary


def _play(
    plan: ReplayPlan,
    scripts: Iterator[Script],
    listener: ScoredListener,
    endpoint: Endpoint,
    clock: HubClock,
    journal: Journal | None,
    processes: Processes,
    stopping: Callable[[], bool],
) -> None:
    """Run the replay until it has been played, or is stopped."""
    estimate = clock.estimate()
    machine = CorpusReplay(
        scripts,
        Pacer(plan.speed),
        listener,
        node_ran_before=plan.address is not None,
        slack_ns=SLACK_NS + (estimate.error_ns if estimate is not None else 0),
        started_ns=int(journal.meta("started_ns", clock.now_ns())) if journal else None,
        **({"ahead": 5, "listeners": 1} if plan.live_asr else {}),
    )

    def ended() -> bool:
        processes.check()  # without its workers a replay would wait for ever
        return machine.done or stopping()

    run(
        machine,
        address=endpoint,
        prefixes=CorpusReplay.PREFIXES,
        clock=clock,
        stopping=ended,
        ring=journal,
        regenerated=journal is not None,
    )


def _open(plan: ReplayPlan, console: Console) -> Corpus:
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
    return corpus


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


def _find_node(
    plan: ReplayPlan,
    endpoint: Endpoint,
    processes: Processes,
    console: Console,
    stopping: Callable[[], bool],
) -> None:
    """Start a node of our own, or see that one is there already."""
    if plan.address is None:
        options = ("--look-ahead", plan.look_ahead, "--checkpoint", plan.checkpoint)
        processes.start("fusion", "fusion", *endpoint.options, *options)
        with console.status("loading the model"):
            processes.wait_for_hub(endpoint, stopping)
    elif plan.journal is not None:
        processes.wait_for_hub(endpoint, stopping)  # the node may be on its way back too
    else:
        measure_clock_offset(endpoint, probes=1, timeout_s=HUB_S)
