"""A sound server that tells of a new default input, played by a script named pactl."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from affectstream.sources.default_input import DefaultInput

PACTL = """#!/bin/sh
case "$1" in
    info) echo "Default Source: $(cat {folder}/default)" ;;
    subscribe) tail -n +1 -F {folder}/events ;;
esac
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pactl").write_text(PACTL.format(folder=tmp_path))
    (tmp_path / "pactl").chmod(0o755)
    (tmp_path / "default").write_text("desk")
    (tmp_path / "events").write_text("")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("PULSE_SOURCE", raising=False)
    return tmp_path


def tell(server: Path, what: str) -> None:
    with (server / "events").open("a") as events:
        events.write(f"Event 'change' on {what}\n")


def told(follower: DefaultInput) -> str | None:
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        if (name := follower.changed()) is not None:
            return name
        time.sleep(0.02)
    return None


def test_a_new_default_is_told_once(server: Path) -> None:
    follower = DefaultInput()
    follower.begin()
    assert follower.name == "desk"
    tell(server, "server #-1")  # the default output, say: the input is the same
    (server / "default").write_text("headset")
    tell(server, "server #-1")
    assert told(follower) == "headset"
    assert follower.name == "headset"
    assert follower.changed() is None
    follower.close()


def test_a_source_that_the_environment_names_is_not_followed(
    server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_SOURCE", "desk")
    follower = DefaultInput()
    follower.begin()
    tell(server, "server #-1")
    assert follower.changed() is None
    assert follower.name is None
    follower.close()
