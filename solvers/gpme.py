"""The generalized porous medium equation u_t = (k(u) u_x)_x in one dimension."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Coefficient, batch_of
from lawbound.solvers.compiled import parallel_region
from lawbound.solvers.finite_volume import march
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.solver import SolverError
from lawbound.solvers.walls import Dirichlet

#: Largest k·Δt/h² for which every new average is a convex combination of old values: an inner cell gives
#: away 2 parts of it, a cell at a Dirichlet wall 2 + 1.
LIMIT = 1.0 / 3.0

_SIDES = ("x_lo", "x_hi")

# Wall values are sampled for at most this many steps and samples at once, so memory stays flat.
_BLOCK_VALUES = 4_000_000

# Beyond this many steps between two output times a run is a mistake (or an overflow of k), not a long wait.
_MOST_STEPS = 10**8

# A wall that starts from rest must be seen moving before the first step is chosen.
_LEAST_WALL_SAMPLES = 64


@dataclass(frozen=True)
class ExplicitDiffusion:
    """Conservative finite volumes, forward Euler, second order in h, with the step chosen automatically.

    Δt = diffusion_number · h² / max k, the maximum being over all values that the discrete maximum principle lets the
    solution reach before the next output time, which is hit exactly. With diffusion_number ≤ 1/3 no average leaves
    the range of the initial and wall values. Raises `ValueError` for a larger one.
    """

    diffusion_number: float = LIMIT

    def __post_init__(self) -> None:
        if not 0.0 < self.diffusion_number <= LIMIT:
            raise ValueError(
                f"diffusion_number={self.diffusion_number} is outside (0, 1/3]; beyond 1/3 the explicit scheme loses its maximum "
                "principle, so lower it (the default is the limit)."
            )

    @property
    def name(self) -> str:
        """Name and version of the scheme, for provenance."""
        return "explicit-diffusion 1"

    def solve(self, problem: Problem) -> Trajectory:
        """Solve one problem."""
        return self.solve_batch([problem])[0]

    def solve_batch(self, problems: Sequence[Problem]) -> list[Trajectory]:
        """Solve problems that share grid and output times; samples run in parallel, answers do not depend on it."""
        if not problems:
            return []
        grid, times = problems[0].grid, problems[0].times
        if any(problem.grid != grid or not np.array_equal(problem.times, times) for problem in problems):
            raise ValueError(
                "A batch got several grids or output times; group the problems by grid and times."
            )
        batch, nt = len(problems), times.size
        coefficient = batch_of([problem.equation for problem in problems])
        now = np.stack([problem.initial for problem in problems])
        state = np.empty((batch, nt, grid.n))
        inflow, traffic = np.zeros((batch, nt, 2)), np.zeros((batch, nt, 2))
        entered, passed, lost = np.zeros((batch, 2)), np.zeros((batch, 2)), np.zeros((batch, 2))
        carry = np.zeros_like(now)
        taken = np.zeros(batch, dtype=np.int64)
        walls = [_WallValues.of(problems, side) for side in _SIDES]
        state[:, 0] = now
        for k in range(1, nt):
            start, stop = float(times[k - 1]), float(times[k])
            steps = self._steps(problems, coefficient, walls, now, start, stop)
            taken += steps
            self._cross(grid.width, coefficient, walls, now, start, stop, steps, entered, passed, lost, carry)
            state[:, k], inflow[:, k], traffic[:, k] = now, entered + lost, passed
            self._check(now, problems, stop)
        at_walls = np.stack(
            [np.stack([p.walls.x_lo.values(times), p.walls.x_hi.values(times)], axis=1) for p in problems]
        )
        return [
            Trajectory(problem, state[i], at_walls[i], inflow[i], traffic[i], np.zeros(nt), int(taken[i]), self.name)
            for i, problem in enumerate(problems)
        ]

    def _steps(
        self,
        problems: Sequence[Problem],
        coefficient: Coefficient,
        walls: Sequence["_WallValues"],
        now: NDArray[np.float64],
        start: float,
        stop: float,
    ) -> NDArray[np.int64]:
        """Number of equal steps between two output times, for each sample."""
        width = problems[0].grid.width
        counts = np.ones(len(problems), dtype=np.int64)
        # A finer sampling of a wall may reveal larger values; repeat until the steps cover what they sample.
        while True:
            extremes = [wall.extremes(start, stop, counts) for wall in walls]
            low = np.minimum(now.min(axis=1), np.minimum(*(lowest for lowest, _ in extremes)))
            high = np.maximum(now.max(axis=1), np.maximum(*(highest for _, highest in extremes)))
            with np.errstate(over="ignore"):
                fastest = coefficient.largest(low, high)
            needed = np.ceil((stop - start) * fastest / (self.diffusion_number * width**2))
            if not (needed <= _MOST_STEPS).all():
                i = int(np.argmin(needed <= _MOST_STEPS))
                raise SolverError(
                    f"Sample {i} ({problems[i].name}, {problems[i].equation}) needs {needed[i]:.3g} explicit steps from "
                    f"t={start} to t={stop}, because k(u) reaches {fastest[i]:.3g} for u in [{low[i]:.3g}, {high[i]:.3g}]; "
                    f"more than {_MOST_STEPS:.0e} are not tried, so use fewer cells, smaller values or closer times."
                )
            if (needed <= counts).all():
                return counts
            counts = np.maximum(counts, needed.astype(np.int64))

    def _cross(
        self,
        width: float,
        coefficient: Coefficient,
        walls: Sequence["_WallValues"],
        now: NDArray[np.float64],
        start: float,
        stop: float,
        steps: NDArray[np.int64],
        entered: NDArray[np.float64],
        passed: NDArray[np.float64],
        lost: NDArray[np.float64],
        carry: NDArray[np.float64],
    ) -> None:
        """Advance all samples from one output time to the next, a block of steps at a time."""
        dt = (stop - start) / steps
        block = max(1, _BLOCK_VALUES // len(now))
        for first in range(0, int(steps.max()), block):
            counts = np.clip(steps - first, 0, block)
            lower, upper = (wall.at_steps(start, stop, steps, first, counts) for wall in walls)
            with parallel_region:
                march(coefficient, now, lower, upper, counts, dt, width, entered, passed, lost, carry)

    def _check(self, now: NDArray[np.float64], problems: Sequence[Problem], time: float) -> None:
        bad = ~np.isfinite(now).all(axis=1)
        if bad.any():
            i = int(np.argmax(bad))
            raise SolverError(
                f"Sample {i} ({problems[i].name}, {problems[i].equation}) stopped being finite before t={time}; "
                f"check its initial and wall values, or lower diffusion_number={self.diffusion_number}."
            )


@dataclass(frozen=True)
class _WallValues:
    """One wall of a batch: numbers where it is constant, and the samples whose wall is a function of time."""

    constant: NDArray[np.float64]  # (sample,), NaN where it is a function
    functions: tuple[tuple[int, Dirichlet], ...]

    @classmethod
    def of(cls, problems: Sequence[Problem], side: str) -> "_WallValues":
        walls: list[Dirichlet] = [getattr(problem.walls, side) for problem in problems]
        moving = tuple((i, wall) for i, wall in enumerate(walls) if callable(wall.value))
        constant = np.array(
            [np.nan if callable(wall.value) else wall.value for wall in walls], dtype=np.float64
        )
        return cls(constant, moving)

    def extremes(
        self, start: float, stop: float, counts: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Least and largest value between two output times: where the steps sample it, and often enough besides."""
        low, high = self.constant.copy(), self.constant.copy()
        for i, wall in self.functions:
            times = [_step_times(start, stop, n, 0, n) for n in (int(counts[i]), _LEAST_WALL_SAMPLES)]
            values = wall.values(np.concatenate([*times, [stop]]))
            low[i], high[i] = values.min(), values.max()
        return low, high

    def at_steps(
        self, start: float, stop: float, steps: NDArray[np.int64], first: int, counts: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Values at the beginning of each of a block of steps, (sample, step)."""
        values = np.repeat(self.constant[:, None], int(counts.max()), axis=1)
        for i, wall in self.functions:
            values[i, : counts[i]] = wall.values(
                _step_times(start, stop, int(steps[i]), first, first + int(counts[i]))
            )
        return values


def _step_times(start: float, stop: float, count: int, first: int, last: int) -> NDArray[np.float64]:
    """The times at which steps `first` up to, not including, `last` of `count` equal ones begin."""
    return np.asarray(start + (stop - start) / count * np.arange(first, last), dtype=np.float64)
