"""When a worker is started again, and when it is not: a machine over the workers of one run.

Knows: what is done about a worker that fails, falls silent or grows, and how soon.
Refuses to know: processes, signals and clocks; decisions come out as values.

Rules:
1. A worker *starts* until it is first heard, then it *runs*.
2. A run is *good* once the worker is still heard ``good_ns`` after it came up. A run that ends, or
   falls silent, earlier is not, however long it took to notice that.
3. A worker that fails is started again after a wait. The wait doubles from failure to failure, and
   is short again after a good run.
4. A worker that fails ``failures`` times without a good run, or within ``window_ns``, is given up.
5. A worker that has not been heard for ``silent_ns``, does not come up within ``start_ns``, or
   holds more memory than it may, is killed; that is a failure.
6. A worker that ends well is done, unless it runs ``always`` and had begun to run.
7. The time that the supervisor itself was suspended does not count as any worker's silence.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from affectstream.timebase import NS_PER_MS, NS_PER_S

LATE_NS = 2 * NS_PER_S
"""A supervisor that wakes so long after it last did was suspended meanwhile."""

When = Literal["always", "on-failure", "never"]
WorkerState = Literal["starting", "running", "waiting", "stopping", "ended", "given up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """How one worker is dealt with.

    Attributes:
        when: whether it is started again when it fails, ``always`` (also when it ends well), or
            ``never``.
        essential: the run is over without it.
        must_start: a failure before it ever ran is final; somebody is there to read why.
        first_wait_ns, longest_wait_ns: the wait before it is started again.
        good_ns: a run in which it was heard for so long is good: it makes up for the failures
            before it.
        failures: so many failures without a good run, and it is given up.
        window_ns: so many within so long, and it is given up though some runs were good.
        start_ns: the longest that it may take to come up.
        silent_ns: the longest that it may be silent while it runs.
        memory_mib: the most resident memory; None for any.
    """

    when: When = "on-failure"
    essential: bool = False
    must_start: bool = False
    first_wait_ns: int = 250 * NS_PER_MS
    longest_wait_ns: int = 10 * NS_PER_S
    good_ns: int = 30 * NS_PER_S
    failures: int = 5
    window_ns: int = 60 * NS_PER_S
    start_ns: int = 60 * NS_PER_S
    silent_ns: int = 10 * NS_PER_S
    memory_mib: float | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """Start the worker; ``again`` if it ran before."""

    name: str
    again: bool


@dataclass(frozen=True, slots=True)
class Kill:
    """End the worker at once: it does not answer, or may not go on."""

    name: str


@dataclass(frozen=True, slots=True)
class Say:
    """Tell a person something."""

    words: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The worker stays down; the run is over if it is ``essential``."""

    name: str
    words: str
    essential: bool


Decision = Start | Kill | Say | GiveUp


@dataclass(slots=True)
class Worker:
    """What is known of one worker.

    Attributes:
        since_ns: when it came into its state.
        restarts: how often it was started again.
        memory_mib: its resident memory when it was last measured; 0 while it does not run.
        words: its last words, or why it was killed; "" where it never failed.
    """

    name: str
    policy: RestartPolicy
    state: WorkerState
    since_ns: int
    restarts: int = 0
    memory_mib: float = 0.0
    words: str = ""
    _heard_ns: int = 0
    _ran: bool = False  # ever
    _failures: int = 0  # since the beginning of its last good run
    _failed_ns: deque[int] = field(default_factory=deque)
    _killed_for: str = ""

    @property
    def over(self) -> bool:
        """Whether it will not run any more."""
        return self.state in ("ended", "given up")

    def enter(self, state: WorkerState, now_ns: int) -> None:
        """Come into ``state``."""
        self.state, self.since_ns = state, now_ns

    def start(self, now_ns: int, again: bool) -> Start:
        """Note that its process is started."""
        self.enter("starting", now_ns)
        self._heard_ns, self._killed_for = now_ns, ""
        self.restarts += again
        return Start(self.name, again)

    def hear(self, now_ns: int) -> None:
        """Note a sign of life."""
        if self.state == "starting":
            self.enter("running", now_ns)
            self._ran = True
        elif self.state == "running" and now_ns - self.since_ns >= self.policy.good_ns:
            self._failures = 0
        self._heard_ns = now_ns

    def excuse(self, away_ns: int, now_ns: int) -> None:
        """Do not count the ``away_ns`` in which nobody listened as its silence."""
        self._heard_ns = min(now_ns, self._heard_ns + away_ns)

    def due_ns(self) -> int | None:
        """Return when something is to be done about it if nothing happens before; None: never."""
        match self.state:
            case "starting":
                return self._heard_ns + self.policy.start_ns
            case "running":
                return self._heard_ns + self.policy.silent_ns
            case "waiting":
                return self.since_ns + self._wait_ns()
            case _:
                return None

    def act(self, now_ns: int) -> list[Decision]:
        """Do what is due now: start it again, or kill it for its silence."""
        if self.state == "waiting":
            return [self.start(now_ns, again=True)]
        if self.state == "starting":
            return self.kill(f"did not come up within {_seconds(self.policy.start_ns)}", now_ns)
        return self.kill(f"was silent for {_seconds(self.policy.silent_ns)}", now_ns)

    def kill(self, reason: str, now_ns: int) -> list[Decision]:
        """Have it killed for ``reason``; nothing, where it does not run."""
        if self.state not in ("starting", "running"):
            return []
        self.enter("stopping", now_ns)
        self._killed_for = reason
        return [Kill(self.name)]

    def end(self, well: bool, words: str, now_ns: int) -> list[Decision]:
        """Note that its process has ended; return what follows.

        Args:
            well: it ended with status 0.
            words: the last that it said.
        """
        was_running = self.state == "running"
        killed, self._killed_for = self._killed_for, ""
        well, self.memory_mib = well and not killed, 0.0
        policy = self.policy
        if well and not (was_running and policy.when == "always"):
            self.enter("ended", now_ns)
            return []
        self.words = killed or ("it ended though nobody asked it to" if well else words)
        self._failures += 1
        self._failed_ns.append(now_ns)
        while self._failed_ns[0] < now_ns - policy.window_ns:
            self._failed_ns.popleft()
        stillborn = policy.must_start and not self._ran
        if policy.when == "never" or stillborn:
            return self._give_up(f"{self.name}: {self.words}", stillborn, now_ns)
        if often := self._flaps():
            words = f"{self.name} failed {often} and is given up; the last time: {self.words}"
            return self._give_up(words, False, now_ns)
        self.enter("waiting", now_ns)
        wait = _seconds(self._wait_ns())
        return [Say(f"{self.name}: {self.words}; it is started again in {wait}")]

    def _flaps(self) -> str:
        """Return how often it has failed, if that is too often; else ""."""
        policy = self.policy
        if len(self._failed_ns) >= policy.failures:
            return f"{policy.failures} × within {_seconds(policy.window_ns)}"
        if self._failures >= policy.failures:
            return f"{policy.failures} × without a run of {_seconds(policy.good_ns)}"
        return ""

    def _give_up(self, words: str, stillborn: bool, now_ns: int) -> list[Decision]:
        self.enter("given up", now_ns)
        return [GiveUp(self.name, words, self.policy.essential or stillborn)]

    def _wait_ns(self) -> int:
        doubled = min(self._failures - 1, 30)  # far beyond any longest wait
        return min(self.policy.longest_wait_ns, self.policy.first_wait_ns << doubled)


class RestartDecider:
    """Decides about the workers of one run; its caller does what is decided."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}
        self._woken_ns: int | None = None

    @property
    def workers(self) -> list[Worker]:
        """The workers, in the order in which they were added; to be read only."""
        return list(self._workers.values())

    def add(self, name: str, policy: RestartPolicy, now_ns: int) -> list[Decision]:
        """Take a worker in and have it started.

        Raises:
            ValueError: there is one of that name, and it is not over.
        """
        known = self._workers.get(name)
        if known is not None and not known.over:
            raise ValueError(f"there is a worker {name} already; give each its own name")
        worker = self._workers[name] = Worker(name, policy, "starting", now_ns)
        return [worker.start(now_ns, again=False)]

    def forget(self, name: str) -> None:
        """Let a worker go: nothing is decided about it any more."""
        self._workers.pop(name, None)

    def heard(self, name: str, now_ns: int) -> None:
        """A worker showed that it is alive."""
        if worker := self._workers.get(name):
            worker.hear(now_ns)

    def measured(self, name: str, memory_mib: float, now_ns: int) -> list[Decision]:
        """A worker's resident memory was read."""
        worker = self._workers.get(name)
        if worker is None:
            return []
        worker.memory_mib = memory_mib
        most_mib = worker.policy.memory_mib
        if most_mib is None or memory_mib <= most_mib:
            return []
        return worker.kill(f"held {memory_mib:.0f} MiB, and may hold {most_mib:.0f}", now_ns)

    def ended(self, name: str, status: int, words: str, now_ns: int) -> list[Decision]:
        """A worker's process has ended, with its exit status and last words."""
        worker = self._workers.get(name)
        return [] if worker is None else worker.end(status == 0, words, now_ns)

    def wake(self, now_ns: int) -> list[Decision]:
        """Do what is due. Report first, by ``heard``, which workers were heard."""
        away_ns = now_ns - (now_ns if self._woken_ns is None else self._woken_ns)
        self._woken_ns = now_ns
        decisions: list[Decision] = []
        for worker in self._workers.values():
            if away_ns >= LATE_NS:
                worker.excuse(away_ns, now_ns)
            due_ns = worker.due_ns()
            if due_ns is not None and now_ns >= due_ns:
                decisions += worker.act(now_ns)
        return decisions

    def next_wake_ns(self) -> int | None:
        """Return when something is due though nothing happens."""
        due = (worker.due_ns() for worker in self._workers.values())
        return min((d for d in due if d is not None), default=None)


def _seconds(ns: int) -> str:
    return f"{ns / NS_PER_S:g} s"
