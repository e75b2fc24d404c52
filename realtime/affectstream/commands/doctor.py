"""`affectstream doctor`: what is missing on this machine, and how to get it.

Knows: what each part of the system needs.
Refuses to know: how the parts work; it tries them.
"""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from rich.text import Text

from affectstream import __version__
from affectstream.bus import Endpoint, NoHubError, measure_clock_offset, ports
from affectstream.bus.keys import open_keys, read_allowed
from affectstream.commands.extras import EXTRAS, install_line
from affectstream.errors import SourceError
from affectstream.show.console import PrintableConsole
from affectstream.sources.devices import input_devices, load_portaudio

_NEEDED = ("fusion", "mic")
"""Extras without which the demo and the microphone do not work."""
_OPTIONAL = ("silero", "sentences", "lab", "cluster")
_COLOURS = {"ok": "green", "missing": "red", "optional": "yellow", "unknown": "yellow"}
VOSK_REMEDY = (
    "unzip a model of your language from https://alphacephei.com/vosk/models (such as "
    "vosk-model-small-en-us-0.15) and pass --vosk-model DIR or set AFFECTSTREAM_VOSK_MODEL; "
    "without one, text is masked"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried.

    Attributes:
        ok: whether it works.
        seen: what was found, or what is wrong.
        remedy: what to do if it does not work; empty where another finding's remedy comes first.
        otherwise: what it is called if it does not work. ``missing``: the demo or the microphone
            needs it, or an option named it. ``optional``: they do not need it. ``unknown``: it
            cannot be tried before something else is installed.
    """

    name: str
    ok: bool
    seen: str
    remedy: str = ""
    otherwise: Literal["missing", "optional", "unknown"] = "missing"

    @property
    def label(self) -> str:
        """The word for it: ok, missing, optional or unknown."""
        return "ok" if self.ok else self.otherwise


def examine(address: str, vosk_model: Path | None, keys: Path | None = None) -> list[Finding]:
    """Try everything that the system may need, whatever fails."""
    portaudio = _portaudio()
    named = [] if keys is None else [_keys(keys)]
    return [
        Finding("affectstream", True, f"{__version__}, Python {platform.python_version()}"),
        *(_extra(extra) for extra in ("live", *_NEEDED)),
        _checkpoint(),
        portaudio,
        _microphone(portaudio),
        _vosk(vosk_model),
        *named,
        _ports(address, keys),
        *(_extra(extra) for extra in _OPTIONAL),
    ]


def summary_of(findings: list[Finding]) -> dict[str, object]:
    """Return the findings for JSON.

    ``ok`` is true if nothing is missing, ``missing`` has the names of what is; then come all
    findings by name, true where what was tried works.
    """
    missing = [finding.name for finding in findings if finding.label == "missing"]
    return {"ok": not missing, **{f.name: f.ok for f in findings}, "missing": missing}


def show_findings(findings: list[Finding]) -> None:
    """Print the findings, one a line, remedies below."""
    console = PrintableConsole(stderr=True)
    for finding in findings:
        found = Text(f"{finding.label:<9}", _COLOURS[finding.label])
        found.append(f"{finding.name:<13} {finding.seen}", "default")
        console.print(found, soft_wrap=True)
        if not finding.ok and finding.remedy:
            console.print(Text(f"{'':<23}→ {finding.remedy}"), soft_wrap=True)


def _extra(name: str) -> Finding:
    missing = [module for module in EXTRAS[name] if find_spec(module) is None]
    needed = any(module in EXTRAS[extra] for extra in _NEEDED for module in missing)
    seen = f"{', '.join(missing)} not installed" if missing else ", ".join(EXTRAS[name])
    otherwise: Literal["missing", "optional"] = "missing" if needed else "optional"
    return Finding(name, not missing, seen, install_line(name), otherwise)


def _checkpoint() -> Finding:
    if find_spec("torch") is None:
        return Finding("model", False, "cannot be read without torch", "", "unknown")
    remedy = "pip install --force-reinstall --no-deps affectstream, or pass --checkpoint FILE"

    def load() -> str:
        from affectstream.fusion.pretrained import PretrainedModel

        identity = PretrainedModel().identity
        return f"{identity.id}, sha256 {identity.sha256[:12]}"

    return _try("model", load, remedy)


def _portaudio() -> Finding:
    def version() -> str:
        return str(load_portaudio().get_portaudio_version()[1])

    if find_spec("sounddevice") is None:
        seen = "cannot be looked for without sounddevice"
        return Finding("PortAudio", False, seen, "", "unknown")
    return _try("PortAudio", version, "apt-get install libportaudio2, or brew install portaudio")


def _microphone(portaudio: Finding) -> Finding:
    def default() -> str:
        found = input_devices()
        chosen = [d for d in found if d.is_default] or found
        if not chosen:
            raise SourceError("none found")
        others = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return f"{chosen[0].name} (--device {chosen[0].index}){others}"

    if not portaudio.ok:
        seen = "cannot be looked for without PortAudio"
        return Finding("microphone", False, seen, "", "unknown")
    remedy = "connect a microphone and allow this program to use it"
    return _try("microphone", default, remedy)


def _vosk(path: Path | None) -> Finding:
    chosen = path or (Path(p) if (p := os.environ.get("AFFECTSTREAM_VOSK_MODEL")) else None)
    if chosen is None:
        return Finding("Vosk model", False, "none for human speech", VOSK_REMEDY, "optional")
    there = (chosen / "am" / "final.mdl").is_file() or (chosen / "final.mdl").is_file()
    seen = str(chosen) if there else f"{chosen} is not a Vosk model"
    return Finding("Vosk model", there, seen, VOSK_REMEDY)


def _keys(folder: Path) -> Finding:
    def look() -> str:
        found = open_keys(folder)
        peers = len(read_allowed(found.folder))
        if found.hub == found.public:
            return f"{found.folder}: a hub with them lets {peers} in"
        return f"{found.folder}: trusts the hub {found.hub.decode()}"

    return _try("keys", look, "see docs/security.md")


def _ports(address: str, keys: Path | None) -> Finding:
    remedy = "stop what uses it, or choose another --address for every process"

    def look() -> str:
        try:
            probe = measure_clock_offset(Endpoint.open(address, keys), probes=4, timeout_s=0.5)
        except NoHubError:
            pass
        else:
            offset_ms, trip_ms = probe.offset_ns / 1e6, probe.round_trip_ns / 1e6
            return (
                f"{address}: a hub answers (clock {offset_ms:+.2f} ms, round trip {trip_ms:.2f} ms)"
            )
        for endpoint in ports(address):
            if endpoint.startswith("tcp://"):
                host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
                with socket.socket() as trial:
                    trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    try:
                        trial.bind((host, int(port)))
                    except OSError as error:
                        raise OSError(f"port {port} cannot be used: {error.strerror}") from error
        return f"{address}: free"

    return _try("ports", look, remedy)


def _try(name: str, attempt: Callable[[], str], remedy: str) -> Finding:
    try:
        return Finding(name, True, attempt())
    except Exception as error:  # noqa: BLE001 - the point is to report whatever is wrong
        return Finding(
            name, False, str(error).splitlines()[0] if str(error) else repr(error), remedy
        )
