"""What others have written, in a sentence of ours."""

from __future__ import annotations

import pytest

from affectstream.errors import MAX_REPEATED, brief


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
