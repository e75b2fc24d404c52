"""`affectstream doctor`: says each thing that is missing, with a remedy, whatever fails."""

from __future__ import annotations

import builtins
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from affectstream.bus import Hub
from affectstream.commands import doctor
from affectstream.commands.app import app
from affectstream.commands.doctor import Finding, examine
from affectstream.data import tiny_vosk_model
from affectstream.run.processes import free_address
from command_lines import no_traceback, run

PARTS = ["model", "PortAudio", "microphone", "Vosk model", "ports"]
NAMES = ["affectstream", "live", "fusion", "mic", *PARTS, "silero", "sentences", "lab", "cluster"]


def found(name: str, address: str | None = None, vosk_model: Path | None = None) -> Finding:
    findings = examine(address or free_address(), vosk_model)
    assert [finding.name for finding in findings] == NAMES
    return next(finding for finding in findings if finding.name == name)


def test_the_command_says_everything_and_ends_with_json_and_a_status() -> None:
    result = run("doctor", "--address", free_address(), "--json")
    no_traceback(result.stderr)
    summary = json.loads(result.stdout.splitlines()[-1])
    assert {"ok", "missing", *NAMES} == summary.keys()
    lines = result.stderr.splitlines()
    assert [name for name in NAMES if any(name in line for line in lines)] == NAMES
    labels = dict(reversed(line.split(maxsplit=1)) for line in lines if not line.startswith(" "))
    words = {name: next(labels[seen] for seen in labels if seen.startswith(name)) for name in NAMES}
    assert {name for name in NAMES if summary[name]} == {n for n in NAMES if words[n] == "ok"}
    assert summary["missing"] == [name for name in NAMES if words[name] == "missing"]
    assert summary["ok"] == (not summary["missing"])
    assert result.returncode == (0 if summary["ok"] else 1), result.stderr
    wrong = [line for line in lines if line.startswith(("missing", "optional"))]
    assert len([line for line in lines if "→" in line]) == len(wrong)


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


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name in modules else object())


def words(vosk_model: Path | None = None) -> dict[str, str]:
    return {finding.name: finding.label for finding in examine(free_address(), vosk_model)}


def test_a_package_that_is_not_installed_is_named_with_the_extra_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "vosk")
    finding = found("mic")
    assert finding == Finding("mic", False, "vosk not installed", "pip install 'affectstream[mic]'")
    live = found("live")
    assert (live.label, live.remedy) == ("missing", "pip install 'affectstream[live]'")
    assert found("fusion").ok


def test_what_neither_the_demo_nor_the_microphone_needs_is_optional(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "soundfile", "matplotlib", "sklearn", "onnxruntime", "ray")
    said = words()
    assert [name for name in ("live", "silero", "lab", "cluster") if said[name] != "optional"] == []
    assert [said[name] for name in ("fusion", "mic", "sentences")] == ["ok"] * 3
    assert found("cluster").remedy == "pip install 'affectstream[cluster]'"


def test_what_cannot_be_tried_yet_is_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "torch", "sounddevice")
    said = words()
    assert [said[name] for name in ("live", "fusion", "mic")] == ["missing"] * 3
    assert [said[name] for name in ("model", "PortAudio", "microphone")] == ["unknown"] * 3


def test_the_summary_is_well_unless_something_is_missing() -> None:
    well = [Finding("a", True, "here"), Finding("b", False, "not here", "get it", "optional")]
    assert doctor.summary_of(well) == {"ok": True, "a": True, "b": False, "missing": []}
    ill = [*well, Finding("c", False, "not here", "get it")]
    assert doctor.summary_of(ill) == {
        "ok": False, "a": True, "b": False, "c": False, "missing": ["c"]
    }  # fmt: skip


@pytest.mark.parametrize(("otherwise", "status"), [("missing", 1), ("optional", 0)])
def test_the_exit_status_is_1_if_something_is_missing(
    otherwise: Any, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = Finding("c", False, "not here", "get it", otherwise)
    monkeypatch.setattr(doctor, "examine", lambda *_: [finding])
    assert CliRunner().invoke(app, ["doctor"]).exit_code == status


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
    assert finding.label == ("ok" if ok else "missing" if choose() else "optional")
    assert ok or "alphacephei.com/vosk/models" in finding.remedy


def test_the_vosk_model_of_the_environment_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFECTSTREAM_VOSK_MODEL", str(tiny_vosk_model()))
    assert found("Vosk model").ok


def test_a_remedy_with_brackets_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    doctor.show_findings(
        [Finding("mic", False, "vosk not installed", "pip install 'affectstream[mic]'")]
    )
    assert "pip install 'affectstream[mic]'" in capsys.readouterr().err
