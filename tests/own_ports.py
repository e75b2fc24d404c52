"""Ports of one test process: no other that runs beside it chooses an address among them."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from affectstream.run import processes

BLOCK = 600
"""So many ports has a test process, enough for 200 hubs."""
BLOCKS = range(10_000, processes.FREE_PORTS.start, BLOCK)
"""They lie below the ports that the processes choose from which the tests start."""


@contextmanager
def own_ports() -> Iterator[None]:
    """Let ``free_address`` choose from a block of ports that this process alone has.

    A block is this process's while it holds the lock on a file. If all are taken, ``free_address``
    chooses from where it always does.
    """
    folder = Path(tempfile.gettempdir()) / f"affectstream-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    everybodys = processes.FREE_PORTS
    for first in BLOCKS:
        lock = os.open(folder / str(first), os.O_CREAT | os.O_WRONLY)
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            processes.FREE_PORTS = range(first, first + BLOCK, 3)
            break
        os.close(lock)
    else:
        yield
        return
    try:
        yield
    finally:
        processes.FREE_PORTS = everybodys
        os.close(lock)
