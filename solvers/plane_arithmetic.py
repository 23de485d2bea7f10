"""Arithmetic on planes of cells: combinations, ranges, and sums that do not depend on their order; compiled."""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled import compiled

FloatArray = NDArray[np.float64]

# Loops instead of `a[:] = b`, whose check of shapes takes longer to compile than all of the mathematics.


@compiled
def copy(a: FloatArray, out: FloatArray) -> None:
    """out = a."""
    for j in range(a.shape[0]):
        row, result = a[j], out[j]
        for i in range(row.size):
            result[i] = row[i]


@compiled
def combined(
    a: FloatArray, p: float, b: FloatArray, q: float, low: float, high: float, out: FloatArray
) -> None:
    """out = p a + q b, kept in [low, high]."""
    for j in range(a.shape[0]):
        x, y, result = a[j], b[j], out[j]
        for i in range(x.size):
            result[i] = min(max(p * x[i] + q * y[i], low), high)


@compiled
def stretched(values: FloatArray, low: float, high: float) -> tuple[float, float]:
    """The smallest range around [low, high] and the values, (rows, n)."""
    for j in range(values.shape[0]):
        row = values[j]
        for i in range(row.size):
            low, high = min(low, row[i]), max(high, row[i])
    return low, high


@compiled
def add_products(a: FloatArray, b: FloatArray, sums: FloatArray) -> None:
    """sums[0, i] + sums[1, i] += a[i] b[i] as if in twice the digits (Knuth's two-sum)."""
    total, lost = sums[0], sums[1]
    for i in range(a.size):
        term, old = a[i] * b[i], total[i]
        new = old + term
        kept = new - old
        lost[i] += (old - (new - kept)) + (term - kept)
        total[i] = new


@compiled
def sum_of(sums: FloatArray) -> float:
    """The sum, rounded once: it does not depend on the order, so a mirrored plane takes the mirrored steps."""
    total, lost = 0.0, 0.0
    for i in range(sums.shape[1]):
        term = sums[0, i]
        new = total + term
        kept = new - total
        lost += ((total - (new - kept)) + (term - kept)) + sums[1, i]
        total = new
    return total + lost


@compiled
def dot(a: FloatArray, b: FloatArray) -> float:
    """Σ a b."""
    sums = np.zeros((2, a.shape[1]))
    for j in range(a.shape[0]):
        add_products(a[j], b[j], sums)
    return sum_of(sums)


@compiled
def mean_size(a: FloatArray) -> float:
    """Mean |a|."""
    sums, sizes, ones = np.zeros((2, a.shape[1])), np.empty(a.shape[1]), np.ones(a.shape[1])
    for j in range(a.shape[0]):
        row = a[j]
        for i in range(row.size):
            sizes[i] = abs(row[i])
        add_products(sizes, ones, sums)
    return sum_of(sums) / a.size
