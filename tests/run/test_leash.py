"""The two pipes between a process and the one that started it."""

from __future__ import annotations

import os

import pytest

from affectstream.run.leash import LEASH, PULSE, Pulse, parent_gone


def test_without_a_leash_there_is_no_parent_to_lose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LEASH, raising=False)
    assert not parent_gone()


def test_a_leash_that_is_let_go_says_that_the_parent_has_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leash, hold = os.pipe()
    monkeypatch.setenv(LEASH, str(leash))
    assert not parent_gone()
    os.close(hold)
    assert parent_gone()
    os.close(leash)


def test_without_a_parent_nobody_feels_the_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PULSE, raising=False)
    Pulse().beat()


def test_a_pulse_is_felt_at_once_and_then_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    felt, beating = os.pipe()
    monkeypatch.setenv(PULSE, str(beating))
    pulse = Pulse()
    for _ in range(1_000):
        pulse.beat()
    assert 1 <= len(os.read(felt, 4096)) < 100
    os.close(felt)
    os.close(beating)


@pytest.mark.parametrize("gone", [True, False])
def test_a_pulse_that_nobody_feels_stops_nothing(
    gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    felt, beating = os.pipe()
    monkeypatch.setenv(PULSE, str(beating))
    pulse = Pulse()
    if gone:
        os.close(felt)
    else:
        full = os.write(beating, bytes(16 * 1024 * 1024))  # what a pipe holds, and no more
        assert full < 16 * 1024 * 1024
    pulse.beat()
    os.close(beating)
    if not gone:
        os.close(felt)
