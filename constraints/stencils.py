"""Weights that turn stored values near a wall into a value or a slope at it, on any points and on cell averages.

B. Fornberg, Calculation of weights in finite difference formulas, SIAM Review 40, 1998; J.-P. Berrut, L. N. Trefethen,
Barycentric Lagrange interpolation, SIAM Review 46, 2004, section 9.3.
"""

import numpy as np
from numpy.typing import NDArray

from lawbound.constraints.geometry import Line

FloatArray = NDArray[np.float64]


def finite_difference(points: FloatArray, where: float, derivative: int) -> FloatArray:
    """c with Σ c_j f(x_j) = f^(derivative)(where) for all polynomials through the points, (points,).

    >>> [float(c) for c in finite_difference(np.array([0.0, 1.0, 2.0]), 0.0, 1)]
    [-1.5, 2.0, -0.5]
    """
    n = points.size
    table = np.zeros((derivative + 1, n))
    table[0, 0] = 1.0
    scale, offset = 1.0, points[0] - where
    orders = np.arange(derivative + 1)
    # Points are added one by one; row k holds the weights of the k-th derivative of the polynomial so far.
    for i in range(1, n):
        product, before = 1.0, offset
        offset = points[i] - where
        last = table[:, i - 1].copy()
        for j in range(i):
            gap = points[i] - points[j]
            product *= gap
            lower = np.append(0.0, table[:-1, j])
            table[:, j] = (offset * table[:, j] - orders * lower) / gap
        table[:, i] = scale / product * (orders * np.append(0.0, last[:-1]) - before * last)
        scale = product
    return np.asarray(table[derivative])


def slope_at_end(line: Line, low: bool, order: int | None) -> FloatArray:
    """Weights of the outward slope at an end, its own point first; None: second order, or spectral on Chebyshev points.

    Raises `ValueError` if the line is shorter than the stencil.
    """
    points = line.points if low else line.points[::-1]
    if order is None and line.kind == "chebyshev":
        weights = _spectral_slope(points)
    else:
        needed = (2 if order is None else order) + 1
        refuse_short(line, needed)
        weights = finite_difference(points[:needed], float(points[0]), 1)
    return -weights if low else weights


def from_averages(line: Line, low: bool, derivative: int, cells: int) -> FloatArray:
    """Weights of u (derivative 0) or its outward slope (1) at an end, from the nearest averages, the last cell first.

    The integral of u from the wall is known at each face; its polynomial is differentiated once more.
    Raises `ValueError` if the line has fewer cells.
    """
    assert line.faces is not None
    refuse_short(line, cells)
    faces = (line.faces if low else line.faces[::-1])[: cells + 1]
    at_faces = finite_difference(faces, float(faces[0]), derivative + 1)
    # The integral at face j is the sum of the averages before it times their (signed) widths.
    weights = np.diff(faces) * np.cumsum(at_faces[:0:-1])[::-1]
    return np.asarray(-weights if derivative == 1 and low else weights)


def refuse_short(line: Line, needed: int) -> None:
    """Raise `ValueError` if a stencil does not fit."""
    if line.points.size < needed:
        raise ValueError(
            f"The stencil needs {needed} {'cells' if line.faces is not None else 'points'} along {line.name}, the grid has "
            f"{line.points.size}; lower `accuracy`, or use a finer grid."
        )


def _spectral_slope(points: FloatArray) -> FloatArray:
    """The first row of the differentiation matrix on Chebyshev–Gauss–Lobatto points, in their given direction."""
    weights = (-1.0) ** np.arange(points.size)
    weights[[0, -1]] *= 0.5
    row = np.zeros(points.size)
    row[1:] = weights[1:] / weights[0] / (points[0] - points[1:])
    # The slope of a constant is 0: the row sum is, to the last bit.
    row[0] = -row.sum()
    return row


def differentiation(line: Line, accuracy: int | None = None) -> FloatArray:
    """D with (D u)_i ≈ ∂u/∂x at the points, (n, n): spectral on Chebyshev points, else differences of order `accuracy`.

    Differences are central inside and shifted where they would leave the line; their default order is 2.
    """
    points = line.points
    n = points.size
    matrix = np.zeros((n, n))
    if accuracy is None and line.kind == "chebyshev":
        weights = (-1.0) ** np.arange(n)
        weights[[0, -1]] *= 0.5
        gaps = np.subtract.outer(points, points)
        np.fill_diagonal(gaps, 1.0)
        matrix = np.divide.outer(weights, weights).T / gaps
        np.fill_diagonal(matrix, 0.0)
        np.fill_diagonal(matrix, -matrix.sum(axis=1))
        return np.asarray(matrix)
    width = (2 if accuracy is None else accuracy) + 1
    refuse_short(line, width)
    for i in range(n):
        first = min(max(i - (width - 1) // 2, 0), n - width)
        window = slice(first, first + width)
        matrix[i, window] = finite_difference(points[window], float(points[i]), 1)
    return matrix
