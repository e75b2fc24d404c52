"""Reports: saved, read again, and drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from affectstream.errors import AffectstreamError
from affectstream_tools.jobs.jobs import Job, JobOutcome
from affectstream_tools.studies.tables.plots import curves, plot_confusions, plot_table
from affectstream_tools.studies.tables.report import (
    ConfusionTable,
    load_table_report,
    save_table_report,
    table_report_of,
)
from affectstream_tools.studies.tables.rows import TableRow

ROW = TableRow(
    table="t3",
    row="Model 1: CNN, GloVe",
    metric="accuracy",
    paper=None,
    ours=60.0,
    data="IEMOCAP transcripts",
    protocol="session 5",
)


def outcome(name: str) -> JobOutcome:
    return JobOutcome(Job(name, "m:f", {}), {}, 2.0, 100.0, "2 x a processor")


def test_a_report_is_read_as_it_was_saved_and_others_are_kept(tmp_path: Path) -> None:
    first = table_report_of("t3", [ROW], [outcome("x/seed-0")], "the command")
    second = table_report_of("w3", [replace(ROW, table="w3", metric="f1")], [], "another")
    save_table_report([first], tmp_path)
    before = (tmp_path / "t3.txt").read_bytes()
    save_table_report([second], tmp_path)
    assert load_table_report(tmp_path, ["t3", "w3"]) == [first, second]
    assert (tmp_path / "t3.txt").read_bytes() == before
    for name in ("t3.csv", "t3.md", "w3.txt", "t3-accuracy.png", "w3-f1.png", "costs.txt"):
        assert (tmp_path / name).stat().st_size > 100, name
    saved = json.loads((tmp_path / "tables.json").read_text())
    assert saved["t3"]["command"] == "the command"
    assert saved["t3"]["date"].startswith("20")
    assert saved["t3"]["versions"]["numpy"] == np.__version__
    assert saved["t3"]["costs"][0]["machine"] == "2 x a processor"
    assert "`the command`" in (tmp_path / "t3.md").read_text()
    assert "| x/seed-0 | 2.0 | 100 |" in (tmp_path / "costs.md").read_text()


def test_a_report_that_is_not_saved_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(AffectstreamError, match="run the command without --report first"):
        load_table_report(tmp_path, ["t3"])
    (tmp_path / "tables.json").write_text('{"t3": 1}')
    with pytest.raises(AffectstreamError, match="no report of ours"):
        load_table_report(tmp_path, ["t3"])


def test_a_stand_in_is_drawn_without_the_colour_of_iemocap(tmp_path: Path) -> None:
    stand_in = replace(ROW, data="synthetic corpus, not IEMOCAP")
    nothing = replace(ROW, ours=None)
    blue = {
        name: _blue_pixels(plot_table("T", [row], tmp_path / f"{name}.png"))
        for name, row in {"real": ROW, "stand-in": stand_in, "nothing": nothing}.items()
    }
    assert blue["stand-in"] == blue["nothing"]  # what the legend has
    assert blue["real"] > 3 * blue["nothing"] > 0


def _blue_pixels(path: Path) -> int:
    pixels = imread(path)
    return int((pixels[..., 2] - pixels[..., 0] > 0.2).sum())


def test_look_aheads_are_a_curve_where_nothing_else_differs(tmp_path: Path) -> None:
    seen = [replace(ROW, look_ahead=each, sd=1.0) for each in ("full", "causal", "none", "2")]
    other = replace(ROW, look_ahead="1", protocol="scenario")
    stand_in = [replace(row, data="RAVDESS") for row in seen[:3]]
    found = curves([*seen, other, *stand_in])
    assert [[row.look_ahead for row in line] for line in found.values()] == [
        ["none", "causal", "2", "full"],
        ["none", "causal", "full"],
    ]
    assert [name.endswith("RAVDESS, not IEMOCAP") for name in found] == [False, True]
    save_table_report([table_report_of("t3", [*seen, other], [], "")], tmp_path)
    assert (tmp_path / "t3-accuracy-look-ahead.png").exists()


def test_a_table_has_its_own_confusions(tmp_path: Path) -> None:
    given = [ConfusionTable(table, "X", ["a", "b"], [[1, 2], [3, 4]]) for table in ("t3", "t1")]
    report = table_report_of("t3", [ROW], [], "", given)
    assert report.confusions == given[:1]
    save_table_report([report], tmp_path)
    assert (tmp_path / "t3-confusion.png").exists()
    assert load_table_report(tmp_path, ["t3"]) == [report]


@pytest.mark.parametrize("count", [1, 5])
def test_a_class_that_never_occurs_is_drawn(count: int, tmp_path: Path) -> None:
    never = ConfusionTable("t3", "X", ["a", "b"], [[0, 0], [1, 3]])
    path = plot_confusions("T", [never] * count, tmp_path / "in" / "x.png")
    height, width, _ = imread(path).shape
    assert (width > 3 * height // 2) is (count > 1)
