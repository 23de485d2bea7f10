"""How far a sum over points may be from the integral that it stands for, as far as one state shows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def jump_error(states: FloatArray, axes: Sequence[FloatArray], lengths: Sequence[float]) -> FloatArray:
    """½ h [u] at the sharpest place of each state, times the length across on a plane, (sample,).

    A quadrature on points misses a jump [u] by up to half a cell of it, wherever the jump is within its cell.
    states: (sample, [y], x); axes: the points along each; lengths: the domain's.
    """
    errors = np.zeros(len(states))
    for i, points in enumerate(axes):
        steps = np.diff(points).reshape(-1, *(1,) * (len(axes) - 1 - i))
        jumps = np.abs(np.diff(states, axis=i + 1)) * steps
        across = np.prod([length for k, length in enumerate(lengths) if k != i])
        errors += 0.5 * jumps.reshape(len(states), -1).max(axis=1) * across
    return errors
