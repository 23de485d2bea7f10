"""Burgers problems between Dirichlet walls: how many polynomials each has, what its walls do, and its ledger."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from lawbound.solvers.burgers_march import ARRIVED, COARSE, RUNNING, Controls, Samples
from lawbound.solvers.burgers_walls import MODES, WallPlan, modes, tables
from lawbound.solvers.equation import ViscousBurgers
from lawbound.solvers.grid import Points
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.spectral import initial_values
from lawbound.solvers.walls import Dirichlet

FloatArray = NDArray[np.float64]

# Walls' values are followed by polynomials of this degree, on pieces that are halved until the last coefficients vanish.
_DEGREE, _EXACT, _MOST_HALVINGS = 12, 1e-13, 14
# How much of the number of modes that the thinnest front may need is tried first.
_FIRST_TRY = 0.6
_COMPATIBLE = 1e-8


@dataclass
class Run:
    """A sample under way; changed between calls of compiled code."""

    problem: Problem
    number: int
    count: int  # of modes
    scale: float
    edges: tuple[FloatArray, FloatArray]
    pieces: tuple[FloatArray, FloatArray]
    row: dict[str, Any] = field(default_factory=dict)
    answers: FloatArray | None = None  # (nt, n + 1)


def started(problem: Problem, number: int, tail: float, fixed: int | None) -> Run:
    """The walls' values as pieces, and a first number of modes."""
    sides, times = problem.walls.sides, problem.times
    made = [_followed(wall, float(times[0]), float(times[-1])) for wall in sides.values()]  # type: ignore[arg-type]
    seen = np.concatenate(
        [problem.initial, *(wall.values(np.linspace(times[0], times[-1], 257)) for wall in sides.values())]
    )
    scale = max(float(np.abs(seen).max()), 1e-300)
    count = _first_modes(problem, float(np.ptp(seen)), tail) if fixed is None else max(4, fixed + fixed % 2)
    (low, lows), (high, highs) = made
    return Run(problem, number, count, scale, (low, high), (lows, highs))


def _first_modes(problem: Problem, drop: float, tail: float) -> int:
    """The front between the extremes of the data has poles 2πν/drop from the axis: polynomials converge like ρ^{−n}."""
    grid = problem.grid
    assert isinstance(problem.equation, ViscousBurgers)
    away = 4.0 * np.pi * problem.equation.nu / (max(drop, 1e-12) * (grid.upper - grid.lower))  # type: ignore[union-attr]
    wanted = _FIRST_TRY * np.log(1.0 / min(tail, 1e-6)) / np.log(away + np.sqrt(1.0 + away * away))
    return next((n for n in MODES if n >= wanted), MODES[-1])


def _followed(wall: Dirichlet, begin: float, end: float) -> tuple[FloatArray, FloatArray]:
    """Edges of pieces, (pieces + 1,), and Chebyshev coefficients of the wall's value on each, (pieces, degree + 1)."""
    if not callable(wall.value):
        c = np.zeros((1, _DEGREE + 1))
        c[0, 0] = wall.value
        return np.array([begin, end]), c
    nodes = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
    todo, done, scale = [(begin, end)], {}, 0.0
    for halvings in range(_MOST_HALVINGS + 1):
        ends = np.array(todo)
        at = 0.5 * (ends[:, :1] + ends[:, 1:]) + 0.5 * (ends[:, 1:] - ends[:, :1]) * nodes
        values = wall.values(at.ravel()).reshape(at.shape)
        c = np.asarray(dct(values, type=2)) / (_DEGREE + 1)
        c[:, 0] *= 0.5
        scale = max(scale, float(np.abs(values).max()))
        smooth = np.abs(c[:, -3:]).max(axis=1) <= _EXACT * scale
        todo = []
        for (a, b), row, good in zip(ends.tolist(), c, smooth, strict=True):
            if good or halvings == _MOST_HALVINGS:
                done[a] = (b, row)
            else:
                todo += [(a, 0.5 * (a + b)), (0.5 * (a + b), b)]
        if not todo:
            break
    starts = sorted(done)
    return np.array([*starts, end]), np.array([done[a][1] for a in starts])


def solve_between_walls(
    problems: Sequence[Problem],
    controls: Controls,
    fixed: int | None,
    march: Callable[..., None],
    judge: Callable[[Run, int], None],
) -> list[Run]:
    """All problems to their last output; a sample whose modes turn out too few begins again with more."""
    runs = [started(problem, i, controls.tail, fixed) for i, problem in enumerate(problems)]
    if fixed is not None:
        controls = controls._replace(tail=np.inf)
    waiting = list(runs)
    while waiting:
        count = min(run.count for run in waiting)
        chosen = [run for run in waiting if run.count == count]
        _march(chosen, count, controls, march)
        for run in chosen:
            status = run.row["status"]
            if status == COARSE and run.count != MODES[-1]:
                run.count, run.row = MODES[MODES.index(run.count) + 1], {}
            elif status not in (ARRIVED, RUNNING):
                judge(run, status)
        waiting = [run for run in waiting if run.row.get("status", RUNNING) != ARRIVED]
    return runs


def _march(runs: list[Run], count: int, controls: Controls, march: Callable[..., None]) -> None:
    grid = runs[0].problem.grid
    length = grid.upper - grid.lower  # type: ignore[union-attr]
    nu = np.array([run.problem.equation.nu for run in runs])  # type: ignore[union-attr]
    decay = np.zeros((len(runs), count + 1))
    decay[:, 1:] = nu[:, None] * modes(count).eigenvalues * (2.0 / length) ** 2
    most = max(piece.shape[0] for run in runs for piece in run.pieces)
    edges = np.full((len(runs), 2, most + 1), np.inf)
    pieces = np.zeros((len(runs), 2, most, _DEGREE + 1))
    for i, run in enumerate(runs):
        for side in range(2):
            edges[i, side, : run.edges[side].size] = run.edges[side]
            pieces[i, side, : run.pieces[side].shape[0]] = run.pieces[side]
    t = tables(count)
    width = max(t.points.size, count + 1)
    plan = WallPlan(
        t, 1, count + 1, 4, width, modes(count).moments, decay, nu / length, length, edges, pieces
    )
    of = _stacked(runs, count, controls, decay, nu)
    march(len(runs), plan, controls, of)
    for i, run in enumerate(runs):
        run.row = {
            name: getattr(of, name)[i] for name in ("status", "time", "steps", "step", "refused", "tail")
        }
        run.answers = of.answers[i, :, 0]


def _stacked(runs: list[Run], count: int, controls: Controls, decay: FloatArray, nu: FloatArray) -> Samples:
    n, start = len(runs), float(controls.times[0])
    whole = {name: np.zeros(n, dtype=np.int64) for name in ("known", "steps", "refused", "since", "status")}
    state = np.zeros((n, 1, count + 1))
    for i, run in enumerate(runs):
        state[i, 0, 1:] = _projected(run.problem, count)
    answers = np.empty((n, controls.times.size, 1, count + 1))
    answers[:, 0] = state
    return Samples(
        state=state,
        past=np.zeros((n, 7, 1, count + 1)),
        past_times=np.full((n, 7), start),
        values=np.ones(n, dtype=np.int64),
        time=np.full(n, start),
        step=np.zeros(n),
        nodes=np.zeros((n, 7)),
        decay=decay,
        nu=nu,
        scale=np.array([run.scale for run in runs]),
        peak=np.zeros(n),
        tail=np.zeros(n),
        ahead=np.ones(n, dtype=np.int64),
        answers=answers,
        **whole,
    )


def _projected(problem: Problem, count: int) -> FloatArray:
    """∫u ψ_j dξ of the initial state, (n,)."""
    grid = problem.grid
    points, shares = _projection(count)
    x = 0.5 * (grid.lower + grid.upper) + 0.5 * (grid.upper - grid.lower) * points  # type: ignore[union-attr]
    # Sums in the same order whatever the number of threads, as a matrix product would not have them.
    return np.asarray((shares * initial_values(problem, x)).sum(axis=1))


@lru_cache(maxsize=16)
def _projection(count: int) -> tuple[FloatArray, FloatArray]:
    """Quadrature points and what u at each adds to each moment, (n, points)."""
    t = tables(count)
    points = np.concatenate([t.points, -t.points[::-1]])
    return points, modes(count).at(points) * np.concatenate([t.weights, t.weights[::-1]])


@lru_cache(maxsize=16)
def _on_grid(count: int, grid: Points) -> FloatArray:
    """ψ_j at the points of a grid, (n, nx)."""
    return modes(count).at((2.0 * grid.points - grid.lower - grid.upper) / (grid.upper - grid.lower))


def trajectory(run: Run, solver: str) -> Trajectory:
    """The answer on the problem's grid; what entered follows from moments, see `solve`."""
    problem, basis, y = run.problem, modes(run.count), run.answers
    grid, times = problem.grid, problem.times
    assert isinstance(grid, Points) and y is not None
    walls = np.stack([wall.values(times) for wall in problem.walls.sides.values()], axis=1)
    low, high = walls.T
    inner = y[:, 1:] - basis.of_lift(low, high)
    share = ((grid.points - grid.lower) / (grid.upper - grid.lower))[None, :]
    state = (1.0 - share) * low[:, None] + share * high[:, None]
    state += np.einsum("tj,jx->tx", inner, _on_grid(run.count, grid))
    state[0] = problem.initial
    state[1:, share[0] == 0.0], state[1:, share[0] == 1.0] = low[1:, None], high[1:, None]
    weighted = inner * basis.moments
    length = grid.upper - grid.lower
    whole = 0.5 * length * (low + high + weighted[:, ::2].sum(axis=1))
    tilt = 0.5 * length * ((high - low) / 3.0 + weighted[:, 1::2].sum(axis=1))
    # d/dt ∫u (x_hi − x)/L dx = flux at x_lo − mean flux, and the same from the other end.
    moments = 0.5 * np.stack([whole - tilt, whole + tilt], axis=1)
    inflow = moments - moments[0] + y[:, :1] * np.array([1.0, -1.0])
    traffic = np.abs(np.diff(inflow, axis=0, prepend=0.0)).cumsum(axis=0)
    nothing = np.zeros(times.size)
    return Trajectory(
        problem, state, walls, inflow, traffic, nothing, int(run.row["steps"]), solver, mass=whole
    )


def warn_of_corners(run: Run) -> None:
    """Say once where the initial state and a wall disagree: the solution then starts with a jump."""
    problem = run.problem
    grid = problem.grid
    ends = initial_values(problem, np.array([grid.lower, grid.upper]))  # type: ignore[union-attr]
    for (side, wall), value in zip(problem.walls.sides.items(), ends.tolist(), strict=True):
        at_wall = float(wall.values(problem.times[:1])[0])
        if abs(at_wall - value) > _COMPATIBLE * run.scale:
            warnings.warn(
                f"{problem.name} starts with {value:.6g} at {side}, whose wall says {at_wall:.6g}; soon after the start the error is "
                "larger than the tolerance. Make them agree if that matters.",
                stacklevel=4,
            )
