"""The command line as a user meets it: help, errors of one sentence, pipes and Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from affectstream.bus import Hub
from affectstream.commands.app import app
from affectstream.run.processes import free_address
from affectstream_tools.commands.app import lab
from bus_helpers import closed, emotion, opened
from command_lines import DEADLINE_S, Publisher, no_traceback, run, started, wait_until

HEAVY = {"torch", "numpy", "rich", "zmq", "vosk", "sounddevice", "msgspec", "sklearn", "pandas"}


def paths(application: object, known: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, groups too."""
    yield known
    for name, command in getattr(application, "commands", {}).items():
        yield from paths(command, (*known, name))


def spelled(words: tuple[str, ...]) -> str:
    return " ".join(words) or "alone"


@pytest.mark.parametrize("words", list(paths(get_command(app))), ids=spelled)
def test_every_command_of_affectstream_has_help(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


@pytest.mark.parametrize("words", list(paths(get_command(lab))), ids=spelled)
def test_every_command_of_the_lab_has_help(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(lab, [*words, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


def imported_by_help(module: str, entry: str) -> set[str]:
    program = (
        f"import sys\nsys.argv = ['x', '--help']\nfrom {module} import {entry}\n"
        f"try:\n    {entry}()\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write(' '.join(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert "Usage" in found.stdout
    return set(found.stderr.split())


def test_help_of_affectstream_imports_nothing_heavy() -> None:
    assert not imported_by_help("affectstream.commands.app", "main") & HEAVY


def test_help_of_the_lab_imports_nothing_heavy() -> None:
    assert not imported_by_help("affectstream_tools.commands.app", "run_lab") & (
        HEAVY - {"rich"}
    )  # typer draws by it


@pytest.mark.parametrize(
    "words",
    [
        ("subscribe", "--address", "nonsense"),
        ("hub", "--address", "tcp://0.0.0.0:5570"),
        ("fusion", "--look-ahead", "some"),
        ("fusion", "--checkpoint", "/nowhere/weights.safetensors"),
        ("replay", "/nowhere"),
        ("replay", "/nowhere", "--sessions", "first"),
        ("play", "/nowhere.wav"),
        ("play", "/nowhere.wav", "--speed", "fast"),
        ("play", "/nowhere.wav", "--vad", "ears"),
        ("microphone", "--vad", "ears"),
        ("demo", "--vad", "ears"),
        ("mocap", "/nowhere.csv"),
        ("transcribe", "--vosk-model", "/nowhere"),
        ("transcribe",),
        ("demo", "--speed", "-1"),
    ],
    ids=" ".join,
)
def test_an_error_is_one_sentence_and_exit_status_1(words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("affectstream: ")
    assert len(result.stderr.splitlines()) == 1, result.stderr


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    with Hub(free_address()) as running:
        yield running.address


@pytest.fixture
def publisher(hub: str) -> Iterator[Publisher]:
    with Publisher(hub) as running:
        running.publish(opened("fusion"), emotion(1))  # the state that a late subscriber gets
        yield running


SUBSCRIBE = (sys.executable, "-m", "affectstream", "subscribe", "--address")


def test_subscribe_prints_json_lines_into_a_pipe_and_ctrl_c_ends_it_cleanly(
    hub: str, publisher: Publisher
) -> None:
    with started(*SUBSCRIBE, hub, "--session", "s1") as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        publisher.publish(emotion(2))
        second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert [first["utterance"], second["utterance"]] == ["anna-0001", "anna-0002"]
    assert first["kind"] == "emotion"
    assert first["categorical"] == dict(emotion(1).categorical)
    assert (out, err, process.returncode) == ("", "", 0)


def test_subscribe_ends_in_silence_when_its_reader_has_gone(hub: str, publisher: Publisher) -> None:
    with started(*SUBSCRIBE, hub, "--session", "s1") as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        number = 2

        def gone() -> bool:
            nonlocal number
            publisher.publish(emotion(number))
            number += 1
            return process.poll() is not None

        wait_until(gone, "its end")
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_subscribe_is_readable_on_a_terminal(hub: str, publisher: Publisher) -> None:
    ours, theirs = pty.openpty()
    with started(*SUBSCRIBE, hub, "--session", "s1", stdout=theirs) as process:
        os.close(theirs)
        with os.fdopen(ours, encoding="utf-8") as terminal:
            line = terminal.readline()
            publisher.publish(closed("fusion"))
            ended = terminal.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE_S) == 0
        assert process.stderr is not None
        err = process.stderr.read()
    assert line.split()[1:5] == ["anna", "provisional", "neutral", "50%"]
    assert "fusion closed" in ended
    assert "estimate" in err  # the notice goes where it is not in the way
    no_traceback(err)


def test_subscribe_waits_for_a_hub_that_is_not_there_yet() -> None:
    address = free_address()
    with started(*SUBSCRIBE, address) as process, Hub(address), Publisher(address) as publisher:
        publisher.publish(opened("fusion"), emotion(1))
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["utterance"] == "anna-0001"
