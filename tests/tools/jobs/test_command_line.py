"""What a report says of the command that made it."""

from __future__ import annotations

from affectstream_tools.jobs.command_line import command_line


def test_what_is_about_the_machine_is_left_out() -> None:
    given = "tables --table t3 --data ../here/data --workers 1 --cache /tmp/x --json"
    assert command_line(given.split()) == "affectstream-lab tables --table t3 --data DIR"
    given = "context --data=/x/iemocap-derived --protocol session --out=a --cluster --seed 1"
    assert command_line(given.split()) == (
        "affectstream-lab context --data DIR/iemocap-derived --protocol session --seed 1"
    )


def test_an_option_without_its_value_is_no_error() -> None:
    assert command_line(["context", "--data"]) == "affectstream-lab context --data DIR"
    assert command_line(["tables", "--cache"]) == "affectstream-lab tables"
