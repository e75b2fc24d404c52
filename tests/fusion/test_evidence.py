"""What the models read of an utterance: statistics of its frames, unless a corpus has them."""

from __future__ import annotations

import numpy as np
import pytest

from affectstream.core.dialogue.aligned import AlignedUtterance
from affectstream.features.egemaps.statistics import utterance_statistics
from affectstream.fusion.evidence import claims_to_be_read, evidence_of, readable
from affectstream.messages import Acoustic
from fakes import observation

ROWS = np.random.default_rng(0).random((50, 24)).astype(np.float32)


def block(front_end: str = "egemaps", columns: int = 24) -> Acoustic:
    return Acoustic(
        session="s1",
        source="mic.anna",
        front_end=front_end,
        speaker="anna",
        start_ns=0,
        hop_ns=10_000_000,
        rows=2,
        columns=columns,
        payload=bytes(8 * columns),
    )


def utterance(**more: object) -> AlignedUtterance:
    return AlignedUtterance("u0", "anna", 0, 500_000_000, **more)  # type: ignore[arg-type]


def test_frames_become_their_statistics() -> None:
    found = evidence_of(utterance(frames={"acoustic": ROWS}), frozenset())
    assert found.frames == {}
    np.testing.assert_array_equal(found.observations["acoustic"], utterance_statistics(ROWS))


def test_an_observation_wins_over_frames() -> None:
    whole = observation("u0", 0.5).values[0]
    found = evidence_of(
        utterance(frames={"acoustic": ROWS}, observations={"acoustic": whole}), frozenset()
    )
    np.testing.assert_array_equal(found.observations["acoustic"], whole)


@pytest.mark.parametrize("kept", [frozenset[str](), frozenset({"mocap"})])
def test_frames_that_the_model_does_not_look_at_are_not_kept(kept: frozenset[str]) -> None:
    frames = {"mocap": np.zeros((3, 189), np.float32)}
    found = evidence_of(utterance(frames=frames), kept)
    assert found.frames.keys() == kept
    assert found.observations == {}


@pytest.mark.parametrize(
    ("message", "can", "should"),
    [
        (block(), True, True),
        (block(columns=23), False, True),
        (block("woellmer"), False, False),  # it is meant for somebody else
        (observation("u0"), True, True),
        (observation("u0", columns=24), False, True),
        (observation("u0", front_end="mine"), False, True),
    ],
)
def test_what_cannot_be_read_is_a_loss_if_it_was_meant_for_us(
    message: Acoustic, can: bool, should: bool
) -> None:
    assert readable(message) is can
    assert claims_to_be_read(message) is should
