"""docs/architecture.md: every file, function and folder that it names is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from command_lines import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGES = [
    ROOT / "realtime" / "affectstream",
    ROOT / "models" / "affectstream_models",
    ROOT / "tools" / "affectstream_tools",
]
HOP = re.compile(r"^\| \d+ \| \[`(.+?)`\]\(.+?\) \| (.+?) \| .+ \|$", re.MULTILINE)
"""A step of a walk: number, file, functions, what happens."""


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def file_of(name: str) -> Path:
    """Return the file that the page calls ``name``: a path inside one of the packages."""
    found = [package / name for package in PACKAGES if (package / name).is_file()]
    assert len(found) == 1, f"{name} is {len(found)} files"
    return found[0]


@cache
def defined(path: Path) -> frozenset[str]:
    """Return the functions, classes and ``Class.method``s that a file defines."""

    def names(body: list[ast.stmt], above: str) -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield above + node.name
                yield from names(node.body, f"{above}{node.name}.")

    return frozenset(names(ast.parse(path.read_text(encoding="utf-8")).body, ""))


def hops(walk: str) -> list[tuple[str, list[str]]]:
    """Return a walk's steps: the file of each, and the functions named beside it."""
    return [
        (file, re.findall(r"`([\w.]+)`", functions))
        for file, functions in HOP.findall(section(walk))
    ]


def missing(file: str, functions: list[str]) -> list[str]:
    return [name for name in functions if name not in defined(file_of(file))]


@pytest.mark.parametrize("walk", ["A block of sound", "A training example"])
def test_every_function_of_a_walk_is_in_its_file(walk: str) -> None:
    steps = hops(walk)
    assert len(steps) >= 8
    for file, functions in steps:
        assert functions, file
        assert not missing(file, functions), file


def test_a_function_that_is_not_there_is_found() -> None:
    assert missing("codec.py", ["encode", "encrypt", "Codec.encode"]) == ["encrypt", "Codec.encode"]
    with pytest.raises(AssertionError, match="0 files"):
        missing("codecs.py", ["encode"])


def tree() -> Iterator[tuple[Path, str]]:
    """Yield the folders of the page's tree, and what it says of each."""
    above: list[Path] = [ROOT]
    for line in section("Rooms").split("```\n")[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name, _, words = line.strip().partition(" ")
        above = [*above[: depth + 1], above[depth] / name]
        yield above[-1], words.strip()


def test_every_folder_of_the_tree_is_there_and_every_folder_is_in_the_tree() -> None:
    named = {path for path, _ in tree()}
    for path in named:
        assert path.is_dir(), path
    there = {path.parent for package in PACKAGES for path in package.rglob("*.py")}
    assert there <= named


def test_every_folder_of_the_tree_is_described_in_a_line() -> None:
    for path, words in tree():
        assert 10 <= len(words) <= 90, path


def test_a_change_touches_at_most_three_files_which_are_there() -> None:
    changes = section("Three changes a newcomer might want").split("\n### ")[1:]
    assert len(changes) == 3
    for change in changes:
        rows = re.findall(r"^\| (.+?) \| .+ \|$", change, re.MULTILINE)[2:]
        assert 1 <= len(rows) <= 3, change
        for row in rows:
            if "a new file" not in row:
                assert (ROOT / row.strip("`")).exists() or file_of(row.strip("`")), row
