"""The processes of one run: started together, stopped together, none left behind.

Knows: how to start this program's own commands, notice their end and stop them in bounded time.
Refuses to know: what they do, and whether one that failed is started again (``supervisor``).

Every child is on a ``leash``: when the parent ends, however it ends, the child stops by itself.
"""

from __future__ import annotations

import fcntl
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Self

from affectstream.bus import Endpoint, NoHubError, measure_clock_offset
from affectstream.errors import AffectstreamError, printable
from affectstream.run.leash import LEASH, PULSE

MARK = "affectstream: "
"""How the lines begin that this program itself writes to standard error."""
MAX_WORDS = 64 * 1024
STOP_S = 1.5
KILLED_S = 0.3
"""How long the system may take to bury what was killed; one in its own hands may take longer."""
START_S = 60.0
FREE_PORTS = range(22_000, 32_000, 3)
"""The ports that ``free_address`` chooses from.

They lie below those that Linux and macOS give to outgoing connections: a client that waits for its
hub could be given one of the hub's own ports, and keep it.
"""


class ProcessError(AffectstreamError):
    """A process of the run failed; one sentence, with its own last words."""


@dataclass(slots=True)
class Child:
    """A process that was started here.

    Attributes:
        words: what it writes to its standard error.
        pulse: the reading end of its pulse.
    """

    name: str
    process: subprocess.Popen[bytes]
    words: IO[bytes]
    pulse: int
    heard: int = 0  # bytes of its words

    def new_words(self) -> list[str]:
        """Return the warnings that the child has logged since the last call."""
        said = self._read(self.heard)
        whole = said[: said.rfind(b"\n") + 1]
        self.heard += len(whole) or (len(said) if len(said) == MAX_WORDS else 0)
        if self.heard >= MAX_WORDS and self.heard == self._size() and self.alive:
            # Read to the end: begin anew, or what is written in weeks would fill the disk.
            os.ftruncate(self.words.fileno(), 0)
            self.heard = 0
        lines = whole.decode(errors="replace").split("\n")
        return [printable(line.removeprefix(MARK)) for line in lines if line.startswith(MARK)]

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    def _size(self) -> int:
        return os.fstat(self.words.fileno()).st_size

    def _read(self, position: int) -> bytes:
        """Read what the child wrote; its own position in the file is left alone."""
        return os.pread(self.words.fileno(), MAX_WORDS, position)

    def beats(self) -> bool:
        """Return whether its pulse was felt since the last call."""
        felt = False
        with suppress(BlockingIOError):
            while os.read(self.pulse, 4096):
                felt = True
        return felt

    def last_words(self) -> str:
        """Return the signal that ended the child, or else the last line that it wrote."""
        status = self.process.returncode
        if status is not None and status < 0:
            return f"it was ended by {signal.Signals(-status).name}"
        said = self._read(max(0, self._size() - MAX_WORDS)).decode(errors="replace").strip()
        last = said.rpartition("\n")[2] if said else f"exit status {status}"
        return printable(last.strip().removeprefix(MARK))

    def memory_mib(self) -> float | None:
        """Return its resident memory, where the system tells (Linux) and it has not ended."""
        try:
            with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as statm:
                pages = int(statm.read().split()[1])
        except (OSError, IndexError):
            return None
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def close(self) -> None:
        """Let go of its pipes, once it has ended."""
        self.words.close()
        os.close(self.pulse)


class Processes:
    """Starts commands of this program and stops them all when the ``with`` block ends."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._leash, self._hold = os.pipe()

    def start(self, name: str, *arguments: str) -> int:
        """Start ``affectstream ARGUMENTS`` and return its process id."""
        return self._spawn(name, arguments).process.pid

    def _spawn(
        self,
        name: str,
        arguments: Sequence[str],
        folder: Path | None = None,
        open_files: int | None = None,
    ) -> Child:
        """Start a child, in ``folder`` if one is named, with at most ``open_files`` open."""
        words = TemporaryFile()  # noqa: SIM115 - it lives as long as the child
        fcntl.fcntl(words, fcntl.F_SETFL, fcntl.fcntl(words, fcntl.F_GETFL) | os.O_APPEND)
        pulse, beating = os.pipe()
        os.set_blocking(pulse, False)
        safe = ("-P",) if folder else ()  # no module is taken from there
        try:
            process = subprocess.Popen(
                [sys.executable, *safe, "-m", "affectstream", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=words,
                pass_fds=(self._leash, beating),
                env=os.environ | {LEASH: str(self._leash), PULSE: str(beating)},
                start_new_session=True,  # Ctrl-C reaches the parent, which stops the children
                cwd=folder,
            )
        except OSError as error:
            words.close()
            os.close(pulse)
            raise ProcessError(f"{name}: cannot be started: {error}") from error
        finally:
            os.close(beating)
        child = Child(name, process, words, pulse)
        self._children.append(child)
        _limit(process.pid, open_files)
        return child

    def wait_for_hub(
        self, address: str | Endpoint, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        """Return once a hub answers at ``address``.

        Raises:
            ProcessError: a child failed, or none answered within a minute.
        """
        end = time.monotonic() + START_S
        while time.monotonic() < end and not stopping():
            self.check()
            try:
                measure_clock_offset(address, probes=1, timeout_s=0.2)
            except NoHubError:
                continue
            return
        if not stopping():
            raise ProcessError(f"the hub at {address} did not start within {START_S:.0f} s")

    def check(self) -> None:
        """Notice children that failed.

        Raises:
            ProcessError: one ended with an error; the message is its own.
        """
        for child in self._children:
            if child.process.poll() not in (None, 0):
                raise ProcessError(f"{child.name}: {child.last_words()}")

    def running(self) -> list[str]:
        """Return the names of the children that have not ended."""
        return [child.name for child in self._children if child.alive]

    def memory_mib(self) -> dict[str, float]:
        """Return each running child's resident memory, where the system tells (Linux)."""
        sizes = ((child.name, child.memory_mib()) for child in self._children)
        return {name: size for name, size in sizes if size is not None}

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the children that have not ended."""
        return {child.name: child.process.pid for child in self._children if child.alive}

    def end(self, pid: int) -> None:
        """Stop one child, by the id that ``start`` returned."""
        self._stop([child for child in self._children if child.process.pid == pid])

    def stop(self) -> None:
        """Ask every child to stop; end those that have not within ``STOP_S`` seconds."""
        self._stop(self._children)

    def _stop(self, children: Sequence[Child]) -> None:
        living = [child for child in children if child.alive]
        for child in living:
            child.process.terminate()
            child.process.send_signal(signal.SIGCONT)  # one that is suspended hears no signal
        _wait(living, STOP_S)
        living = [child for child in living if child.alive]
        for child in living:
            child.process.kill()
        _wait(living, KILLED_S)
        for child in children:
            child.close()
            if child.alive:  # killed, and the system takes its time
                threading.Thread(target=child.process.wait, daemon=True).start()
        self._children = [child for child in self._children if child not in children]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        os.close(self._leash)
        os.close(self._hold)


def _wait(children: Sequence[Child], seconds: float) -> None:
    end = time.monotonic() + seconds
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.process.wait(max(0.0, end - time.monotonic()))


def _limit(pid: int, open_files: int | None) -> None:
    """Let no child fill the disk with its memory when it crashes, or open files without end.

    Address space is not limited: torch reserves much more than it ever uses.
    """
    if not hasattr(resource, "prlimit"):
        return  # not Linux
    with suppress(ProcessLookupError):  # it has ended already, which is noticed elsewhere
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
        if open_files is not None:
            _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            most = open_files if most == resource.RLIM_INFINITY else min(open_files, most)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))


def free_address() -> str:
    """Return a loopback address whose three ports are free now.

    The ports are not held: another process that looks at the same moment may get the same ones.
    """
    for first in random.Random().sample(FREE_PORTS, len(FREE_PORTS)):
        if all(_is_free(first + step) for step in range(3)):
            return f"tcp://127.0.0.1:{first}"
    raise ProcessError("no three free ports in a row on 127.0.0.1; choose an --address")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
