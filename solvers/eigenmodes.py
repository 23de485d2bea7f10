"""Eigenmodes of −d²/dy² on [0, 1] between walls of any kind, as polynomials.

Sums of Legendre polynomials that satisfy the walls make the stiffness matrix diagonal and the mass matrix banded
(J. Shen, Efficient spectral-Galerkin method I, SIAM J. Sci. Comput. 15, 1994; II, 16, 1995, for Robin walls). Posed for
1/λ, the low modes, which are those that last, are exact to round-off; the highest third is only a basis of the rest.
Unlike sums of cosines the polynomials converge at spectral speed whatever happens at the walls.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eig_banded

FloatArray = NDArray[np.float64]


class End(NamedTuple):
    """value · u + slope · ∂u/∂n at an end, n outward: (1, 0) Dirichlet, (0, 1) Neumann, (Biot number, 1) Robin."""

    value: float
    slope: float


@dataclass(frozen=True, eq=False)
class Eigenmodes:
    """The first `n` modes ψ of −ψ'' = λψ with homogeneous ends, orthonormal on [0, 1].

    eigenvalues: (n,), increasing. polynomials: Legendre coefficients of each mode, (n, n + 2). points, gauss: nodes
    in [0, 1] and weights of the quadrature that projects, (q,); projection: (q, n).
    """

    eigenvalues: FloatArray
    polynomials: FloatArray
    points: FloatArray
    gauss: FloatArray
    projection: FloatArray

    def project(self, values: FloatArray) -> FloatArray:
        """Amplitudes ∫ u ψ dy of u given at `points`, (..., q) → (..., n)."""
        return np.asarray(values @ self.projection)

    def spectrum(self, amplitudes: FloatArray) -> FloatArray:
        """Legendre coefficients of a sum of modes, (..., n) → (..., n + 2)."""
        return np.asarray(amplitudes @ self.polynomials)

    def evaluate(self, amplitudes: FloatArray, y: FloatArray) -> FloatArray:
        """A sum of modes at points of [0, 1], (..., points)."""
        polynomials = legendre_values(self.polynomials.shape[1], y)
        return np.asarray(self.spectrum(amplitudes) @ polynomials.T)


@lru_cache(maxsize=64)
def eigenmodes(lower: End, upper: End, n: int) -> Eigenmodes:
    """The modes between two ends; takes milliseconds, and is kept."""
    middle, last = _combinations(lower, upper, n)
    eigenvalues, vectors = _diagonalised(middle, last)
    polynomials = np.zeros((n, n + 2))
    polynomials[:, :-2] = vectors
    polynomials[:, 1:-1] += vectors * middle
    polynomials[:, 2:] += vectors * last
    # The first polynomial that the modes do not hold has degree n + 2; products of two are integrated exactly.
    points, gauss = gauss_legendre(n + 8)
    return Eigenmodes(
        eigenvalues,
        polynomials,
        points,
        gauss,
        (gauss[:, None] * legendre_values(n + 2, points)) @ polynomials.T,
    )


@lru_cache(maxsize=16)
def gauss_legendre(q: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(q)
    return 0.5 * (nodes + 1.0), 0.5 * weights


def legendre_values(count: int, y: FloatArray) -> FloatArray:
    """L_0 … L_{count−1} at points y of [0, 1], (points, count)."""
    return np.asarray(np.polynomial.legendre.legvander(2.0 * y - 1.0, count - 1))


def _combinations(lower: End, upper: End, n: int) -> tuple[FloatArray, FloatArray]:
    """(a, b) such that φ_k = L_k + a_k L_{k+1} + b_k L_{k+2} satisfies both homogeneous ends, (n,) each."""
    k = np.arange(n + 2, dtype=np.float64)
    slopes = k * (
        k + 1.0
    )  # dL_k/dy at y = 1; at y = 0 the outward slope is the same with the sign of L_k(−1)
    at_upper = upper.value + upper.slope * slopes
    at_lower = lower.value + lower.slope * slopes
    # With the signs (−1)^k taken out: lower 0 = l_k − a l_{k+1} + b l_{k+2}, upper 0 = r_k + a r_{k+1} + b r_{k+2}.
    left, right = (np.stack([e[:-2], e[1:-1], e[2:]]) for e in (at_lower, at_upper))
    determinant = -left[1] * right[2] - left[2] * right[1]
    a = (-left[0] * right[2] + right[0] * left[2]) / determinant
    b = (left[1] * right[0] + right[1] * left[0]) / determinant
    return np.asarray(a), np.asarray(b)


def _diagonalised(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues on [0, 1], increasing, and orthonormal modes as sums of the φ_k, one a row."""
    n = a.size
    k = np.arange(n, dtype=np.float64)
    norms = 2.0 / (2.0 * np.arange(n + 2) + 1.0)
    stiffness = -b * (4.0 * k + 6.0)
    mass = np.zeros((3, n))
    mass[0] = norms[:-2] + a**2 * norms[1:-1] + b**2 * norms[2:]
    mass[1, :-1] = a[:-1] * norms[1:-2] + b[:-1] * a[1:] * norms[2:-1]
    mass[2, :-2] = b[:-2] * norms[2:-2]
    # Between two insulated walls the first mode is the constant, which stands alone.
    constant = int(stiffness[0] <= 1e-14 * stiffness[-1] and b[0] == 0.0)
    scale = 1.0 / np.sqrt(stiffness[constant:])
    banded = mass[:, constant:].copy()
    for band in range(3):
        banded[band, : scale.size - band] *= scale[band:] * scale[: scale.size - band]
    inverse, vectors = eig_banded(banded, lower=True)
    inverse, vectors = inverse[::-1], vectors[:, ::-1].T
    # Round-off may turn the inverse of the very highest eigenvalue negative; whatever it is, it is gone at once.
    inverse = np.maximum(inverse, 1e-3 / n**4)
    eigenvalues = np.concatenate([np.zeros(constant), 4.0 / inverse])
    modes = np.zeros((n, n))
    modes[:constant, :constant] = 1.0
    # ∫ dξ over [−1, 1] is twice ∫ dy.
    modes[constant:, constant:] = vectors * scale * np.sqrt(2.0 / inverse)[:, None]
    return eigenvalues, modes
