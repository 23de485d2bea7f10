"""Linear systems known by what they do to a vector."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from lawbound.solvers.compiled import compiled

FloatArray = NDArray[np.float64]

# Longer products of two vectors start threads in the library of matrices, which gain nothing here.
_SHORT = 8192


@compiled
def _orthogonalize(
    basis: FloatArray,
    count: int,
    image: FloatArray,
    column: FloatArray,
) -> float:
    """Take from `image` its parts along the first rows of `basis`, one after the other, and note them; returns its length."""
    size = image.size
    for j in range(count):
        row, part = basis[j], 0.0
        for first in range(0, size, _SHORT):
            last = min(size, first + _SHORT)
            part += np.dot(row[first:last], image[first:last])
        for i in range(size):
            image[i] -= part * row[i]
        column[j] = part
    square = 0.0
    for first in range(0, size, _SHORT):
        last = min(size, first + _SHORT)
        square += np.dot(image[first:last], image[first:last])
    return float(np.sqrt(square))


def gmres(
    linear: Callable[[FloatArray], FloatArray], right: FloatArray, closeness: float, most: int
) -> tuple[FloatArray, int]:
    """The vector whose image comes within `closeness` · |right| of `right`, or the nearest after `most` directions; their number.

    Y. Saad, M. H. Schultz, SIAM J. Sci. Stat. Comput. 7, 1986, algorithm 3, without restarts.
    """
    size = float(np.linalg.norm(right))
    if size == 0.0:
        return np.zeros_like(right), 0
    basis, triangle = np.empty((most + 1, right.size)), np.zeros((most, most))
    turns, rest = np.empty((most, 2)), np.zeros(most + 1)
    basis[0], rest[0] = right / size, size
    k = 0
    for k in range(most):
        image, column = linear(basis[k]), np.empty(k + 2)
        below = _orthogonalize(basis, k + 1, image, column)
        for i, (cosine, sine) in enumerate(turns[:k]):
            column[i], column[i + 1] = (
                cosine * column[i] + sine * column[i + 1], cosine * column[i + 1] - sine * column[i],
            )  # fmt: skip
        length = float(np.hypot(column[k], below))
        turns[k] = column[k] / length, below / length
        column[k] = length
        triangle[: k + 1, k] = column[: k + 1]
        rest[k], rest[k + 1] = turns[k, 0] * rest[k], -turns[k, 1] * rest[k]
        if abs(rest[k + 1]) <= closeness * size or below == 0.0:
            break
        basis[k + 1] = image / below
    found = solve_triangular(triangle[: k + 1, : k + 1], rest[: k + 1])
    return np.asarray(found @ basis[: k + 1]), k + 1
