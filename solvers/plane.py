"""The generalized porous medium equation u_t = ∇·(k(u) ∇u) + s on a rectangle: an explicit and an implicit solver."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.batch import Batch
from lawbound.solvers.coefficient import Coefficient
from lawbound.solvers.compiled import over_samples
from lawbound.solvers.explicit_plane import march_plane
from lawbound.solvers.gpme import LIMIT_AT_WALL, LIMIT_INSIDE
from lawbound.solvers.grid import Boxes
from lawbound.solvers.ledger import Ledger
from lawbound.solvers.plane_stepping import advance_planes
from lawbound.solvers.plane_walls import PlaneWalls
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.solver import SolverError
from lawbound.solvers.step_control import (
    FIRST_STEP,
    GAMMA,
    LEAST,
    LEAST_STEP,
    NOT_FINITE,
    SCALE,
    STEP,
    STUCK,
    TAKEN,
    TIME,
    Progress,
    planned_step,
)
from lawbound.solvers.walls import Dirichlet, Neumann, Robin, Wall

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# After so many explicit steps the range of the solution, and with it the step, is looked at again. A source
# that is a function of time is kept for all of them, so it gets fewer.
_BLOCK, _BLOCK_WITH_SOURCE = 256, 16
# How far beyond what is there the explicit step looks ahead where something pours in, relative to the size of u.
_AHEAD = 0.1
# Beyond this many steps between two output times a run is a mistake (or an overflow of k), not a long wait.
_MOST_STEPS = 10**8


@dataclass(frozen=True)
class ExplicitPlaneDiffusion:
    """Conservative finite volumes on a rectangle, forward Euler, second order in h, the step chosen automatically.

    Δt = diffusion_number / (max k · (1/hx² + 1/hy²)), looked at again as the solution changes; output times are hit
    exactly. By default the number is the largest that keeps every average within the range of the initial and
    wall values: 1/3, 1/2 without Dirichlet and Robin walls. Raises `ValueError` for a larger one.
    """

    diffusion_number: float | None = None

    def __post_init__(self) -> None:
        number = self.diffusion_number
        if number is not None and not 0.0 < number <= LIMIT_INSIDE:
            raise ValueError(
                f"diffusion_number={number} is outside (0, 1/2]; beyond 1/2 the explicit scheme is unstable, "
                "so lower it, or leave it out."
            )

    @property
    def name(self) -> str:
        """Name and version of the scheme, for provenance."""
        return "explicit-plane-diffusion 1"

    def solve(self, problem: Problem) -> Trajectory:
        """Solve one problem on `Boxes`."""
        return self.solve_batch([problem])[0]

    def solve_batch(self, problems: Sequence[Problem]) -> list[Trajectory]:
        """Solve problems that share grid and output times; samples run in parallel, answers do not depend on it.

        Raises `ValueError` for problems of another kind and `SolverError` for a run that breaks down.
        """
        if not problems:
            return []
        batch = PlaneBatch.of(problems, "ExplicitPlaneDiffusion")
        run = _Run(batch)
        numbers = np.array([self._number(problem) for problem in batch.problems])
        carry = np.zeros_like(run.state)
        for start, stop in zip(batch.times[:-1], batch.times[1:], strict=True):
            time = np.full(len(batch), start)
            while (time < stop).any():
                time = self._block(run, numbers, carry, time, float(stop))
            run.record(float(stop), self.name)
        return run.trajectories(self.name)

    def _block(
        self, run: "_Run", numbers: FloatArray, carry: FloatArray, time: FloatArray, stop: float
    ) -> FloatArray:
        """A block of steps of each sample's own length; returns the times reached."""
        batch = run.batch
        guard, longest = self._longest(run, numbers, time, stop)
        waiting = time < stop
        left = np.where(waiting, np.maximum(np.ceil((stop - time) / longest), 1.0), 0.0)
        if not (left <= _MOST_STEPS).all():
            i = int(np.argmin(left <= _MOST_STEPS))
            raise SolverError(
                f"{batch.named(i)} needs {left[i]:.3g} explicit steps from t={time[i]} to t={stop}, because of the size of k(u) "
                f"for u in [{guard[i, 0]:.3g}, {guard[i, 1]:.3g}]; more than {_MOST_STEPS:.0e} are not tried, so use "
                "ImplicitPlaneDiffusion, fewer cells, smaller values or closer times."
            )
        dt = (stop - time) / np.maximum(left, 1.0)
        counts, done = np.minimum(left, batch.blocks).astype(np.int64), np.zeros(len(batch), dtype=np.int64)
        moments = np.minimum(time[:, None] + dt[:, None] * np.arange(counts.max()), stop)
        walls = batch.walls_at(moments if batch.asks.any() else moments[:, :1])
        over_samples(
            march_plane, len(batch),
            batch.coefficient, walls, batch.sources(moments), guard, batch.roams, counts, dt, run.state, carry,
            run.ledger, done,
        )  # fmt: skip
        run.steps += done
        return np.asarray(np.where(done == left, np.where(waiting, stop, time), time + dt * done))

    def _longest(
        self, run: "_Run", numbers: FloatArray, time: FloatArray, stop: float
    ) -> tuple[FloatArray, FloatArray]:
        """The range that values may take during the next block, and the longest step that it allows."""
        batch = run.batch
        values = batch.wall_values(time[:, None])
        guard = batch.ranges(run.state, *values)
        size = np.maximum(np.abs(guard).max(axis=1), 1e-3 * batch.most_rise(values, time, stop))
        guard += np.where(batch.roams, _AHEAD * size, 0.0)[:, None] * [-1.0, 1.0]
        with np.errstate(over="ignore", divide="ignore"):
            fastest = batch.coefficient.largest(guard[:, 0], guard[:, 1])
            return guard, numbers / (fastest * (1.0 / batch.widths**2).sum())

    def _number(self, problem: Problem) -> float:
        """The diffusion number of a problem, checked against the limit of its walls."""
        pull = any(isinstance(wall, Dirichlet | Robin) for wall in problem.walls.sides.values())
        limit = LIMIT_AT_WALL if pull else LIMIT_INSIDE
        if self.diffusion_number is not None and self.diffusion_number > limit:
            raise ValueError(
                f"diffusion_number={self.diffusion_number} is above {limit:.4g}, the limit with the walls of `{problem.name}`; "
                "beyond it the explicit scheme loses its maximum principle, so lower it, or leave it out."
            )
        return self.diffusion_number if self.diffusion_number is not None else limit


@dataclass(frozen=True)
class ImplicitPlaneDiffusion:
    """Conservative finite volumes on a rectangle, with implicit steps of a length that the error controls.

    order 2 is an L-stable two-stage SDIRK method (Alexander, SIAM J. Numer. Anal. 14, 1977, (2.2)) whose fluxes are
    blended with backward Euler's where it would leave the range of the data; order 1 is backward Euler.
    `tolerance` bounds the mean error of a step relative to the size of u. Each stage is solved on the whole plane,
    nothing is split by directions. Output times are hit exactly. Raises `ValueError` for other orders and for a
    tolerance that is not positive.
    """

    order: int = 2
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        if self.order not in (1, 2):
            raise ValueError(
                f"order={self.order}; give 1 (backward Euler) or 2 (SDIRK, blended where bounds ask)."
            )
        if not self.tolerance > 0.0:
            raise ValueError(f"tolerance={self.tolerance}; give a number > 0.")

    @property
    def name(self) -> str:
        """Name and version of the scheme, for provenance."""
        return f"implicit-plane-diffusion 1 (order {self.order}, tolerance {self.tolerance:g})"

    def solve(self, problem: Problem) -> Trajectory:
        """Solve one problem on `Boxes`."""
        return self.solve_batch([problem])[0]

    def solve_batch(self, problems: Sequence[Problem]) -> list[Trajectory]:
        """Solve problems that share grid and output times; samples run in parallel, answers do not depend on it.

        Raises `ValueError` for problems of another kind and `SolverError` for a run that breaks down.
        """
        if not problems:
            return []
        batch = PlaneBatch.of(problems, "ImplicitPlaneDiffusion")
        run = _Run(batch)
        clock, counts = _first_step(run), np.zeros((len(batch), 3), dtype=np.int64)
        progress = Progress(run.state, np.empty_like(run.state), clock, counts)
        status = np.zeros(len(batch), dtype=np.int64)
        # Where a wall or a source is a function, its values at the stages must be known before each step.
        attempts = np.where(batch.asks, 1, _MOST_STEPS)
        gamma = GAMMA if self.order == 2 else 1.0
        for stop in map(float, batch.times[1:]):
            while (clock[:, TIME] < stop).any():
                dt = np.array([planned_step(time, step, stop) for time, step in clock[:, [TIME, STEP]]])
                moments = np.minimum(clock[:, TIME, None] + dt[:, None] * [gamma, 1.0], stop)
                over_samples(
                    advance_planes, len(batch),
                    batch.coefficient, batch.walls_at(moments), batch.sources(moments), self.order,
                    self.tolerance, stop, attempts, progress, run.ledger, status,
                )  # fmt: skip
                _check_status(batch, status, clock)
            run.record(stop, self.name)
        run.steps += counts[:, TAKEN]
        return run.trajectories(self.name)


def _first_step(run: "_Run") -> FloatArray:
    """The clock of each sample at the start, (sample, 4)."""
    batch = run.batch
    clock = np.empty((len(batch), 4))
    first = float(batch.times[1] - batch.times[0])
    clock[:, TIME] = batch.times[0]
    clock[:, LEAST] = LEAST_STEP * float(batch.times[-1] - batch.times[0])
    for i, problem in enumerate(batch.problems):
        fastest = float(batch.coefficients[i].largest(*batch.reached(i, problem.initial)))
        explicit = 1.0 / (fastest * (1.0 / batch.widths**2).sum()) if fastest > 0.0 else first
        clock[i, STEP] = FIRST_STEP * min(explicit, first)
        clock[i, SCALE] = max(abs(problem.initial).max(), 1e-300)
    return clock


def _check_status(batch: "PlaneBatch", status: IntArray, clock: FloatArray) -> None:
    for i in np.flatnonzero((status == STUCK) | (status == NOT_FINITE)):
        what = "stopped being finite" if status[i] == NOT_FINITE else "found no solution"
        raise SolverError(
            f"{batch.named(int(i))} {what} at t={clock[i, TIME]:.6g} with a step of {clock[i, STEP]:.3g}; check that k(u) ≥ 0 is "
            "finite for all u it may reach, and lower the source or the flux of the walls."
        )


@dataclass(frozen=True)
class PlaneBatch(Batch):
    """Diffusion problems on one grid of boxes with the same output times; raises `ValueError` for any others."""

    @classmethod
    def of(cls, problems: Sequence[Problem], solver: str) -> "PlaneBatch":
        """Check that the problems can be solved together, and by a solver of diffusion on a plane."""
        for problem in problems:
            if not isinstance(problem.grid, Boxes) or not isinstance(problem.equation, Coefficient):
                raise ValueError(
                    f"`{problem.name}` is {type(problem.equation).__name__} on {type(problem.grid).__name__}; {solver} solves "
                    "u_t = ∇·(k(u) ∇u) on Boxes. `lawbound.solve` picks the solver that fits."
                )
        grid, times = problems[0].grid, problems[0].times
        if any(problem.grid != grid or not np.array_equal(problem.times, times) for problem in problems):
            raise ValueError(
                "A batch got several grids or output times; group the problems by grid and times."
            )
        return cls(tuple(problems))

    @property
    def boxes(self) -> Boxes:
        """The grid that all share."""
        grid = self.problems[0].grid
        assert isinstance(grid, Boxes)
        return grid

    @cached_property
    def widths(self) -> FloatArray:
        """(hx, hy)."""
        return np.array([self.boxes.x.width, self.boxes.y.width])

    def named(self, sample: int) -> str:
        """How errors speak of a sample."""
        problem = self.problems[sample]
        return f"Sample {sample} ({problem.name}, {problem.equation})"

    def along(self, side: str) -> FloatArray:
        """The tangential coordinates of the cells at a wall."""
        return self.boxes.y.centres if side.startswith("x") else self.boxes.x.centres

    @cached_property
    def asks(self) -> NDArray[np.bool_]:
        """Which samples have a wall or a source that is a function of time, (sample,)."""
        return np.array(
            [
                callable(p.source) or any(_is_function(wall) for wall in p.walls.sides.values())
                for p in self.problems
            ]
        )

    @cached_property
    def roams(self) -> NDArray[np.bool_]:
        """Which samples may leave the range of state and walls at the start of a step, (sample,)."""
        pulled = [
            any(_is_function(wall) and not isinstance(wall, Neumann) for wall in p.walls.sides.values())
            for p in self.problems
        ]
        return np.asarray(self.grows | np.array(pulled))

    @cached_property
    def blocks(self) -> IntArray:
        """Most explicit steps before the range is looked at again, (sample,)."""
        return np.array([_BLOCK_WITH_SOURCE if callable(p.source) else _BLOCK for p in self.problems])

    def wall_values(self, moments: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values at the x walls, (sample, moment, 2, ny), and the y walls, (sample, moment, 2, nx), at (sample, moment)."""
        ny, nx = self.boxes.shape
        values = tuple(np.empty((*moments.shape, 2, n)) for n in (ny, nx))
        for i, problem in enumerate(self.problems):
            for place, (side, wall) in enumerate(problem.walls.sides.items()):
                # A constant needs no times; asking for one row of it is cheap.
                when = moments[i] if _is_function(wall) else moments[i, :1]
                values[place // 2][i, :, place % 2] = wall.values(when, self.along(side))
        return values[0], values[1]

    def walls_at(self, moments: FloatArray) -> PlaneWalls:
        """The walls of all samples at (sample, moment), for compiled code."""
        return PlaneWalls(self.kinds, self.transfers, *self.wall_values(moments), self.widths)

    def sources(self, moments: FloatArray) -> FloatArray:
        """Sources at (sample, moment): (sample, 0, 1 or moment, ny, nx), 0 if there is none and 1 if all are steady."""
        if all(problem.source is None for problem in self.problems):
            return np.zeros((len(self), 0, *self.boxes.shape))
        rows = moments.shape[1] if any(callable(problem.source) for problem in self.problems) else 1
        table = np.zeros((len(self), rows, *self.boxes.shape))
        for i, problem in enumerate(self.problems):
            for row in range(rows):
                table[i, row] = problem.source_at(float(moments[i, row]))
        return table

    def ranges(self, state: FloatArray, x_values: FloatArray, y_values: FloatArray) -> FloatArray:
        """Least and largest value of state and walls, (sample, 2)."""
        result = np.stack([state.min(axis=(1, 2)), state.max(axis=(1, 2))], axis=1)
        for i, problem in enumerate(self.problems):
            for place, wall in enumerate(problem.walls.sides.values()):
                if isinstance(wall, Dirichlet | Robin):
                    values = (x_values, y_values)[place // 2][i, :, place % 2]
                    result[i] = min(result[i, 0], values.min()), max(result[i, 1], values.max())
        return result

    def most_rise(self, values: tuple[FloatArray, FloatArray], time: FloatArray, stop: float) -> FloatArray:
        """How far what pours in now could raise a single cell until `stop`, (sample,)."""
        rise = np.zeros(len(self))
        for i, problem in enumerate(self.problems):
            for place, wall in enumerate(problem.walls.sides.values()):
                if isinstance(wall, Neumann):
                    rise[i] += abs(values[place // 2][i, :, place % 2]).max() / self.widths[place // 2]
            if problem.source is not None:
                rise[i] += abs(problem.source_at(float(min(time[i], stop)))).max()
        return rise * (stop - time)

    def reached(self, sample: int, state: FloatArray) -> tuple[float, float]:
        """Least and largest value of a state and of the walls at the output times."""
        seen = [state]
        for side, wall in self.problems[sample].walls.sides.items():
            if isinstance(wall, Dirichlet | Robin):
                seen.append(wall.values(self.times, self.along(side)))
        return min(float(a.min()) for a in seen), max(float(a.max()) for a in seen)

    def at_walls(self) -> FloatArray:
        """Means of the walls' values along them at the output times, (sample, nt, 4)."""
        return np.stack(
            [
                np.stack([w.values(self.times, self.along(s)).mean(axis=1) for s, w in p.walls.sides.items()], axis=1)
                for p in self.problems
            ]
        )  # fmt: skip


def _is_function(wall: Wall) -> bool:
    return isinstance(wall, Dirichlet | Neumann | Robin) and callable(wall.value)


class _Run:
    """A batch under way: the state now and its ledger, changed in place, and what was recorded of them."""

    def __init__(self, batch: PlaneBatch) -> None:
        size = len(batch)
        self.batch = batch
        self.state = np.stack([problem.initial for problem in batch.problems])
        self.ledger = Ledger.empty(size, 4)
        self.steps = np.zeros(size, dtype=np.int64)
        self._records = [self._record()]

    def _record(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        return self.state.copy(), *self.ledger.settled()

    def record(self, time: float, solver: str) -> None:
        """Keep state and ledger as they are at an output time; raises `SolverError` where they make no sense."""
        self.batch.check(self.state, time, solver)
        self._records.append(self._record())

    def trajectories(self, solver: str) -> list[Trajectory]:
        """One trajectory a sample."""
        state, inflow, traffic, produced = (
            np.stack(kept, axis=1) for kept in zip(*self._records, strict=True)
        )
        return self.batch.trajectories(state, inflow, traffic, produced, self.steps, solver)
