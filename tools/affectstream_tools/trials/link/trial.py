"""One trial: the fusion node and the hub on one host, a replay and a listener on the other."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from affectstream.bus.wall_clock import WallClock
from affectstream.core.address import DEFAULT_ADDRESS
from affectstream.timebase import NS_PER_S
from affectstream_tools.trials.link.link import Impairment
from affectstream_tools.trials.link.namespaces import HostsError, TwoHosts

_TRIAL_LIMIT_S = 600.0
_WINDOW_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCase:
    """What is done to the two hosts.

    Attributes:
        cut_s: how long the link is cut, beginning with the fifth final.
        ahead_s, drift_ppm: of the second host's clock, seen from the first's.
        at_least_s: how long the listener's clock is followed at least.
    """

    name: str
    impairment: Impairment = field(default_factory=Impairment)
    cut_s: float = 0.0
    ahead_s: float = 0.0
    drift_ppm: float = 0.0
    at_least_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """What a trial showed.

    Attributes:
        finals: by utterance: the classes' probabilities and the dimensions' means.
        gaps: gap messages, in words.
        resent: messages that the listener had to ask for.
        packets: how many were carried, lost, and so on.
        worst_off_ms, last_off_ms: how far the listener's time was off, at worst and at the end.
        drift_ppm, error_ms: the drift that the listener measured, and the bound that it states of
            its error, at the end.
    """

    finals: dict[str, dict[str, float]]
    gaps: list[str]
    resent: int
    packets: dict[str, int]
    worst_off_ms: float
    last_off_ms: float
    drift_ppm: float
    error_ms: float
    seconds: float


class _Listener:
    """The listener's process, read by a thread of its own."""

    def __init__(self, command: Sequence[str], words: IO[bytes]) -> None:
        self.ready, self.fifth = threading.Event(), threading.Event()
        self.heard: dict[str, Any] | None = None
        self._off_ns: dict[int, int] = {}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        clock = WallClock()
        assert self._process.stdout is not None, "it was asked for"
        for line in self._process.stdout:
            now_ns = clock.now_ns()
            words = json.loads(line)
            if "time" in words:
                # A line comes later than it was written, never earlier: the least delay counts.
                window, off_ns = int(now_ns / NS_PER_S / _WINDOW_S), words["time"][0] - now_ns
                self._off_ns[window] = max(off_ns, self._off_ns.get(window, off_ns))
            elif "ready" in words:
                self.ready.set()
            elif words.get("final") == 5:
                self.fifth.set()
            elif "heard" in words:
                self.heard = words["heard"]

    def off_ms(self) -> list[float]:
        """Return how far its time was off, second by second."""
        whole = list(self._off_ns.values())[:-1]  # the last second is not whole
        return [off_ns / 1e6 for off_ns in whole or self._off_ns.values()]

    def end(self, timeout_s: float) -> dict[str, Any] | None:
        """Let it end once it has heard everything, and return what it has heard."""
        assert self._process.stdin is not None, "it was asked for"
        self._process.stdin.close()
        self._thread.join(timeout_s)
        return self.heard

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        self._thread.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


def run_trial(
    case: LinkCase, corpus: Path, dialogues: Sequence[str], *, speed: str = "50", seed: int = 0
) -> TrialOutcome:
    """Replay ``dialogues`` of ``corpus`` from the second host to the first, and listen there too.

    Raises:
        HostsError: this machine cannot have two hosts, or a process failed; one sentence.
    """
    began_s = time.monotonic()
    with ExitStack() as stack:
        hosts = stack.enter_context(TwoHosts(case.impairment, seed))
        words = stack.enter_context(tempfile.TemporaryFile())

        def start(host: int, *arguments: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                _on(hosts, host, case, arguments), stdout=subprocess.DEVNULL, stderr=words
            )
            stack.callback(_end, process)
            return process

        start(0, "affectstream", "fusion", "--address", DEFAULT_ADDRESS, "--checkpoint", "replay")
        heard = ("affectstream_tools.trials.link.listener", DEFAULT_ADDRESS, str(len(dialogues)))
        listener = _Listener(_on(hosts, 1, case, heard), words)
        stack.callback(listener.kill)
        chosen = [word for name in dialogues for word in ("--dialogue", name)]
        played = ("affectstream", "replay", str(corpus), *chosen, "--speed", speed)
        _wait(listener.ready, words, "the listener found no hub")
        replay = start(1, *played, "--address", DEFAULT_ADDRESS)
        if case.cut_s:
            _wait(listener.fifth, words, "there were no five finals")
            _cut(hosts, case.cut_s)
        if replay.wait(_TRIAL_LIMIT_S) != 0:
            raise HostsError(f"the replay failed: {_last(words)}")
        time.sleep(max(0.0, began_s + case.at_least_s - time.monotonic()))
        found = listener.end(_TRIAL_LIMIT_S)
        if found is None:
            raise HostsError(f"the listener failed: {_last(words)}")
        off_ms = listener.off_ms()
        return TrialOutcome(
            packets=dict(hosts.scheduler.counts),
            worst_off_ms=max(off_ms, key=abs),
            last_off_ms=off_ms[-1],
            seconds=time.monotonic() - began_s,
            **found,
        )


def _cut(hosts: TwoHosts, seconds: float) -> None:
    hosts.cut(True)
    time.sleep(seconds)
    hosts.cut(False)


def _on(hosts: TwoHosts, host: int, case: LinkCase, arguments: Sequence[str]) -> list[str]:
    command = [sys.executable, "-m", *arguments]
    if host == 0:
        return hosts.command(host, command)
    return hosts.command(host, command, ahead_s=case.ahead_s, drift_ppm=case.drift_ppm)


def _wait(event: threading.Event, words: IO[bytes], otherwise: str) -> None:
    if not event.wait(_TRIAL_LIMIT_S / 10):
        raise HostsError(f"{otherwise} within a minute: {_last(words)}")


def _last(words: IO[bytes]) -> str:
    words.seek(0)
    said = words.read().decode(errors="replace").strip().splitlines()
    return said[-1] if said else "it said nothing"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
