"""What is remembered, carried from utterance to utterance and worked out over a whole dialogue."""

from __future__ import annotations

import math

import pytest
import torch

from affectstream_models.context.memory import SHRINK, Memory, memory_weights

FADING = (2.0, 9.0)
SPEAKERS = ["a", "b", "b", "a", "c", "a", "b"]


def test_a_memory_is_a_faded_mean_of_own_and_of_others() -> None:
    weights = memory_weights(["a", "b", "a"], [2, 2, 2], [2.0])
    near, far = math.exp(-1 / 2), math.exp(-2 / 2)
    own_before, others_before, own_after, others_after = weights
    assert own_before[2].tolist() == pytest.approx([far / (far + SHRINK), 0, 0])
    assert others_before[2].tolist() == pytest.approx([0, near / (near + SHRINK), 0])
    assert own_after[0].tolist() == pytest.approx([0, 0, far / (far + SHRINK)])
    assert others_after[0].tolist() == pytest.approx([0, near / (near + SHRINK), 0])
    assert not weights[:, range(3), range(3)].any()


def test_what_may_not_be_known_yet_is_not_remembered() -> None:
    weights = memory_weights(SPEAKERS, [min(6, t + 2) for t in range(7)], FADING)
    after = weights[4:].sum(dim=0)
    assert not after[0, 3:].any()
    assert bool((after[0, 1:3] > 0).all())


def test_a_carried_memory_equals_the_whole_dialogues() -> None:
    torch.manual_seed(0)
    vectors, fading = torch.randn(7, 5), torch.tensor(FADING)
    whole = memory_weights(SPEAKERS, [6] * 7, FADING) @ vectors  # (8, 7, 5)
    before = after = Memory()
    for t, speaker in enumerate(SPEAKERS):
        torch.testing.assert_close(before.of(speaker, fading, 5), whole[:4, t])
        before = before.after(speaker, vectors[t], fading)
    for t in reversed(range(7)):
        torch.testing.assert_close(after.of(SPEAKERS[t], fading, 5), whole[4:, t])
        after = after.after(SPEAKERS[t], vectors[t], fading)


def test_who_has_faded_away_is_let_go() -> None:
    memory, fading = Memory(), torch.tensor([3.0])
    for number in range(500):
        memory = memory.after(f"speaker {number}", torch.ones(2), fading)
    assert len(memory.sums) < 80
