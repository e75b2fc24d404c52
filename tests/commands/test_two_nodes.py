"""Two fusion nodes at one hub, as processes: each dialogue is one node's, nothing is told twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from affectstream.bus import Hub, Inlet
from affectstream.bus.wall_clock import WallClock
from affectstream.messages import Emotion, Gap, Message
from affectstream.run.processes import Processes, free_address
from affectstream.show.event_file import EventFile
from command_lines import Publisher, run, wait_until
from fakes import S, closed, ended, opened, progress, started

UTTERANCES = 6


@pytest.fixture
def hub() -> Iterator[str]:
    with Hub(free_address()) as running:
        yield running.address


def dialogue(session: str, *, driven: bool) -> list[Message]:
    """A dialogue that is told as fast as it goes, by a clock of its own or by the node's."""
    begun_ns = WallClock().now_ns() - (UTTERANCES + 1) * S
    said: list[Message] = [opened(session=session, start_ns=begun_ns, drives_clock=driven)]
    for number in range(UTTERANCES):
        start_ns = begun_ns + number * S
        end_ns = start_ns + S // 2
        said.append(started(f"u{number}", start_ns, session=session))
        said.append(ended(f"u{number}", start_ns, end_ns, session=session))
        said.append(progress(end_ns, session=session, now_ns=end_ns if driven else None))
    return [*said, closed(session=session)]


def finals(messages: list[Message]) -> set[tuple[str, str]]:
    return {
        (m.session, m.utterance) for m in messages if isinstance(m, Emotion) and m.status == "final"
    }


def check_nothing_is_told_twice(messages: list[Message]) -> None:
    revisions: dict[tuple[str, str], list[int]] = defaultdict(list)
    epochs: dict[str, set[int]] = defaultdict(set)
    for message in messages:
        if isinstance(message, Emotion):
            revisions[message.session, message.utterance].append(message.revision)
            epochs[message.session].add(message.epoch)
    assert all(known == sorted(set(known)) for known in revisions.values()), revisions
    assert all(len(nodes) == 1 for nodes in epochs.values()), epochs


@pytest.mark.parametrize("journals", [False, True])
def test_each_dialogue_is_one_node_s_and_no_estimate_is_told_twice(
    hub: str, journals: bool, tmp_path: Path
) -> None:
    names = [f"s{number}" for number in range(8)]
    with Processes() as processes, Publisher(hub) as publisher:
        for node in ("one", "other"):
            options = ("--journal", str(tmp_path / node)) if journals else ()
            processes.start(node, "fusion", "--address", hub, "--no-hub", *options)
        with closing(Inlet(hub, ["emotion/", "gap/"], from_start=True)) as inlet:
            got: list[Message] = []
            for at, name in enumerate(names):
                publisher.publish(*dialogue(name, driven=bool(at % 2)))
                wanted = {(n, f"u{u}") for n in names[: at + 1] for u in range(UTTERANCES)}
                if at != 0:  # the first two begin together

                    def whole(wanted: set[tuple[str, str]] = wanted) -> bool:
                        got.extend(inlet.read())
                        return finals(got) >= wanted

                    wait_until(whole, f"the end of {name}")

            def refused() -> bool:
                got.extend(inlet.read())
                return {gap.session for gap in refusals(got)} == set(names)

            wait_until(refused, "that one node refuses each")
    assert len([m for m in got if isinstance(m, Emotion)]) > 100
    check_nothing_is_told_twice(got)
    assert {gap.reason for gap in refusals(got)} == {
        "another fusion node at this hub has the dialogue; this one leaves it alone"
    }


def refusals(messages: list[Message]) -> list[Gap]:
    return [m for m in messages if isinstance(m, Gap) and m.lost == "session"]


def test_a_second_subscriber_that_writes_to_one_file_is_refused(hub: str, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventFile(path):
        done = run("subscribe", "--address", hub, "--to", str(path))
    assert done.returncode == 1
    assert "another process writes events to" in done.stderr
    assert path.read_bytes() == b""
