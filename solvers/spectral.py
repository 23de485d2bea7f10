"""From values on one set of points to values on another, and the initial state wherever a solver wants it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import make_interp_spline

from lawbound.solvers import chebyshev, fourier
from lawbound.solvers.grid import ChebyshevNodes, PeriodicNodes, Points, Rectangle
from lawbound.solvers.problem import Problem

FloatArray = NDArray[np.float64]

#: Degree of the spline through values at equally spaced points with ends, where nothing better is known of them.
SPLINE = 7


def initial_values(problem: Problem, *points: FloatArray) -> FloatArray:
    """The initial state at the points x, (nx,), or on the grid of the points x and y, (ny, nx).

    A function is evaluated there; an array is interpolated: by waves on `PeriodicNodes`, by the polynomial on
    `ChebyshevNodes`, by a spline of degree 7 on `Nodes`. Raises `ValueError` where a function gives values that are not
    finite.
    """
    return _at(problem, "initial", problem.initial, problem.initial_function, points)


def initial_rates(problem: Problem, *points: FloatArray) -> FloatArray:
    """The same of u_t; zeros where the problem gives none."""
    if problem.initial_rate is None:
        return np.zeros(tuple(p.size for p in reversed(points)))
    return _at(problem, "initial_rate", problem.initial_rate, problem.initial_rate_function, points)


def interpolated(values: FloatArray, grid: Points, points: FloatArray) -> FloatArray:
    """Values on a grid, (..., n), at other points of its interval, (..., points)."""
    if isinstance(grid, ChebyshevNodes):
        inside = (2.0 * points - grid.lower - grid.upper) / (grid.upper - grid.lower)
        return np.asarray(values @ chebyshev.interpolation_matrix(grid.n, inside).T)
    if isinstance(grid, PeriodicNodes):
        length = grid.upper - grid.lower
        return fourier.evaluate(fourier.coefficients(values), (points - grid.lower) / length)
    if points.shape == grid.points.shape and (points == grid.points).all():
        return values
    spline = make_interp_spline(
        grid.points, values, k=min(SPLINE, (grid.n - 1) | 1) if grid.n > 3 else 1, axis=-1
    )
    return np.asarray(spline(points))


def tail_of(amplitudes: NDArray[np.float64] | NDArray[np.complex128]) -> float:
    """The largest of the last eighth of the amplitudes along any axis, two at least, relative to the largest of all."""
    size = np.abs(amplitudes)
    largest = float(size.max())
    if largest == 0.0:
        return 0.0
    ends = (size.swapaxes(0, axis)[-max(2, n // 8) :] for axis, n in enumerate(size.shape))
    return max(float(end.max()) for end in ends) / largest


def _at(
    problem: Problem,
    name: str,
    values: FloatArray,
    function: Callable[..., ArrayLike] | None,
    points: tuple[FloatArray, ...],
) -> FloatArray:
    grid = problem.grid
    shape = tuple(p.size for p in reversed(points))
    if function is not None:
        where = points if len(points) == 1 else (points[0][None, :], points[1][:, None])
        given = np.asarray(function(*where), dtype=np.float64)
        if not np.isfinite(given).all():
            raise ValueError(
                f"`{name}` of {problem.name} is not finite everywhere between the grid's points; give finite values."
            )
        return given if given.shape == shape else np.array(np.broadcast_to(given, shape))
    if isinstance(grid, Rectangle):
        along_x = interpolated(values, grid.x, points[0])
        return np.ascontiguousarray(interpolated(along_x.T, grid.y, points[1]).T)
    assert isinstance(grid, Points)
    return interpolated(values, grid, points[0])
