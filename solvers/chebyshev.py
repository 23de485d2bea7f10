"""Polynomials through the Chebyshev–Gauss–Lobatto points of [−1, 1], in increasing order.

L. N. Trefethen, Spectral Methods in MATLAB, SIAM 2000, chapters 5, 6, 8 and 12; J.-P. Berrut, L. N. Trefethen,
Barycentric Lagrange interpolation, SIAM Review 46, 2004.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

FloatArray = NDArray[np.float64]


def nodes(n: int) -> FloatArray:
    """x_j = −cos(π j / (n − 1)), (n,); as sines, so that the points mirror each other to the last bit."""
    return np.asarray(np.sin(np.pi * np.arange(1 - n, n, 2) / (2 * (n - 1))))


@lru_cache(maxsize=64)
def clenshaw_curtis(n: int) -> FloatArray:
    """Weights of the quadrature that integrates the interpolating polynomial over [−1, 1], (n,).

    >>> clenshaw_curtis(3) * 3
    array([1., 4., 1.])
    """
    # The integral of T_k is 2 / (1 − k²) for even k: the weights are a cosine transform of these moments.
    moments = np.zeros(n)
    moments[::2] = 2.0 / (1.0 - np.arange(0, n, 2) ** 2)
    weights = dct(moments, type=1) / (n - 1)
    weights[[0, -1]] *= 0.5
    weights.flags.writeable = False
    return np.asarray(weights)


@lru_cache(maxsize=64)
def differentiation_matrix(n: int) -> FloatArray:
    """D with (D u)_i = p'(x_i), p being the polynomial through (x_j, u_j), (n, n).

    Differences of points come from a product of sines and diagonals from row sums, which keeps round-off at n² ε
    instead of n⁴ ε (R. Baltensperger, M. R. Trummer, SIAM J. Sci. Comput. 24, 2003).
    """
    angle = np.pi * np.arange(n) / (n - 1)
    # x_i − x_j = cos θ_j − cos θ_i, with x = −cos θ.
    gaps = 2.0 * np.sin(0.5 * np.add.outer(angle, angle)) * np.sin(0.5 * np.subtract.outer(angle, angle))
    np.fill_diagonal(gaps, 1.0)
    scale = (-1.0) ** np.arange(n)
    scale[[0, -1]] *= 2.0
    matrix = np.divide.outer(scale, scale) / gaps
    np.fill_diagonal(matrix, 0.0)
    # The lower half mirrors the upper one: points near the right end are as exact as those near the left.
    half = n // 2
    matrix[n - half :] = -matrix[:half][::-1, ::-1]
    np.fill_diagonal(matrix, -matrix.sum(axis=1))
    matrix.flags.writeable = False
    return np.asarray(matrix)


def interpolation_matrix(n: int, points: FloatArray) -> FloatArray:
    """P with (P u)_i = p(points_i), p being the polynomial through the n nodes, (points, n); barycentric."""
    gaps = np.subtract.outer(np.asarray(points, dtype=np.float64), nodes(n))
    weights = (-1.0) ** np.arange(n)
    weights[[0, -1]] *= 0.5
    hit = gaps == 0.0
    matrix = weights / np.where(hit, 1.0, gaps)
    matrix[hit.any(axis=-1)] = 0.0
    matrix[hit] = 1.0
    return np.asarray(matrix / matrix.sum(axis=-1, keepdims=True))


def coefficients(values: FloatArray) -> FloatArray:
    """c with p = Σ c_k T_k, from values at the nodes along the last axis."""
    n = values.shape[-1]
    # Our nodes run from −1 to 1, the transform's from 1 to −1.
    c = np.asarray(dct(values[..., ::-1], type=1)) / (n - 1)
    c[..., [0, -1]] *= 0.5
    return np.asarray(c)


def values(c: FloatArray) -> FloatArray:
    """Values at the nodes of Σ c_k T_k, along the last axis."""
    doubled = 0.5 * c
    doubled[..., [0, -1]] *= 2.0
    return np.asarray(dct(doubled, type=1))[..., ::-1]
