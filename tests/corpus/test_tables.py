"""The derived set and label files as spreadsheets and Windows leave them."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from affectstream.corpus.derived import read_derived
from affectstream.corpus.raw_texts import read_transcriptions
from derived_copy import write_derived


def parted_by(separator: str, point: str = ".") -> Callable[[list[list[str]]], bytes]:
    def write(rows: list[list[str]]) -> bytes:
        lines = [
            separator.join(
                word.replace(".", point) if word.replace(".", "").isdigit() else word
                for word in row
            )
            for row in rows
        ]
        return "\r\n".join(lines).encode("utf-8-sig")

    return write


FORMS = {
    "byte-order mark": parted_by(","),
    "semicolons": parted_by(";"),
    "semicolons and decimal commas": parted_by(";", ","),
    "tabs": parted_by("\t"),
    "a trailing comma": lambda rows: parted_by(",")([[*row, ""] for row in rows]),
    "utf-16": lambda rows: parted_by("\t")(rows).decode("utf-8-sig").encode("utf-16"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_derived_set_says_the_same_however_it_was_written(tmp_path: Path, form: str) -> None:
    folder = write_derived(tmp_path / "set")
    expected = read_derived(folder)
    table = folder / "utterances.csv"
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    table.write_bytes(FORMS[form](rows))
    found = read_derived(folder)
    assert [d.id for d in found] == [d.id for d in expected]
    for dialogue, known in zip(found, expected, strict=True):
        for one, other in zip(dialogue.utterances, known.utterances, strict=True):
            assert (one.id, one.start_ns, one.end_ns) == (other.id, other.start_ns, other.end_ns)
            assert (one.emotion, one.valence, one.text) == (
                other.emotion,
                other.valence,
                other.text,
            )


def test_a_scale_that_is_no_number_is_not_taken_for_the_lowest(tmp_path: Path) -> None:
    folder = write_derived(tmp_path / "set")
    table = folder / "utterances.csv"
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows[0]["valence"], rows[1]["valence"] = "-nan(ind)", ""
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    values = {u.id: u.valence for dialogue in read_derived(folder) for u in dialogue.utterances}
    assert math.isnan(values[rows[0]["id"]])
    assert math.isnan(values[rows[1]["id"]])
    assert sum(map(math.isnan, values.values())) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_label_files_of_a_raw_copy_are_read_in_every_encoding(
    tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Ses01F_impro01_F000 [006.2901-008.2357]: Ça va.\r\n", encoding=encoding)
    warnings: list[str] = []
    said = read_transcriptions("Ses01F_impro01", path, warnings)
    assert said == {"Ses01F_impro01_F000": (6.2901, 8.2357, "Ça va.")}
    assert not warnings
