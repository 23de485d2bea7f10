"""What a wall of a conservation law shows to the stages of a Runge–Kutta step: its value, and averages beyond it."""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.conservation_law import Advection, ConservationLaw
from lawbound.solvers.fluxes import speeds
from lawbound.solvers.grid import Cells
from lawbound.solvers.hyperbolic_kernel import DIRICHLET, NEUMANN, OUTFLOW, OUTSIDE, PERIODIC
from lawbound.solvers.problem import Problem
from lawbound.solvers.walls import Dirichlet, Neumann, Outflow, Periodic

FloatArray = NDArray[np.float64]

#: The numbers by which compiled code knows the kinds of walls.
KINDS = {Dirichlet: DIRICHLET, Neumann: NEUMANN, Outflow: OUTFLOW, Periodic: PERIODIC}

# Each round of following characteristics back gains one power of h, and the scheme has order five.
_ROUNDS = 5

# Three Gauss–Legendre points on [0, 1] integrate the averages beyond a wall to order six.
_POINTS, _WEIGHTS = (a * 0.5 + b for a, b in zip(np.polynomial.legendre.leggauss(3), (0.5, 0.0), strict=True))

# A wall where waves are this much slower than the fastest would be looked up far in the future; it is not.
_SLOWEST = 1.0 / 16.0


# Through the last values of a wall goes a polynomial of degree four, for no longer than they span.
_KNOTS = 5


def stage_times(problem: Problem, now: float, dt: float, steps: int) -> FloatArray:
    """Times of the three stages, t, t + Δt and t + Δt/2, of steps that begin at `now`, (steps, 3)."""
    times = (now + dt * np.arange(steps))[:, None] + dt * np.array([0.0, 1.0, 0.5])
    return np.asarray(np.minimum(times, problem.times[-1]))  # round-off must not ask for later ones


def at_stages(
    problem: Problem, side: str, now: float, dt: float, steps: int, fastest: float, *, consistent: bool
) -> FloatArray:
    """A wall's value and the averages of u beyond it, outwards, at each stage, (3 · steps, 4); (1, 4) if steady.

    `consistent` asks for what the high-order reconstruction needs: averages that follow the characteristics, and
    stages that see u + Δt u_t and u + ½ Δt u_t + ¼ Δt² u_tt, as the cells do, and not u at other times (Carpenter,
    Gottlieb, Abarbanel, Don, SIAM J. Sci. Comput. 16, 1995, pp. 1241-1252). With a parabola through the values at t,
    t + Δt/2 and t + Δt these are −2, 4, −1 and ½, 0, ½ of them. Such values may overshoot, so the limited schemes take
    plain ones.
    """
    wall = problem.walls.sides[side]
    value = getattr(wall, "value", 0.0)
    if not callable(value):
        return np.full((1, OUTSIDE + 1), float(value))
    times = stage_times(problem, now, dt, steps)
    if not (consistent and isinstance(wall, Dirichlet)):
        assert isinstance(wall, Dirichlet | Neumann)
        return np.repeat(wall.values(times.ravel())[:, None], OUTSIDE + 1, axis=1)
    at = _beyond(problem, wall, 1.0 if side == "x_lo" else -1.0, times.ravel(), fastest)
    start, end, middle = np.moveaxis(at.reshape(steps, 3, OUTSIDE + 1), 1, 0)
    stages = (start, -2.0 * start + 4.0 * middle - end, 0.5 * (start + end))
    return np.stack(stages, axis=1).reshape(3 * steps, OUTSIDE + 1)


def _beyond(
    problem: Problem, wall: Dirichlet, inward: float, times: FloatArray, fastest: float
) -> FloatArray:
    """The wall's value g and the averages of the u that will flow in, (times, 4).

    At a distance d beyond the wall stands what reaches it at the time s with s = t + d / f'(g(s)).
    """
    law, grid = problem.equation, problem.grid
    assert isinstance(law, ConservationLaw) and isinstance(grid, Cells)
    g = wall.values(times)
    if fastest == 0.0:
        return np.repeat(g[:, None], OUTSIDE + 1, axis=1)
    spacing = min(grid.width / fastest, (problem.times[-1] - problem.times[0]) / (_KNOTS - 1))
    distance = grid.width * (np.arange(OUTSIDE)[:, None] + _POINTS).ravel()
    entering = inward * speeds(law, g)
    arrives = times[:, None] + distance / np.maximum(entering, _SLOWEST * fastest)[:, None]
    for _ in range(0 if isinstance(law, Advection) else _ROUNDS):
        then = inward * speeds(law, _values(wall, arrives, float(problem.times[-1]), spacing))
        arrives = times[:, None] + distance / np.maximum(then, _SLOWEST * fastest)
    seen = _values(wall, arrives, float(problem.times[-1]), spacing)
    averages = seen.reshape(times.size, OUTSIDE, _POINTS.size) @ _WEIGHTS
    averages = np.where(entering[:, None] > 0.0, averages, g[:, None])
    return np.concatenate([g[:, None], averages], axis=1)


def _values(wall: Dirichlet, times: FloatArray, last: float, spacing: float) -> FloatArray:
    """g at any times; after the last output, where nobody promised that g is known, by extrapolation."""
    values = wall.values(np.minimum(times, last).ravel()).reshape(times.shape)
    late = times > last
    if late.any():
        known = wall.values(last - spacing * np.arange(_KNOTS))
        ahead = np.minimum((times[late] - last) / spacing, _KNOTS - 1.0)
        others = [[j for j in range(_KNOTS) if j != k] for k in range(_KNOTS)]
        lagrange = [np.prod([(ahead + j) / (j - k) for j in others[k]], axis=0) for k in range(_KNOTS)]
        values[late] = known @ np.array(lagrange)
    return values
