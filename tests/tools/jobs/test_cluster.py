"""The same jobs as processes and as Ray tasks."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from affectstream.errors import AffectstreamError
from affectstream_tools.jobs.jobs import Job, run_jobs

PROGRAM = """
import sys
from pathlib import Path
from affectstream_tools.jobs.jobs import Job, JobsError, run_jobs
jobs = [Job(f"a/{n}", "cluster_tasks:draw", {"seed": n}) for n in range(3)]
jobs.append(Job("a/bad", "cluster_tasks:draw", {"seed": "x"}))
for cluster in (False, True):
    folder = Path(sys.argv[1]) / str(cluster)
    try:
        run_jobs(jobs, folder, cluster=cluster)
    except JobsError as error:
        print(sorted(error.outcomes), error.failures)
        print([outcome.result for outcome in error.outcomes.values()])
"""
TASKS = """
import random

def draw(seed):
    if isinstance(seed, str):
        raise ValueError("a seed is a number")
    return {"drawn": random.Random(seed).random()}
"""


def test_processes_and_ray_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs the extra `cluster`")
    (tmp_path / "cluster_tasks.py").write_text(TASKS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    # In a process of its own: Ray leaves sockets and threads to the interpreter's end.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert lines[:2] == lines[2:]
    assert lines[0] == "['a/0', 'a/1', 'a/2'] {'a/bad': 'ValueError: a seed is a number'}"
    assert (tmp_path / "True" / "a" / "bad.log").exists()


def test_a_cluster_without_ray_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(AffectstreamError, match=r"pip install 'affectstream\[cluster\]'"):
        run_jobs([Job("a", "builtins:dict", {})], tmp_path, cluster=True)


def test_a_cluster_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away:
        @staticmethod
        def init(**options: object) -> None:
            raise ConnectionError("nobody listens")

    monkeypatch.setitem(sys.modules, "ray", Away)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(
        AffectstreamError, match=r"10\.0\.0\.1:6379 \(nobody listens\); check RAY_ADDRESS"
    ):
        run_jobs([Job("a", "builtins:dict", {})], tmp_path, cluster=True)


def test_ray_is_imported_in_one_module() -> None:
    from affectstream_tools.jobs import jobs

    tools = Path(jobs.__file__).parents[1]
    users = [path.name for path in tools.rglob("*.py") if _imports_ray(path)]
    assert users == ["jobs.py"]


def _imports_ray(path: Path) -> bool:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return "ray" in {
        name.partition(".")[0]
        for name in plain
        | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    }
