"""The papers' tables: every row of theirs is there, and a stand-in never looks like IEMOCAP."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from math import nan

import pytest

from affectstream_tools.studies.tables.papers import PRINTED, QUOTED, TITLES, printed
from affectstream_tools.studies.tables.rows import TableRow
from affectstream_tools.studies.tables.tables import (
    FOOTNOTE,
    STAND_IN,
    TABLES,
    as_csv,
    as_markdown,
    as_text,
    completed,
    experiments_of,
    table_cells,
)

REAL = TableRow(
    table="t3",
    row="Model 3: LSTM, learned embeddings",
    metric="accuracy",
    paper=64.78,
    ours=61.237,
    data="IEMOCAP transcripts, 4 classes (exc alone)",
    protocol="session 5",
    chance=31.2,
    runs=3,
    sd=1.5,
    wall_s=12.4,
    peak_mib=510.0,
)
SYNTHETIC = replace(REAL, data="synthetic corpus, not IEMOCAP", ours=70.0)
RAVDESS = replace(REAL, data="RAVDESS, 24 actors", ours=50.0)


def test_every_row_of_the_papers_is_there_without_any_of_ours() -> None:
    rows = completed([], TABLES)
    assert {(row.table, row.row) for row in rows} == {key[:2] for key in PRINTED}
    assert all(row.ours is None and row.paper == PRINTED[_key(row)] for row in rows)
    assert {row.row for row in rows if "another work" in row.data} == QUOTED
    assert list(dict.fromkeys(row.table for row in rows)) == list(TITLES)


def test_a_number_of_the_papers_is_never_lost_to_one_of_ours() -> None:
    key = ("w2", "valence: BLSTM, v+f", "f1")
    ours = replace(REAL, table=key[0], row=key[1], metric="uar", paper=None)
    rows = completed([ours], ["w2"])
    mine = [row for row in rows if row.row == key[1]]
    assert {row.metric: row.paper for row in mine} == {"uar": None, "f1": 65.18}
    assert printed(*key) == 65.18


def test_rows_of_ours_stand_where_the_paper_has_them_and_further_ones_last() -> None:
    further = replace(REAL, row="Context BLSTM", paper=None)
    rows = completed([further, SYNTHETIC, REAL], ["t3"])
    assert [row.row.partition(":")[0] for row in rows] == [
        "Model 1",
        "Model 2",
        "Model 3",
        "Model 3",
        "Context BLSTM",
    ]
    assert rows[2:4] == [SYNTHETIC, REAL]


def test_other_tables_are_left_out() -> None:
    assert {row.table for row in completed([REAL], ["w3", "t1"])} == {"w3", "t1"}


@pytest.mark.parametrize(("row", "stands_in"), [(REAL, False), (SYNTHETIC, True), (RAVDESS, True)])
def test_a_stand_in_is_marked_wherever_it_is_written(row: TableRow, stands_in: bool) -> None:
    assert row.stands_in is stands_in
    assert table_cells(row)["ours"].endswith(STAND_IN) is stands_in
    text = " ".join(as_text("T", [row]).split())
    assert (f"{row.ours:.2f}{STAND_IN}" in text) is stands_in
    assert FOOTNOTE in text
    for word in re.findall(r"\w+", row.data):  # the column is folded, never left out
        assert word in text
    assert row.data in as_markdown("T", [row])
    (line,) = csv.DictReader(io.StringIO(as_csv([row])))
    assert line["stand_in"] == str(stands_in)
    assert (float(line["ours"]), line["data"]) == (row.ours, row.data)


def test_what_is_not_known_is_a_dash_and_never_nan() -> None:
    unknown = replace(REAL, ours=nan, sd=None)
    assert (table_cells(unknown)["ours"], table_cells(unknown)["sd"]) == ("-", "-")
    assert unknown.to_dict()["ours"] is None


def test_markdown_bears_bars_in_words() -> None:
    lines = as_markdown("T", [replace(REAL, data="a|b")]).splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("|")} == {15}


def test_a_table_that_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="no table 't9'; use t1, t2"):
        experiments_of(["t9"])


def _key(row: TableRow) -> tuple[str, str, str]:
    return row.table, row.row, row.metric
