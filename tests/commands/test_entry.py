"""How a command line ends: its reader gone, its disk full, a stranger's words in an error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from affectstream.run.processes import free_address
from command_lines import DEADLINE_S, mentions, no_traceback, run, started, wait_until
from hostile import HOSTILE, shown_safely

PROGRAM = (sys.executable, "-m", "affectstream")
GONE = "affectstream: the reader of this output has gone\n"


def deployment(folder: Path) -> tuple[str, str]:
    """Write a deployment of a hub; return its path and the hub's address."""
    address, path = free_address(), folder / "deployment.toml"
    path.write_text(f'address = "{address}"\n[[worker]]\nkind = "hub"\nname = "hub"\n')
    return str(path), address


@pytest.mark.parametrize(
    "words",
    [("keys", "new", "--keys", "keys"), ("--help",), ("--version",), ("run", "d.toml", "--check")],
)
def test_a_reader_that_has_gone_is_one_sentence_at_most(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    path, _ = deployment(tmp_path)
    Path(path).rename(tmp_path / "d.toml")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*PROGRAM, *words], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True,
        timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == ("" if words[0].startswith("--") else GONE)


def test_a_run_whose_reader_goes_stops_its_workers_and_says_so(tmp_path: Path) -> None:
    path, address = deployment(tmp_path)
    with started(sys.executable, "-u", "-m", "affectstream", "run", path) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.stdout.close()
        hub = int(first.split()[-1])
        os.kill(hub, signal.SIGKILL)  # so that there is something to say
        assert process.stderr is not None
        assert process.stderr.read() == GONE
        assert process.wait(DEADLINE_S) == 1
    wait_until(lambda: not mentions(f"--address={address}"), "the workers' end")


def test_when_both_outputs_are_closed_it_still_ends(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*PROGRAM, "doctor", "--keys", str(tmp_path), "--json"], stdout=write, stderr=write,
        timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    os.close(write)
    assert done.returncode == 1


def test_output_that_does_not_fit_on_the_disk_is_one_sentence(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*PROGRAM, "keys", "new", "--keys", str(tmp_path / "keys")], stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
    said = "affectstream: this output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.parametrize("words", [w.replace("\x00", "") for w in HOSTILE if "\ud83d" not in w])
def test_an_error_that_repeats_a_stranger_is_one_printable_line(words: str) -> None:
    done = run("replay", f"/nowhere/{words}")
    assert done.returncode == 1
    assert shown_safely(done.stderr)
    assert done.stderr.count("\n") == 1


def test_a_name_that_is_no_unicode_is_said_too(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\x1b[2J.wav"
    done = subprocess.run(
        [*map(os.fsencode, PROGRAM), b"play", path], capture_output=True, timeout=DEADLINE_S,
        check=False,
    )  # fmt: skip
    err = done.stderr.decode()
    assert done.returncode == 1
    assert shown_safely(err)
    no_traceback(err)


def test_a_log_and_a_defect_are_printable_lines_too(tmp_path: Path) -> None:
    said = json.dumps("\x1b[2J anna\naffectstream: forged")
    program = (
        "import logging, threading\n"
        "from affectstream.commands.entry import run_command_line\n"
        "def app():\n"
        f"    logging.getLogger('x').warning('dropped %s', {said})\n"
        "    thread = threading.Thread(target=fail)\n"
        "    thread.start()\n"
        "    thread.join()\n"
        "    fail()\n"
        "def fail():\n"
        f"    raise RuntimeError({said})\n"
        "run_command_line(app, 'affectstream')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=DEADLINE_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert shown_safely(done.stderr)
    lines = done.stderr.splitlines()
    assert lines[0] == r"affectstream: dropped \x1b[2J anna affectstream: forged"
    assert sum(line.startswith("RuntimeError: ") for line in lines) == 2
