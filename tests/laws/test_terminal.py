"""Whatever is printed goes the one way that keeps strangers' words from commanding a terminal."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
REALTIME = ROOT / "realtime" / "affectstream"

WAYS = {"show/lines.py", "show/console.py", "commands/entry.py"}
"""The modules that write to a terminal or set up a log."""
OTHERS = {
    "commands/analyze.py": {"sys.stdout"},  # csv, whose cells are made printable there
    "commands/app.py": {"sys.stdout"},  # asked whether it is a terminal
}
"""What other modules may mention, and why."""
FORBIDDEN = {
    *("print", "typer.echo", "typer.secho", "click.echo", "Console", "rich.print"),
    *("sys.stdout", "sys.stderr", "logging.StreamHandler", "logging.basicConfig"),
}


def mentioned(path: Path) -> set[str]:
    """Return the names of ``FORBIDDEN`` that a module uses, but for annotations."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    used |= {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return used & FORBIDDEN


def test_every_module_prints_by_lines_or_console() -> None:
    found = {}
    for path in REALTIME.rglob("*.py"):
        name = path.relative_to(REALTIME).as_posix()
        strange = mentioned(path) - OTHERS.get(name, set())
        if strange and name not in WAYS:
            found[name] = strange
    assert not found
