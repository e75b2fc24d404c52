"""Every example is run, beside a real node, as its docstring says."""

from __future__ import annotations

import ast
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_lines import DEADLINE_S, PYTHON, ROOT, no_traceback, node, started

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PUBLISHER = ROOT / "examples" / "publish_observation.py"
SUBSCRIBERS = [path for path in EXAMPLES if path != PUBLISHER]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with node() as running:
        yield running


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_how_to_run_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 40
    said = ast.get_docstring(ast.parse(text)) or ""
    assert "affectstream demo --address tcp://127.0.0.1:5570" in said
    assert f"python examples/{path.name}" in said


def test_the_plain_subscriber_needs_only_the_wire() -> None:
    text = (ROOT / "examples" / "subscribe_plain.py").read_text(encoding="utf-8")
    imports = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imports for alias in node.names}
    assert names == {"sys", "msgpack", "zmq"}


@pytest.mark.parametrize("path", SUBSCRIBERS, ids=lambda path: path.stem)
def test_an_example_shows_what_the_publishing_example_publishes(path: Path, address: str) -> None:
    end = time.monotonic() + DEADLINE_S
    with started(*PYTHON, str(path), address) as subscriber:
        while subscriber.poll() is None:  # the first utterance may come before it has connected
            assert time.monotonic() < end, "the example did not end"
            publisher = subprocess.run(
                [*PYTHON, str(PUBLISHER), address],
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
                check=True,
            )
            assert publisher.stderr == ""
        out, err = subscriber.communicate(timeout=DEADLINE_S)
    assert subscriber.returncode == 0, err
    no_traceback(err)
    assert "anna" in out
    assert "happiness" in out
