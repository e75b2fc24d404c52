"""Plays a replay whose processes are killed (SIGKILL) at random moments and started again."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from affectstream.errors import AffectstreamError
from affectstream.run.processes import Processes, free_address
from affectstream_tools.trials.faults.events import EventLine, closed_dialogues, read_events

_KILLED_ROLES = ("fusion", "replay", "subscriber")
"""The hub is in the fusion node's process and ends with it, unless it has one of its own."""
_HUB_ROLE = "hub"
_MEAN_WAIT_S = 1.2
"""Between two kills, on average; exponentially distributed, so that any moment may be hit."""

_REPLAY_LIMIT_S = 600.0
"""For one replay, which takes some seconds when nothing is killed."""


class FaultError(AffectstreamError):
    """A replay did not end in time."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What is replayed.

    Attributes:
        corpus: a derived set.
        dialogues: which of it.
        checkpoint: weights of the node.
        hub_alone: whether the hub has a process of its own, which is killed too.
    """

    corpus: Path
    dialogues: Sequence[str]
    checkpoint: str = "replay"
    hub_alone: bool = False

    @property
    def roles(self) -> tuple[str, ...]:
        """The processes that may be killed."""
        return (*_KILLED_ROLES, _HUB_ROLE) if self.hub_alone else _KILLED_ROLES


@dataclass(slots=True)
class Deaths:
    """When the next process is killed, and how many were.

    Attributes:
        left: how many are still to be killed; after the last the replay goes on undisturbed.
    """

    random: random.Random
    left: int
    mean_wait_s: float = _MEAN_WAIT_S
    counts: Counter[str] = field(default_factory=Counter)

    def wait_s(self) -> float:
        """Return the seconds until the next one."""
        return self.random.expovariate(1 / self.mean_wait_s) if self.left else _REPLAY_LIMIT_S

    def note(self, role: str) -> None:
        """Count one that was killed."""
        self.left -= 1
        self.counts[role] += 1


class _Running:
    """The processes of one replay."""

    def __init__(self, processes: Processes, replay: Replay, folder: Path) -> None:
        address, dialogues = (
            free_address(),
            [x for d in replay.dialogues for x in ("--dialogue", d)],
        )
        where = ("--address", address)
        node = folder / "node.journal"
        self.events = folder / "events.jsonl"
        self._commands = {
            "fusion": ("fusion", *where, "--checkpoint", replay.checkpoint, "--journal", str(node),
                       *(("--no-hub",) if replay.hub_alone else ())),
            _HUB_ROLE: ("hub", *where),
            "subscriber": ("subscribe", *where, "--to", str(self.events)),
            "replay": ("replay", str(replay.corpus), *where, *dialogues,
                       "--journal", str(folder / "replay.journal")),
        }  # fmt: skip
        self._processes = processes
        self._pids: dict[str, int] = {}
        if replay.hub_alone:
            self.start(_HUB_ROLE)
        self.start("fusion")
        self.start("subscriber")
        processes.wait_for_hub(address)
        self.start("replay")

    def start(self, role: str) -> None:
        self._pids[role] = self._processes.start(role, *self._commands[role])

    def kill(self, role: str) -> bool:
        """Kill a process and start it again; return False where it had ended by itself."""
        if role not in self._processes.running():
            return False
        with suppress(ProcessLookupError):
            os.kill(self._pids[role], signal.SIGKILL)
        self._processes.end(self._pids[role])
        self.start(role)
        return True

    @property
    def told(self) -> list[EventLine]:
        """What the subscriber has written so far."""
        return read_events(self.events)

    @property
    def played(self) -> bool:
        """Whether the replay has ended by itself."""
        return "replay" not in self._processes.running()


def play_disturbed(
    replay: Replay, folder: Path, deaths: Deaths, on_death: Callable[[str], None]
) -> list[EventLine]:
    """Play ``replay`` to its end while its processes are killed; return the subscriber's events.

    Args:
        folder: for the journals and the events; emptied first.
        deaths: how many are killed, and when.
        on_death: called with the role of each that was killed.

    Raises:
        FaultError: it did not end within ten minutes.
        ProcessError: a process failed by itself.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with Processes() as processes:
        running = _Running(processes, replay, folder)
        end_s = time.monotonic() + _REPLAY_LIMIT_S
        death_s = time.monotonic() + deaths.wait_s()
        wanted = set(replay.dialogues)
        while not (running.played and wanted <= closed_dialogues(running.told)):
            processes.check()
            if time.monotonic() > end_s:
                raise FaultError(
                    f"the replay has not ended in {_REPLAY_LIMIT_S:.0f} s; see what is in {folder}"
                )
            if time.monotonic() >= death_s:
                role = deaths.random.choice(replay.roles)
                if running.kill(role):
                    deaths.note(role)
                    on_death(role)
                death_s = time.monotonic() + deaths.wait_s()
            time.sleep(0.02)
        return running.told
