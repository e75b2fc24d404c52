"""`affectstream run`, whole: real workers, killed and suspended, and signals at any moment."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from affectstream.bus import Hub
from affectstream.commands.run import DeploymentView, duration
from affectstream.core.restart_policy import RestartPolicy
from affectstream.data import demo_folder
from affectstream.run.processes import free_address
from affectstream.run.supervisor import SupervisedProcesses
from command_lines import DEADLINE_S, mentions, no_traceback, run, started, wait_until

SOON_S = 4.0
"""Two seconds are promised; two busy cores are allowed as many again."""
RUN = (sys.executable, "-u", "-m", "affectstream", "run")


def written(folder: Path, more: str = "", silent_s: float = 10) -> tuple[str, str]:
    """Write a deployment of a hub and two faces; return its path and address."""
    address = free_address()
    faces = "".join(
        f'[[worker]]\nkind = "mocap"\nname = "{name}"\noptions = {{ paths = '
        f'["{demo_folder() / name}.csv"], speaker = "{name}" }}\n'
        for name in ("anna", "ben")
    )
    hub = '[[worker]]\nkind = "hub"\nname = "hub"\n'
    head = f'address = "{address}"\n[restart]\nsilent_s = {silent_s}\n'
    path = folder / "deployment.toml"
    path.write_text(head + hub + faces + more, encoding="utf-8")
    return str(path), address


def workers_of(address: str) -> list[int]:
    return mentions(f"--address={address}")


def said(process: subprocess.Popen[str], words: str) -> str:
    """Return the first line with ``words``."""
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"it ended before it said {words!r}")


def test_workers_that_are_killed_or_hang_are_started_again(tmp_path: Path) -> None:
    path, address = written(tmp_path, silent_s=3)
    with started(*RUN, path) as process:
        hub = int(said(process, "hub: starting").split()[-1])
        face = int(said(process, "anna: starting").split()[-1])
        said(process, "anna: running")
        os.kill(face, signal.SIGKILL)
        said(process, "anna: it was ended by SIGKILL; it is started again in 0.25 s")
        said(process, "anna: running")
        assert any(b"--resume" in command(pid) for pid in workers_of(address))
        os.kill(hub, signal.SIGSTOP)
        said(process, "hub: was silent for 3 s; it is started again in 0.25 s")
        said(process, "hub: running")
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        _, err = process.communicate(timeout=DEADLINE_S)
        assert time.monotonic() - began < SOON_S
    assert (process.returncode, err) == (0, "")
    assert not workers_of(address)


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("seed", range(4))
def test_sigterm_at_any_moment_leaves_nothing_behind(tmp_path: Path, seed: int) -> None:
    path, address = written(tmp_path)
    with started(*RUN, path, "--json") as process:
        time.sleep(random.Random(seed).uniform(0.0, 3.0))
        process.terminate()
        began = time.monotonic()
        out, err = process.communicate(timeout=DEADLINE_S)
        assert time.monotonic() - began < SOON_S
    no_traceback(err)
    assert process.returncode in (0, -signal.SIGTERM)  # the latter before it had begun to run
    assert not out or json.loads(out)["ended"] == "stopped"
    wait_until(lambda: not workers_of(address), "the workers' end", SOON_S)


def test_when_the_supervisor_is_killed_the_workers_end_by_themselves(tmp_path: Path) -> None:
    path, address = written(tmp_path)
    with started(*RUN, path) as process:
        said(process, "ben: running")
        process.kill()
        wait_until(lambda: not workers_of(address), "the workers' end", SOON_S)


def test_nobody_is_killed_because_the_supervisor_was_suspended(tmp_path: Path) -> None:
    path, address = written(tmp_path, silent_s=3)
    with started(*RUN, path) as process:
        said(process, "ben: running")
        living = workers_of(address)
        process.send_signal(signal.SIGSTOP)
        for pid in living:
            os.kill(pid, signal.SIGSTOP)  # they were away too
        time.sleep(4)  # longer than anybody may be silent
        for pid in living:
            os.kill(pid, signal.SIGCONT)
        process.send_signal(signal.SIGCONT)
        time.sleep(1)
        assert workers_of(address) == living
        process.terminate()
        out, _ = process.communicate(timeout=DEADLINE_S)
    assert "started again" not in out


def test_a_run_whose_node_is_given_up_ends_with_one_sentence(tmp_path: Path) -> None:
    more = '[[worker]]\nkind = "fusion"\nname = "node"\nrestart = { failures = 1 }\n'
    path, address = written(tmp_path, more + 'options = { look-ahead = "none" }\n')
    done = run("run", path, "--json")
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("affectstream: node failed 1 × within 60 s and is given up; ")
    assert "'none' is no look-ahead" in last
    assert not workers_of(address)


def test_a_run_whose_workers_have_all_ended_is_over(tmp_path: Path) -> None:
    address = free_address()
    path = tmp_path / "d.toml"
    options = f'{{ paths = ["{demo_folder()}/ben.csv"], speed = "max" }}'
    text = f'address = "{address}"\n[[worker]]\nkind = "mocap"\nname = "b"\noptions = {options}\n'
    path.write_text(text, encoding="utf-8")
    with Hub(address):  # elsewhere, as far as the deployment knows
        done = run("run", str(path), "--json")
    assert done.returncode == 0, done.stderr
    summary = {"ended": "all workers have ended"}
    summary["workers"] = {"b": {"state": "ended", "restarts": 0}}  # type: ignore[assignment]
    assert json.loads(done.stdout) == summary


def test_a_check_starts_nothing(tmp_path: Path) -> None:
    path, address = written(tmp_path)
    done = run("run", path, "--check", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["workers"]["hub"] == ["hub", f"--address={address}"]
    assert f"hub: affectstream hub --address={address}" in done.stderr
    done = run("run", path, "--check", "--host", "elsewhere")  # the file names no hosts
    assert done.returncode == 0


def test_a_mistake_in_the_file_is_one_sentence() -> None:
    done = run("run", "/nowhere.toml")
    assert (done.returncode, done.stdout) == (1, "")
    words = "affectstream: /nowhere.toml: does not exist; name a deployment's TOML file\n"
    assert done.stderr == words


@pytest.mark.parametrize("width", [60, 120])
def test_the_picture_has_every_worker_and_what_was_said(width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, width=width, height=30, force_terminal=True, color_system=None)
    with SupervisedProcesses(RestartPolicy(failures=1)) as workers:
        workers.start("a worker", "hub", "--address", "nonsense")
        view = DeploymentView(console, "d.toml", workers)
        wait_until(lambda: workers.check() or workers.workers[0].over)
        view.show()
        console.print(view.render())
    picture = out.getvalue()
    assert "a worker" in picture
    assert "given up" in picture
    assert "a worker failed 1" in picture
    assert max(map(len, picture.splitlines())) <= width


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (3_599, "59 min"), (7_200, "2 h"), (10 * 86_400, "10 d")],
)
def test_a_duration_is_short(seconds: int, words: str) -> None:
    assert duration(seconds) == words
