"""Levels and clusters of ratings, as Woellmer et al. (2010) have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from affectstream.corpus.derived import read_derived
from affectstream_tools.corpora.annotations import TASKS, Classes, annotations_of, matched
from derived_copy import write_derived

NAMES = ("Ses01F_impro01", "Ses02M_script01_1", "Ses03F_impro02")


def test_levels_are_the_papers_and_thirds_go_to_the_nearest() -> None:
    values = np.array([1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7 / 3, 11 / 3, np.nan])
    levels = [0, 0, 0, 1, 1, 1, 2, 2, 2, 1, 1, -1]
    others = np.full_like(values, 3.0)
    valence = Classes.fit("valence", [], 0)
    assert valence.of(np.stack((values, others), axis=1)).tolist() == levels
    activation = Classes.fit("activation", [], 0)
    assert activation.of(np.stack((others, values), axis=1)).tolist() == levels
    assert valence.count == len(valence.names) == 3


def test_clusters_are_of_the_nearest_centre(tmp_path: Path) -> None:
    dialogues = read_derived(write_derived(tmp_path, NAMES))
    annotations = np.concatenate([annotations_of(dialogue) for dialogue in dialogues])
    for task in ("clusters-3", "clusters-4", "clusters-5"):
        classes = Classes.fit(task, annotations, 0)
        assert classes.centres is not None
        assert len(classes.centres) == len(classes.names) == TASKS[task]
        assert (np.diff(classes.centres[:, 0]) >= 0).all()
        assert classes.of(classes.centres).tolist() == list(range(TASKS[task]))
        moved = classes.centres + 0.01
        assert classes.of(moved).tolist() == list(range(TASKS[task]))
    assert classes.of(np.array([[np.nan, 3.0]])).tolist() == [-1]
    with pytest.raises(ValueError, match="too few annotations"):
        Classes.fit("clusters-3", [[1, 2], [1, 2], [3, 3]], 0)
    with pytest.raises(ValueError, match="no task 'dominance'"):
        Classes.fit("dominance", annotations, 0)


def test_clusters_of_two_folds_are_matched_by_their_centres() -> None:
    reference = np.array([[2.0, 4.0], [2.1, 2.0], [4.0, 3.0]])
    ours = reference[[1, 2, 0]] + 0.1
    order = matched(ours, reference)
    np.testing.assert_allclose(ours[order], reference + 0.1)
