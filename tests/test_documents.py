"""README and docs: every link, path, command and option in them exists."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from affectstream.commands.app import app
from affectstream_tools.commands.app import lab
from command_lines import ROOT

PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "models" / "affectstream_models" / "pretrained" / "MODEL_CARD.md",
]
PACKAGES = [
    ROOT / "realtime" / "affectstream",
    ROOT / "models" / "affectstream_models",
    ROOT / "tools" / "affectstream_tools",
]
COMMANDS: dict[str, Any] = {"affectstream": get_command(app), "affectstream-lab": get_command(lab)}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"[\w./-]+\.(?:py|md)")
DOTTED = re.compile(r"(?:affectstream(?:_models|_tools)?\.)?[a-z_]\w*(?:\.\w+)+")


def slug(heading: str) -> str:
    """Return the fragment that GitHub makes of a heading."""
    words = re.sub(r"[`*]", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def fragments(page: Path) -> set[str]:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    return {slug(found) for found in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith(("https://", "http://")):
            continue
        name, _, fragment = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        if fragment:
            assert fragment in fragments(target), f"{page.name}: {link}"


def spans(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    yield from CODE.findall(BLOCK.sub("", text))


def exists(path: str, page: Path) -> bool:
    """Return whether a file is where the page says, or, if it says only its name, anywhere."""
    roots = [ROOT, page.parent, *PACKAGES]
    if any((root / path).exists() for root in roots):
        return True
    tops = ("realtime", "models", "tools", "tests", "docs", "examples")
    return "/" not in path and any(next((ROOT / top).rglob(path), None) for top in tops)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    typed = [word for line in lines_of_blocks(page) for word in line.split()]
    tests = [word for word in typed if word.startswith("tests/")]
    for name in [span for span in spans(page) if FILE.fullmatch(span)] + tests:
        assert exists(name, page), f"{page.name}: {name}"


def imported(name: str) -> bool:
    """Return whether a dotted name is a module, or something in one."""
    module, _, attribute = name.rpartition(".")
    with suppress(ModuleNotFoundError):
        if find_spec(name) is not None:
            return True
    return bool(module) and find_spec(module) is not None and hasattr(
        import_module(module), attribute
    )  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_that_a_page_names_can_be_imported(page: Path) -> None:
    rooms = {path.stem for path in PACKAGES[0].iterdir()}
    for span in spans(page):
        if DOTTED.fullmatch(span) and not FILE.fullmatch(span):
            first = span.split(".")[0]
            if first.startswith("affectstream"):
                assert imported(span), f"{page.name}: {span}"
            elif first in rooms:
                assert imported(f"affectstream.{span}"), f"{page.name}: {span}"
    for line in lines_of_blocks(page):
        if found := re.match(r"from (affectstream[\w.]*) import (.+)$", line):
            for name in found[2].split(", "):
                assert imported(f"{found[1]}.{name}"), f"{page.name}: {line}"


def lines_of_blocks(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [line for block in BLOCK.findall(text) for line in block.splitlines()]


def command_lines(page: Path) -> Iterator[str]:
    """Yield what a page tells to type, without what a shell makes of it."""
    for line in (*spans(page), *lines_of_blocks(page)):
        line = re.sub(r"\s+#.*$", "", re.sub(r"^\w*\$ ", "", line.strip()))
        line = re.split(r" \\?\| | > | && ", line)[0]
        if line.split(" ")[0] in COMMANDS:
            yield line


def check(line: str) -> None:
    """Look a command line's commands and options up."""
    name, *words = shlex.split(line)
    command = COMMANDS[name]
    while words and (subcommands := getattr(command, "commands", None)) is not None:
        word = words.pop(0)
        if word.isupper():  # a placeholder, such as COMMAND
            return
        if not word.startswith("-"):
            assert word in subcommands, f"there is no command {word!r}: {line}"
            command = subcommands[word]
        else:
            words.insert(0, word)
            break
    known = {opt for p in command.params for opt in (*p.opts, *p.secondary_opts)} | {"--help"}
    for word in words:
        if word.startswith("--"):
            assert word.partition("=")[0] in known, f"there is no option {word!r}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_shows_can_be_typed(page: Path) -> None:
    for line in command_lines(page):
        check(line)


@pytest.mark.parametrize("line", ["affectstream demon", "affectstream demo --mike",
                                  "affectstream-lab bench speed"])  # fmt: skip
def test_a_command_that_is_not_there_is_found(line: str) -> None:
    with pytest.raises(AssertionError, match="there is no"):
        check(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_extra_that_a_page_names_can_be_installed(page: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = page.read_text(encoding="utf-8")
    for extras in re.findall(r"(?:'\.|affectstream)\[([\w,]+)\]", text):
        assert set(extras.split(",")) <= set(project["optional-dependencies"]), page.name


def test_the_front_page_is_short_and_begins_with_a_picture() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 250
    assert any(line.startswith("![") for line in lines[:15])
