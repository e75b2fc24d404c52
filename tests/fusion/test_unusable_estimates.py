"""A model that computes NaN says nothing, and that is said: NaN never becomes a probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from affectstream.fusion.node import FusionNode
from affectstream.messages import Emotion, Gap, Message
from fakes import Driver, FakeModel, S, closed, ended, opened, progress, transcript


class Overflows(FakeModel):
    """Computes NaN for whatever has seen the text "too much"."""

    def encode(self, utterances: Sequence[Any]) -> Sequence[str]:
        hostile = [u.text == "too much" for u in utterances]
        codes = super().encode(utterances)
        return [c + ("!" if bad else "") for c, bad in zip(codes, hostile, strict=True)]

    def estimate(self, windows: Sequence[Sequence[tuple[Any, Any, Any]]]) -> Any:
        estimates = super().estimate(windows)
        return [
            [
                replace(one, categorical=np.full(4, np.nan, np.float32))
                if any(encoded.endswith("!") for _, encoded, _ in window)
                else one
                for one in found
            ]
            for window, found in zip(windows, estimates, strict=True)
        ]


def whole(session: str, number: int, text: str) -> list[Message]:
    start_ns = S * number
    return [
        ended(f"u{number}", start_ns, start_ns + S // 2, session=session),
        transcript(f"u{number}", text, session=session),
        progress(start_ns + S // 2, session=session),
    ]


@pytest.mark.parametrize("hostile", [0, 1, 3])
def test_an_estimate_that_is_no_number_is_a_gap_and_other_dialogues_go_on(hostile: int) -> None:
    driver = Driver(FusionNode(Overflows(), 2, stopwatch=lambda: 0), now_ns=S)
    said: list[Any] = driver.give(opened(session="s1"), opened(session="s2"))
    for number in range(4):
        said += driver.give(*whole("s1", number, "too much" if number == hostile else "words"))
        said += driver.give(*whole("s2", number, "words"))
    said += driver.give(closed(session="s1"), closed(session="s2"))
    emotions = [message for message in said if isinstance(message, Emotion)]
    assert all(abs(sum(e.categorical.values()) - 1) < 1e-5 for e in emotions)
    assert {e.utterance for e in emotions if e.session == "s2" and e.status == "final"} == {
        "u0", "u1", "u2", "u3"
    }  # fmt: skip
    (gap,) = [message for message in said if isinstance(message, Gap)]
    assert gap.session == "s1"
    assert "classes are no probabilities" in gap.reason
