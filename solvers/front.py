"""Where the front of a one-phase Stefan problem is, to a fraction of a cell."""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Step
from lawbound.solvers.grid import Cells

FloatArray = NDArray[np.float64]


def front_position(step: Step, grid: Cells, state: FloatArray, lower_wall: FloatArray) -> FloatArray:
    """Position of the first front from the lower end, from how full its cell is; (nt,), nan where there is none.

    The cell that the front is in holds u_star behind it, rising with the slope p/(½ + θ) that the full neighbour's
    potential p = Φ/k_max drives over h (½ + θ), and nothing ahead: ū = u_star θ + ½ θ² p/(½ + θ) gives the filled
    share θ. Next to the wall it is ū = (u_star + ½ p) θ with p of the wall. state: (nt, nx), lower_wall: (nt,).
    Raises `ValueError` unless k_min = 0: only then is u = 0 ahead.
    """
    if step.k_min != 0.0:
        raise ValueError(f"{step} has k_min={step.k_min}; a front inside a cell needs k_min=0.")
    found = [_position(step, grid, u, float(w) - step.u_star) for u, w in zip(state, lower_wall, strict=True)]
    return np.array(found, dtype=np.float64)


def _position(step: Step, grid: Cells, u: FloatArray, wall: float) -> float:
    """The same at one time; `wall` is p at the lower wall."""
    p = np.maximum(u - step.u_star, 0.0)
    full = _full(p, max(wall, 0.0))
    if not full.any():
        if wall <= 0.0:
            return float("nan")
        return grid.lower + grid.width * min(max(float(u[0]), 0.0) / (step.u_star + 0.5 * wall), 1.0)
    if full[0] or wall > 0.0:
        last = int(np.argmin(full)) - 1 if full[0] else -1
        if full.all():
            return float("nan")
        if last < 0:
            return float("nan")
        return float(grid.faces[last + 1] + grid.width * _share(step.u_star, u[last + 1], p[last]))
    first = int(np.argmax(full))
    return float(grid.faces[first] - grid.width * _share(step.u_star, u[first - 1], p[first]))


def _full(p: FloatArray, wall: float) -> NDArray[np.bool_]:
    """Cells behind the front: above u_star, and if the next one is dry, as full as a straight profile asks."""
    before = np.concatenate([[1.5 * wall], p[:-1]])
    after = np.concatenate([p[1:], [0.0]])
    partly = ((after <= 0.0) & (3.0 * p < before)) | ((before <= 0.0) & (3.0 * p < after))
    return (p > 0.0) & ~partly


def _share(u_star: float, held: float, p: float) -> float:
    """θ in [0, 1], the root of (u_star + ½ p) θ² + (½ u_star − ū) θ − ½ ū = 0."""
    held = max(float(held), 0.0)
    a, half_b = u_star + 0.5 * p, 0.25 * u_star - 0.5 * held
    return float(min((np.sqrt(half_b * half_b + 0.5 * a * held) - half_b) / a, 1.0))
