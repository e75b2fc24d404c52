"""Imports run one way, as pyproject.toml declares; and what starts often starts light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REALTIME = ROOT / "realtime" / "affectstream"

LIGHT = ("errors", "timebase", "messages", "codec", "client", "core", "bus", "run")
LIGHT += ("sources", "features")
"""What a worker, or a program that only subscribes, imports."""

HEAVY = {"torch", "scipy", "pandas", "sklearn", "sounddevice", "webrtcvad", "vosk", "soxr"}
HEAVY |= {"soundfile", "safetensors", "onnxruntime", "silero_vad"}


def test_the_contracts_between_rooms_are_kept() -> None:
    pytest.importorskip("importlinter", reason="needs import-linter (the extra dev)")
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", program, "--no-cache"]
    checked = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def light_modules() -> list[str]:
    """The modules of the rooms in ``LIGHT``."""
    paths = [path for room in LIGHT for path in (REALTIME / room).rglob("*.py")]
    paths += [REALTIME / f"{room}.py" for room in LIGHT if (REALTIME / f"{room}.py").exists()]
    names = [".".join(p.relative_to(REALTIME.parent).with_suffix("").parts) for p in paths]
    return sorted({name.removesuffix(".__init__") for name in names})


def test_workers_and_readers_start_without_torch_or_any_optional_library() -> None:
    names = light_modules()
    assert "affectstream.bus.inlet" in names
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        f"loaded = sorted(set(sys.modules) & set({sorted(HEAVY)!r}))\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
