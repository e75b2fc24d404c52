"""Processes of a run: started together, stopped together, none left behind however it ends."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from affectstream.bus import Hub, measure_clock_offset
from affectstream.run import processes as processes_module
from affectstream.run.processes import MAX_WORDS, Child, ProcessError, Processes, free_address
from command_lines import DEADLINE_S, mentions, run, started, wait_until
from hostile import HOSTILE

SOON_S = 4.0
"""Two seconds are promised; two busy cores are allowed as many again."""

PARENT = """
import sys, time
from affectstream.run.processes import Processes
with Processes() as processes:
    processes.start("hub", "hub", "--address", sys.argv[1])
    processes.wait_for_hub(sys.argv[1])
    print("ready", flush=True)
    time.sleep(600)
"""


def test_children_stop_together_within_bounded_time() -> None:
    addresses = [free_address(), free_address()]
    with Processes() as processes:
        for address in addresses:
            processes.start(f"hub {address}", "hub", "--address", address)
            processes.wait_for_hub(address)
        assert len(processes.running()) == 2
        assert all(1 < size < 400 for size in processes.memory_mib().values())
        began = time.monotonic()
        processes.stop()
        assert time.monotonic() - began < SOON_S
        assert processes.running() == []
    assert not any(mentions(address) for address in addresses)


def test_a_child_that_fails_is_named_with_its_own_last_words() -> None:
    address = free_address()
    with Hub(address), Processes() as processes:
        processes.start("second hub", "hub", "--address", address)
        with pytest.raises(ProcessError, match=r"^second hub: .* in use; .*--address$"):
            wait_until(lambda: processes.check())


def test_a_run_whose_child_fails_does_not_wait_for_the_hub() -> None:
    with Processes() as processes:
        processes.start("fusion", "fusion", "--checkpoint", "/nowhere.safetensors")
        with pytest.raises(ProcessError, match=r"^fusion: .*nowhere"):
            processes.wait_for_hub(free_address())


def test_waiting_for_a_hub_ends_when_told_to() -> None:
    with Processes() as processes:
        processes.wait_for_hub(free_address(), stopping=lambda: True)


def test_a_child_that_ignores_the_signal_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen
    deaf = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint(1, flush=True)\n"

    def popen(_command: list[str], **options: object) -> object:
        options["stdout"] = subprocess.PIPE
        return real([sys.executable, "-c", deaf + "time.sleep(600)"], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", popen)
    with Processes() as processes:
        pid = processes.start("deaf")
        child = processes._children[0].process
        assert child.stdout is not None
        assert child.stdout.readline()
        began = time.monotonic()
        processes.stop()
        assert time.monotonic() - began < SOON_S
        assert child.wait(DEADLINE_S) == -signal.SIGKILL
        assert not Path(f"/proc/{pid}").exists()
        child.stdout.close()


def test_one_that_the_system_buries_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes_module, "STOP_S", 0.0)
    monkeypatch.setattr(processes_module, "KILLED_S", 0.0)
    with Processes() as processes:
        pid = processes.start("hub", "hub", "--address", free_address())
        processes.stop()
    gc.collect()  # it would be a warning here
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "its end")


def test_a_child_that_is_suspended_ends_too() -> None:
    address = free_address()
    with Processes() as processes:
        pid = processes.start("hub", "hub", "--address", address)
        processes.wait_for_hub(address)
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        processes.stop()
        assert time.monotonic() - began < SOON_S
        assert not Path(f"/proc/{pid}").exists()


def test_a_child_may_not_dump_its_memory_nor_open_files_without_end() -> None:
    with Processes() as processes:
        child = processes._spawn("hub", ["hub", "--address", free_address()], open_files=200)
        limits = Path(f"/proc/{child.process.pid}/limits").read_text(encoding="ascii").splitlines()
    found = {line[:25].strip(): line[25:].split()[:2] for line in limits}
    assert found["Max core file size"] == ["0", "0"]
    assert found["Max open files"] == ["200", "200"]


def test_what_a_child_writes_does_not_fill_the_disk() -> None:
    with Processes() as processes:
        child = processes._spawn("hub", ["hub", "--address", free_address()])
        line = b"affectstream: a warning that comes again and again\n"
        heard = 0
        for _ in range(40):
            os.write(child.words.fileno(), 200 * line)
            heard += len(child.new_words())
        assert heard == 40 * 200
        assert os.fstat(child.words.fileno()).st_size < 2 * MAX_WORDS
        assert child.last_words() in ("exit status None", line.decode()[14:-1])


def test_when_the_parent_is_killed_the_children_end_by_themselves() -> None:
    address = free_address()
    with started(sys.executable, "-c", PARENT, address) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        children = [pid for pid in mentions(address) if pid != parent.pid]
        assert children
        parent.kill()
        parent.wait(DEADLINE_S)
        wait_until(lambda: not mentions(address), "the children's end", SOON_S)


def test_a_free_address_is_free() -> None:
    with Hub(free_address()) as hub:
        assert measure_clock_offset(hub.address).round_trip_ns > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_stops_soon_after_a_signal(number: int) -> None:
    address = free_address()
    with started(sys.executable, "-m", "affectstream", "hub", "--address", address) as process:

        def answers() -> bool:
            with Processes() as processes:
                processes.wait_for_hub(address)
            return True

        wait_until(answers)
        process.send_signal(number)
        out, err = process.communicate(timeout=SOON_S)
    assert (out, err, process.returncode) == ("", "", 0)


def test_a_second_hub_on_the_same_ports_says_so_in_one_sentence() -> None:
    with Hub(free_address()) as hub:
        result = run("hub", "--address", hub.address)
    assert result.returncode == 1
    assert "in use" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", HOSTILE)
def test_what_a_child_writes_is_shown_as_printable_lines(words: str) -> None:
    with TemporaryFile() as said:
        said.write(f"affectstream: {words}\nnoise {words}\n".encode(errors="surrogatepass"))
        said.flush()
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        child = Child("hub", process, said, os.open(os.devnull, os.O_RDONLY))
        shown = [*child.new_words(), child.last_words()]
        assert all(line.isprintable() for line in shown)
        assert len(shown) >= 2
        os.close(child.pulse)
