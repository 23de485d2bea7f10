"""Nearest monotone profiles, and profiles of less variation, in a diagonal metric; both O(n), batched.

Each answers with blocks: on a block the answer is one constant, the weighted mean of its points (shifted, for
the variation), and that is also its generalised Jacobian. The loops are inherently sequential along x, so they
are compiled for the CPU; tensors on other devices travel there and back.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numba import njit
from torch import Tensor

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(function: _Function) -> _Function:
    return cast(_Function, njit(cache=True, nogil=True, error_model="numpy")(function))


@_compiled
def _pool(
    values: Any, weights: Any, cuts: Any, starts: Any, stops: Any, signs: Any, fitted: Any, blocks: Any
) -> None:
    """Pool adjacent violators along each chain of each row; points outside all chains are left alone.

    Best, Chakravarti, Math. Program. 47 (1990) 425: blocks are merged with their left neighbour while they are
    out of order.
    """
    count, n = values.shape
    mean, mass = np.empty(n), np.empty(n)
    first = np.empty(n, dtype=np.int64)
    for b in range(count):
        for i in range(n):
            fitted[b, i] = values[b, i]
            blocks[b, i] = i
        for chain in range(len(starts)):
            top, bottom = -1, 0
            for i in range(starts[chain], stops[chain]):
                top += 1
                if len(cuts) and cuts[b, i]:
                    bottom = top  # nothing is pooled across a cut
                mean[top], mass[top], first[top] = signs[chain] * values[b, i], weights[b, i], i
                while top > bottom and mean[top - 1] >= mean[top]:
                    total = mass[top - 1] + mass[top]
                    mean[top - 1] += (mean[top] - mean[top - 1]) * (mass[top] / total)
                    mass[top - 1] = total
                    top -= 1
            stop = stops[chain]
            for block in range(top, -1, -1):
                for i in range(first[block], stop):
                    fitted[b, i] = signs[chain] * mean[block]
                    blocks[b, i] = first[block]
                stop = first[block]


@_compiled
def _taut(y: Any, w: Any, strength: float, out: Any, slope: Any, knot: Any, low: Any, high: Any) -> None:
    """argmin Σ ½ w (x − y)² + strength Σ |x[i+1] − x[i]| by dynamic programming on derivatives.

    Johnson, J. Comput. Graph. Stat. 22 (2013) 246. The message's derivative is piecewise linear; its knots lie
    between `left` and `right`, `slope` and `knot` hold the change of its line's coefficients there.
    """
    n = len(y)
    if n == 1:
        out[0] = y[0]
        return
    # Two coefficients a line: derivative = a x + b. `slope` is (2n, 2): changes of (a, b) at the knots.
    left, right = n - 1, n
    knot[left], knot[right] = y[0] - strength / w[0], y[0] + strength / w[0]
    low[0], high[0] = knot[left], knot[right]
    slope[left, 0], slope[left, 1] = w[0], strength - w[0] * y[0]
    slope[right, 0], slope[right, 1] = -w[0], strength + w[0] * y[0]
    a_first, b_first = w[1], -strength - w[1] * y[1]
    a_last, b_last = -w[1], -strength + w[1] * y[1]
    for i in range(1, n - 1):
        a, b = a_first, b_first
        new_left = left
        while new_left <= right:
            if a * knot[new_left] + b > -strength:
                break
            a += slope[new_left, 0]
            b += slope[new_left, 1]
            new_left += 1
        at_low = (-strength - b) / a
        c, d = a_last, b_last
        new_right = right
        while new_right >= new_left:
            if -(c * knot[new_right] + d) < strength:
                break
            c += slope[new_right, 0]
            d += slope[new_right, 1]
            new_right -= 1
        at_high = (strength + d) / -c
        low[i], high[i] = at_low, at_high
        left, right = new_left - 1, new_right + 1
        knot[left], slope[left, 0], slope[left, 1] = at_low, a, b + strength
        knot[right], slope[right, 0], slope[right, 1] = at_high, c, d + strength
        a_first, b_first = w[i + 1], -strength - w[i + 1] * y[i + 1]
        a_last, b_last = -w[i + 1], -strength + w[i + 1] * y[i + 1]
    a, b = a_first, b_first
    at = left
    while at <= right:
        if a * knot[at] + b > 0.0:
            break
        a += slope[at, 0]
        b += slope[at, 1]
        at += 1
    out[n - 1] = -b / a
    for i in range(n - 2, -1, -1):
        out[i] = min(max(out[i + 1], low[i]), high[i])


@_compiled
def _smooth(
    values: Any, weights: Any, strengths: Any, starts: Any, stops: Any, fitted: Any, blocks: Any
) -> None:
    count, n = values.shape
    slope, knot = np.empty((2 * n + 2, 2)), np.empty(2 * n + 2)
    low, high = np.empty(n), np.empty(n)
    for b in range(count):
        for i in range(n):
            fitted[b, i] = values[b, i]
            blocks[b, i] = i
        for chain in range(len(starts)):
            i, j = starts[chain], stops[chain]
            if strengths[b] > 0.0 and j > i + 1:
                _taut(values[b, i:j], weights[b, i:j], strengths[b], fitted[b, i:j], slope, knot, low, high)
            for at in range(i + 1, j):
                if fitted[b, at] == fitted[b, at - 1]:
                    blocks[b, at] = blocks[b, at - 1]


def nearest_monotone(
    values: Tensor,
    weights: Tensor,
    starts: np.ndarray,
    stops: np.ndarray,
    signs: np.ndarray,
    cuts: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """argmin Σ weights (u − values)² over u that rise (sign +1) or fall (−1) along each chain; (batch, n).

    cuts: (batch, n) bool, where a point need not be ordered with the one before it.
    Also the blocks: for each point the first point of its block, (batch, n), int64.
    """
    z, w = _arrays(values, weights)
    fitted, blocks = np.empty_like(z), np.empty(z.shape, dtype=np.int64)
    broken = np.zeros((0, 0), dtype=np.bool_) if cuts is None else np.ascontiguousarray(cuts.cpu().numpy())
    _pool(z, w, broken, starts, stops, signs.astype(np.float64), fitted, blocks)
    return torch.from_numpy(fitted).to(values.device), torch.from_numpy(blocks).to(values.device)


def smoothed(
    values: Tensor, weights: Tensor, strengths: Tensor, starts: np.ndarray, stops: np.ndarray
) -> tuple[Tensor, Tensor]:
    """argmin ½ Σ weights (u − values)² + strength · total variation of u along the chains; (batch, n).

    strengths: (batch,). Also the blocks, as for `nearest_monotone`.
    """
    z, w = _arrays(values, weights)
    fitted, blocks = np.empty_like(z), np.empty(z.shape, dtype=np.int64)
    _smooth(z, w, strengths.detach().cpu().numpy(), starts, stops, fitted, blocks)
    return torch.from_numpy(fitted).to(values.device), torch.from_numpy(blocks).to(values.device)


def _arrays(values: Tensor, weights: Tensor) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.ascontiguousarray(values.detach().cpu().numpy(), dtype=np.float64),
        np.ascontiguousarray(weights.detach().cpu().expand(values.shape).numpy(), dtype=np.float64),
    )
