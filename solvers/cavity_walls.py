"""Speeds of the four walls as the slopes of a polynomial streamfunction."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers import chebyshev
from lawbound.solvers.cavity_basis import ClampedBasis
from lawbound.solvers.equation import NavierStokes
from lawbound.solvers.grid import Rectangle
from lawbound.solvers.problem import Problem
from lawbound.solvers.spectral import initial_values

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class WallTraces:
    """rows: slopes ∂ψ/∂η at y_lo, y_hi, (k, 2, functions); columns: ∂ψ/∂ξ at x_lo, x_hi, likewise; ξ, η in [−1, 1].

    changed: by how much the speeds that a polynomial can have differ from those given: the largest defect at a corner,
    and the largest disagreement there of the gradients, which ∇·u = 0 ties to each other, in units of speed, (2,).
    """

    rows: FloatArray
    columns: FloatArray
    changed: FloatArray


def of_rectangle(problem: Problem) -> Rectangle:
    """A problem's grid, which `Problem` made sure is a rectangle for `NavierStokes`."""
    assert isinstance(problem.grid, Rectangle)
    return problem.grid


def scales_of(grid: Rectangle) -> FloatArray:
    """(2 / L_x, 2 / L_y)."""
    return np.array([2.0 / (grid.x.upper - grid.x.lower), 2.0 / (grid.y.upper - grid.y.lower)])


def chebyshev_points(grid: Rectangle, count: int) -> tuple[FloatArray, FloatArray]:
    """Chebyshev points of the rectangle, x and y."""
    x, y = grid.x, grid.y
    at = 0.5 * (1.0 + chebyshev.nodes(count))
    return x.lower + (x.upper - x.lower) * at, y.lower + (y.upper - y.lower) * at


def wall_speeds(problem: Problem, times: FloatArray, points: int) -> FloatArray:
    """Speeds at the walls' Chebyshev points in the order x_lo, x_hi, y_lo, y_hi, (4, k, points)."""
    x, y = chebyshev_points(of_rectangle(problem), points)
    sides = problem.walls.sides
    return np.array([sides[side].values(times, y if side[0] == "x" else x) for side in sides])


def fastest_speed(problem: Problem) -> float:
    """The largest speed of the walls at the output times, or of the initial state; 1 where nothing moves."""
    walls = float(np.abs(wall_speeds(problem, problem.times, 33)).max())
    speed = max(walls, _initial_speed(problem)) if problem.initial.any() else walls
    return speed or 1.0


def _initial_speed(problem: Problem) -> float:
    """The largest velocity of the initial streamfunction, as 33² Chebyshev nodes tell."""
    scales = scales_of(of_rectangle(problem))
    values = initial_values(problem, *chebyshev_points(of_rectangle(problem), 33))
    slope = chebyshev.differentiation_matrix(33)
    return float(max(np.abs(scales[0] * values @ slope.T).max(), np.abs(scales[1] * slope @ values).max()))


def reynolds_of(problem: Problem) -> float:
    """The number in its equation: 1 / ν."""
    assert isinstance(problem.equation, NavierStokes)
    return problem.equation.reynolds


def largest_reynolds(problem: Problem) -> float:
    """The Reynolds number of a problem's fastest speed and longest side."""
    grid = of_rectangle(problem)
    length = max(grid.x.upper - grid.x.lower, grid.y.upper - grid.y.lower)
    return reynolds_of(problem) * fastest_speed(problem) * length


def wall_traces(problem: Problem, basis: ClampedBasis, times: FloatArray) -> WallTraces:
    """The walls' speeds at some times, (k,), brought to polynomials that one streamfunction can have on all walls.

    At each corner both speeds must be 0, and ψ_xy must be one number. Where the data are otherwise they change by the
    polynomial of the least square that mends them, whose reach shrinks as the degree grows.
    """
    sx, sy = scales_of(of_rectangle(problem))
    speeds = wall_speeds(problem, times, basis.degree + 1)
    slopes = (speeds / np.array([-sx, -sx, sy, sy])[:, None, None]) @ basis.from_nodes.T
    n = basis.modes
    # (column l, row k) of the corners: ψ_ξη from the wall in x and from the wall in y.
    from_columns, from_rows = slopes[:2, :, n : n + 2], slopes[2:, :, n : n + 2]
    twist = 0.5 * (from_columns.transpose(2, 1, 0) + from_rows)
    wanted = np.concatenate([twist.transpose(2, 1, 0), twist])
    mending = np.concatenate([wanted - slopes[:, :, n : n + 2], -slopes[:, :, n + 2 :]], axis=2)
    fixed = np.concatenate([slopes[:, :, :n] + mending @ basis.mend.T, wanted], axis=2)
    size = np.array([sx, sx, sy, sy])[:, None, None] * np.abs(mending)
    changed = np.array([size[:, :, 2:].max(), size[:, :, :2].max()])
    return WallTraces(
        np.ascontiguousarray(fixed[2:].transpose(1, 0, 2)), np.ascontiguousarray(fixed[:2].transpose(1, 0, 2)), changed
    )  # fmt: skip
