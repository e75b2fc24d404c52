"""Measures the source: sizes by folder, circles of imports, and public names defined twice.

It parses the files and imports none of them. Every ``import`` statement counts, those inside
functions and under ``TYPE_CHECKING`` too.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

PACKAGES = ("affectstream", "affectstream_models", "affectstream_tools")

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class FolderSize:
    """The size of one folder, without its subfolders.

    Attributes:
        files: how many files hold more than a docstring.
        median_lines: lines of those files, the median.
        longest_file, longest_file_lines: the longest of them.
        longest_function, longest_function_lines: counted from ``def`` to the last line; a method
            is named ``Class.method``; an empty name and 0 where there is no function.
    """

    folder: str
    files: int
    median_lines: float
    longest_file: str
    longest_file_lines: int
    longest_function: str
    longest_function_lines: int


@dataclass(frozen=True, slots=True)
class House:
    """What was measured.

    Attributes:
        folders: by name.
        circles: sets of modules that import each other, directly or by way of others.
        doubled: public names (classes, functions, constants, type aliases) that several modules
            define, and those modules. A name that is only imported is not defined.
    """

    folders: list[FolderSize]
    circles: list[list[str]]
    doubled: dict[str, list[str]]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Module:
    name: str
    folder: str
    file: str
    lines: int
    tree: ast.Module


def measure_house() -> House:
    """Parse all files of ``PACKAGES`` and return what was measured."""
    modules = [module for name in PACKAGES for module in _modules(name)]
    return House(_folder_sizes(modules), _circles(_imports(modules)), _doubled(modules))


def _modules(package: str) -> Iterator[_Module]:
    spec = find_spec(package)
    for root in map(Path, (spec and spec.submodule_search_locations) or ()):
        for path in sorted(root.rglob("*.py")):
            folder = ".".join((package, *path.parent.relative_to(root).parts))
            name = folder if path.stem == "__init__" else f"{folder}.{path.stem}"
            text = path.read_text(encoding="utf-8")
            yield _Module(name, folder, path.name, len(text.splitlines()), ast.parse(text))


def _folder_sizes(modules: Iterable[_Module]) -> list[FolderSize]:
    by_folder: dict[str, list[_Module]] = defaultdict(list)
    for module in modules:
        if module.tree.body[ast.get_docstring(module.tree) is not None :]:
            by_folder[module.folder].append(module)
    sizes = []
    for folder, files in sorted(by_folder.items()):
        longest = max(files, key=lambda module: module.lines)
        functions = [found for module in files for found in _functions(module.tree)]
        lines, function = max(functions, default=(0, ""))
        sizes.append(
            FolderSize(
                folder=folder,
                files=len(files),
                median_lines=median(module.lines for module in files),
                longest_file=longest.file,
                longest_file_lines=longest.lines,
                longest_function=function,
                longest_function_lines=lines,
            )
        )
    return sizes


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[int, str]]:
    """Yield the lines and the name of every function, those inside others included."""
    for node in ast.iter_child_nodes(tree):
        name = f"{prefix}{node.name}" if isinstance(node, _Function | ast.ClassDef) else ""
        if isinstance(node, _Function):
            yield (node.end_lineno or node.lineno) - node.lineno + 1, name
        yield from _functions(node, f"{name}." if name else prefix)


def _imports(modules: Iterable[_Module]) -> dict[str, set[str]]:
    """Return which of the modules each of them imports."""
    trees = {module.name: module.tree for module in modules}
    found: dict[str, set[str]] = {}
    for name, tree in trees.items():
        named: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                named.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    named.add(inner if inner in trees else node.module)
        found[name] = (named & trees.keys()) - {name}
    return found


def _circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    reached = {name: _reached(name, imports) for name in imports}
    circles = {
        frozenset(other for other in reached[name] if name in reached[other])
        for name in imports
        if name in reached[name]
    }
    return sorted(sorted(circle) for circle in circles)


def _reached(start: str, imports: Mapping[str, set[str]]) -> set[str]:
    """Return what ``start`` imports, directly or by way of others."""
    reached: set[str] = set()
    waiting = [*imports[start]]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += imports[name]
    return reached


def _doubled(modules: Iterable[_Module]) -> dict[str, list[str]]:
    places: dict[str, set[str]] = defaultdict(set)
    for module in modules:
        for name in _defined(module.tree.body):
            if not name.startswith("_"):
                places[name].add(module.name)
    return {name: sorted(found) for name, found in sorted(places.items()) if len(found) > 1}


def _defined(statements: Iterable[ast.stmt]) -> Iterator[str]:
    """Yield the names that module-level statements define, those under ``if`` and ``try`` too."""
    for statement in statements:
        if isinstance(statement, _Function | ast.ClassDef):
            yield statement.name
        elif isinstance(statement, ast.Assign):
            yield from (name for target in statement.targets for name in _names(target))
        elif isinstance(statement, ast.AnnAssign):
            yield from _names(statement.target)
        elif type(statement).__name__ == "TypeAlias":  # ``type Name = ...``, from Python 3.12
            yield from _names(statement.name)  # type: ignore[attr-defined]
        elif isinstance(statement, ast.If | ast.Try):
            for block in (statement, *getattr(statement, "handlers", ())):
                yield from _defined(block.body)
            yield from _defined(statement.orelse)


def _names(target: ast.expr) -> Iterator[str]:
    """Yield the names that an assignment binds; ``a.b = ...`` and ``a[b] = ...`` bind none."""
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, ast.Tuple | ast.List):
        for each in target.elts:
            yield from _names(each)
