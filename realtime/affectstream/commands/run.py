"""`affectstream run`: the workers of a deployment, kept running and shown.

Knows: how their state is drawn on a terminal and told to a log.
Refuses to know: what stands in the file (``deployment``), and when a worker is started again
(``core.restart_policy``).
"""

from __future__ import annotations

import shlex
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from affectstream.core.restart_policy import WorkerState
from affectstream.errors import printable
from affectstream.run.deployment import PlannedWorker
from affectstream.run.leash import stop_when_told
from affectstream.run.loop import run_listener
from affectstream.run.processes import ProcessError
from affectstream.run.supervisor import SupervisedProcesses
from affectstream.timebase import NS_PER_S

SAID_LINES = 6
STATE_COLOURS: dict[WorkerState, str] = {
    "starting": "yellow",
    "running": "green",
    "waiting": "yellow",
    "stopping": "yellow",
    "ended": "dim",
    "given up": "red",
}


class DeploymentView:
    """Shows the workers: a table on a terminal, lines elsewhere."""

    def __init__(self, console: Console, title: str, workers: SupervisedProcesses) -> None:
        self._console, self._title, self._workers = console, title, workers
        self._said: deque[str] = deque(maxlen=SAID_LINES)
        self._told: dict[str, tuple[WorkerState, int | None]] = {}
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self.render)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self) -> None:
        """Show what was said and what has changed since the last call."""
        for words in self._workers.warnings():
            self._said.append(words)
            if not self._console.is_terminal:
                self._print(words)
        if self._console.is_terminal:
            return
        pids = self._workers.pids
        for worker in self._workers.workers:
            state = (worker.state, pids.get(worker.name))
            known, self._told[worker.name] = self._told.get(worker.name), state
            if state != known and worker.state in ("starting", "running", "ended"):
                pid = f", process {state[1]}" if worker.state == "starting" else ""
                self._print(f"{worker.name}: {worker.state}{pid}")

    def _print(self, words: str) -> None:
        self._console.print(Text(printable(words)), soft_wrap=True)

    def render(self) -> RenderableType:
        """Return the picture of now."""
        table = Table(expand=True, box=None, padding=(0, 2, 0, 0), header_style="dim")
        for name in ("worker", "state", "process", "for", "restarts", "MiB"):
            justify = "left" if name in ("worker", "state") else "right"
            table.add_column(name, no_wrap=True, justify=justify)  # type: ignore[arg-type]
        table.add_column("last words", ratio=1, no_wrap=True, overflow="ellipsis")
        pids, now_ns = self._workers.pids, time.monotonic_ns()
        for worker in self._workers.workers:
            table.add_row(
                Text(worker.name),
                Text(worker.state, STATE_COLOURS[worker.state]),
                str(pids.get(worker.name, "–")),
                duration((now_ns - worker.since_ns) // NS_PER_S),
                str(worker.restarts),
                f"{worker.memory_mib:.0f}" if worker.memory_mib else "–",
                Text(printable(worker.words), "dim"),
            )
        said = [Text(printable(words), no_wrap=True, overflow="ellipsis") for words in self._said]
        return Panel(
            Group(table, Text(), *said), title=Text(printable(self._title)), border_style="dim"
        )


def duration(seconds: int) -> str:
    """Return a length of time in at most six letters."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 100 * 3600:
        return f"{seconds // 3600} h"
    return f"{seconds // 86400} d"


def show_plan(planned: Sequence[PlannedWorker], console: Console) -> dict[str, object]:
    """Print the commands that would be run, and return them."""
    for worker in planned:
        words = shlex.join(("affectstream", *worker.arguments))
        console.print(f"{worker.name}: {words}", soft_wrap=True)
    return {"workers": {worker.name: list(worker.arguments) for worker in planned}}


def run_deployment(
    path: Path, planned: Sequence[PlannedWorker], console: Console
) -> dict[str, object]:
    """Run the workers until a signal comes or all have ended; return how they ended.

    Args:
        path: of the deployment; relative paths in it are relative to its folder.

    Raises:
        ProcessError: an essential worker was given up, or nothing is left to run.
    """
    with stop_when_told() as stopping, SupervisedProcesses() as workers:
        for worker in planned:
            if stopping():
                break
            _start(workers, worker, path.resolve().parent)
        with DeploymentView(console, path.name, workers) as view:

            def check_and_show() -> None:
                workers.check()
                view.show()

            run_listener(on_wake=check_and_show, stopping=lambda: stopping() or _all_over(workers))
            ended = "stopped" if stopping() else "all workers have ended"
        left = workers.workers
    lost = [worker for worker in left if worker.state == "given up"]
    if lost and ended != "stopped":
        raise ProcessError(
            f"nothing is left to run; {lost[-1].name} was given up: {lost[-1].words}"
        )
    console.print(ended)
    told = {w.name: {"state": w.state, "restarts": w.restarts} for w in left}
    return {"ended": ended, "workers": told}


def _start(workers: SupervisedProcesses, planned: PlannedWorker, folder: Path) -> None:
    workers.start(
        planned.name,
        *planned.arguments,
        policy=planned.policy,
        again=planned.again,
        folder=folder,
        open_files=planned.open_files,
    )


def _all_over(workers: SupervisedProcesses) -> bool:
    return all(worker.over for worker in workers.workers)
