"""The table of an utterance's states, row by row."""

from __future__ import annotations

from itertools import product

import pytest

from affectstream.core.dialogue.aligned import AlignedUtterance
from affectstream.core.dialogue.open_utterance import (
    OpenUtterance,
    UtteranceNews,
    UtteranceState,
    UtteranceStateError,
)

ROWS = {
    ("ongoing", "new estimate"): ("partial", "ongoing"),
    ("waiting", "new estimate"): ("provisional", "estimated"),
    ("waiting", "settled"): ("final", "final"),
    ("estimated", "new estimate"): ("revised", "revised"),
    ("estimated", "settled"): ("final", "final"),
    ("revised", "new estimate"): ("revised", "revised"),
    ("revised", "settled"): ("final", "final"),
}
EVERY = list(product(UtteranceState, UtteranceNews))


def in_state(state: UtteranceState) -> OpenUtterance:
    return OpenUtterance(AlignedUtterance("u1", "anna", 0, 1), state, revision=3)


@pytest.mark.parametrize(("state", "news"), EVERY)
def test_what_is_said_and_which_state_follows(state: UtteranceState, news: UtteranceNews) -> None:
    utterance = in_state(state)
    row = ROWS.get((state.value, news.value))
    if row is None:
        with pytest.raises(UtteranceStateError, match=f"u1 is {state}: {news} cannot be said"):
            utterance.say(news)
        assert (utterance.state, utterance.revision) == (state, 3)
        return
    status, after = row
    assert utterance.say(news) == (status, 3)
    assert (utterance.state.value, utterance.revision) == (after, 4)


def test_from_every_state_final_is_reached_and_is_the_last() -> None:
    for state in UtteranceState:
        utterance = in_state(state)
        if state not in (UtteranceState.ONGOING, UtteranceState.FINAL):
            assert utterance.say(UtteranceNews.SETTLED)[0] == "final"
    final = in_state(UtteranceState.FINAL)
    for news in UtteranceNews:
        with pytest.raises(UtteranceStateError):
            final.say(news)
