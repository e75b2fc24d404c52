"""The import law: imports run one way, optional libraries are imported in one place each."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REALTIME = ROOT / "realtime" / "affectstream"
MODELS = ROOT / "models" / "affectstream_models"
TOOLS = ROOT / "tools" / "affectstream_tools"

LAYERS = ["errors", "timebase", "messages", "codec", "core", "security", "bus", "leash", "runner"]
"""Lowest first; ``features`` stands beside them, and everything else above, under the programs."""

PROGRAMS = {"cli", "__main__", "demo"}
IMPURE = {"zmq", "torch", "threading", "time", "datetime", "asyncio", "socket", "sched", "random"}
IMPURE |= {"multiprocessing", "subprocess", "select", "signal", "concurrent", "queue"}
OPTIONAL = {"sounddevice", "webrtcvad", "vosk", "soxr", "soundfile", "safetensors"}
OPTIONAL |= {"onnxruntime", "silero_vad"}


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py"))


def dotted(path: Path) -> str:
    for root in (REALTIME.parent, MODELS.parent, TOOLS.parent):
        if path.is_relative_to(root):
            return ".".join(path.relative_to(root).with_suffix("").parts)
    raise AssertionError(path)


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted name of everything that ``path`` imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def part(name: str) -> str | None:
    """Return which part of ``affectstream`` a dotted name lies in."""
    first, _, rest = name.partition(".")
    return rest.partition(".")[0] if first == "affectstream" and rest else None


def identify(path: Path) -> str:
    return dotted(path)


ALL_REALTIME = modules(REALTIME)
CORE = modules(REALTIME / "core")


@pytest.mark.parametrize("path", ALL_REALTIME, ids=identify)
def test_imports_run_one_way(path: Path) -> None:
    mine = part(dotted(path)) or ""
    if mine == "__init__":
        return  # the surface names what lies below
    for name in imports(path):
        other = part(name)
        if other is None or other == mine:
            continue
        assert other not in PROGRAMS or mine in PROGRAMS, f"{mine} imports the program {other}"
        if mine in LAYERS:
            if mine == "core" and other == "features":
                continue
            assert other in LAYERS, f"{mine} imports {other}, which lies above"
            assert LAYERS.index(other) < LAYERS.index(mine), f"{mine} imports {other}"


@pytest.mark.parametrize("path", CORE, ids=identify)
def test_the_core_is_pure(path: Path) -> None:
    assert not tops(path) & IMPURE
    assert "affectstream.timebase.WallClock" not in set(imports(path))


def test_features_need_only_numpy_and_time() -> None:
    names = [name for path in modules(REALTIME / "features") for name in imports(path)]
    for name in names:
        top = name.partition(".")[0]
        if top == "affectstream":
            assert part(name) in {"features", "timebase"}, name
        else:
            assert top == "numpy" or top in sys.stdlib_module_names, name


@pytest.mark.parametrize("path", modules(MODELS), ids=identify)
def test_models_import_nothing_of_the_rest(path: Path) -> None:
    assert not tops(path) & {"affectstream", "affectstream_tools"}


@pytest.mark.parametrize("path", ALL_REALTIME, ids=identify)
def test_the_realtime_part_does_not_need_the_tools(path: Path) -> None:
    assert "affectstream_tools" not in tops(path)


@pytest.mark.parametrize("library", sorted(OPTIONAL))
def test_an_optional_library_is_imported_in_one_module_at_most(library: str) -> None:
    users = [dotted(path) for path in ALL_REALTIME if library in tops(path)]
    assert len(users) <= 1, users


@pytest.mark.parametrize("library", ["torch", "affectstream_models"])
def test_networks_stay_on_the_side_of_the_fusion_node(library: str) -> None:
    users = {part(dotted(path)) or "" for path in ALL_REALTIME if library in tops(path)}
    assert not users & {*LAYERS, "features", "sources", "client", "journal", "recording"}, users
    assert len(users) <= 2, users


def light_modules() -> list[str]:
    """What a worker or a program that only subscribes imports."""
    below = [path for path in ALL_REALTIME if (part(dotted(path)) or "") in LAYERS]
    workers = modules(REALTIME / "sources") + modules(REALTIME / "features")
    return sorted({dotted(path).removesuffix(".__init__") for path in below + workers})


def test_workers_and_readers_start_without_torch_or_any_optional_library() -> None:
    heavy = sorted(OPTIONAL | {"torch", "scipy", "pandas", "sklearn"})
    program = (
        "import importlib, sys\n"
        f"for name in {light_modules()!r}:\n"
        "    importlib.import_module(name)\n"
        f"loaded = sorted(set(sys.modules) & set({heavy!r}))\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
