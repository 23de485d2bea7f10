"""Polynomials for the streamfunction in a box: their span is known, their Stokes matrices are nearly diagonal.

On [−1, 1] a polynomial of degree ≤ N is a sum of N − 3 *modes*, zero with their slopes at both ends, and of four cubics
that carry the slopes and the values at the ends. The second derivatives of clamped polynomials are all those that P_2 …
P_{N−2} span (P_m of Legendre), so these are taken orthonormal, and turned so that −∫ f f'' is diagonal:

    ∫ f_i'' f_j'' = δ_ij,    ∫ f_i' f_j' = a_i δ_ij,    ∫ f_i f_j = a_i² δ_ij + Σ_q r_qi r_qj.

The last sum has one pair of vectors for even and one for odd modes: the parts of f along P_0, P_1, P_{N−1} and P_N, which
no second derivative reaches. Bases of this kind: J. Shen, SIAM J. Sci. Comput. 15, 1994, section 3; the low rank: P. E.
Bjørstad, B. P. Tjøstheim, SIAM J. Sci. Comput. 18, 1997.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from lawbound.solvers import chebyshev

FloatArray = NDArray[np.float64]

#: Slopes at −1 and 1, then values at −1 and 1: the four cubics, in powers of the coordinate, times 4.
_END_CUBICS = ((1, -1, -1, 1), (-1, -1, 1, 1), (2, -3, 0, 1), (2, 3, 0, -1))

#: Least degree: one mode of either parity and another one beyond it.
LEAST_DEGREE = 8


@dataclass(frozen=True, eq=False)
class ClampedBasis:
    """Modes and end cubics of degree ≤ `degree`, (degree + 1) functions: even modes, odd modes, slopes, values.

    series: Legendre coefficients of the functions and of their first and second derivatives, (3, degree + 1, functions).
    a: (modes,). r: the two vectors of each mode's parity, (2, modes). from_nodes: from values at the Chebyshev nodes
    to coefficients, (functions, nodes). mend: what is added to the modes, by the least square, for a change of the four
    end values, (modes, 4).
    """

    degree: int
    series: FloatArray
    a: FloatArray
    r: FloatArray
    from_nodes: FloatArray
    mend: FloatArray

    @property
    def modes(self) -> int:
        """The number of modes, degree − 3."""
        return self.degree - 3

    @property
    def even(self) -> int:
        """The number of even modes; they come first."""
        return (self.modes + 1) // 2

    def values(self, at: FloatArray, derivative: int = 0) -> FloatArray:
        """The functions, or their derivatives of order 1 or 2, at points of [−1, 1], (points, functions)."""
        return np.asarray(legendre.legvander(at, self.degree) @ self.series[derivative])

    def products(self, derivative: int) -> FloatArray:
        """Integrals of derivatives of modes times those of modes and slope cubics, (modes, modes + 2)."""
        weights = 2.0 / (2.0 * np.arange(self.degree + 1) + 1.0)
        chosen = self.series[derivative]
        return np.ascontiguousarray(
            chosen[:, : self.modes].T @ (weights[:, None] * chosen[:, : self.modes + 2])
        )

    def transfer_from(self, other: "ClampedBasis") -> FloatArray:
        """X such that modes X c here are, up to what this basis lacks, the modes c of another one, (modes, other's modes)."""
        both = min(self.degree, other.degree) + 1
        weights = 2.0 / (2.0 * np.arange(both) + 1.0)
        mine, theirs = self.series[2, :both, : self.modes], other.series[2, :both, : other.modes]
        return np.asarray(mine.T @ (weights[:, None] * theirs))


@lru_cache(maxsize=16)
def clamped_basis(degree: int) -> ClampedBasis:
    """The basis of one degree; raises `ValueError` for a degree below 8."""
    if degree < LEAST_DEGREE:
        raise ValueError(f"modes={degree} are too few for a streamfunction; use modes ≥ {LEAST_DEGREE}.")
    shapes = _twice_integrated(degree)
    # Legendre coefficients are turned into those of orthonormal polynomials by the norms of P_m.
    norms = np.sqrt(2.0 / (2.0 * np.arange(degree + 1) + 1.0))
    along = norms[:, None] * shapes[0]
    a, turn = _by_parity(-along[2 : degree - 1])
    low, high = along[:2] @ turn, along[degree - 1 :] @ turn
    even = (degree - 2) // 2  # of degree − 3 modes
    r = np.empty((2, a.size))
    first = degree % 2  # Row 0 of `high` is P_{N−1}: even where N is odd.
    r[:, :even] = low[0, :even], high[1 - first, :even]
    r[:, even:] = low[1, even:], high[first, even:]
    series = np.concatenate([shapes @ turn, _end_cubics(degree)], axis=2)
    from_nodes = np.linalg.inv(legendre.legvander(chebyshev.nodes(degree + 1), degree) @ series[0])
    gram = series[0].T @ (norms[:, None] ** 2 * series[0])
    mend = -np.linalg.solve(gram[:-4, :-4], gram[:-4, -4:])
    return ClampedBasis(degree, series, a, r, from_nodes, mend)


def _twice_integrated(degree: int) -> FloatArray:
    """Legendre coefficients of the clamped ∬ P_m, m = 2 … N − 2, P_m of norm 1, and of two derivatives, (3, N + 1, N − 3)."""
    m = np.arange(2, degree - 1)
    k = m - 2
    norm = np.sqrt(m + 0.5)
    shapes = np.zeros((3, degree + 1, m.size))
    shapes[2, m, k] = norm
    # ∫ P_m = (P_{m+1} − P_{m−1}) / (2m + 1), zero at both ends.
    once = norm / (2 * m + 1)
    shapes[1, m + 1, k], shapes[1, m - 1, k] = once, -once
    shapes[0, m + 2, k], shapes[0, m - 2, k] = once / (2 * m + 3), once / (2 * m - 1)
    shapes[0, m, k] = -once / (2 * m + 3) - once / (2 * m - 1)
    return shapes


def _by_parity(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues, decreasing, and eigenvectors of a matrix that keeps even and odd apart; the even ones first."""
    values, vectors = np.empty(len(matrix)), np.zeros_like(matrix)
    first = 0
    for parity in (0, 1):
        block = matrix[parity::2, parity::2]
        found, turned = np.linalg.eigh(0.5 * (block + block.T))
        place = slice(first, first + found.size)
        values[place], vectors[parity::2, place] = found[::-1], turned[:, ::-1]
        first += found.size
    return values, vectors


def _end_cubics(degree: int) -> FloatArray:
    """Legendre coefficients of the four cubics and of two derivatives, (3, N + 1, 4)."""
    cubics = np.zeros((3, degree + 1, 4))
    for k, powers in enumerate(_END_CUBICS):
        series = legendre.poly2leg(np.array(powers) / 4.0)
        for derivative in range(3):
            cubics[derivative, : series.size, k] = series
            series = legendre.legder(series)
    return cubics
