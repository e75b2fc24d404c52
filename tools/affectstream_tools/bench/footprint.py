"""What a process holds: memory, open files, threads. Reads ``/proc``, so it needs Linux."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from affectstream.errors import AffectstreamError

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one process held at one instant.

    Attributes:
        rss_mib: resident memory.
        pss_mib: the same, what is shared divided among those that share it.
        files: open descriptors, sockets included.
        threads: of all libraries.
        cpu_s: processor time so far.
    """

    rss_mib: float
    pss_mib: float
    files: int
    threads: int
    cpu_s: float


def footprint(pid: int) -> Footprint:
    """Look at a process.

    Raises:
        AffectstreamError: it has ended, or the system does not tell.
    """
    folder = Path(f"/proc/{pid}")
    try:
        pages = int((folder / "statm").read_text(encoding="ascii").split()[1])
        rollup = (folder / "smaps_rollup").read_text(encoding="ascii")
        shared_kib = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
        stat = (folder / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return Footprint(
            rss_mib=pages * _PAGE_BYTES / _MIB,
            pss_mib=int(shared_kib.split()[1]) / 1024,
            files=len(os.listdir(folder / "fd")),
            threads=int(stat[17]),
            cpu_s=(int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"),
        )
    except (OSError, StopIteration) as error:
        raise AffectstreamError(
            f"process {pid} cannot be looked at ({error or 'no Pss'}); this needs Linux, and the "
            "process alive"
        ) from error
