"""Two hosts: network namespaces whose only connection is a link of ours.

Two TUN devices, and a thread that carries packets between them as the link says. On both hosts
``127.0.0.1`` is the first host, so that a hub without keys, which binds to loopback alone, is
reached from either.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from affectstream.errors import AffectstreamError
from affectstream.timebase import NS_PER_MS
from affectstream_tools.trials.link.link import Impairment, LinkScheduler

_TUN = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x0001 | 0x1000
_ADDRESSES = ("10.87.0.1", "10.87.0.2")
_MAX_PACKET = 2_048
_LONGEST_WAIT_MS = 50


class HostsError(AffectstreamError):
    """Two hosts cannot be made on this machine, or a process on them failed."""


def missing_for_hosts() -> str | None:
    """Return in one sentence what this machine lacks for two hosts, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root; run it as root"
    if not _TUN.exists():
        return f"there is no {_TUN}; load the kernel's tun module"
    for command, package in (("ip", "iproute2"), ("faketime", "faketime")):
        if shutil.which(command) is None:
            return f"there is no `{command}`; install {package}"
    return None


class TwoHosts:
    """Hosts 0 and 1 and the link between them; both are gone when the ``with`` block ends.

    Raises:
        HostsError: this machine cannot have them; one sentence with a remedy.
    """

    def __init__(self, impairment: Impairment, seed: int = 0) -> None:
        if (lack := missing_for_hosts()) is not None:
            raise HostsError(lack)
        self.scheduler = LinkScheduler(impairment, seed)
        self._lock = threading.Lock()
        self._names = tuple(f"affectstream-{os.getpid()}-{host}" for host in (0, 1))
        self._ends: list[int] = []
        self._over = threading.Event()
        self._carrier = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> Self:
        try:
            for host, name in enumerate(self._names):
                self._make(host, name)
        except subprocess.CalledProcessError as error:
            self._remove()
            words = error.stderr.decode(errors="replace").strip()
            raise HostsError(f"`{' '.join(error.cmd)}` failed: {words}; run it as root") from error
        self._carrier.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._carrier.join()
        self._remove()

    def command(
        self, host: int, words: Sequence[str], *, ahead_s: float = 0.0, drift_ppm: float = 0.0
    ) -> list[str]:
        """Return ``words`` as a command that runs on ``host``.

        Args:
            ahead_s, drift_ppm: how far ahead of this machine's clock the command's is when it
                starts, and how fast it gains.
        """
        clock: tuple[str, ...] = ()
        if ahead_s or drift_ppm:
            clock = ("faketime", "-f", f"{ahead_s:+.6f}s x{1 + drift_ppm / 1e6:.9f}")
        return ["ip", "netns", "exec", self._names[host], *clock, *words]

    def cut(self, cut: bool) -> None:
        """Cut the link, or join it again."""
        with self._lock:
            self.scheduler.cut = cut

    def _make(self, host: int, name: str) -> None:
        device = f"as{os.getpid()}h{host}"
        _run("ip", "netns", "add", name)
        self._ends.append(_tun(device))
        _run("ip", "link", "set", device, "netns", name)
        inside = ("ip", "-netns", name)
        _run(*inside, "link", "set", device, "up")
        mine, theirs = _ADDRESSES[host], _ADDRESSES[1 - host]
        _run(*inside, "address", "add", f"{mine}/32", "peer", theirs, "dev", device)
        switch = f"echo 1 > /proc/sys/net/ipv4/conf/{device}/route_localnet"
        _run("ip", "netns", "exec", name, "sh", "-c", switch)
        if host == 0:
            _run(*inside, "link", "set", "lo", "up")
        else:
            _run(*inside, "route", "add", "127.0.0.1/32", "dev", device, "src", mine)

    def _remove(self) -> None:
        for end in self._ends:
            os.close(end)
        for name in self._names:
            subprocess.run(("ip", "netns", "del", name), check=False, capture_output=True)

    def _carry(self) -> None:
        """Carry packets until the hosts are removed."""
        poller = select.poll()
        for end in self._ends:
            poller.register(end, select.POLLIN)
        while not self._over.is_set():
            ready = poller.poll(self._wait_ms())
            now_ns = time.monotonic_ns()
            with self._lock:
                for end, _ in ready:
                    self.scheduler.offer(self._ends.index(end), os.read(end, _MAX_PACKET), now_ns)
                due = self.scheduler.due(now_ns)
            for host, packet in due:
                os.write(self._ends[host], packet)

    def _wait_ms(self) -> int:
        due_ns = self.scheduler.next_wake_ns()
        if due_ns is None:
            return _LONGEST_WAIT_MS
        left_ms = -(-(due_ns - time.monotonic_ns()) // NS_PER_MS)
        return min(max(0, left_ms), _LONGEST_WAIT_MS)


def _tun(device: str) -> int:
    """Return a descriptor that reads and writes the IP packets of a new device."""
    end = os.open(_TUN, os.O_RDWR)
    fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TUN_NO_PI))
    return end


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
