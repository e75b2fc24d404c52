"""Processes under supervision: started again when they fail, killed when they hang.

Knows: how a worker's end, pulse and memory are seen, and how a decision is carried out.
Refuses to know: when a worker is started again or given up (``core.restart_policy``).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from affectstream.core.restart_policy import (
    Decision,
    GiveUp,
    Kill,
    RestartDecider,
    RestartPolicy,
    Say,
    Start,
    Worker,
)
from affectstream.run.processes import Child, ProcessError, Processes
from affectstream.timebase import NS_PER_S

MEASURED_EVERY_NS = NS_PER_S
MOST_SAID = 1_000
"""Sentences that are kept for whoever does not ask for them; the oldest go."""


@dataclass(frozen=True, slots=True)
class _Command:
    """How a worker is started.

    Attributes:
        again: options that are added, behind the command's name, when it is not the first time.
    """

    arguments: Sequence[str]
    again: Sequence[str]
    folder: Path | None
    open_files: int | None


class SupervisedProcesses(Processes):
    """Processes that are started again; ``check`` is called often, such as every 100 ms.

    Args:
        policy: for workers that are started without one.
    """

    def __init__(self, policy: RestartPolicy | None = None) -> None:
        super().__init__()
        self._policy = policy or RestartPolicy()
        self._decider = RestartDecider()
        self._commands: dict[str, _Command] = {}
        self._names: dict[int, str] = {}  # of every process id that was handed out
        self._said: deque[str] = deque(maxlen=MOST_SAID)
        self._measured_ns = 0

    def start(
        self,
        name: str,
        *arguments: str,
        policy: RestartPolicy | None = None,
        again: Sequence[str] = (),
        folder: Path | None = None,
        open_files: int | None = None,
    ) -> int:
        """Start ``affectstream ARGUMENTS``, and again with the options ``again`` if it fails.

        Args:
            policy: when to start it again; else the one for all.
            folder: where it runs.
            open_files: the most files and sockets that it may have open.

        Returns: the process id of its first life; ``pids`` has the present one.

        Raises:
            ProcessError: it cannot be started, or there is a worker of that name.
        """
        try:
            self._decider.add(name, policy or self._policy, time.monotonic_ns())
        except ValueError as error:
            raise ProcessError(str(error)) from error
        self._commands[name] = _Command(arguments, again, folder, open_files)
        pid = self._spawn(name, arguments, folder, open_files).process.pid
        self._names[pid] = name
        return pid

    @property
    def workers(self) -> list[Worker]:
        """What is known of each worker, to be read only."""
        return self._decider.workers

    def check(self) -> None:
        """Look at the workers, and start or kill those for which it is time; never waits.

        Raises:
            ProcessError: the run cannot go on without one that was given up.
        """
        now_ns = time.monotonic_ns()
        decisions: list[Decision] = []
        for child in list(self._children):
            if child.beats():
                self._decider.heard(child.name, now_ns)
            if not child.alive:
                decisions += self._bury(child, now_ns)
        decisions += self._measure(now_ns)
        decisions += self._decider.wake(now_ns)
        for decision in decisions:
            self._obey(decision)

    def _bury(self, child: Child, now_ns: int) -> list[Decision]:
        self._said += [f"{child.name}: {words}" for words in child.new_words()]
        words, status = child.last_words(), child.process.returncode
        if self._said and self._said[-1] == f"{child.name}: {words}":
            self._said.pop()  # the decision will say it
        child.close()
        self._children.remove(child)
        return self._decider.ended(child.name, status, words, now_ns)

    def _measure(self, now_ns: int) -> list[Decision]:
        if now_ns - self._measured_ns < MEASURED_EVERY_NS:
            return []
        self._measured_ns = now_ns
        decisions: list[Decision] = []
        for name, size in self.memory_mib().items():
            decisions += self._decider.measured(name, size, now_ns)
        return decisions

    def _obey(self, decision: Decision) -> None:
        match decision:
            case Start():
                command = self._commands[decision.name]
                name, *rest = command.arguments
                arguments = (name, *(command.again if decision.again else ()), *rest)
                try:
                    self._spawn(decision.name, arguments, command.folder, command.open_files)
                except ProcessError as error:
                    for follows in self._decider.ended(
                        decision.name, 1, str(error), time.monotonic_ns()
                    ):
                        self._obey(follows)
            case Kill():
                for child in self._children:
                    if child.name == decision.name:
                        child.process.kill()
            case Say():
                self._said.append(decision.words)
            case GiveUp():
                if decision.essential:
                    raise ProcessError(decision.words)
                self._said.append(decision.words)

    def warnings(self) -> list[str]:
        """Return what was said since the last call: of the workers, and by them."""
        said = list(self._said)
        self._said.clear()
        for child in self._children:
            said += [f"{child.name}: {words}" for words in child.new_words()]
        return said

    def end(self, pid: int) -> None:
        """Stop one worker for good, by the id that ``start`` returned."""
        name = self._names.pop(pid)
        self._decider.forget(name)
        self._stop([child for child in self._children if child.name == name])

    def stop(self) -> None:
        """Ask every worker to stop; none is started again."""
        for worker in self._decider.workers:
            self._decider.forget(worker.name)
        super().stop()
