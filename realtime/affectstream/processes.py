"""The processes of one run: started together, stopped together, none left behind.

Knows: how to start this program's own commands, notice their end and stop them in bounded time.
Refuses to know: what they do.

Every child holds the reading end of a pipe, its leash. When the parent goes, however it goes, the
pipe closes and the child stops by itself.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Self

from affectstream.bus import BusError, measure_clock_offset
from affectstream.errors import AffectstreamError
from affectstream.runner import stop_on_signals

LEASH = "AFFECTSTREAM_LEASH"
MARK = "affectstream: "
"""How the lines begin that this program itself writes to standard error."""
MAX_WORDS = 64 * 1024
STOP_S = 1.5
START_S = 60.0


class ProcessError(AffectstreamError):
    """A process of the run failed; one sentence, with its own last words."""


@dataclass(slots=True)
class _Child:
    name: str
    process: subprocess.Popen[bytes]
    words: IO[bytes]
    heard: int = 0

    def new_words(self) -> list[str]:
        """Return the warnings that the child has logged since the last call."""
        said = self._read(self.heard)
        said = said[: said.rfind(b"\n") + 1]
        self.heard += len(said)
        lines = said.decode(errors="replace").splitlines()
        return [line.removeprefix(MARK) for line in lines if line.startswith(MARK)]

    def _read(self, position: int) -> bytes:
        """Read what the child wrote; its own position in the file is left alone."""
        return os.pread(self.words.fileno(), MAX_WORDS, position)

    def last_words(self) -> str:
        """Return the last line that the child wrote to its standard error."""
        size = os.fstat(self.words.fileno()).st_size
        said = self._read(max(0, size - MAX_WORDS)).decode(errors="replace").strip()
        last = said.splitlines()[-1] if said else f"exit status {self.process.returncode}"
        return last.strip().removeprefix(MARK)


class Processes:
    """Starts commands of this program and stops them all when the ``with`` block ends."""

    def __init__(self) -> None:
        self._children: list[_Child] = []
        self._leash, self._hold = os.pipe()

    def start(self, name: str, *arguments: str) -> int:
        """Start ``affectstream ARGUMENTS`` and return its process id."""
        words = TemporaryFile()  # noqa: SIM115 - it lives as long as the child
        process = subprocess.Popen(
            [sys.executable, "-m", "affectstream", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,
            pass_fds=(self._leash,),
            env=os.environ | {LEASH: str(self._leash)},
            start_new_session=True,  # Ctrl-C reaches the parent, which stops the children
        )
        self._children.append(_Child(name, process, words))
        return process.pid

    def wait_for_hub(self, address: str, stopping: Callable[[], bool] = lambda: False) -> None:
        """Return once a hub answers at ``address``.

        Raises:
            ProcessError: a child failed, or none answered within a minute.
        """
        end = time.monotonic() + START_S
        while time.monotonic() < end and not stopping():
            self.check()
            try:
                measure_clock_offset(address, probes=1, timeout_s=0.2)
            except BusError:
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

    def warnings(self) -> list[str]:
        """Return what the children have warned of since the last call, with their names."""
        return [f"{child.name}: {words}" for child in self._children for words in child.new_words()]

    def running(self) -> list[str]:
        """Return the names of the children that have not ended."""
        return [child.name for child in self._children if child.process.poll() is None]

    def memory_mib(self) -> dict[str, float]:
        """Return each running child's resident memory, where the system tells (Linux)."""
        sizes = {}
        for child in self._children:
            try:
                with open(f"/proc/{child.process.pid}/statm", encoding="ascii") as statm:
                    pages = int(statm.read().split()[1])
            except (OSError, IndexError):
                continue
            sizes[child.name] = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        return sizes

    def end(self, pid: int) -> None:
        """Stop one child, by the id that ``start`` returned."""
        self._stop([child for child in self._children if child.process.pid == pid])

    def stop(self) -> None:
        """Ask every child to stop; end those that have not within ``STOP_S`` seconds."""
        self._stop(self._children)

    def _stop(self, children: Sequence[_Child]) -> None:
        for child in children:
            if child.process.poll() is None:
                child.process.terminate()
        end = time.monotonic() + STOP_S
        for child in children:
            try:
                child.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
            child.words.close()
        self._children = [child for child in self._children if child not in children]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        os.close(self._leash)
        os.close(self._hold)


def parent_gone() -> bool:
    """Return whether the process that started this one, and holds its leash, has ended."""
    leash = os.environ.get(LEASH)
    if leash is None:
        return False
    readable, _, _ = select.select([int(leash)], [], [], 0)
    return bool(readable)  # nothing is ever written: readable means closed


def free_address() -> str:
    """Return a loopback address whose three ports are free now."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = int(probe.getsockname()[1])
        if first < 65_000 and all(_is_free(first + step) for step in range(3)):
            return f"tcp://127.0.0.1:{first}"
    raise ProcessError("no three free ports in a row on 127.0.0.1; choose an --address")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def stop_when_told() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether a signal has come or the parent has gone."""
    with stop_on_signals() as stopped:
        yield lambda: stopped() or parent_gone()
