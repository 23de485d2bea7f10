"""The generalized porous medium equation u_t = ∇·(k(u) ∇u) + s on a rectangle: an explicit and an implicit solver."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled import over_samples
from lawbound.solvers.explicit_plane import march_plane
from lawbound.solvers.gpme import LIMIT_AT_WALL, LIMIT_INSIDE
from lawbound.solvers.plane_batch import PlaneBatch, PlaneRun
from lawbound.solvers.plane_stepping import advance_planes
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
from lawbound.solvers.walls import Dirichlet, Robin

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

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
        run = PlaneRun(batch)
        numbers = np.array([self._number(problem) for problem in batch.problems])
        carry = np.zeros_like(run.state)
        for start, stop in zip(batch.times[:-1], batch.times[1:], strict=True):
            time = np.full(len(batch), start)
            while (time < stop).any():
                time = self._block(run, numbers, carry, time, float(stop))
            run.record(float(stop), self.name)
        return run.trajectories(self.name)

    def _block(
        self, run: PlaneRun, numbers: FloatArray, carry: FloatArray, time: FloatArray, stop: float
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
        self, run: PlaneRun, numbers: FloatArray, time: FloatArray, stop: float
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
        run = PlaneRun(batch)
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


def _first_step(run: PlaneRun) -> FloatArray:
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


def _check_status(batch: PlaneBatch, status: IntArray, clock: FloatArray) -> None:
    for i in np.flatnonzero((status == STUCK) | (status == NOT_FINITE)):
        what = "stopped being finite" if status[i] == NOT_FINITE else "found no solution"
        raise SolverError(
            f"{batch.named(int(i))} {what} at t={clock[i, TIME]:.6g} with a step of {clock[i, STEP]:.3g}; check that k(u) ≥ 0 is "
            "finite for all u it may reach, and lower the source or the flux of the walls."
        )
