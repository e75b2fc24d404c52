"""Roots of many real polynomials of one degree at once.

Knows: Aberth's simultaneous iteration (1973), carried out for all polynomials side by side, and
when eigenvalues of the companion matrix come cheaper: for the few that are slow to converge, and
where there are few to begin with.
Refuses to know: what the polynomials describe, beyond a start that suits linear prediction.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_Complex = NDArray[np.complex128]
_Real = NDArray[np.float64]

DEGREE = 11
_CHUNK = 150
"""Polynomials side by side: what fits in a core's cache, and in matrices that a BLAS does not find
worth more than one thread."""

_FEW = 32
"""So many, or fewer, are left to LAPACK from the start: numpy's call overhead would cost more."""

_LEFT = 8
"""So many, or fewer, of those that are slow to converge are."""

_CONVERGED = 1e-4
"""Greatest relative correction to stop at; convergence is cubic, so it leaves some 1e-12."""

_MAX_ITERATIONS = 12

# Where the roots usually lie, for a polynomial whose value at 0 is negative, then one of others.
_USUAL = np.array(
    [
        [0.60 + 0.34j, 0.34 + 0.63j, -0.04 + 0.75j, -0.48 + 0.55j, 0.667],
        [0.66 + 0.16j, 0.52 + 0.52j, 0.16 + 0.73j, -0.23 + 0.72j, -0.68 + 0.30j],
    ]
)
_ASIDE = np.exp(0.03j)
"""Turns the start a little, for real roots and pairs to be found from a symmetric one."""


def roots(polynomials: _Real) -> _Complex:
    """Return the 11 roots, (n, 11), of monic ``polynomials``, (n, 12), highest power first."""
    found = np.empty((len(polynomials), DEGREE), dtype=np.complex128)
    for first in range(0, len(polynomials), _CHUNK):
        some = polynomials[first : first + _CHUNK]
        if len(some) <= _FEW:
            found[first : first + _CHUNK] = _eigenvalues(some)
        else:
            found[first : first + _CHUNK] = _aberth(some).T
    return found


def _eigenvalues(polynomials: _Real) -> _Complex:
    companions = np.zeros((len(polynomials), DEGREE, DEGREE))
    companions[:, np.arange(1, DEGREE), np.arange(DEGREE - 1)] = 1
    companions[:, 0] = -polynomials[:, 1:]
    return np.linalg.eigvals(companions).astype(np.complex128, copy=False)


def _aberth(polynomials: _Real) -> _Complex:
    """Return the roots, (11, n), of ``polynomials``, (n, 12)."""
    coefficients = np.ascontiguousarray(polynomials.T)
    found = np.empty((DEGREE, len(polynomials)), dtype=np.complex128)
    places = np.arange(len(polynomials))
    z = _start(coefficients)
    for _ in range(_MAX_ITERATIONS):
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            value, slope = _evaluate(z, coefficients)
            step = value / (slope - value * _repulsion(z))
            z = z - step
            done = (np.abs(step) <= _CONVERGED * np.abs(z)).all(axis=0)
        found[:, places[done]] = z[:, done]
        places = places[~done]
        if len(places) <= _LEFT:
            break
        z = np.compress(~done, z, axis=1)
        coefficients = np.compress(~done, coefficients, axis=1)
    if len(places):
        found[:, places] = _eigenvalues(polynomials[places]).T
    return found


def _start(coefficients: _Real) -> _Complex:
    usual = np.where(coefficients[DEGREE] < 0, _USUAL[0][:, np.newaxis], _USUAL[1][:, np.newaxis])
    z = np.empty((DEGREE, coefficients.shape[1]), dtype=np.complex128)
    z[:5] = usual * _ASIDE
    z[5:10] = usual.conj() * _ASIDE
    z[9] = np.where(coefficients[DEGREE] < 0, -0.69 * _ASIDE, z[9])
    z[10] = -np.maximum(coefficients[1] + 0.3, 0.9)
    return z


def _evaluate(z: _Complex, coefficients: _Real) -> tuple[_Complex, _Complex]:
    """Return the polynomials' values and their derivatives' at ``z``, by Horner's rule."""
    value = z + coefficients[1]
    slope = z + value
    for coefficient in coefficients[2:DEGREE]:
        value *= z
        value += coefficient
        slope *= z
        slope += value
    value *= z
    value += coefficients[DEGREE]
    return value, slope


def _repulsion(z: _Complex) -> _Complex:
    """Return the sum of 1 / (z_j - z_k) over all other roots k."""
    apart = (_differences() @ z.view(np.float64)).view(np.complex128)  # (55 pairs, n)
    np.reciprocal(apart, out=apart)
    return (_differences().T @ apart.view(np.float64)).view(np.complex128)


@cache
def _differences() -> _Real:
    """Return the matrix, (55, 11), that subtracts the second root of each pair from the first."""
    first, second = np.triu_indices(DEGREE, 1)
    pairs = np.arange(len(first))
    matrix = np.zeros((len(first), DEGREE))
    matrix[pairs, first] = 1
    matrix[pairs, second] = -1
    return matrix
