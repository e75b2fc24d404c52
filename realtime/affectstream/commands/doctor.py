"""`affectstream doctor`: what is missing on this machine, and how to get it.

Knows: what each part of the system needs.
Refuses to know: how the parts work; it tries them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.text import Text

from affectstream.bus import Endpoint, NoHubError, measure_clock_offset, ports
from affectstream.bus.keys import open_keys, read_allowed
from affectstream.sources.devices import input_devices, load_portaudio
from affectstream.sources.errors import SourceError

VOSK_REMEDY = (
    "unzip a model of your language from https://alphacephei.com/vosk/models (such as "
    "vosk-model-small-en-us-0.15) and pass --vosk-model DIR or set AFFECTSTREAM_VOSK_MODEL; "
    "without one, text is masked"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried: whether it works, what was seen, and what to do if not."""

    name: str
    ok: bool
    seen: str
    remedy: str = ""


def examine(address: str, vosk_model: Path | None, keys: Path | None = None) -> list[Finding]:
    """Try everything that the system may need, whatever fails."""
    named = [] if keys is None else [_keys(keys)]
    return [
        _packages("fusion", ("torch", "safetensors")),
        _packages("mic", ("sounddevice", "webrtcvad", "vosk", "soxr")),
        _checkpoint(),
        _portaudio(),
        _microphone(),
        _vosk(vosk_model),
        *named,
        _ports(address, keys),
    ]


def show_findings(findings: list[Finding]) -> None:
    """Print the findings, one a line, remedies below."""
    console = Console(stderr=True)
    for finding in findings:
        found = Text("ok       ", "green") if finding.ok else Text("missing  ", "yellow")
        found.append(f"{finding.name:<12} {finding.seen}", "default")
        console.print(found, soft_wrap=True)
        if not finding.ok:
            console.print(Text(f"{'':<22}→ {finding.remedy}"), soft_wrap=True)


def _packages(extra: str, names: tuple[str, ...]) -> Finding:
    missing = [name for name in names if find_spec(name) is None]
    seen = f"{', '.join(missing)} not installed" if missing else ", ".join(names)
    return Finding(extra, not missing, seen, f"pip install 'affectstream[{extra}]'")


def _checkpoint() -> Finding:
    remedy = "pip install 'affectstream[fusion]', or pass --checkpoint FILE"

    def load() -> str:
        from affectstream.fusion.pretrained import PretrainedModel

        identity = PretrainedModel().identity
        return f"{identity.id}, sha256 {identity.sha256[:12]}"

    return _try("model", load, remedy)


def _portaudio() -> Finding:
    def version() -> str:
        return str(load_portaudio().get_portaudio_version()[1])

    return _try("PortAudio", version, "apt install libportaudio2, or brew install portaudio")


def _microphone() -> Finding:
    def default() -> str:
        found = input_devices()
        chosen = [d for d in found if d.is_default] or found
        if not chosen:
            raise SourceError("none found")
        others = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return f"{chosen[0].name} (--device {chosen[0].index}){others}"

    remedy = "connect a microphone and allow this program to use it"
    return _try("microphone", default, remedy)


def _vosk(path: Path | None) -> Finding:
    chosen = path or (Path(p) if (p := os.environ.get("AFFECTSTREAM_VOSK_MODEL")) else None)
    if chosen is None:
        return Finding("Vosk model", False, "none for human speech", VOSK_REMEDY)
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
