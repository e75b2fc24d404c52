"""Supervised processes: real ones, which are killed, suspended, and started again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from affectstream.bus import Hub
from affectstream.core.restart_policy import RestartPolicy
from affectstream.run.processes import ProcessError, free_address
from affectstream.run.supervisor import SupervisedProcesses
from command_lines import wait_until

S = 1_000_000_000
QUICK = RestartPolicy(first_wait_ns=S // 20, silent_ns=3 * S)


@pytest.fixture
def workers() -> Iterator[SupervisedProcesses]:
    with SupervisedProcesses(QUICK) as processes:
        yield processes


def start_hub(workers: SupervisedProcesses, name: str = "hub", **options: object) -> str:
    address = free_address()
    workers.start(name, "hub", "--address", address, **options)  # type: ignore[arg-type]
    wait_until(lambda: runs(workers, name), "its start")
    return address


def runs(workers: SupervisedProcesses, name: str = "hub", restarts: int = 0) -> bool:
    workers.check()
    worker = next(worker for worker in workers.workers if worker.name == name)
    return worker.state == "running" and worker.restarts == restarts


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_is_killed_or_suspended_is_started_again(
    workers: SupervisedProcesses, number: int
) -> None:
    address = start_hub(workers)
    before = workers.pids["hub"]
    os.kill(before, number)
    wait_until(lambda: runs(workers, restarts=1), "its second life")
    assert workers.pids["hub"] != before
    assert not Path(f"/proc/{before}").exists()
    workers.wait_for_hub(address)
    why = "was silent for 3 s" if number == signal.SIGSTOP else "it was ended by SIGKILL"
    assert workers.warnings() == [f"hub: {why}; it is started again in 0.05 s"]


def test_a_worker_that_ends_well_is_not_started_again(workers: SupervisedProcesses) -> None:
    start_hub(workers)
    os.kill(workers.pids["hub"], signal.SIGTERM)
    wait_until(lambda: not runs(workers) and workers.workers[0].over)
    assert (workers.workers[0].state, workers.warnings()) == ("ended", [])


def test_a_worker_that_flaps_is_given_up_and_the_others_go_on(
    workers: SupervisedProcesses,
) -> None:
    address = start_hub(workers)
    workers.start("second", "hub", "--address", address, policy=replace(QUICK, failures=2))
    wait_until(lambda: runs(workers) and workers.workers[1].over, "its end")
    said = workers.warnings()
    assert said[-1].startswith("second failed 2 × within 60 s and is given up; the last time: ")
    assert said[-1].endswith("choose another --address")
    assert workers.running() == ["hub"]


def test_a_run_ends_with_an_essential_worker(workers: SupervisedProcesses) -> None:
    with Hub(free_address()) as hub:
        policy = replace(QUICK, essential=True, failures=1)
        workers.start("second", "hub", "--address", hub.address, policy=policy)
        with pytest.raises(ProcessError, match=r"^second failed 1 × .* in use; .*--address$"):
            wait_until(lambda: workers.check())


def test_a_worker_that_holds_too_much_memory_is_started_again(
    workers: SupervisedProcesses,
) -> None:
    address = free_address()
    policy = replace(QUICK, memory_mib=1.0, failures=1)
    workers.start("hub", "hub", "--address", address, policy=policy)
    wait_until(lambda: workers.check() or workers.workers[0].over, "its end")
    assert "MiB, and may hold 1" in workers.warnings()[-1]


def test_options_for_another_time_are_added_after_a_restart(
    workers: SupervisedProcesses,
) -> None:
    start_hub(workers, again=("--no-such-option",), policy=replace(QUICK, failures=2))
    os.kill(workers.pids["hub"], signal.SIGKILL)
    wait_until(lambda: workers.check() or workers.workers[0].over, "its end")
    assert "no-such-option" in " ".join(workers.warnings())


def test_one_that_was_ended_is_not_started_again_and_its_name_is_free(
    workers: SupervisedProcesses,
) -> None:
    start_hub(workers)
    with pytest.raises(ProcessError, match="a worker hub already"):
        workers.start("hub", "hub")
    first = workers.pids["hub"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: runs(workers, restarts=1), "its second life")
    workers.end(first)  # by the id of its first life
    workers.check()
    assert workers.workers == workers.running() == []
    start_hub(workers)


def test_stopping_is_soon_and_for_good(workers: SupervisedProcesses) -> None:
    start_hub(workers, "one")
    start_hub(workers, "other")
    os.kill(workers.pids["one"], signal.SIGKILL)
    os.kill(workers.pids["other"], signal.SIGSTOP)
    workers.check()
    began = time.monotonic()
    workers.stop()
    assert time.monotonic() - began < 4.0  # two seconds are promised
    workers.check()
    assert workers.running() == []
