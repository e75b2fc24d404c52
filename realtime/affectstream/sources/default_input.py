"""Which input is the default, and when that changes.

Knows: PulseAudio's and PipeWire's ``pactl``, which tells of changes.
Refuses to know: what a change means for whoever listens.

PortAudio learns which device is the default when it is started, and names whatever a sound server
has behind it ``default``. The server tells of a change at once, so that nothing is asked for twice.
Where there is no such server, or the environment names the source, nobody tells.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

CHANGE = b"'change' on server"
ANSWER_S = 2.0


class DefaultInput:
    """Follows the default input of a sound server; each ``begin`` starts anew."""

    def __init__(self) -> None:
        self.name: str | None = None
        self._events: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Look which input is the default, and listen for changes."""
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
        """Return the new default's name if it is another one, without waiting otherwise."""
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
        """Stop listening."""
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
    return {**os.environ, "LC_ALL": "C"}  # its words are translated
