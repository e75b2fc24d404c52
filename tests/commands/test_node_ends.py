"""How a fusion node ends: with its finals, or with one sentence where its journal has gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from affectstream.bus import Hub, Inlet
from affectstream.bus.wall_clock import WallClock
from affectstream.messages import Emotion, Message
from affectstream.run.processes import ProcessError, Processes, free_address
from command_lines import Publisher, read_until, run, wait_until
from fakes import S, ended, opened, started


@contextmanager
def node_with_an_estimate(*options: str) -> Iterator[tuple[Processes, int, str, Inlet]]:
    """Run a node at a hub of its own; yield it, its process, the hub's address and a reader."""
    with Hub(free_address()) as hub, Processes() as processes, Publisher(hub.address) as publisher:
        pid = processes.start("fusion", "fusion", "--address", hub.address, "--no-hub", *options)
        now_ns = WallClock().now_ns()
        with closing(Inlet(hub.address, ["emotion/"])) as inlet:
            publisher.publish(
                opened(start_ns=now_ns - 2 * S),
                started("u1", now_ns - 2 * S),
                ended("u1", now_ns - 2 * S, now_ns - S),
            )
            read_until(inlet, lambda got: "provisional" in statuses(got))
            yield processes, pid, hub.address, inlet


def statuses(messages: list[Message]) -> list[str]:
    return [message.status for message in messages if isinstance(message, Emotion)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_node_that_is_told_to_end_says_its_finals(number: signal.Signals) -> None:
    with node_with_an_estimate() as (processes, pid, _, inlet):
        os.kill(pid, number)
        read_until(inlet, lambda got: statuses(got)[-1:] == ["final"])
        wait_until(lambda: not processes.running(), "its end")
        processes.check()


def test_a_journal_that_is_deleted_ends_an_idle_node_and_no_other_is_let_in_meanwhile(
    tmp_path: Path,
) -> None:
    path = tmp_path / "node.journal"
    with node_with_an_estimate("--journal", str(path)) as (processes, pid, address, _):
        os.kill(pid, signal.SIGSTOP)
        path.unlink()
        other = run("fusion", "--no-hub", "--address", address, "--journal", str(path))
        assert other.returncode == 1
        assert "is in use by another process; stop it, or choose another" in other.stderr
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: not processes.running(), "its end")
        with pytest.raises(ProcessError, match=r"node\.journal was deleted, moved or replaced"):
            processes.check()
