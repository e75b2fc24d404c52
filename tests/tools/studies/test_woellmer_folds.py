"""Folds that hold out who they say, and the scores of Woellmer et al. (2010)."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from affectstream.corpus.derived import read_derived
from affectstream.corpus.dialogues import CorpusDialogue
from affectstream_tools.studies.woellmer.folds import fold_names, folds_of
from affectstream_tools.studies.woellmer.scores import chance_of, mean_fold_scores, scores_of_counts
from derived_copy import write_derived

KINDS = ("impro01", "impro02", "impro03", "impro04", "script01_1")
NAMES = tuple(f"Ses{session:02d}{sex}_{k}" for session in (1, 2, 3) for sex in "FM" for k in KINDS)


@pytest.fixture(scope="module")
def dialogues(tmp_path_factory: pytest.TempPathFactory) -> list[CorpusDialogue]:
    return read_derived(write_derived(tmp_path_factory.mktemp("derived"), NAMES))


def speakers(part: tuple[CorpusDialogue, ...]) -> set[str]:
    return {said.speaker for dialogue in part for said in dialogue.utterances}


def test_what_is_held_out_in_turn(dialogues: list[CorpusDialogue]) -> None:
    everybody = ["Ses01F", "Ses01M", "Ses02F", "Ses02M", "Ses03F", "Ses03M"]
    assert fold_names(dialogues, "speaker") == everybody
    assert fold_names(dialogues, "session") == ["session 1", "session 2", "session 3"]
    with pytest.raises(ValueError, match="no protocol 'random'"):
        fold_names(dialogues, "random")


def test_a_speaker_is_never_heard_in_training_and_the_partner_is(
    dialogues: list[CorpusDialogue],
) -> None:
    (fold,) = folds_of(dialogues, "speaker", "Ses02M", 0)
    training = (*fold.learned, *fold.development)
    assert fold.scored == "Ses02M"
    assert speakers(training) == set(fold_names(dialogues, "speaker")) - {"Ses02M"}
    assert speakers(fold.test) == {"Ses02F", "Ses02M"}
    assert {d.id for d in fold.test} == {d.id for d in dialogues if d.session == 2}


def test_a_session_is_never_heard_in_training(dialogues: list[CorpusDialogue]) -> None:
    (fold,) = folds_of(dialogues, "session", "session 2", 0)
    assert fold.scored is None
    assert not speakers((*fold.learned, *fold.development)) & speakers(fold.test)
    assert not {d.id for d in fold.learned} & {d.id for d in fold.development}
    assert len(fold.development) == 2  # of 20
    (other,) = folds_of(dialogues, "session", "session 2", 1)
    assert other.development != fold.development


def test_of_scenarios_every_one_is_scored_once_and_none_is_known(
    dialogues: list[CorpusDialogue],
) -> None:
    scored = []
    for fold in folds_of(dialogues, "scenario", "session 3", 0):
        training = (*fold.learned, *fold.development)
        assert not {d.scenario for d in training} & {d.scenario for d in fold.test}
        assert 3 not in {d.session for d in training}
        scored += [d.id for d in fold.test]
    assert sorted(scored) == sorted(d.id for d in dialogues if d.session == 3)


def test_a_fold_that_is_none_is_refused(dialogues: list[CorpusDialogue]) -> None:
    with pytest.raises(ValueError, match="the corpus has no Ses09F"):
        list(folds_of(dialogues, "speaker", "Ses09F", 0))
    with pytest.raises(ValueError, match="left to learn from"):
        list(folds_of(dialogues[:2], "session", "session 1", 0))


def test_scores_by_hand() -> None:
    counts = [[8, 2, 0], [4, 4, 2], [0, 0, 5]]
    recall, precision = (0.8 + 0.4 + 1.0) / 3, (8 / 12 + 4 / 6 + 5 / 7) / 3
    assert scores_of_counts(counts) == pytest.approx(
        {
            "accuracy": 17 / 25,
            "uar": recall,
            "precision": precision,
            "f1": 2 * recall * precision / (recall + precision),
        }
    )
    never = scores_of_counts([[3, 0], [3, 0]])
    assert never == pytest.approx({"accuracy": 0.5, "uar": 0.5, "precision": 0.25, "f1": 1 / 3})
    assert (
        scores_of_counts([[3, 1], [0, 0]])["uar"] == 0.75
    )  # what does not occur counts for nothing
    with pytest.raises(ValueError, match="nothing to score"):
        scores_of_counts(np.zeros((3, 3), dtype=int))


def test_the_mean_is_over_folds_not_utterances() -> None:
    small, large = [[1, 0], [0, 1]], [[50, 50], [50, 50]]
    mean, deviation = mean_fold_scores([small, large])["f1"]
    assert mean == pytest.approx(0.75)
    assert deviation == pytest.approx(np.std([1.0, 0.5], ddof=1))
    assert mean_fold_scores([small])["f1"] == (1.0, 0.0)
    with pytest.raises(ValueError, match="no fold"):
        mean_fold_scores([])


def test_chance_is_the_commonest_class_always() -> None:
    counts = [np.array([[1, 7], [1, 1]])]
    assert chance_of("accuracy", counts) == 0.8
    assert chance_of("uar", counts) == 0.5
