"""HMM, HMM with language model and SVM pass one suite on small dialogues whose context helps."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("hmmlearn")

from sklearn.svm import SVC

from affectstream_models.woellmer.class_bigram import ClassBigram
from affectstream_models.woellmer.hmm_classifiers import (
    HmmClassifier,
    HmmLanguageModelClassifier,
)
from affectstream_models.woellmer.inputs import UNLABELLED
from affectstream_models.woellmer.svm_classifier import SvmClassifier

CLASSES = 3
COLUMNS = 4
MODELS = Path(__file__).parents[3] / "models" / "affectstream_models"


@dataclass(frozen=True)
class Talk:
    """Dialogues of one split: frames and functionals of the same utterances, and their classes."""

    frames: list[list[np.ndarray]]
    rows: list[np.ndarray]
    labels: list[np.ndarray]


def talk(seed: int, dialogues: int = 16, utterances: int = 15) -> Talk:
    """A class stays on with 0.85; frames say little of it, in two of four columns."""
    random = np.random.default_rng(seed)
    means = np.array([[0.5, 0, 0, 0], [-0.5, 0.2, 0, 0], [0, -0.5, 0, 0]])
    frames, rows, labels = [], [], []
    for _ in range(dialogues):
        chain = [int(random.integers(CLASSES))]
        for _ in range(utterances - 1):
            stays = random.random() < 0.85
            chain.append(chain[-1] if stays else int(random.integers(CLASSES)))
        own = [random.normal(size=(random.integers(3, 7), COLUMNS)) + means[c] for c in chain]
        frames.append(own)
        rows.append(np.stack([np.r_[f.mean(axis=0), f.std(axis=0)] for f in own]))
        labels.append(np.array(chain))
    return Talk(frames, rows, labels)


def hmm() -> HmmClassifier:
    return HmmClassifier(CLASSES, iterations=6, seed=1)


def hmm_with_language_model() -> HmmLanguageModelClassifier:
    return HmmLanguageModelClassifier(CLASSES, iterations=6, seed=1)


def svm() -> SvmClassifier:
    return SvmClassifier(CLASSES)


MAKERS: dict[str, Callable[[], Any]] = {
    "hmm": hmm,
    "hmm-lm": hmm_with_language_model,
    "svm": svm,
}


def inputs(name: str, of: Talk) -> list[Any]:
    return list(of.rows if name == "svm" else of.frames)


@pytest.fixture(scope="module")
def training() -> Talk:
    return talk(0)


@pytest.fixture(scope="module")
def test_part() -> Talk:
    return talk(1)


@pytest.fixture(scope="module")
def fitted(training: Talk) -> dict[str, Any]:
    return {
        name: make().fit(inputs(name, training), training.labels) for name, make in MAKERS.items()
    }


def accuracy(name: str, model: Any, part: Talk) -> float:
    hits = [
        model.predict_proba(dialogue).argmax(axis=1) == labels
        for dialogue, labels in zip(inputs(name, part), part.labels, strict=True)
    ]
    return float(np.concatenate(hits).mean())


@pytest.mark.parametrize("name", MAKERS)
def test_each_utterance_has_probabilities(
    name: str, fitted: dict[str, Any], test_part: Talk
) -> None:
    for dialogue in inputs(name, test_part)[:3]:
        probabilities = fitted[name].predict_proba(dialogue)
        assert probabilities.shape == (len(dialogue), CLASSES)
        assert (probabilities >= 0).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)


@pytest.mark.parametrize("name", MAKERS)
def test_a_dialogue_without_utterances_has_no_rows(name: str, fitted: dict[str, Any]) -> None:
    empty = np.empty((0, 2 * COLUMNS)) if name == "svm" else []
    assert fitted[name].predict_proba(empty).shape == (0, CLASSES)


@pytest.mark.parametrize("name", MAKERS)
def test_training_again_gives_the_same(
    name: str, fitted: dict[str, Any], training: Talk, test_part: Talk
) -> None:
    again = MAKERS[name]().fit(inputs(name, training), training.labels)
    dialogue = inputs(name, test_part)[0]
    np.testing.assert_array_equal(
        again.predict_proba(dialogue), fitted[name].predict_proba(dialogue)
    )


@pytest.mark.parametrize("name", MAKERS)
def test_it_beats_chance(name: str, fitted: dict[str, Any], test_part: Talk) -> None:
    assert accuracy(name, fitted[name], test_part) > 1 / CLASSES + 0.15


def test_context_helps(fitted: dict[str, Any], test_part: Talk) -> None:
    alone = accuracy("hmm", fitted["hmm"], test_part)
    assert accuracy("hmm-lm", fitted["hmm-lm"], test_part) > alone + 0.05


@pytest.mark.parametrize("name", MAKERS)
def test_only_the_language_model_looks_at_the_neighbours(
    name: str, fitted: dict[str, Any], test_part: Talk
) -> None:
    dialogue = inputs(name, test_part)[0]
    whole, part = fitted[name].predict_proba(dialogue), fitted[name].predict_proba(dialogue[:4])
    assert np.allclose(whole[:4], part) == (name != "hmm-lm")


@pytest.mark.parametrize("name", MAKERS)
def test_a_class_without_utterances_is_refused(name: str, training: Talk) -> None:
    labels = [np.where(own == 1, UNLABELLED, own) for own in training.labels]
    with pytest.raises(ValueError, match="no utterance of class 1"):
        MAKERS[name]().fit(inputs(name, training), labels)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("label", [CLASSES, -2, 0.5])
def test_labels_that_are_none_are_refused(name: str, label: float, training: Talk) -> None:
    labels = [np.full(len(own), label) for own in training.labels]
    with pytest.raises(ValueError, match="labels are 0"):
        MAKERS[name]().fit(inputs(name, training), labels)


@pytest.mark.parametrize("name", MAKERS)
def test_labels_that_do_not_fit_the_dialogues_are_refused(name: str, training: Talk) -> None:
    dialogues = inputs(name, training)
    with pytest.raises(ValueError, match="15 lists of labels"):
        MAKERS[name]().fit(dialogues, training.labels[1:])
    with pytest.raises(ValueError, match="dialogue 0: 15 utterances"):
        MAKERS[name]().fit(dialogues, [training.labels[0][1:], *training.labels[1:]])
    with pytest.raises(ValueError, match="0 dialogues"):
        MAKERS[name]().fit([], [])


@pytest.mark.parametrize("name", MAKERS)
def test_numbers_that_are_none_are_refused(
    name: str, fitted: dict[str, Any], training: Talk
) -> None:
    dialogues = inputs(name, training)
    broken = [np.full_like(utterance, np.nan) for utterance in dialogues[0]]
    whole = np.stack(broken) if name == "svm" else broken
    with pytest.raises(ValueError, match="not finite"):
        fitted[name].predict_proba(whole)
    with pytest.raises(ValueError, match="not finite"):
        MAKERS[name]().fit([whole, *dialogues[1:]], training.labels)


@pytest.mark.parametrize("name", MAKERS)
def test_other_columns_are_refused(name: str, fitted: dict[str, Any], training: Talk) -> None:
    dialogues = inputs(name, training)
    first = dialogues[0]
    narrow = first[:, :-1] if name == "svm" else [frames[:, :-1] for frames in first]
    with pytest.raises(ValueError, match="fitted on"):
        fitted[name].predict_proba(narrow)
    with pytest.raises(ValueError, match="same columns"):
        MAKERS[name]().fit([narrow, *dialogues[1:]], training.labels)


@pytest.mark.parametrize("name", MAKERS)
def test_before_training_nothing_is_predicted(name: str, test_part: Talk) -> None:
    with pytest.raises(ValueError, match="not fitted"):
        MAKERS[name]().predict_proba(inputs(name, test_part)[0])


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_is_learnt_from_the_unlabelled(name: str, training: Talk, test_part: Talk) -> None:
    dialogues = inputs(name, training)
    hidden = [np.full_like(own, UNLABELLED) for own in training.labels[8:]]
    with_them = MAKERS[name]().fit(dialogues, training.labels[:8] + hidden)
    without = MAKERS[name]().fit(dialogues[:8], training.labels[:8])
    dialogue = inputs(name, test_part)[0]
    np.testing.assert_array_equal(
        with_them.predict_proba(dialogue), without.predict_proba(dialogue)
    )


def test_too_few_frames_for_the_states_are_refused() -> None:
    frames = [np.ones((5, 2)), np.arange(10.0).reshape(5, 2)]
    with pytest.raises(ValueError, match="class 0 has 1 distinct frames for 3 states"):
        HmmClassifier(2).fit([frames], [[0, 1]])


def test_an_utterance_without_frames_is_judged_by_its_neighbours(
    fitted: dict[str, Any], training: Talk, test_part: Talk
) -> None:
    silent = [np.empty((0, COLUMNS)), *test_part.frames[0]]
    np.testing.assert_allclose(fitted["hmm"].predict_proba(silent)[0], 1 / CLASSES)
    guess = fitted["hmm-lm"].predict_proba(silent)
    assert guess[0].argmax() == guess[1].argmax()
    labels = [np.r_[0, training.labels[0]], *training.labels[1:]]
    frames = [[silent[0], *training.frames[0]], *training.frames[1:]]
    np.testing.assert_array_equal(
        hmm().fit(frames, labels).predict_proba(test_part.frames[0]),
        fitted["hmm"].predict_proba(test_part.frames[0]),
    )


def test_the_states_are_fully_connected(fitted: dict[str, Any]) -> None:
    for model in fitted["hmm"]._models:
        assert model.transmat_.shape == (3, 3)
        assert (model.transmat_ > 0).all()


def test_without_weight_the_language_model_says_nothing(training: Talk, test_part: Talk) -> None:
    model = hmm_with_language_model().fit(training.frames[:4], training.labels[:4])
    model.weight = 0.0
    dialogue = test_part.frames[0]
    np.testing.assert_allclose(
        model.predict_proba(dialogue), model.hmm.predict_proba(dialogue), atol=1e-9
    )
    with pytest.raises(ValueError, match="weight"):
        model.weight = -1.0
    with pytest.raises(ValueError, match="weight"):
        HmmLanguageModelClassifier(CLASSES, weight=float("nan"))


def test_the_bigram_is_add_one_and_skips_the_unlabelled() -> None:
    bigram = ClassBigram.fit([np.array([0, 0, 1, -1, 1]), np.array([-1, 0]), np.array([], int)], 2)
    np.testing.assert_allclose(np.exp(bigram.start), [2 / 3, 1 / 3])
    np.testing.assert_allclose(np.exp(bigram.follow), [[1 / 2, 1 / 2], [1 / 2, 1 / 2]])


@pytest.mark.parametrize("seed", range(4))
def test_the_best_path_is_the_best_of_all(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(CLASSES, size=40)
    bigram = ClassBigram.fit([labels], CLASSES)
    scores = random.normal(size=(5, CLASSES))
    totals = {}
    for path in product(range(CLASSES), repeat=5):
        total = 1.5 * bigram.start[path[0]] + sum(scores[i, c] for i, c in enumerate(path))
        total += sum(1.5 * bigram.follow[path[i], path[i + 1]] for i in range(4))
        totals[path] = total
    best = bigram.best_paths(scores, 1.5)
    assert tuple(best.argmax(axis=1)) == max(totals, key=totals.__getitem__)
    for row, label in product(range(5), range(CLASSES)):
        through = max(total for path, total in totals.items() if path[row] == label)
        assert best[row, label] == pytest.approx(through)


def test_the_svm_keeps_informative_columns_only(fitted: dict[str, Any]) -> None:
    assert {0, 1} <= set(fitted["svm"].columns.indices)
    assert len(fitted["svm"].columns.indices) < 2 * COLUMNS


def test_the_svm_without_selection_and_with_two_classes(training: Talk, test_part: Talk) -> None:
    labels = [np.where(own == 2, UNLABELLED, own) for own in training.labels]
    model = SvmClassifier(2, selection=None).fit(training.rows, labels)
    assert model.columns is not None
    assert model.columns.indices == tuple(range(2 * COLUMNS))
    probabilities = np.concatenate([model.predict_proba(rows) for rows in test_part.rows])
    truth = np.concatenate(test_part.labels)
    assert probabilities.shape[1] == 2
    assert (probabilities.argmax(axis=1) == truth)[truth < 2].mean() > 0.7


def test_the_svm_says_what_its_machine_says(training: Talk, test_part: Talk) -> None:
    model = SvmClassifier(CLASSES, selection=None).fit(training.rows, training.labels)
    rows, labels = np.concatenate(training.rows), np.concatenate(training.labels)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    machine = SVC(kernel="linear").fit((rows - mean) / deviation, labels)
    scaled = (np.concatenate(test_part.rows) - mean) / deviation
    votes = np.exp(machine.decision_function(scaled))
    found = np.concatenate([model.predict_proba(dialogue) for dialogue in test_part.rows])
    np.testing.assert_allclose(found, votes / votes.sum(axis=1, keepdims=True), rtol=1e-9)


def test_what_was_learnt_of_other_classes_is_refused(fitted: dict[str, Any]) -> None:
    for name, other in (("hmm", HmmClassifier(2)), ("svm", SvmClassifier(2))):
        with pytest.raises(ValueError, match="not of 2"):
            other.load_state_dict(fitted[name].state_dict())
    for model in (HmmClassifier(2), HmmLanguageModelClassifier(2), SvmClassifier(2)):
        with pytest.raises(ValueError, match="not fitted"):
            model.state_dict()


@pytest.mark.parametrize("make", [HmmClassifier, HmmLanguageModelClassifier, SvmClassifier])
def test_one_class_is_no_choice(make: Callable[[int], object]) -> None:
    with pytest.raises(ValueError, match="two classes"):
        make(1)


def test_no_other_module_needs_these_libraries() -> None:
    users = set()
    for path in MODELS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if {name.partition(".")[0] for name in names} & {"sklearn", "hmmlearn"}:
                users.add(path.stem)
    assert users == {"hidden_markov", "selection", "svm_classifier"}
