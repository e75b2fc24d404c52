"""``affectstream-lab evaluate classifier``: what it prints, and what it says of bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("hmmlearn")

import typer
from typer.testing import CliRunner, Result

from affectstream_tools.commands.models.classifier import evaluate_classifier
from affectstream_tools.synthesis.corpus_writer import write_corpus
from affectstream_tools.synthesis.dialogue_model import DialogueModel
from derived_copy import WORDS, write_derived

app = typer.Typer()
app.command()(evaluate_classifier)

KINDS = ("impro01", "impro02", "script01_1")
NAMES = tuple(f"Ses{session:02d}F_{kind}" for session in range(1, 4) for kind in KINDS)


@pytest.fixture(scope="module")
def derived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 50)).tolist()
    (folder / "glove-50d-5k").mkdir()
    table = json.dumps(dict(zip(WORDS, vectors, strict=True)))
    (folder / "glove-50d-5k" / "glove-50d-5k.json").write_text(table)
    return write_derived(folder / "iemocap-derived", NAMES, utterances=12)


def run(derived: Path, name: str, *options: str) -> Result:
    return CliRunner().invoke(app, [name, "--data", str(derived), "--small", *options])


def test_it_averages_over_the_folds_and_ends_with_json(derived: Path) -> None:
    result = run(derived, "svm", "--task", "clusters-3", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["folds"] == ["session 1", "session 2", "session 3"]
    everything, improvised = found["scores"]
    assert (everything["row"], everything["part"]) == ("SVM, v+f", "all")
    assert [np.sum(counts) for counts in everything["counts"]] == [36, 36, 36]
    assert [np.sum(counts) for counts in improvised["counts"]] == [24, 24, 24]
    accuracy = np.mean([np.trace(c) / np.sum(c) for c in everything["counts"]])
    assert everything["accuracy"] == pytest.approx(accuracy, abs=1e-4)


def test_one_fold_of_speakers_is_printed(derived: Path) -> None:
    result = run(derived, "hmm", "--protocol", "speaker", "--fold", "Ses02M")
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if line.startswith("valence, ")]
    assert len(lines) == 2 * 4  # v, f, both, both with the language model; all and improvised
    assert "HMM+LM, v+f, improvised (IEMOCAP, derived set" in lines[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("knn",), "no classifier 'knn'"),
        (("svm", "--task", "anger"), "no task 'anger'"),
        (("svm", "--protocol", "random"), "no protocol 'random'"),
        (("svm", "--fold", "session 9"), "the corpus has no session 9"),
        (("svm", "--sentences", "nowhere.npy"), "nowhere.npy cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(derived: Path, options: tuple[str, ...], message: str) -> None:
    result = run(derived, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_a_folder_without_a_corpus_is_one_sentence(tmp_path: Path) -> None:
    result = run(tmp_path, "svm")
    assert result.exit_code == 2
    assert "a derived set has utterances.csv" in result.stderr


def test_a_synthetic_corpus_is_called_one(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    size = {"sessions": 2, "dialogues_per_session": 2, "utterances": 4, "frame_rate_hz": 10}
    write_corpus(corpus, DialogueModel(), workers=1, **size)
    options = ("--fold", "session 1", "--cache", str(tmp_path / "cache"))
    result = run(corpus, "lstm", *options)
    assert result.exit_code == 0, result.output
    assert "(synthetic corpus, not IEMOCAP: voice and face markers)" in result.stdout
