"""The command ``affectstream-lab tables``, with small experiments of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from affectstream_tools.commands.studies.tables import tables
from affectstream_tools.jobs.jobs import Job, JobOutcome
from affectstream_tools.studies.tables.experiments import PaperExperiments
from affectstream_tools.studies.tables.report import ConfusionTable
from affectstream_tools.studies.tables.rows import TableRow

app = typer.Typer()
app.command()(tables)

TASKS = """
import os

def score(name):
    if os.environ.get("TABLE_TASKS_FAIL"):
        raise RuntimeError("no convergence")
    return {"accuracy": 61.5}
"""


def jobs(data: Path, cache: Path, *, seeds: Sequence[int] = (0,), small: bool = False) -> list[Job]:
    """One each for t1 and t3."""
    return [
        Job(f"t/{table}/seed-{seed}", "table_tasks:score", {"name": table})
        for table in ("t1", "t3")
        for seed in seeds
    ]


def rows(outcomes: Mapping[str, JobOutcome]) -> list[TableRow]:
    return [
        TableRow(
            table=outcome.job.options["name"],
            row="Model 3: LSTM, learned embeddings",
            metric="accuracy",
            paper=64.78,
            ours=outcome.result["accuracy"],
            data="synthetic corpus, not IEMOCAP",
            protocol="session 5",
        )
        for outcome in outcomes.values()
    ]


def confusions(outcomes: Mapping[str, JobOutcome]) -> list[ConfusionTable]:
    tables = [outcome.job.options["name"] for outcome in outcomes.values()]
    return [ConfusionTable(table, "a row", ["a", "b"], [[1, 0], [0, 1]]) for table in tables]


@pytest.fixture
def experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "table_tasks.py").write_text(TASKS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("AFFECTSTREAM_DATA", raising=False)
    small = PaperExperiments(
        jobs=jobs,
        tables_of=lambda job: frozenset({job.options["name"]}),
        rows=rows,
        confusions=confusions,
    )
    monkeypatch.setattr("affectstream_tools.studies.tripathi.tables.TRIPATHI", small)


KEYS = [
    *("table", "row", "metric", "paper", "ours", "data", "protocol", "part", "selected"),
    *("look_ahead", "chance", "runs", "sd", "wall_s", "peak_mib"),
]
"""What ``--json`` says of each row."""


def run(folder: Path, *options: str) -> Result:
    places = ["--data", str(folder), "--cache", str(folder / "cache"), "--out", str(folder / "out")]
    return CliRunner().invoke(app, [*places, *options])


def last_line(result: Result) -> list[dict[str, object]]:
    return json.loads(result.stdout.splitlines()[-1])["rows"]


def test_a_table_is_computed_shown_saved_and_shown_again(
    experiments: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path, "--table", "t3", "--json", "--costs")
    assert first.exit_code == 0, first.output
    rows = last_line(first)
    assert [row["ours"] for row in rows] == [None, None, 61.5]
    assert [*rows[0]] == KEYS
    assert "61.50*" in first.stderr
    assert "t/t3/seed-0" in first.stderr  # what it took
    assert sorted(path.stem for path in (tmp_path / "cache").rglob("*.json")) == ["seed-0"]
    assert (tmp_path / "out" / "t3-confusion.png").exists()
    monkeypatch.setenv("TABLE_TASKS_FAIL", "1")
    again = run(tmp_path, "--table", "t3", "--report", "--json")
    assert again.exit_code == 0
    assert last_line(again) == rows
    assert "61.50*" in again.stderr
    assert run(tmp_path, "--table", "t3").exit_code == 0  # what is kept is not run again
    fresh = run(tmp_path, "--table", "t3", "--fresh")
    assert (fresh.exit_code, "no convergence" in fresh.stderr) == (1, True)


def test_every_metric_and_the_costs_are_printed_if_wanted(
    experiments: None, tmp_path: Path
) -> None:
    short = run(tmp_path, "--table", "t3").stderr
    assert [word in short for word in ("look-ahead", "t/t3/seed-0")] == [False, False]
    assert "--all" in short
    costs = run(tmp_path, "--table", "t3", "--report", "--costs").stderr
    assert costs.startswith("Tripathi and Beigi, Table 3: text. Accuracy, per cent")
    assert "t/t3/seed-0" in costs
    every = run(tmp_path, "--table", "t3", "--report", "--all").stderr
    assert [word in every for word in ("look-ahead", "t/t3/seed-0")] == [True, False]
    assert "61.50*" in every


def test_a_failed_experiment_is_named_and_nothing_is_saved(
    experiments: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABLE_TASKS_FAIL", "1")
    result = run(tmp_path, "--table", "t1,t3", "--seeds", "0,1", "--json")
    assert result.exit_code == 1
    assert "4 of 4 experiments failed" in result.stderr
    assert "t/t1/seed-1: RuntimeError: no convergence" in result.stderr
    assert all(row["ours"] is None for row in last_line(result))
    assert not (tmp_path / "out").exists()


def test_what_is_done_so_far_is_shown_without_running_the_rest(
    experiments: None, tmp_path: Path
) -> None:
    assert run(tmp_path, "--table", "t3").exit_code == 0
    shown = run(tmp_path, "--table", "t1,t3", "--kept", "--json")
    assert shown.exit_code == 0, shown.output
    assert "1 of 2 experiments are done" in shown.stderr
    assert {row["table"] for row in last_line(shown) if row["ours"] is not None} == {"t3"}


def test_a_small_run_says_so_and_keeps_apart(experiments: None, tmp_path: Path) -> None:
    result = run(tmp_path, "--table", "t3", "--small", "--json")
    assert "not IEMOCAP, a few utterances only" in str(last_line(result)[2]["data"])
    saved = json.loads((tmp_path / "out" / "small" / "tables.json").read_text())["t3"]
    assert [each["title"] for each in saved["confusions"]] == ["a row, a few utterances only"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["experiments-small"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small"]
    again = run(tmp_path, "--table", "t3", "--small", "--report", "--json")
    assert last_line(again) == last_line(result)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--table", "t9"], "there is no table 't9'; use t1, t2"),
        (["--seeds", "one"], "seeds are whole numbers such as 0,1,2, not 'one'"),
        (["--report"], "run the command without --report first"),
        (["--data", "nowhere"], "there is no folder of corpora at nowhere; name it with --data"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    experiments: None, tmp_path: Path, options: list[str], words: str
) -> None:
    result = run(tmp_path, *options)
    assert result.exit_code == 1
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_without_data_it_says_what_to_name(experiments: None) -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 1
    assert "name the folder of corpora with --data or $AFFECTSTREAM_DATA" in result.stderr
