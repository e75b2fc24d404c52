"""What the tests of commands share: running them, the node of a module, and looking for leftovers.

Nothing here sleeps blindly: whoever waits says for what, and until when.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from affectstream.bus import Inlet, Outlet
from affectstream.messages import Emotion, Message
from affectstream.run.processes import Processes, free_address

ROOT = Path(__file__).parents[1]
DEADLINE_S = 90.0
"""So long is waited for what must come, however busy the machine is."""
PYTHON = (sys.executable, "-u", "-W", "error")


def run(*arguments: str, seconds: float = DEADLINE_S) -> subprocess.CompletedProcess[str]:
    """Run ``affectstream ARGUMENTS`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "affectstream", *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@contextmanager
def started(*command: str, **options: object) -> Iterator[subprocess.Popen[str]]:
    """Run ``command`` with pipes; it is ended with the block."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    process = subprocess.Popen(command, text=True, **(pipes | options))  # type: ignore[call-overload]
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@contextmanager
def node(*options: str) -> Iterator[str]:
    """Run a fusion node with the shipped model; yield its address."""
    address = free_address()
    with Processes() as processes:
        processes.start("fusion", "fusion", "--address", address, *options)
        processes.wait_for_hub(address)
        yield address


def wait_until(
    condition: Callable[[], object], what: str = "it", seconds: float = DEADLINE_S
) -> None:
    """Return once ``condition`` holds, or fail when the deadline has passed."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)


def mentions(text: str) -> list[int]:
    """Return the running processes, but this one, whose command line has ``text``."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue  # it has just ended
        if text.encode() in words and state != "Z":
            found.append(int(entry.name))
    return found


def no_traceback(words: str) -> None:
    assert "Traceback" not in words, words
    assert "Warning" not in words, words


class Publisher(threading.Thread):
    """An outlet in a thread of its own, which also answers; ``with`` ends it."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._waiting: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._published = threading.Semaphore(0)
        self._done = threading.Event()

    def run(self) -> None:
        outlet = Outlet(self._address)
        try:
            while not self._done.is_set():
                outlet.service()
                while not self._waiting.empty():
                    outlet.publish(self._waiting.get())
                    self._published.release()
                outlet.socket.poll(5)
        finally:
            outlet.close()

    def publish(self, *messages: Message) -> None:
        """Return once all are published."""
        for message in messages:
            self._waiting.put(message)
        for _ in messages:
            assert self._published.acquire(timeout=DEADLINE_S)

    def __enter__(self) -> Publisher:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join(DEADLINE_S)


def read_until(inlet: Inlet, enough: Callable[[Sequence[Message]], bool]) -> list[Message]:
    """Read until there is ``enough``, or fail when the deadline has passed."""
    got: list[Message] = []
    end = time.monotonic() + DEADLINE_S
    while not enough(got):
        assert time.monotonic() < end, got[-5:]
        inlet.sockets[0].poll(20)
        got += inlet.read()
    return got


def estimates(messages: Sequence[Message], utterance: str) -> list[Emotion]:
    return [m for m in messages if isinstance(m, Emotion) and m.utterance == utterance]
