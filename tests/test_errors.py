"""What others have written, in a sentence of ours."""

from __future__ import annotations

import pytest

from affectstream.errors import MAX_REPEATED, brief, printable
from hostile import HOSTILE


@pytest.mark.parametrize(
    "said", ["", "plain", "two\nlines", "x" * 100_000, "\x1b[31mred", "\u202eback", "\ud800", 7]
)
def test_it_is_one_line_printable_and_short(said: object) -> None:
    repeated = brief(said)
    assert len(repeated.splitlines()) <= 1
    assert repeated.isprintable()
    assert len(repeated) <= MAX_REPEATED + 3
    repeated.encode()


def test_what_is_short_and_plain_is_repeated_as_it_is() -> None:
    assert brief("no such é file") == "no such é file"


@pytest.mark.parametrize("said", HOSTILE)
def test_what_strangers_say_is_one_printable_line(said: str) -> None:
    assert printable(said).isprintable()
    assert brief(said).isprintable()


def test_letters_of_every_language_stay_and_only_what_commands_is_written_out() -> None:
    for words in ("Grüße 你好 \U0001f600", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"):
        assert printable(words) == words
    assert printable("é\x1b[2J\u202e\n!") == r"é\x1b[2J\u202e !"
