"""Lines for a terminal, a pipe and a log."""

from __future__ import annotations

import json
import logging

import msgspec
import pytest

from affectstream.messages import Transcript
from affectstream.show.lines import PrintableFormatter, print_json, print_line
from hostile import HOSTILE, shown_safely


@pytest.mark.parametrize("words", HOSTILE)
def test_a_line_is_one_printable_line(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_line(words)
    print_line(words, to_error=True)
    out, err = capsys.readouterr()
    assert out == err
    assert out.count("\n") == 1
    assert shown_safely(out)


@pytest.mark.parametrize("words", [w for w in HOSTILE if "\ud83d" not in w] + ["é \U0001f600 \x9b"])
def test_json_has_the_same_values_and_nothing_that_a_terminal_obeys(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = Transcript(
        session=words, source="a", utterance="u", speaker=words, engine="e", text=words,
        start_ns=0, end_ns=1, final=True,
    )  # fmt: skip
    print_json(message)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert shown_safely(out)
    assert json.loads(out) == json.loads(msgspec.json.encode(message))


@pytest.mark.parametrize("words", [*HOSTILE, "x" * 100_000])
def test_a_record_of_a_log_is_one_printable_line(words: str) -> None:
    formatter = PrintableFormatter("affectstream: %(message)s")
    try:
        raise ValueError(words)
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, __file__, 1, "lost %s", (words,), (type(error), error, None)
        )
    line = formatter.format(record)
    assert line.startswith("affectstream: lost ")
    assert line.isprintable()
    assert len(line) < 2_100
