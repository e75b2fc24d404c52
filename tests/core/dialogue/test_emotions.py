"""An estimate as a message: what the wire cannot say is not said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from affectstream.codec import decode, encode
from affectstream.core.dialogue.aligned import AlignedUtterance
from affectstream.core.dialogue.emotions import Stamp, UnusableEstimateError, emotion_of
from affectstream.messages import Emotion
from fakes import FakeEstimate, FakeModel, digest, estimate_of


@pytest.mark.parametrize(
    ("now_ns", "announced_ns", "sent_ns"),
    [(5, 10, 20), (1 << 61, 0, 0), (1 << 61, 1 << 61, 1), (0, 1 << 61, 1)],
)
def test_clocks_that_disagree_give_a_latency_that_can_be_read(
    now_ns: int, announced_ns: int, sent_ns: int
) -> None:
    utterance = AlignedUtterance("u", "anna", 0, 1, announced_ns=announced_ns, sent_ns=sent_ns)
    emotion = emotion_of(
        utterance,
        estimate_of("ab" * 32),
        Stamp(FakeModel.identity, now_ns),
        session="s",
        source="fusion",
        revision=0,
        status="provisional",
        look_ahead=0,
    )
    assert decode(encode(emotion)) == emotion
    assert all(0 <= value <= 1e9 for value in emotion.latency_ms.values())


def said(estimate: FakeEstimate) -> Emotion:
    return emotion_of(
        AlignedUtterance("u", "anna", 0, 1),
        estimate,
        Stamp(FakeModel.identity),
        session="s",
        source="fusion",
        revision=0,
        status="provisional",
        look_ahead=0,
    )


def test_probabilities_sum_to_1_but_for_rounding() -> None:
    for number in range(500):
        estimate = estimate_of(digest(number))
        emotion = said(replace(estimate, clusters={"4": estimate.categorical}))
        for shares in (
            emotion.categorical.values(),
            emotion.dimensional["valence"].levels,
            emotion.clusters["4"],
        ):
            assert abs(sum(shares) - 1) <= len(shares) * 5e-7 + 1e-12


NAN, INF = float("nan"), float("inf")
GOOD = (0.25, 0.25, 0.25, 0.25)
LEVELS = (0.2, 0.3, 0.5)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"categorical": (NAN,) * 4}, "classes"),
        ({"categorical": (NAN, 1.0, 0.0, 0.0)}, "classes"),
        ({"categorical": (0.0,) * 4}, "classes"),
        ({"categorical": (INF, -INF, 0.5, 0.5)}, "classes"),
        ({"categorical": (1.5, -0.5, 0.0, 0.0)}, "classes"),
        ({"categorical": (0.3, 0.3, 0.3, 0.3)}, "classes"),
        ({"dimensional": {"valence": (NAN, LEVELS)}}, "valence is no number"),
        ({"dimensional": {"valence": (3.0, (NAN,) * 3)}}, "levels of valence"),
        ({"clusters": {"3": (0.0, 0.0, 0.0)}}, "3 clusters"),
        ({"influence": {"text": NAN}}, "text is no number"),
    ],
)
def test_what_a_model_could_not_compute_is_refused(changed: dict[str, Any], words: str) -> None:
    good = FakeEstimate(np.array(GOOD, np.float32), {"valence": (3.0, np.array(LEVELS))})
    assert said(good).categorical["anger"] == 0.25
    with pytest.raises(UnusableEstimateError, match=words):
        said(replace(good, **changed))
