"""Which input device is the default, and when that changes.

Knows: ``pactl``, the command line of PulseAudio and PipeWire, which reports changes.
Refuses to know: what to do about a change.

PortAudio looks up the default device only when it is started, and calls whatever a sound server
uses ``default``. ``pactl subscribe`` reports a change at once, so nothing is polled. Where there is
no such server, or ``$PULSE_SOURCE`` names the source, no change is ever reported.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

CHANGE = b"'change' on server"  # what ``pactl subscribe`` prints when the default changes
ANSWER_S = 2.0  # how long ``pactl info`` may take


class DefaultInput:
    """Watches a sound server's default input.

    Attributes:
        name: the default source, as the server calls it; None where it is not known.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self._events: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Look up the default input, and watch for changes from now on."""
        self.close()
        if shutil.which("pactl") is None or "PULSE_SOURCE" in os.environ:
            return
        self._events = subprocess.Popen(
            ["pactl", "subscribe"],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._events.stdout is not None
        os.set_blocking(self._events.stdout.fileno(), False)
        self.name = _default_source()

    def changed(self) -> str | None:
        """Return the new default's name if it has changed, else None. Does not wait for one."""
        if self._events is None or self._events.stdout is None:
            return None
        told = self._events.stdout.read(65_536)
        if not told or CHANGE not in told:
            return None
        now = _default_source()
        if now is None or now == self.name:
            return None
        self.name = now
        return now

    def close(self) -> None:
        """Stop watching."""
        if self._events is None:
            return
        self._events.kill()
        self._events.wait()
        if self._events.stdout is not None:
            self._events.stdout.close()
        self._events = None


def _default_source() -> str | None:
    """Return the name of the server's default source; None if the server does not say."""
    try:
        answer = subprocess.run(
            ["pactl", "info"],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ANSWER_S,
        )
    except subprocess.TimeoutExpired:
        return None
    found = re.search(r"^Default Source: (.+)$", answer.stdout, re.MULTILINE)
    return found[1] if found else None


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}  # pactl would translate its output
