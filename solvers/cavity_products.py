"""Products of small matrices on the calling thread."""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled import compiled

FloatArray = NDArray[np.float64]

# OpenBLAS starts threads of its own beyond rows · columns · depth = 2^18; ours are over samples.
_SMALL_PRODUCT = 200_000


@compiled
def product(
    left: FloatArray,
    right: FloatArray,
    out: FloatArray,
) -> None:
    """out = left @ right, in bands of rows that the library of matrices handles on this very thread."""
    rows = left.shape[0]
    band = max(4, _SMALL_PRODUCT // (left.shape[1] * right.shape[1]))
    for first in range(0, rows, band):
        last = min(rows, first + band)
        np.dot(left[first:last], right, out[first:last])


@compiled
def _between(left: FloatArray, stack: FloatArray, right: FloatArray, out: FloatArray) -> None:
    half = np.empty((stack.shape[1], right.shape[1]))
    for s in range(stack.shape[0]):
        product(stack[s], right, half)
        product(left, half, out[s])


def between(left: FloatArray, stack: FloatArray, right: FloatArray) -> FloatArray:
    """left @ stack @ right for matrices in a stack, (..., rows of left, columns of right)."""
    shape = (*stack.shape[:-2], left.shape[0], right.shape[1])
    out = np.empty(shape)
    _between(
        np.ascontiguousarray(left),
        np.ascontiguousarray(stack).reshape(-1, *stack.shape[-2:]),
        np.ascontiguousarray(right),
        out.reshape(-1, *shape[-2:]),
    )
    return out
