"""The papers' tables: every row of theirs is there, and a stand-in never looks like IEMOCAP."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import nan
from pathlib import Path

import pytest
from rich.console import Console

from affectstream_tools.studies.tables.compared import compare_rows
from affectstream_tools.studies.tables.every_figure import (
    FOOTNOTE,
    STAND_IN,
    as_csv,
    as_text,
    table_cells,
)
from affectstream_tools.studies.tables.files import load_table_report
from affectstream_tools.studies.tables.one_screen import (
    SCREEN_COLUMNS,
    page_of_table,
    screen_of_table,
)
from affectstream_tools.studies.tables.papers import (
    PRINTED,
    QUOTED,
    TITLES,
    printed,
    task_and_model,
)
from affectstream_tools.studies.tables.report import TableReport, table_report_of
from affectstream_tools.studies.tables.rows import TableRow, completed

REPORTS = Path(__file__).parents[3] / "docs" / "reports"
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


def report(rows: Sequence[TableRow], table: str = "t3") -> TableReport:
    return table_report_of(table, completed(rows, [table]), [], "the command")


def screen(given: TableReport, *, colour: bool = False) -> str:
    text = io.StringIO()
    console = Console(file=text, width=SCREEN_COLUMNS, force_terminal=colour, highlight=False)
    console.print(screen_of_table(given))
    return text.getvalue()


def test_every_row_of_the_papers_is_there_without_any_of_ours() -> None:
    rows = completed([], list(TITLES))
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
    for written in (page_of_table(report([row])), screen(report([row]))):
        assert row.data in written
        assert (f"{row.ours:.2f}{STAND_IN}" in written) is stands_in
        assert ("NOT IEMOCAP" in written) is stands_in
    (line,) = csv.DictReader(io.StringIO(as_csv([row])))
    assert line["stand_in"] == str(stands_in)
    assert (float(line["ours"]), line["data"]) == (row.ours, row.data)


def test_stand_ins_are_a_table_of_their_own_without_the_papers_numbers() -> None:
    ceiling = replace(
        SYNTHETIC, data="synthetic corpus, not IEMOCAP; the best decisions reach 78.1"
    )
    above, below = screen(report([REAL, ceiling, RAVDESS])).split("NOT IEMOCAP", 1)
    assert [each in above for each in ("64.78", "61.24", "70.00", "50.00")] == [
        True,
        True,
        False,
        False,
    ]
    assert [each in below for each in ("64.78", "61.24", "70.00*", "50.00*", "78.1")] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert "Model 1" not in below  # it was not run there


def test_the_epoch_that_the_test_part_chose_is_grey_and_in_brackets_beside_ours() -> None:
    given = report([replace(REAL, selected="test", ours=63.5), REAL])
    assert "61.24 (63.50)" in screen(given)
    assert "61.24 (63.50)" in page_of_table(given)
    assert "61.24\x1b[2m (63.50)\x1b[0m" in screen(given, colour=True)
    assert "(" not in screen(report([REAL])).partition("Data:")[0]


def test_a_table_says_what_the_data_is_chance_and_how_many_runs() -> None:
    other = replace(REAL, protocol="random 20 %", chance=33.0)
    said = screen(report([REAL, other]))
    assert re.search(r"chance +31\.20 +33\.00", said)
    assert "Data: IEMOCAP transcripts, 4 classes (exc alone). Means of 3 runs." in said
    assert "One run each." in screen(report([replace(REAL, runs=1)]))
    several = screen(report([REAL, replace(other, runs=5)]))
    assert "Means of 3 runs (session 5) and 5 runs (random 20 %)." in several


def test_protocols_like_the_papers_stand_next_to_its_numbers() -> None:
    last = replace(REAL, protocol="last 20 %")
    columns = compare_rows("t3", [REAL, last]).columns(stand_ins=False)
    assert [column.protocol for column in columns] == ["last 20 %", "session 5"]


def test_two_corpora_of_one_protocol_are_two_columns() -> None:
    heard = replace(REAL, data="IEMOCAP, 4 classes (exc alone)", ours=59.0)
    said = page_of_table(report([REAL, heard]))
    assert "| IEMOCAP transcripts, session 5 | IEMOCAP, session 5 |" in said
    assert "| 64.78 | 61.24 | 59.00 |" in said


def test_improvised_dialogues_are_printed_alone_only_where_the_papers_row_is_of_them() -> None:
    part = replace(REAL, part="improvised", ours=55.0)
    assert "55.00" not in screen(report([REAL, part]))
    own = replace(part, table="t2", row="Model 4, improvised", paper=62.72)
    assert re.search(r"Model 4, improvised +62\.72 +55\.00", screen(report([own], "t2")))


def test_what_could_not_be_run_says_why_and_other_work_has_nothing_of_ours() -> None:
    row = replace(REAL, table="t2", row="Model 4, all", ours=None, data="IEMOCAP was not run: why")
    said = screen(report([row], "t2"))
    assert re.search(r"Model 4, all +64\.78 +not run", said)
    assert re.search(r"Lee and Tashev 2015, improvised +62\.85 +other work", said)
    assert "IEMOCAP was not run: why." in said


def test_how_much_of_the_dialogue_a_model_sees_is_said_where_they_differ() -> None:
    rows = [
        replace(REAL, table="w2", row=f"valence: {model}, v+f", metric="f1", look_ahead=seen)
        for model, seen in (("BLSTM", "full"), ("SVM", "none"), ("LSTM", "2"))
    ]
    said = " ".join(screen(report(rows, "w2")).split())
    assert "SVM: the utterance alone; BLSTM: the whole dialogue; LSTM: 2 later utterances." in said
    assert "sees" not in screen(report([REAL]))


@pytest.mark.parametrize("table", TITLES)
def test_a_saved_table_is_one_screen_and_a_number_of_the_papers_stands_in_it_once(
    table: str,
) -> None:
    (given,) = load_table_report(REPORTS, [table])
    lines = screen(given).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= SCREEN_COLUMNS
    known = {key: value for key, value in PRINTED.items() if key[0] == table and value}
    times = Counter(f"{value:.2f}" for value in known.values())
    words = Counter(re.findall(r"\d+\.\d\d", "\n".join(lines)))
    assert {number: words[number] for number in times} == dict(times)
    for (_, row, _), value in known.items():
        model = task_and_model(table, row)[1]
        (line,) = (each for each in lines if each.startswith(model) and f"{value:.2f}" in each)
        assert "…" not in line


def test_every_page_has_the_figures_of_its_screen() -> None:
    for given in load_table_report(REPORTS, list(TITLES)):
        figures = Counter(re.findall(r"\d+\.\d\d?\*?", screen(given)))
        assert figures == Counter(re.findall(r"\d+\.\d\d?\*?", page_of_table(given)))
        page = (REPORTS / f"{given.table}.md").read_text()
        assert not Counter(figures) - Counter(re.findall(r"\d+\.\d\d?\*?", page))
        for name in re.findall(r"\]\((.+?)\)", page):
            assert (REPORTS / name).exists(), name


def test_what_is_not_known_is_a_dash_and_never_nan() -> None:
    unknown = replace(REAL, ours=nan, sd=None)
    assert (table_cells(unknown)["ours"], table_cells(unknown)["sd"]) == ("-", "-")
    assert unknown.to_dict()["ours"] is None
    assert "nan" not in screen(report([unknown]))


def test_markdown_bears_bars_in_words() -> None:
    further = replace(REAL, row="a|b", paper=None)
    lines = page_of_table(report([REAL, further])).splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("|")} == {4}


def _key(row: TableRow) -> tuple[str, str, str]:
    return row.table, row.row, row.metric
