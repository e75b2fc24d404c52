"""Scores are those of scikit-learn."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from affectstream.core.dialogue.model import CLASSES
from affectstream.corpus.dialogues import CorpusUtterance
from affectstream.corpus.scoring import Confusion, LiveScore
from affectstream.messages import Emotion, ModelIdentity

CODES = {"anger": "ang", "happiness": "exc", "neutral": "neu", "sadness": "sad", None: "fru"}


def spoken(name: str, label: str | None) -> CorpusUtterance:
    return CorpusUtterance(name, "d", "F", 0, 1, CODES[label], 3.0, 3.0, 3.0)


def estimate(name: str, label: str, status: Any, look_ahead: int = 0) -> Emotion:
    return Emotion(
        session="d",
        source="fusion",
        utterance=name,
        speaker="F",
        start_ns=0,
        end_ns=1,
        revision=0,
        status=status,
        categorical={c: 0.7 if c == label else 0.1 for c in CLASSES},
        look_ahead=look_ahead,
        model=ModelIdentity(id="m", sha256="0"),
    )


@pytest.mark.parametrize("seed", range(20))
def test_scores_are_those_of_scikit_learn(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    among = CLASSES[: 1 + seed % 4]  # also where a class never occurs
    true = rng.choice(among, 1 + seed * 17).tolist()
    said = [t if rng.random() < 0.5 else str(rng.choice(CLASSES)) for t in true]
    confusion = Confusion()
    for one, other in zip(true, said, strict=True):
        confusion.add(one, other)
    occurring = sorted(set(true))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recall = metrics.recall_score(true, said, labels=occurring, average="macro")
        f1 = metrics.f1_score(true, said, average="weighted", labels=occurring)
        accuracy = metrics.accuracy_score(true, said)
    assert confusion.uar == pytest.approx(recall)
    assert confusion.weighted_f1 == pytest.approx(f1)
    assert confusion.weighted_accuracy == pytest.approx(accuracy)
    assert confusion.utterances == len(true)
    assert confusion.as_dict() == {
        "uar": round(recall, 4),
        "wa": round(accuracy, 4),
        "weighted_f1": round(f1, 4),
    }


def test_nothing_scores_nothing() -> None:
    assert Confusion().as_dict() == {"uar": 0.0, "wa": 0.0, "weighted_f1": 0.0}
    assert LiveScore().as_dict()["utterances"] == 0


def test_provisionals_finals_and_every_look_ahead_are_scored_apart() -> None:
    score, utterance = LiveScore(), spoken("u0", "anger")
    score.add(estimate("u0", "sadness", "partial"), utterance, improvised=True)
    score.add(estimate("u0", "sadness", "provisional", 0), utterance, improvised=True)
    score.add(estimate("u0", "neutral", "revised", 1), utterance, improvised=True)
    score.add(estimate("u0", "anger", "final", 3), utterance, improvised=True)
    column = CLASSES.index
    for row, label in (
        ("provisional", "sadness"),
        ("look-ahead 0", "sadness"),
        ("look-ahead 1", "neutral"),
        ("look-ahead 2", "neutral"),
        ("look-ahead 4", "anger"),
        ("final", "anger"),
    ):
        assert score.row(row).counts[column("anger"), column(label)] == 1, row
        assert score.row(row, improvised=True).utterances == 1
    assert score.as_dict()["top_label_changed"] == 1.0


def test_utterances_without_one_of_the_four_labels_are_context_only() -> None:
    score = LiveScore()
    for status in ("provisional", "final"):
        score.add(estimate("u0", "anger", status), spoken("u0", None), improvised=False)
    summary = score.as_dict()
    assert (summary["utterances"], summary["labelled"]) == (1, 0)


def test_improvised_dialogues_are_scored_again_on_their_own() -> None:
    score = LiveScore()
    for i, improvised in enumerate((True, False, False)):
        for status in ("provisional", "final"):
            score.add(estimate(f"u{i}", "anger", status), spoken(f"u{i}", "anger"), improvised)
    assert score.row("final").utterances == 3
    assert score.row("final", improvised=True).utterances == 1


def test_without_look_ahead_the_first_estimate_is_final_and_counts_as_provisional_too() -> None:
    score = LiveScore()
    score.add(estimate("u0", "anger", "final"), spoken("u0", "anger"), improvised=False)
    assert score.row("provisional").utterances == score.row("final").utterances == 1


def test_what_changed_is_measured_from_the_very_first_estimate() -> None:
    score, utterance = LiveScore(), spoken("u0", "anger")
    score.add(estimate("u0", "sadness", "provisional", 0), utterance, improvised=False)
    score.add(estimate("u0", "anger", "revised", 0), utterance, improvised=False)  # a late text
    score.add(estimate("u0", "anger", "final", 0), utterance, improvised=False)
    assert score.as_dict()["top_label_changed"] == 1.0


def test_the_summary_has_the_promised_keys() -> None:
    summary: dict[str, Any] = LiveScore().as_dict()
    scores = {"uar", "wa", "weighted_f1"}
    assert isinstance(summary["utterances"], int)
    assert summary["provisional"].keys() == summary["final"].keys() == scores
    assert summary["improvised"]["provisional"].keys() == scores
    assert summary["improvised"]["final"].keys() == scores
