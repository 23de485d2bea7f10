"""Where the front of a one-phase Stefan problem is, to a fraction of a cell."""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Step
from lawbound.solvers.grid import Cells

FloatArray = NDArray[np.float64]


def front_position(step: Step, grid: Cells, state: FloatArray, walls: FloatArray) -> FloatArray:
    """Position of the first front from the lower end, from how full its cell is; (nt,), nan where there is none.

    The cell that the front is in holds u_star behind it, rising with the slope p/(½ + θ) that the full neighbour's
    potential p = Φ/k_max drives over h (½ + θ), and nothing ahead: ū = u_star θ + ½ θ² p/(½ + θ) gives the filled
    share θ. Next to a wall it is ū = (u_star + ½ p) θ with p of the wall. state: (nt, nx); walls: (nt, 2), the
    values of Dirichlet walls, anything up to u_star for others. Raises `ValueError` unless k_min = 0: only then is
    u = 0 ahead.
    """
    if step.k_min != 0.0:
        raise ValueError(f"{step} has k_min={step.k_min}; a front inside a cell needs k_min=0.")
    driving = np.maximum(np.asarray(walls, dtype=np.float64) - step.u_star, 0.0)
    found = [_position(step.u_star, grid, u, p) for u, p in zip(state, driving, strict=True)]
    return np.array(found, dtype=np.float64)


def _position(u_star: float, grid: Cells, u: FloatArray, walls: FloatArray) -> float:
    """The same at one time; `walls` is p at the walls."""
    p = np.maximum(u - u_star, 0.0)
    full = _full(p, walls)
    if full[0] and not full.all():
        last = int(np.argmin(full)) - 1
        return float(grid.faces[last + 1] + grid.width * _share(u_star, u[last + 1], p[last]))
    if full.any() and not full[0]:
        first = int(np.argmax(full))
        return float(grid.faces[first] - grid.width * _share(u_star, u[first - 1], p[first]))
    if not full.any() and walls[0] > 0.0:
        return float(grid.lower + grid.width * min(max(u[0], 0.0) / (u_star + 0.5 * walls[0]), 1.0))
    if not full.any() and walls[1] > 0.0:
        return float(grid.upper - grid.width * min(max(u[-1], 0.0) / (u_star + 0.5 * walls[1]), 1.0))
    return float("nan")


def _full(p: FloatArray, walls: FloatArray) -> NDArray[np.bool_]:
    """Cells behind the front: above u_star, and if the next one is dry, as full as a straight profile asks."""
    # Half a cell from a wall a straight profile has half its p, one cell from a neighbour a third.
    around = np.concatenate([[1.5 * walls[0]], p, [1.5 * walls[1]]])
    before, after = around[:-2], around[2:]
    partly = ((after <= 0.0) & (3.0 * p < before)) | ((before <= 0.0) & (3.0 * p < after))
    return (p > 0.0) & ~partly


def _share(u_star: float, held: float, p: float) -> float:
    """θ in [0, 1], the root of (u_star + ½ p) θ² + (½ u_star − ū) θ − ½ ū = 0."""
    held = max(float(held), 0.0)
    a, half_b = u_star + 0.5 * p, 0.25 * u_star - 0.5 * held
    return float(min((np.sqrt(half_b * half_b + 0.5 * a * held) - half_b) / a, 1.0))
