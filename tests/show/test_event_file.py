"""A file of events says where to go on."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import msgspec
import pytest

from affectstream.errors import UsageError
from affectstream.messages import Gap, Message
from affectstream.show.event_file import EventFile
from bus_helpers import emotion


def numbered(number: int, seq: int, epoch: int = 7) -> Message:
    return msgspec.structs.replace(emotion(number), epoch=epoch, seq=seq)


def test_what_was_written_is_where_the_next_one_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventFile(path) as file:
        assert file.positions == {}
        file.append(numbered(1, 0))
        file.append(numbered(2, 1))
        file.append(numbered(3, 5, epoch=9))
        file.append(Gap(session="s1", source="fusion", of="x", lost="audio", count=1, reason="r"))
    with EventFile(path) as file:
        topic = "emotion/s1/fusion"
        assert file.positions == {7: {topic: 2}, 9: {topic: 6}}
        file.append(numbered(4, 2))
    lines = path.read_bytes().splitlines()
    assert [msgspec.json.decode(line).get("utterance") for line in lines] == [
        "anna-0001", "anna-0002", "anna-0003", None, "anna-0004"
    ]  # fmt: skip


def test_the_latest_number_of_a_topic_counts_in_whatever_order_its_lines_are(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.jsonl"
    with EventFile(path) as file:
        for seq in (0, 5, 1):
            file.append(numbered(seq, seq))
    with EventFile(path) as file:
        assert file.positions == {7: {"emotion/s1/fusion": 6}}


def test_what_was_cut_short_is_cut_off_at_any_byte(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventFile(path) as file:
        file.append(numbered(1, 0))
        first = path.stat().st_size
        file.append(numbered(2, 1))
    whole = path.read_bytes()
    for length in range(first, len(whole)):
        path.write_bytes(whole[:length])
        with EventFile(path) as file:
            assert file.positions == {7: {"emotion/s1/fusion": 1}}
        assert path.read_bytes() == whole[:first]


def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("shopping\n")
    with pytest.raises(UsageError, match=r"line 1 of .* is no event .*; choose another file"):
        EventFile(path)
    assert path.read_text() == "shopping\n"
    with pytest.raises(UsageError, match="cannot be written"):
        EventFile(tmp_path)


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with EventFile(tmp_path / "events.jsonl") as file:
        file._file.close()
        file._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115 - always full
        with pytest.raises(UsageError, match=r"No space left on device.*free some space"):
            file.append(numbered(1, 0))


@pytest.mark.parametrize(
    "content",
    [
        b"a letter without a newline",
        b"\x00\xff\x89PNG" * 100_000,
        b'{"kind":"emotion","session":"s1","sour',
        b'{"kind":"recipe","session":"s1","source":"fusion"}\n{"kind":"emo',
        b'{"kind":"emotion","session":"s1","source":"fusion"}\nmy own words',
        b" ",
    ],
)
def test_nothing_is_cut_but_a_broken_line_of_ours_after_lines_of_ours(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "letter"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="choose another file"):
        EventFile(path)
    assert path.read_bytes() == content


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(UsageError, match="choose another file"):
            EventFile(path)


def test_a_line_that_did_not_fit_on_the_disk_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventFile(path) as file:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
        try:
            with pytest.raises(UsageError, match="free some space"):
                file.append(numbered(1, 0))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
            signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b""


def test_a_second_writer_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventFile(path) as first:
        first.append(numbered(1, 0))
        with pytest.raises(UsageError, match=r"another process writes events to .* already"):
            EventFile(path)
        first.append(numbered(2, 1))
    with EventFile(path) as second:
        second.append(numbered(3, 2))
    assert len(path.read_text().splitlines()) == 3


def test_one_that_is_deleted_is_noticed_before_the_next_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventFile(path) as file:
        file.append(numbered(1, 0))
        path.unlink()
        with pytest.raises(UsageError, match="was deleted while events were written to it"):
            file.append(numbered(2, 1))
