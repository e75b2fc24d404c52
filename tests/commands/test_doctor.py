"""`affectstream doctor`: says each thing that is missing, with a remedy, whatever fails."""

from __future__ import annotations

import builtins
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from affectstream.bus import Hub
from affectstream.commands import doctor
from affectstream.commands.doctor import Finding, examine
from affectstream.data import tiny_vosk_model
from affectstream.run.processes import free_address
from command_lines import no_traceback, run

NAMES = ["fusion", "mic", "model", "PortAudio", "microphone", "Vosk model", "ports"]


def found(name: str, address: str | None = None, vosk_model: Path | None = None) -> Finding:
    findings = examine(address or free_address(), vosk_model)
    assert [finding.name for finding in findings] == NAMES
    return next(finding for finding in findings if finding.name == name)


def test_the_command_says_everything_ends_well_and_ends_with_json() -> None:
    result = run("doctor", "--address", free_address(), "--json")
    assert result.returncode == 0, result.stderr
    no_traceback(result.stderr)
    summary = json.loads(result.stdout.splitlines()[-1])
    assert {"ok", *NAMES} == summary.keys()
    assert summary["ok"] == all(summary[name] for name in NAMES)
    lines = result.stderr.splitlines()
    assert [name for name in NAMES if any(name in line for line in lines)] == NAMES
    missing = [line for line in lines if line.startswith("missing")]
    assert len([line for line in lines if "→" in line]) == len(missing)


def test_a_free_address_and_one_where_a_hub_answers_are_both_well() -> None:
    address = free_address()
    assert found("ports", address) == Finding("ports", True, f"{address}: free", "")
    with Hub(address):
        answered = found("ports", address)
    assert answered.ok
    assert "a hub answers" in answered.seen


@pytest.mark.parametrize("step", [0, 1, 2])
def test_any_of_the_three_ports_in_use_by_something_else_is_said(step: int) -> None:
    address = free_address()
    port = int(address.rpartition(":")[2]) + step
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        finding = found("ports", address)
    assert not finding.ok
    assert "use" in finding.seen
    assert str(port) in finding.seen
    assert "--address" in finding.remedy


def test_what_is_no_address_is_said_too() -> None:
    finding = found("ports", "nonsense")
    assert not finding.ok
    assert "nonsense" in finding.seen


def test_a_package_that_is_not_installed_is_named_with_the_extra_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "vosk" else object())
    finding = found("mic")
    assert finding == Finding("mic", False, "vosk not installed", "pip install 'affectstream[mic]'")


def test_a_machine_without_portaudio_is_told_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> object:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    finding = found("PortAudio")
    assert not finding.ok
    assert "PortAudio" in finding.seen
    assert "libportaudio2" in finding.remedy
    assert not found("microphone").ok


@pytest.mark.parametrize(
    ("choose", "ok"),
    [(tiny_vosk_model, True), (lambda: Path("/nowhere"), False), (lambda: None, False)],
    ids=["a model", "no folder", "none"],
)
def test_the_vosk_model_is_looked_at(
    choose: Callable[[], Path | None], ok: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AFFECTSTREAM_VOSK_MODEL", raising=False)
    finding = found("Vosk model", vosk_model=choose())
    assert finding.ok is ok
    assert ok or "alphacephei.com/vosk/models" in finding.remedy


def test_the_vosk_model_of_the_environment_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFECTSTREAM_VOSK_MODEL", str(tiny_vosk_model()))
    assert found("Vosk model").ok


def test_a_remedy_with_brackets_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    doctor.show_findings(
        [Finding("mic", False, "vosk not installed", "pip install 'affectstream[mic]'")]
    )
    assert "pip install 'affectstream[mic]'" in capsys.readouterr().err
