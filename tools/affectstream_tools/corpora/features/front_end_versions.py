"""The version of a front end: a digest of its source and of the source of all that it imports.

Features that were extracted by another version are extracted again. A version number raised by hand
would be forgotten at times. A digest never is; its price is that a changed comment costs an
extraction too.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_PACKAGE = "affectstream.features"
_RECIPE = 1
"""To be raised when ``extraction`` feeds the front ends, or treats their rows, in another way."""

_MODULES = {
    "egemaps47": ("egemaps.front_end", "egemaps.statistics"),
    "tripathi34": ("tripathi34",),
    "woellmer": ("woellmer",),
    "functionals-voice": ("woellmer", "functionals"),
    "mocap": ("mocap",),
    "face-markers": ("face_markers",),
    "functionals-face": ("face_markers", "functionals"),
}


@cache
def front_end_version(name: str) -> str:
    """Return 16 hexadecimal digits for one of ``extraction.FRONT_ENDS``."""
    sources: dict[str, bytes] = {}
    waiting = [f"{_PACKAGE}.{module}" for module in _MODULES[name]]
    while waiting:
        module = waiting.pop()
        if module not in sources:
            spec = find_spec(module)
            assert spec is not None
            assert spec.origin is not None
            sources[module] = Path(spec.origin).read_bytes()
            waiting += _imported(sources[module])
    digest = hashlib.sha256(f"{_RECIPE} {name}".encode())
    for module in sorted(sources):
        digest.update(sources[module])
    return digest.hexdigest()[:16]


def _imported(source: bytes) -> Iterator[str]:
    """Yield the modules of the package that a module imports."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        if node.module == _PACKAGE or node.module.startswith(f"{_PACKAGE}."):
            named = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if _is_module(name) else node.module for name in named)


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # what it would lie in is a module, not a package
        return False
