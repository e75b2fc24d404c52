"""The experiments of Tripathi and Beigi, on few utterances: jobs, rows, and the two commands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from affectstream_models.tripathi.checkpoints import load_network
from affectstream_models.tripathi.networks import NETWORKS
from affectstream_tools.commands.app import lab
from affectstream_tools.jobs.jobs import Job, JobOutcome
from affectstream_tools.studies.tables.papers import PRINTED, QUOTED
from affectstream_tools.studies.tables.rows import completed
from affectstream_tools.studies.tripathi.data import read_utterances, synthetic_corpus
from affectstream_tools.studies.tripathi.experiment import (
    ExperimentPlan,
    experiment,
    run_network_job,
)
from affectstream_tools.studies.tripathi.rows import PAPER_ROWS
from affectstream_tools.studies.tripathi.tables import TRIPATHI, VECTORS
from derived_copy import write_derived

pytestmark = pytest.mark.usefixtures("one_thread")

DIALOGUES = tuple(
    f"Ses{session:02d}{who}_{kind}"
    for session in range(1, 6)
    for who, kind in (("F", "impro01"), ("M", "script01_1"))
)
QUICK = {"batch": 16, "epochs": 1, "patience": 1}


@pytest.fixture(scope="module")
def derived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_derived(tmp_path_factory.mktemp("corpora") / "iemocap-derived", DIALOGUES, 8)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def finished(job: Job, result: dict[str, Any], seconds: float = 1.0) -> JobOutcome:
    return JobOutcome(job, result, wall_s=seconds, peak_mib=100.0, machine="a")


def result_of(accuracy: float, named: str, *, improvised: bool = True) -> dict[str, Any]:
    scored = {"accuracy": accuracy, "uar": accuracy / 2, "confusion": [[3, 1], [1, 3]]}
    both = {**scored, "improvised": scored if improvised else None}
    return {
        "named": named,
        "classes": ["a", "b"],
        "vectors": "",
        "ceiling": None,
        "selected": {"test": both, "development": {**both, "accuracy": accuracy - 0.1}},
    }


def test_every_network_is_run_and_every_row_of_the_paper_has_one(tmp_path: Path) -> None:
    for folder in ("iemocap-derived", "ravdess16k", "glove-50d-5k"):
        (tmp_path / folder).mkdir()
    (tmp_path / VECTORS).write_text("{}")
    found = TRIPATHI.jobs(tmp_path, tmp_path, seeds=(0, 1))
    assert {job.options["network"] for job in found} == set(NETWORKS)
    assert len({job.name for job in found}) == len(found)
    assert {job.options["seed"] for job in found} == {0, 1}
    keys = {key[:2] for key in PRINTED if key[0].startswith("t") and key[1] not in QUOTED}
    assert set(PAPER_ROWS) == keys
    assert set().union(*map(TRIPATHI.tables_of, found)) == {"t1", "t2", "t3", "t4", "t5"}
    json.dumps([dict(job.options) for job in found])


def test_what_the_data_lacks_is_not_run(tmp_path: Path) -> None:
    found = TRIPATHI.jobs(tmp_path, tmp_path)
    assert {job.options["corpus"] for job in found} == {"synthetic"}
    assert not any(NETWORKS[job.options["network"]].embedding == "glove" for job in found)
    for session in (1, 5):
        (tmp_path / "IEMOCAP_full_release" / f"Session{session}").mkdir(parents=True)
    found = TRIPATHI.jobs(tmp_path, tmp_path)
    assert {job.options["corpus"] for job in found} == {"synthetic", str(tmp_path)}


def test_rows_say_what_they_were_measured_on_and_which_part_chose() -> None:
    job = Job("t/text-3/a/0", "m:f", {"network": "text-3", "improvised": False, "protocol": "x"})
    other = replace(job, name="t/text-3/a/1")
    rows = TRIPATHI.rows(
        {
            "0": finished(job, result_of(0.6, "IEMOCAP transcripts")),
            "1": finished(other, result_of(0.7, "IEMOCAP transcripts")),
        }
    )
    mine = [row for row in rows if row.ours is not None]
    assert {(row.part, row.selected, row.metric) for row in mine} == {
        (part, selected, metric)
        for part in ("all", "improvised")
        for selected in ("test", "development")
        for metric in ("accuracy", "uar")
    }
    to_compare = next(
        r for r in mine if (r.part, r.selected, r.metric) == ("all", "test", "accuracy")
    )
    assert to_compare.paper == 64.78
    assert to_compare.ours == pytest.approx(65.0)
    assert to_compare.sd == pytest.approx(7.0711, abs=1e-4)
    assert (to_compare.runs, to_compare.wall_s, to_compare.chance) == (2, 2.0, 50.0)
    blank = [row for row in rows if row.ours is None]
    assert {(row.table, row.row) for row in blank} == set(PAPER_ROWS) - {
        ("t3", "Model 3: LSTM, learned embeddings")
    }
    assert all(row.data.startswith("IEMOCAP was not run") for row in blank)
    assert {(row.table, row.row) for row in completed(rows, ["t1", "t2", "t3", "t4", "t5"])} == {
        key[:2] for key in PRINTED if key[0].startswith("t")
    }


def test_the_improvised_row_is_of_networks_trained_on_improvised_dialogues_alone() -> None:
    options = {"network": "speech-4", "protocol": "session 5"}
    jobs = [Job(f"t/{i}", "m:f", {**options, "improvised": i}) for i in (False, True)]
    assert [sorted(TRIPATHI.tables_of(job)) for job in jobs] == [["t1", "t2"], ["t2"]]
    rows = TRIPATHI.rows(
        {job.name: finished(job, result_of(0.5 + i / 10, "IEMOCAP")) for i, job in enumerate(jobs)}
    )
    ours = [
        row
        for row in rows
        if row.table == "t2" and (row.selected, row.metric) == ("test", "accuracy")
    ]
    assert [(row.row, row.part, row.ours, row.paper) for row in ours] == [
        ("Model 4, improvised", "improvised", pytest.approx(60.0), 62.72),
        ("Model 4, all", "all", pytest.approx(50.0), 55.65),
    ]


def test_a_stand_in_is_called_one_and_its_ceiling_stands_beside(cache: Path) -> None:
    options = {"network": "mocap-head-2", "corpus": "synthetic", "vectors": ""}
    options["protocol"] = "session 5"
    found = run_network_job(str(cache), **options, **QUICK, small=True)
    json.dumps(found)
    assert found["named"] == "synthetic corpus, not IEMOCAP"
    assert found["classes"] == ["anger", "excitement", "neutral", "sadness"]
    assert 0.25 < found["ceiling"]["accuracy"] <= 1
    assert found["ceiling"]["modalities"] == ("motion",)
    job = Job("t/a", "m:f", {**options, "improvised": False})
    rows = [row for row in TRIPATHI.rows({"a": finished(job, found)}) if row.ours is not None]
    assert rows
    assert all(row.stands_in for row in rows)
    best = found["ceiling"]
    for row in rows:  # of all dialogues together, and of the metric
        said = f"the best decisions reach {100 * best[f'realised_{row.metric}']:.1f}"
        assert (said in row.data) == (row.part == "all")


def test_the_synthetic_corpus_is_written_once(cache: Path) -> None:
    folder = synthetic_corpus(cache, small=True)
    before = (folder / "model.json").stat().st_mtime_ns
    assert synthetic_corpus(cache, small=True) == folder
    assert (folder / "model.json").stat().st_mtime_ns == before
    assert [each.name for each in folder.parent.iterdir()] == [folder.name]


def test_excitement_is_taken_alone_and_improvised_dialogues_can_be(derived: Path) -> None:
    found = read_utterances(derived, ("tokens",), derived)
    emotions = {each.utterance.emotion for each in found.labelled}
    assert emotions == {"ang", "exc", "neu", "sad"}
    assert found.named == "IEMOCAP transcripts, 4 classes (exc alone)"
    for each, label in zip(found.labelled, found.labels, strict=True):
        assert found.classes[label][:2] == each.utterance.emotion[:2]
    alone = read_utterances(derived, ("tokens",), derived, improvised=True)
    assert 0 < len(alone.labels) < len(found.labels)
    assert alone.improvised.all()
    with pytest.raises(ValueError, match="has nothing to make speech of; use a network of text"):
        read_utterances(derived, ("speech",), derived)


def test_a_seed_makes_the_same_run_to_the_last_bit(derived: Path, cache: Path) -> None:
    plan = ExperimentPlan("text-3", str(derived), "", "session 5", **QUICK)
    runs = [experiment(replace(plan, seed=seed), cache).to_dict() for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_real_transcripts_are_as_many_as_the_paper_has(data_folder: Path, tmp_path: Path) -> None:
    found = read_utterances(data_folder / "iemocap-derived", ("tokens",), tmp_path)
    assert len(found.labels) == 4936
    assert (found.sessions < 5).sum() == 3838
    assert found.improvised.sum() == 2659


def train(*options: str) -> Any:
    return CliRunner().invoke(lab, ["train", "network", *options])


def test_a_network_is_trained_saved_and_scored_again(derived: Path, tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    (tmp_path / "glove.json").write_text('{"we": [0.5, 0.25], "sure": [1, 2]}')
    words = f"text-2 --data {derived} --vectors {tmp_path / 'glove.json'} --optimiser adam"
    words += f" --epochs 2 --batch 16 --out {file} --cache {tmp_path} --json"
    done = train(*words.split())
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout.splitlines()[-1])
    assert load_network(file).sha256 == said["sha256"]
    assert said["vectors"].startswith("glove.json, sha256 ")
    again = CliRunner().invoke(
        lab, ["evaluate", "network", str(file), "--json", "--cache", str(tmp_path)]
    )
    assert again.exit_code == 0, again.output
    found = json.loads(again.stdout.splitlines()[-1])
    chosen = said["selected"]["development"]
    for name in ("accuracy", "uar", "confusion", "improvised"):
        assert found[name] == chosen[name]
    own = ["evaluate", "network", str(file), "--data", str(derived), "--cache", str(tmp_path)]
    refused = CliRunner().invoke(lab, own)
    assert refused.exit_code == 2
    assert "the network has learned from" in refused.stderr
    other = write_derived(tmp_path / "other", DIALOGUES[:2], 8)
    whole = CliRunner().invoke(lab, [*own[:4], str(other), *own[5:]])
    assert whole.exit_code == 0, whole.output
    assert "all of it: accuracy" in whole.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["speech-9", "--data", "DERIVED"], "there is no network 'speech-9'; there are speech-1"),
        (["speech-1", "--data", "DERIVED"], "has nothing to make speech of"),
        (["text-2", "--data", "DERIVED"], "holds no word vectors"),
        (["text-3", "--data", "nowhere"], "nowhere is no folder"),
        (["text-3", "--data", "DERIVED", "--optimiser", "sgd"], "use adadelta or adam"),
        (["text-3", "--data", "DERIVED", "--protocol", "x"], "no protocol 'x'; there are random"),
    ],
)
def test_what_cannot_be_trained_says_why_in_one_sentence(
    options: list[str], said: str, derived: Path, tmp_path: Path
) -> None:
    words = [str(derived) if word == "DERIVED" else word for word in options]
    done = train(*words, "--cache", str(tmp_path), "--out", str(tmp_path / "net"))
    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "net").exists()


def test_a_place_that_cannot_be_written_is_said_before_training(tmp_path: Path) -> None:
    done = train("text-3", "--data", "nowhere", "--out", str(tmp_path / "none" / "net"))
    assert done.exit_code == 2
    assert "for the checkpoint; name another with --out" in done.stderr


def test_what_is_no_checkpoint_says_why(tmp_path: Path) -> None:
    done = CliRunner().invoke(lab, ["evaluate", "network", str(tmp_path / "none")])
    assert done.exit_code == 2
    assert "cannot read the checkpoint" in done.stderr


def test_television_is_not_called_iemocap(tmp_path: Path) -> None:
    rows = ["Dialogue_ID,Utterance_ID,Speaker,Emotion,Utterance", "0,0,A,joy,yes", "0,1,B,anger,no"]
    (tmp_path / "train_sent_emo.csv").write_text("\n".join(rows) + "\n")
    found = read_utterances(tmp_path, ["tokens"], tmp_path)
    assert found.named == "MELD, not IEMOCAP"
    assert [found.classes[label] for label in found.labels] == ["happiness", "anger"]
