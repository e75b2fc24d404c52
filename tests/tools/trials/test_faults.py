"""Processes that are killed at random moments leave no trace in what a subscriber was told."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from affectstream.run.processes import free_address
from affectstream_tools.commands.app import lab
from affectstream_tools.trials.faults.events import (
    closed_dialogues,
    compare_events,
    holes,
    read_events,
)
from affectstream_tools.trials.faults.injection import Deaths, Replay, play_disturbed
from affectstream_tools.trials.faults.report import FAULT_REPORT, Disturbed, FaultReport
from derived_copy import write_derived

DIALOGUES = ("Ses01F_impro01", "Ses02M_script01_1")
LONGEST_S = 100.0
"""A test waits for a process no longer; it is ended itself soon after."""


def event(utterance: str, revision: int, seq: int, **changed: Any) -> dict[str, Any]:
    return {
        "kind": "emotion",
        "session": "s",
        "source": "fusion",
        "epoch": 1,
        "seq": seq,
        "utterance": utterance,
        "revision": revision,
        "status": "final" if revision else "provisional",
        "look_ahead": revision,
        "text": "x",
        "categorical": {"anger": 0.5, "neutral": 0.5},
    } | changed


ANGRY = {"anger": 0.6, "neutral": 0.4}
WHOLE = [event("u1", 0, 0), event("u1", 1, 1), event("u2", 0, 2), event("u2", 1, 3)]


def test_the_same_events_are_the_same() -> None:
    found = compare_events(WHOLE, WHOLE)
    assert (found.finals, found.events) == (2, 4)
    assert (found.lost, found.doubled, found.changed, found.revisions_changed) == (0, 0, 0, 0)
    assert holes(WHOLE) == 0


@pytest.mark.parametrize(
    ("found", "lost", "doubled", "changed", "revisions_changed", "out_of_turn"),
    [
        (WHOLE[:3], 1, 0, 0, 0, 0),
        ([*WHOLE, WHOLE[3]], 0, 1, 0, 0, 1),
        ([*WHOLE, event("u3", 0, 4)], 0, 1, 0, 0, 0),
        ([*WHOLE[:3], event("u2", 1, 4)], 0, 0, 0, 0, 1),
        ([*WHOLE[:3], event("u2", 1, 3, text="y")], 0, 0, 1, 1, 0),
        ([event("u1", 0, 0, look_ahead=5), *WHOLE[1:]], 0, 0, 0, 1, 0),
        ([*WHOLE[:3], event("u2", 1, 3, categorical=ANGRY)], 0, 0, 1, 1, 0),
    ],
)  # fmt: skip
def test_what_differs_is_counted(
    found: list[dict[str, Any]],
    lost: int,
    doubled: int,
    changed: int,
    revisions_changed: int,
    out_of_turn: int,
) -> None:
    comparison = compare_events(WHOLE, found)
    assert comparison.lost == lost
    assert comparison.doubled == doubled
    assert comparison.changed == changed
    assert comparison.revisions_changed == revisions_changed
    assert holes(found) == out_of_turn


def test_a_line_that_is_not_ended_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert read_events(path) == []
    path.write_text(json.dumps(WHOLE[0]) + "\n" + '{"kind": "emo')
    assert read_events(path) == [WHOLE[0]]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_derived(tmp_path_factory.mktemp("corpus"), utterances=12)


@pytest.fixture(scope="module")
def expected(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What is told of two dialogues when nobody dies."""
    folder = tmp_path_factory.mktemp("whole")
    deaths = Deaths(random.Random(0), 0)
    return play_disturbed(Replay(corpus, DIALOGUES), folder, deaths, lambda role: None)


@pytest.mark.parametrize("hub_alone", [False, True])
def test_a_replay_whose_processes_die_tells_the_same(
    corpus: Path, expected: list[dict[str, Any]], tmp_path: Path, hub_alone: bool
) -> None:
    replay = Replay(corpus, DIALOGUES, hub_alone=hub_alone)
    deaths = Deaths(random.Random(3 + hub_alone), 5, mean_wait_s=0.25)
    died: list[str] = []
    found = play_disturbed(replay, tmp_path / "disturbed", deaths, died.append)
    assert len(died) >= 2  # the last ones may come after the end
    comparison = compare_events(expected, found)
    assert comparison.finals == 24
    assert (comparison.lost, comparison.doubled, comparison.changed) == (0, 0, 0)
    assert comparison.revisions_changed == 0
    assert holes(found) == 0


def test_the_saved_report_is_printed(tmp_path: Path) -> None:
    comparison = compare_events(WHOLE, WHOLE)
    replays = [Disturbed(False, {"fusion": 2, "replay": 1}, 0, comparison, 3.0)]
    report = FaultReport(["d1"], "derived", 1.0, replays, "affectstream-lab faults", "today", "m")
    FAULT_REPORT.save(report, tmp_path)
    done = CliRunner().invoke(lab, ["faults", "--report", "--out", str(tmp_path), "--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["kills"], found["lost"], found["doubled"]) == (3, 0, 0)
    assert "3 times `kill -9` (fusion 2, replay 1)" in done.output
    nothing = CliRunner().invoke(lab, ["faults", "--report", "--out", str(tmp_path / "no")])
    assert nothing.exit_code == 1
    assert "run the command without --report first" in " ".join(nothing.output.split())
    unnamed = CliRunner().invoke(lab, ["faults"])
    assert "name the derived IEMOCAP set with --data" in unnamed.output


def affectstream(*arguments: object, limit_kib: int = 0) -> subprocess.Popen[bytes]:
    """Start a command, perhaps on a disk that is full beyond ``limit_kib`` of a file."""
    command = [sys.executable, "-m", "affectstream", *map(str, arguments)]
    if limit_kib:
        command = ["bash", "-c", f'ulimit -f {limit_kib}; exec "$@"', "bash", *command]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def test_a_node_whose_disk_is_full_says_so_and_the_next_one_goes_on(
    corpus: Path, expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    where = ("--address", free_address())
    fusion = ("fusion", *where, "--checkpoint", "replay", "--journal", tmp_path / "node.journal")
    events = tmp_path / "events.jsonl"
    with ExitStack() as stack:
        player = affectstream("replay", corpus, *where, "--journal", tmp_path / "replay.journal")
        running = [player, affectstream("hub", *where)]
        running.append(affectstream("subscribe", *where, "--to", events))
        stack.callback(lambda: [process.kill() or process.communicate() for process in running])
        full = affectstream(*fusion, "--no-hub", limit_kib=600)
        running.append(full)
        words = full.communicate(timeout=LONGEST_S)[1].decode()
        assert full.returncode == 1
        assert words.count("\n") == 1
        assert f"affectstream: the journal {tmp_path / 'node.journal'} cannot be written" in words
        running.append(affectstream(*fusion, "--no-hub"))
        assert player.wait(timeout=LONGEST_S) == 0
        wait_for(lambda: len(closed_dialogues(read_events(events))) == 2)
    comparison = compare_events(expected, read_events(events))
    assert (comparison.lost, comparison.doubled, comparison.revisions_changed) == (0, 0, 0)
    assert holes(read_events(events)) == 0


def wait_for(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.05)
