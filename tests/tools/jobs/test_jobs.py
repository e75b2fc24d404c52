"""Jobs: each in a process of its own, kept, resumed, and failing alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from affectstream_tools.jobs.job_process import JobError, execute, machine
from affectstream_tools.jobs.jobs import Job, JobsError, read_outcome, run_jobs

TASKS = """
import os, threading
from pathlib import Path

def count(log, value):
    with Path(log).open("a") as lines:
        lines.write(f"{value}\\n")
    print("what a job prints is no answer")
    return {"value": value, "pid": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"]}

def hold(mib):
    return {"held": len(bytearray(mib * 1024 * 1024))}

def fail(why):
    raise ValueError(why)

def die():
    os.kill(os.getpid(), 9)

def wait(fifo, log):
    if Path(log).read_text().count("waiting"):
        return {"waited": True}
    with Path(log).open("a") as lines:
        lines.write("waiting\\n")
    with open(fifo, "w"):
        threading.Event().wait()
"""


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose module ``lab_tasks`` every job's process can import."""
    (tmp_path / "lab_tasks.py").write_text(TASKS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path


def counting(folder: Path, count: int) -> list[Job]:
    log = str(folder / "log")
    return [
        Job(f"a.b/{value}", "lab_tasks:count", {"log": log, "value": value})
        for value in range(count)
    ]


def logged(folder: Path) -> list[str]:
    return sorted((folder / "log").read_text().split())


def test_each_job_runs_once_in_a_process_of_its_own(tasks: Path) -> None:
    done: list[str] = []
    found = run_jobs(counting(tasks, 3), tasks / "out", on_done=lambda job: done.append(job.name))
    assert list(found) == ["a.b/0", "a.b/1", "a.b/2"]
    assert [outcome.result["value"] for outcome in found.values()] == [0, 1, 2]
    assert len({outcome.result["pid"] for outcome in found.values()} | {os.getpid()}) == 4
    assert {outcome.result["threads"] for outcome in found.values()} == {"1"}
    assert sorted(done) == list(found)
    assert str(os.cpu_count()) in found["a.b/0"].machine


def test_a_second_run_reads_what_the_first_kept(tasks: Path) -> None:
    first = run_jobs(counting(tasks, 2), tasks / "out")
    second = run_jobs(counting(tasks, 3), tasks / "out")
    assert {name: second[name] for name in first} == first
    assert logged(tasks) == ["0", "1", "2"]


def test_other_options_or_a_broken_file_are_run_again(tasks: Path) -> None:
    jobs = counting(tasks, 2)
    run_jobs(jobs, tasks / "out")
    (tasks / "out" / "a.b" / "0.json").write_text('{"job": {')
    changed = Job(jobs[1].name, jobs[1].task, {**jobs[1].options, "value": 7})
    found = run_jobs([jobs[0], changed], tasks / "out")
    assert logged(tasks) == ["0", "0", "1", "7"]
    assert found["a.b/1"].result["value"] == 7


def test_one_failure_is_named_and_does_not_stop_the_rest(tasks: Path) -> None:
    jobs = [
        Job("bad", "lab_tasks:fail", {"why": "no such label"}),
        Job("killed", "lab_tasks:die", {}),
        Job("missing", "lab_tasks:nothing", {}),
        *counting(tasks, 2),
    ]
    with pytest.raises(JobsError) as caught:
        run_jobs(jobs, tasks / "out")
    assert set(caught.value.failures) == {"bad", "killed", "missing"}
    assert "no such label" in caught.value.failures["bad"]
    assert "killed by signal 9" in caught.value.failures["killed"]
    assert set(caught.value.outcomes) == {"a.b/0", "a.b/1"}
    assert "Traceback" in (tasks / "out" / "bad.log").read_text()
    assert "3 of 5" in str(caught.value)
    mended = Job("bad", "lab_tasks:hold", {"mib": 1})
    run_jobs([mended, *counting(tasks, 2)], tasks / "out")
    assert logged(tasks) == ["0", "1"]
    assert not (tasks / "out" / "bad.log").exists()


def test_a_killed_run_takes_its_job_with_it_and_is_resumed(tasks: Path) -> None:
    fifo = tasks / "fifo"
    os.mkfifo(fifo)
    waiting = Job("wait", "lab_tasks:wait", {"fifo": str(fifo), "log": str(tasks / "log")})
    jobs = [*counting(tasks, 1), waiting]
    listed = json.dumps([[job.name, job.task, dict(job.options)] for job in jobs])
    program = (
        "import json, sys; from pathlib import Path\n"
        "from affectstream_tools.jobs.jobs import Job, run_jobs\n"
        "jobs = [Job(*job) for job in json.loads(sys.argv[1])]\n"
        "run_jobs(jobs, Path(sys.argv[2]), workers=1)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, listed, str(tasks / "out")]) as run:
        with fifo.open() as held:  # opens when the second job is under way
            run.send_signal(signal.SIGKILL)
            assert held.read() == ""  # ends when nobody holds it: the job has gone too
    found = run_jobs(jobs, tasks / "out")
    assert found["wait"].result == {"waited": True}
    assert logged(tasks) == ["0", "waiting"]


def test_peak_memory_is_the_jobs_own(tasks: Path) -> None:
    ours = bytearray(300 * 1024 * 1024)
    ours[:: 1024 * 4] = b"x" * len(ours[:: 1024 * 4])  # resident, not only reserved
    small = execute("lab_tasks:hold", {"mib": 1})
    large = execute("lab_tasks:hold", {"mib": 100})
    assert small["peak_mib"] < 100
    assert 95 < large["peak_mib"] - small["peak_mib"] < 110
    assert large["result"] == {"held": 100 * 1024 * 1024}


def test_a_job_that_returns_no_dict_is_refused() -> None:
    with pytest.raises(JobError, match="returned int; a job returns a dict"):
        execute("builtins:int", {})


@pytest.mark.parametrize("name", ["", "/etc/x", "a/../../x"])
def test_a_name_stays_inside_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no name of a job"):
        run_jobs([Job(name, "builtins:dict", {})], tmp_path)


def test_two_jobs_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two jobs are named a"):
        run_jobs([Job("a", "builtins:dict", {}), Job("a", "builtins:dict", {"b": 1})], tmp_path)


def test_nothing_is_kept_of_a_job_never_run(tmp_path: Path) -> None:
    assert read_outcome(Job("a", "builtins:dict", {}), tmp_path) is None


def test_the_machine_is_named_with_the_gpu_that_torch_sees(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Cuda:
        is_available = staticmethod(lambda: True)
        get_device_name = staticmethod(lambda: "H200")

    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=Cuda))
    assert machine().startswith(f"{os.cpu_count()} x ")
    assert machine().endswith(", GPU H200")
    monkeypatch.delitem(sys.modules, "torch")
    assert "GPU" not in machine()
