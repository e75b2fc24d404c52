"""One classifier from corpus to corpus."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from affectstream_tools.evaluate.cross_corpus import (
    LabelledStatistics,
    iemocap_statistics,
    ravdess_label,
    standardised,
    transfer_uar,
)


def made(count: int, seed: int, shift: float) -> LabelledStatistics:
    """Two speakers who differ by more than the classes do."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    statistics = random.normal(size=(count, 47))
    statistics[:, :4] += 3 * np.eye(4)[labels]
    speakers = np.arange(count) // (count // 2)
    statistics += 50 * speakers[:, np.newaxis] + shift
    return LabelledStatistics(statistics, labels, tuple(f"s{each}" for each in speakers))


def test_speakers_and_rooms_are_taken_out() -> None:
    found = transfer_uar(made(400, 0, 0.0), [made(200, 1, 1000.0)])
    assert found[0] > 0.85


def test_unlabelled_utterances_count_for_the_speaker_alone() -> None:
    train, test = made(400, 0, 0.0), made(200, 1, 0.0)
    labels = test.labels.copy()
    labels[::4] = -1  # all of the first class
    some = LabelledStatistics(test.statistics, labels, test.speakers)
    whole, part = transfer_uar(train, [test, some])
    assert part > 0.8
    assert part != whole


def test_standardised_within_each_speaker() -> None:
    corpus = made(100, 0, 5.0)
    corpus.statistics[3, 2] = np.nan
    corpus.statistics[:, 9] = 1.0
    normal = standardised(corpus)
    for speaker in ("s0", "s1"):
        mine = normal[np.array(corpus.speakers) == speaker]
        np.testing.assert_allclose(mine.mean(axis=0), 0, atol=0.05)
        np.testing.assert_allclose(np.delete(mine.std(axis=0), 9), 1, atol=0.05)
    assert normal[3, 2] == 0
    np.testing.assert_array_equal(normal[:, 9], 0)
    assert np.abs(normal).max() <= 5


def test_names_of_ravdess_are_read() -> None:
    assert ravdess_label("03-01-05-01-02-01-12") == (0, "12")
    assert ravdess_label("03-01-03-01-02-01-01") == (1, "01")
    assert ravdess_label("03-01-07-01-02-01-01") == (-1, "01")
    assert ravdess_label("Ses01F_impro01_F000") is None


@pytest.mark.corpus
def test_the_derived_set_has_its_four_classes(data_folder: Path) -> None:
    corpus = iemocap_statistics(data_folder / "iemocap-derived")
    assert corpus.statistics.shape == (10_039, 47)
    assert np.bincount(corpus.labels + 1)[1:].tolist() == [1103, 1636, 1708, 1084]
    assert len(set(corpus.speakers)) == 10
