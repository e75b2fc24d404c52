"""The roots of many real polynomials of degree 11 at once.

Knows: Aberth's iteration (1973), for all polynomials together; and when the eigenvalues of the
companion matrix are cheaper: for few polynomials, and for the few that converge slowly.
Refuses to know: what the polynomials describe; only its first guess suits linear prediction.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_Complex = NDArray[np.complex128]
_Real = NDArray[np.float64]

DEGREE = 11
_CHUNK = 150
"""Polynomials worked on together: they fit in a core's cache, and BLAS starts no other threads."""

_FEW = 32
"""Up to so many polynomials, eigenvalues (LAPACK) are faster from the start."""

_LEFT = 8
"""The last so many that have not converged are left to eigenvalues."""

_CONVERGED = 1e-4
"""A relative correction below this ends the iteration. Convergence is cubic: the error is 1e-12."""

_MAX_ITERATIONS = 12

# Where the roots usually lie: of polynomials with a negative value at 0, and of the others.
_USUAL = np.array(
    [
        [0.60 + 0.34j, 0.34 + 0.63j, -0.04 + 0.75j, -0.48 + 0.55j, 0.667],
        [0.66 + 0.16j, 0.52 + 0.52j, 0.16 + 0.73j, -0.23 + 0.72j, -0.68 + 0.30j],
    ]
)
_ASIDE = np.exp(0.03j)
"""Turns the first guess a little: from one symmetric to the real axis, the iteration may not reach
all real roots and pairs."""


def roots(polynomials: _Real) -> _Complex:
    """Return the 11 roots of each polynomial, (n, 11).

    Args:
        polynomials: (n, 12), coefficients from the highest power down; the first is 1.
    """
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
    """Return the roots, (11, n), of polynomials (n, 12) by Aberth's iteration."""
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
