"""Many sequences at once come to what hmmlearn comes to with one after the other."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("hmmlearn")

from hmmlearn.hmm import GaussianHMM

from affectstream_models.woellmer.hidden_markov import _BLOCK, BatchedGaussianHmm


def sequences(seed: int, count: int, longest: int) -> tuple[np.ndarray, list[int]]:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, longest + 1, size=count).tolist()
    steps = random.integers(3, size=sum(lengths))
    return random.normal(size=(len(steps), 4)) + 2.0 * np.eye(3, 4)[steps], lengths


def trained(model: type[GaussianHMM], frames: np.ndarray, lengths: list[int]) -> GaussianHMM:
    options = {"startprob_prior": 2.0, "transmat_prior": 2.0, "n_iter": 6, "tol": -np.inf}
    return model(3, covariance_type="diag", random_state=0, **options).fit(frames, lengths)


@pytest.mark.parametrize(("count", "longest"), [(40, 1), (40, 9), (_BLOCK + 40, 5), (1, 60)])
def test_baum_welch_comes_to_the_same(count: int, longest: int) -> None:
    frames, lengths = sequences(1, count, longest)
    ours, theirs = (trained(kind, frames, lengths) for kind in (BatchedGaussianHmm, GaussianHMM))
    for name in ("startprob_", "transmat_", "means_", "covars_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-8)
    np.testing.assert_allclose(ours.monitor_.history, theirs.monitor_.history, rtol=1e-10)


def test_each_sequence_has_its_own_log_likelihood() -> None:
    model = trained(BatchedGaussianHmm, *sequences(1, 40, 9))
    frames, lengths = sequences(2, 30, 12)
    parts = np.split(frames, np.cumsum(lengths)[:-1])
    np.testing.assert_allclose(
        model.log_likelihoods(frames, lengths), [model.score(part) for part in parts], rtol=1e-10
    )


def test_a_frame_far_from_every_state_is_unlikely_but_not_impossible() -> None:
    model = trained(BatchedGaussianHmm, *sequences(1, 40, 9))
    far = np.full((3, 4), 1e4)
    assert model.log_likelihoods(far, [3])[0] == pytest.approx(model.score(far))
    assert model.log_likelihoods(far, [0, 3, 0]).tolist()[::2] == [0.0, 0.0]
