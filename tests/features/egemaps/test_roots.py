"""Roots equal the companion matrices' eigenvalues, whatever the polynomial."""

from __future__ import annotations

import numpy as np
import pytest

from affectstream.features.egemaps.roots import DEGREE, roots


def polynomials(found: np.ndarray) -> np.ndarray:
    return np.array([np.poly(row).real for row in found])


def random_roots(count: int, pairs: int, rng: np.random.Generator) -> np.ndarray:
    radius = rng.uniform(0.2, 1.5, (count, pairs))
    upper = radius * np.exp(1j * rng.uniform(0.05, np.pi - 0.05, (count, pairs)))
    real = rng.uniform(-3, 1, (count, DEGREE - 2 * pairs))
    return np.hstack((upper, upper.conj(), real))


def nearest(found: np.ndarray, wanted: np.ndarray) -> float:
    """The greatest distance from a wanted root to the nearest that was found."""
    distance = np.abs(wanted[:, :, np.newaxis] - found[:, np.newaxis])
    return float(distance.min(axis=2).max(initial=0))


@pytest.mark.parametrize("pairs", range(6))
@pytest.mark.parametrize("count", [1, 33, 500])
def test_known_roots_are_found(count: int, pairs: int) -> None:
    wanted = random_roots(count, pairs, np.random.default_rng(pairs))
    given = polynomials(wanted)
    found = roots(given)
    powers = found[:, :, np.newaxis] ** np.arange(DEGREE, -1, -1)
    size = np.einsum("nrp,np->nr", np.abs(powers), np.abs(given))
    value = np.einsum("nrp,np->nr", powers, given)
    assert (np.abs(value) < 1e-7 * size).all()
    apart = np.abs(wanted[:, :, np.newaxis] - wanted[:, np.newaxis])
    apart[:, np.arange(DEGREE), np.arange(DEGREE)] = 9
    clear = apart.min(axis=(1, 2)) > 0.1  # close roots are known to fewer digits
    assert nearest(found[clear], wanted[clear]) < 1e-5


def test_many_at_once_are_as_each_alone() -> None:
    rng = np.random.default_rng(3)
    given = np.hstack((np.ones((400, 1)), rng.normal(0, 0.3, (400, DEGREE))))
    together = roots(given)
    alone = np.concatenate([roots(row[np.newaxis]) for row in given])
    assert nearest(together, alone) < 1e-6
    assert nearest(alone, together) < 1e-6


def test_degenerate_polynomials_have_finite_roots() -> None:
    given = np.zeros((40, DEGREE + 1))
    given[:, 0] = 1
    given[1::2, -1] = -1  # roots of unity; the others are 11 times 0
    found = roots(given)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.abs(found[1::2]), 1, rtol=1e-6)


def test_no_polynomial_has_no_roots() -> None:
    assert roots(np.zeros((0, DEGREE + 1))).shape == (0, DEGREE)
