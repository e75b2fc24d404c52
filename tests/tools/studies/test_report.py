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
from affectstream_tools.studies.tables.compared import best_confusions, compare_rows
from affectstream_tools.studies.tables.costs import costs_as_markdown, costs_as_text
from affectstream_tools.studies.tables.files import load_table_report, save_table_report
from affectstream_tools.studies.tables.plots import plot_compared, plot_confusions
from affectstream_tools.studies.tables.report import ConfusionTable, Cost, table_report_of
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
    before = (tmp_path / "t3.md").read_bytes()
    save_table_report([second], tmp_path)
    assert load_table_report(tmp_path, ["t3", "w3"]) == [first, second]
    assert (tmp_path / "t3.md").read_bytes() == before
    for name in ("t3.csv", "t3.md", "w3.md", "t3-accuracy.png", "w3-f1.png", "costs.md"):
        assert (tmp_path / name).stat().st_size > 100, name
    saved = json.loads((tmp_path / "tables.json").read_text())
    assert saved["t3"]["command"] == "the command"
    assert saved["t3"]["date"].startswith("20")
    assert saved["t3"]["versions"]["numpy"] == np.__version__
    assert saved["t3"]["costs"][0]["machine"] == "2 x a processor"
    assert "`the command`" in (tmp_path / "t3.md").read_text()
    assert "(t3-accuracy.png)" in (tmp_path / "t3.md").read_text()
    assert "| x/seed-0 | 2.0 | 100 |" in (tmp_path / "costs.md").read_text()


def test_a_report_that_is_not_saved_says_where_it_looked_and_how_to_make_it(
    tmp_path: Path,
) -> None:
    with pytest.raises(AffectstreamError, match="run the command without --report first") as said:
        load_table_report(tmp_path, ["t3"])
    assert f"is saved in {tmp_path}, where reports are looked for" in str(said.value)
    (tmp_path / "tables.json").write_text('{"t3": 1}')
    with pytest.raises(AffectstreamError, match="no report of ours"):
        load_table_report(tmp_path, ["t3"])


def test_a_stand_in_is_drawn_without_the_colour_of_iemocap(tmp_path: Path) -> None:
    stand_in = replace(ROW, data="synthetic corpus, not IEMOCAP")
    nothing = replace(ROW, ours=None)
    blue = {
        name: _blue_pixels(plot_compared(compare_rows("t3", [row]), tmp_path / f"{name}.png"))
        for name, row in {"real": ROW, "stand-in": stand_in, "nothing": nothing}.items()
    }
    assert blue["stand-in"] == blue["nothing"]
    assert blue["real"] > 3 * blue["nothing"]


def _blue_pixels(path: Path) -> int:
    pixels = imread(path)
    return int((pixels[..., 2] - pixels[..., 0] > 0.2).sum())


def test_a_picture_of_a_table_is_as_wide_as_a_page(tmp_path: Path) -> None:
    paths = [
        plot_compared(compare_rows(table, [replace(ROW, table=table, row=row, metric=metric)]), at)
        for table, row, metric, at in (
            ("t3", "Model 1: CNN, GloVe", "accuracy", tmp_path / "t.png"),
            ("w3", "3 clusters: SVM, v+f", "f1", tmp_path / "w.png"),
        )
    ]
    assert [imread(path).shape[1] for path in paths] == [1200, 1200]


def test_a_table_has_its_own_confusions(tmp_path: Path) -> None:
    given = [ConfusionTable(table, "X", ["a", "b"], [[1, 2], [3, 4]]) for table in ("t3", "t1")]
    report = table_report_of("t3", [ROW], [], "", given)
    assert report.confusions == given[:1]
    save_table_report([report], tmp_path)
    assert (tmp_path / "t3-confusion.png").exists()
    assert load_table_report(tmp_path, ["t3"]) == [report]


def test_the_best_matrix_of_each_task_is_drawn_and_no_stand_in(tmp_path: Path) -> None:
    good, bad = [[3, 0], [0, 3]], [[1, 2], [2, 1]]
    matrices = [
        ConfusionTable("w2", f"{task}: {model}; {protocol}; {data}", ["1..2", "4..5"], counts)
        for task, model, protocol, data, counts in (
            ("valence", "SVM, v+f", "session folds", "IEMOCAP", bad),
            ("valence", "BLSTM, v+f", "session folds", "IEMOCAP", good),
            ("activation", "SVM, v+f", "session folds", "IEMOCAP", bad),
            ("activation", "BLSTM, v+f", "speaker (W's folds)", "IEMOCAP", good),
            ("activation", "BLSTM, v+f", "session folds", "synthetic corpus, not IEMOCAP", good),
        )
    ]
    assert best_confusions("w2", matrices) == [matrices[1], matrices[2]]
    assert best_confusions("w2", matrices[4:]) == []
    report = table_report_of("w2", [replace(ROW, table="w2", metric="f1")], [], "", matrices[4:])
    save_table_report([report], tmp_path)
    assert not (tmp_path / "w2-confusion.png").exists()
    assert load_table_report(tmp_path, ["w2"]) == [report]  # its figures are kept all the same


@pytest.mark.parametrize("count", [1, 3])
def test_a_class_that_never_occurs_is_drawn(count: int, tmp_path: Path) -> None:
    never = ConfusionTable("t3", "X", ["a", "b"], [[0, 0], [1, 3]])
    path = plot_confusions("T", [never] * count, tmp_path / "in" / "x.png")
    height, width, _ = imread(path).shape
    assert (width > 3 * height // 2) is (count > 1)


def test_a_machine_is_named_once_or_beside_each_experiment() -> None:
    costs = [Cost("a", 1800.0, 10.0, "one"), Cost("b", 1800.0, 20.0, "one")]
    said = "2 experiments, a process and a thread each, on one: 3600.0 s (1.0 h)"
    assert said in costs_as_text(costs)
    assert "at most 20 MiB" in costs_as_text(costs)
    other = costs_as_markdown([costs[0], replace(costs[1], machine="another")])
    assert "| b | 1800.0 | 20 | another |" in other
    assert " on one" not in other
