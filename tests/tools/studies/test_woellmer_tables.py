"""A fold of every protocol through every classifier, briefly, and the tables' rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("hmmlearn")

import torch

from affectstream.corpus.dialogues import CorpusDialogue, CorpusError
from affectstream_tools.corpora.speaker_statistics import speaker_normalised
from affectstream_tools.jobs.jobs import Job, JobOutcome
from affectstream_tools.studies.woellmer import tables as woellmer
from affectstream_tools.studies.woellmer.data import DerivedFeatures
from affectstream_tools.studies.woellmer.folds import folds_of
from affectstream_tools.studies.woellmer.tables import WOELLMER
from affectstream_tools.studies.woellmer.training import DialogueNetwork, DialogueSchedule
from derived_copy import WORDS, write_derived

pytestmark = pytest.mark.usefixtures("one_thread")

KINDS = ("impro01", "impro02", "script01_1")
NAMES = tuple(f"Ses{session:02d}F_{kind}" for session in range(1, 6) for kind in KINDS)
ROWS = ("HMM, v", "HMM, f", "HMM, v+f", "HMM+LM, v+f", "SVM, v+f", "LSTM, v+f", "BLSTM, v+f")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_derived(folder / "iemocap-derived", NAMES, utterances=12)
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 50)).round(3).tolist()
    (folder / "glove-50d-5k").mkdir()
    table = json.dumps(dict(zip(WORDS, vectors, strict=True)))
    (folder / "glove-50d-5k" / "glove-50d-5k.json").write_text(table)
    return folder


@pytest.fixture(scope="module")
def outcomes(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, JobOutcome]:
    """All small jobs, in this process."""
    found = {}
    for job in WOELLMER.jobs(data, tmp_path_factory.mktemp("cache"), small=True):
        task = getattr(woellmer, job.task.partition(":")[2])
        result = json.loads(json.dumps(task(**job.options)))
        found[job.name] = JobOutcome(job, result, 1.0, 1.0, "here")
    return found


def folds(outcome: JobOutcome) -> list[dict[str, Any]]:
    return list(outcome.result.get("folds", [outcome.result]))


def test_every_utterance_is_scored_once_by_every_classifier(
    outcomes: dict[str, JobOutcome],
) -> None:
    found = [entry for o in outcomes.values() for fold in folds(o) for entry in fold["scores"]]
    assert {entry["row"] for entry in found} == set(ROWS)
    for name, outcome in outcomes.items():
        if "synthetic" in name:
            continue
        # The session has 3 dialogues of 12 utterances; a speaker says half of them.
        expected = 18 if outcome.job.options["protocol"] == "speaker" else 36
        everything = [e for e in outcome.result["scores"] if e["part"] == "all"]
        assert {np.sum(e["counts"]) for e in everything} == {expected}, name
        improvised = [e for e in outcome.result["scores"] if e["part"] == "improvised"]
        assert 0 < np.sum(improvised[0]["counts"]) < expected


def test_the_synthetic_corpus_goes_through_frames_and_says_that_it_is_one(
    outcomes: dict[str, JobOutcome],
) -> None:
    (fold,) = folds(outcomes["w/synthetic/seed-0"])
    assert {entry["row"] for entry in fold["scores"]} == set(ROWS)
    assert all(
        entry["data"].startswith("synthetic corpus, not IEMOCAP") for entry in fold["scores"]
    )
    # Two dialogues of ten turns; who wears the markers has every other one.
    assert {np.sum(e["counts"]) for e in fold["scores"] if e["part"] == "all"} == {10}


def test_each_row_of_the_paper_is_there(outcomes: dict[str, JobOutcome]) -> None:
    rows = WOELLMER.rows(outcomes)
    assert {row.table for row in rows} == {"w2", "w3"}
    (best,) = (
        row
        for row in rows
        if (row.row, row.metric, row.protocol, row.part, row.stands_in)
        == ("valence: BLSTM, v+f", "f1", "session folds", "all", False)
    )
    assert (best.paper, best.look_ahead, best.runs) == (65.18, "full", 1)
    assert best.ours is not None
    assert 0 < best.ours < 100
    assert best.chance is not None
    assert {row.protocol for row in rows if row.row == "valence: BLSTM, v+f"} == {
        "speaker (W's folds)",
        "session folds",
    }
    unmeasured = [row for row in rows if row.row == "activation: HMM, v"]
    assert [(row.ours, row.look_ahead) for row in unmeasured] == [(None, "none")] * 4
    assert all(row.data.startswith("not run") for row in unmeasured)


def test_folds_and_seeds_are_averaged() -> None:
    def outcome(name: str, counts: list[list[int]]) -> JobOutcome:
        entry = {"task": "valence", "row": "SVM, v+f", "part": "all", "data": "IEMOCAP, x"}
        scores = [{**entry, "counts": counts, "wall_s": 2.0}]
        result = {"protocol": "session", "fold": name, "scores": scores}
        return JobOutcome(Job(name, "", {}), result, 3.0, 4.0, "here")

    some = [outcome("a", [[4, 0], [0, 4]]), outcome("b", [[2, 2], [2, 2]])]
    found = {r.metric: r for r in WOELLMER.rows({o.job.name: o for o in some}) if r.ours}
    assert found["accuracy"].ours == pytest.approx(75.0)
    assert found["f1"].sd == pytest.approx(100 * np.std([1.0, 0.5], ddof=1))
    assert (found["f1"].runs, found["f1"].wall_s, found["f1"].peak_mib) == (2, 2.0, 4.0)


def test_what_is_drawn_says_on_what_it_was_counted(outcomes: dict[str, JobOutcome]) -> None:
    drawn = WOELLMER.confusions(outcomes)
    assert {each.table for each in drawn} == {"w2", "w3"}
    synthetic = [each for each in drawn if "synthetic corpus, not IEMOCAP" in each.title]
    assert 0 < len(synthetic) < len(drawn)
    assert len({(each.table, each.title) for each in drawn}) == len(drawn)
    seeds = {**outcomes, "again": outcomes["w/session/session-5/networks/seed-0"]}
    twice = {each.title: np.sum(each.counts) for each in WOELLMER.confusions(seeds)}
    for each in drawn:
        more = 2 if "session folds; IEMOCAP" in each.title else 1
        assert twice[each.title] == more * np.sum(each.counts), each.title


def test_jobs_have_names_of_their_own_and_classical_ones_one_seed(tmp_path: Path) -> None:
    (tmp_path / "iemocap-derived").mkdir()
    names = [job.name for job in WOELLMER.jobs(tmp_path, tmp_path, seeds=(0, 1))]
    assert len(set(names)) == len(names) == 30 + 15 + 2
    assert sum("classical" in name for name in names) == 15
    (tmp_path / "IEMOCAP_full_release" / "Session1").mkdir(parents=True)
    assert len(WOELLMER.jobs(tmp_path, tmp_path)) == 30 + 1 + 15
    assert len(WOELLMER.jobs(tmp_path / "IEMOCAP_full_release", tmp_path)) == 1 + 15


def test_features_know_nothing_of_the_test_part(data: Path) -> None:
    features = DerivedFeatures(data / "iemocap-derived")
    (fold,) = folds_of(features.dialogues, "session", "session 5", 0)
    talk = features.fit(fold.learned, 0)(fold.test[0])
    changed = features.fit(fold.learned[:6], 0)(fold.test[0])
    assert talk.functionals.shape[0] == len(fold.test[0].utterances)
    assert np.array_equal(talk.functionals[:, :47], changed.functionals[:, :47])
    assert talk.functionals.shape != changed.functionals.shape or not np.allclose(
        talk.functionals, changed.functionals
    )
    assert [frames.shape for frames in talk.streams["v"]] == [(1, 47)] * 12
    words = [len((said.text or "").split()) for said in fold.test[0].utterances]
    assert [frames.shape for frames in talk.streams["f"]] == [(count, 50) for count in words]


def test_sentence_embeddings_are_added_by_utterance(data: Path, tmp_path: Path) -> None:
    count = len(NAMES) * 12
    np.save(tmp_path / "rows.npy", np.arange(count * 3, dtype=np.float32).reshape(count, 3))
    features = DerivedFeatures(data / "iemocap-derived", tmp_path / "rows.npy")
    talk = features.fit(features.dialogues[:8], 0)(features.dialogues[1])
    assert talk.functionals[:, -3].tolist() == [3 * row for row in range(12, 24)]
    assert "sentence embeddings" in features.data["v+f"]
    np.save(tmp_path / "few.npy", np.zeros((2, 3), dtype=np.float32))
    with pytest.raises(CorpusError, match="not a row for each of 180 utterances"):
        DerivedFeatures(data / "iemocap-derived", tmp_path / "few.npy")


def test_what_is_missing_says_so(data: Path, tmp_path: Path) -> None:
    write_derived(tmp_path / "iemocap-derived")
    with pytest.raises(CorpusError, match="word vectors"):
        DerivedFeatures(tmp_path / "iemocap-derived")
    options = {"data": str(data), "protocol": "session", "fold": "session 5", "small": True}
    with pytest.raises(ValueError, match="no classifier 'knn'"):
        woellmer.run_fold(**options, classifiers=["knn"], tasks=["valence"])
    with pytest.raises(ValueError, match="no task 'anger'"):
        woellmer.run_fold(**options, classifiers=["svm"], tasks=["anger"])


def test_a_speaker_has_mean_zero_and_deviation_one(data: Path) -> None:
    dialogues: list[CorpusDialogue] = list(DerivedFeatures(data / "iemocap-derived").dialogues)
    said = [u for d in dialogues for u in d.utterances]
    given = {u.id: 100 * int(u.speaker[3:5]) + u.acoustic for u in said if u.acoustic is not None}
    given[said[0].id] = np.full(47, np.nan, dtype=np.float32)
    found = speaker_normalised(dialogues, given)
    assert not found[said[0].id].any()
    own = np.stack([found[u.id] for u in said if u.speaker == "Ses02M"])
    np.testing.assert_allclose(own.mean(axis=0), 0, atol=0.05)  # clipping moves it a little
    np.testing.assert_allclose(own.std(axis=0), 1, atol=0.05)


def dialogues_of(seed: int, count: int = 12) -> tuple[list[np.ndarray], list[np.ndarray]]:
    random = np.random.default_rng(seed)
    labels = [random.integers(-1, 3, size=9) for _ in range(count)]
    rows = [random.normal(size=(9, 6)) + 2 * np.eye(4, 6)[own] for own in labels]
    return rows, labels


def test_a_network_learns_the_same_each_time_and_leaves_the_generator_alone() -> None:
    plan = DialogueSchedule(epochs=8, batch=4, learning_rate=1e-2)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    one, same, other = (
        DialogueNetwork(3, bidirectional=False, seed=seed, schedule=plan).fit(
            dialogues_of(0), dialogues_of(1)
        )
        for seed in (0, 0, 1)
    )
    assert torch.equal(torch.rand(1), expected)
    rows, labels = dialogues_of(2)
    found, truth = (np.concatenate(part) for part in ([one.predict(r) for r in rows], labels))
    assert (found == np.concatenate([same.predict(r) for r in rows])).all()
    assert (found != np.concatenate([other.predict(r) for r in rows])).any()
    assert (found == truth)[truth >= 0].mean() > 0.8
    assert 1 <= one.epoch <= plan.epochs


def test_balance_is_how_much_the_rare_class_weighs() -> None:
    random = np.random.default_rng(0)
    labels = [(random.random(9) < 0.1).astype(np.int64) for _ in range(12)]
    rows = [random.normal(size=(9, 4)) + 0.5 * own[:, None] for own in labels]
    found = {}
    for balance in (0.0, 1.0):
        plan = DialogueSchedule(epochs=6, batch=4, learning_rate=1e-2, balance=balance)
        network = DialogueNetwork(2, bidirectional=False, schedule=plan)
        network.fit((rows, labels), (rows, labels))
        found[balance] = np.concatenate([network.predict(own) for own in rows]).mean()
        assert (network.logits(rows[0]).argmax(axis=1) == network.predict(rows[0])).all()
    assert found[0.0] < found[1.0]


def test_a_network_without_labels_cannot_learn() -> None:
    rows, labels = dialogues_of(0)
    none = (rows, [np.full_like(own, -1) for own in labels])
    network = DialogueNetwork(3, bidirectional=True, schedule=DialogueSchedule(epochs=1))
    with pytest.raises(ValueError, match="no label to learn from"):
        network.fit(none, (rows, labels))
    with pytest.raises(ValueError, match="no label to choose"):
        network.fit((rows, labels), none)
