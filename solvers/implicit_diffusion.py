"""Implicit solver of the generalized porous medium equation u_t = (k(u) u_x)_x + s in one dimension."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.batch import Batch
from lawbound.solvers.compiled import over_samples
from lawbound.solvers.functions import PowerOfTime
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
    planned_step,
)
from lawbound.solvers.stepping import CONSTANT, GIVEN, POWER_OF_TIME, advance_all
from lawbound.solvers.walls import Dirichlet, Neumann, Robin, Wall

FloatArray = NDArray[np.float64]

_MOST_STEPS = 10**7


@dataclass(frozen=True)
class ImplicitDiffusion:
    """Conservative finite volumes, second order in h, with implicit steps of a length that the error controls.

    order 2 is an L-stable two-stage SDIRK method whose fluxes are blended with backward Euler's where it would leave
    the range of the data; order 1 is backward Euler, which keeps bounds and, where the data do, monotonicity in
    time by itself. `tolerance` bounds the mean error of a step relative to the size of u; `longest_step` the step.
    Output times are hit exactly. Raises `ValueError` for other orders and for numbers that are not positive.
    """

    order: int = 2
    tolerance: float = 1e-5
    longest_step: float = np.inf

    def __post_init__(self) -> None:
        if self.order not in (1, 2):
            raise ValueError(
                f"order={self.order}; give 1 (backward Euler) or 2 (SDIRK, blended where bounds ask)."
            )
        if not self.tolerance > 0.0 or not self.longest_step > 0.0:
            raise ValueError(
                f"tolerance={self.tolerance}, longest_step={self.longest_step}; give numbers > 0."
            )

    @property
    def name(self) -> str:
        """Name and version of the scheme, for provenance."""
        limit = "" if np.isinf(self.longest_step) else f", steps ≤ {self.longest_step:g}"
        return f"implicit-diffusion 1 (order {self.order}, tolerance {self.tolerance:g}{limit})"

    def solve(self, problem: Problem) -> Trajectory:
        """Solve one problem."""
        return self.solve_batch([problem])[0]

    def solve_batch(self, problems: Sequence[Problem]) -> list[Trajectory]:
        """Solve problems that share grid and output times; samples run in parallel, answers do not depend on it."""
        if not problems:
            return []
        batch = Batch.of(problems, "ImplicitDiffusion")
        run = _Run.start(batch)
        size, nt = len(batch), batch.times.size
        state = np.empty((size, nt, batch.grid.n))
        inflow, traffic = np.zeros((size, nt, 2)), np.zeros((size, nt, 2))
        produced = np.zeros((size, nt))
        state[:, 0] = run.state
        for k in range(1, nt):
            run.cross(float(batch.times[k]), self)
            state[:, k], traffic[:, k] = run.state, run.traffic
            inflow[:, k] = run.inflow + run.lost[:, :2]
            produced[:, k] = run.produced[:, 0] + run.lost[:, 2]
        return batch.trajectories(state, inflow, traffic, produced, run.counts[:, TAKEN], self.name)


@dataclass(frozen=True)
class _Run:
    """A batch under way: the state now and its ledger, changed in place."""

    batch: Batch
    forms: FloatArray  # (sample, 2, 3)
    asks: bool  # whether a wall or a source has to be asked for its value at each step
    source: FloatArray  # (sample, 0 or 1 or 2, nx)
    state: FloatArray  # (sample, nx)
    rate: FloatArray  # (sample, nx)
    clock: FloatArray  # (sample, 4)
    counts: NDArray[np.int64]  # (sample, 3)
    inflow: FloatArray  # (sample, 2)
    traffic: FloatArray  # (sample, 2)
    lost: FloatArray  # (sample, 3)
    produced: FloatArray  # (sample, 1)

    @classmethod
    def start(cls, batch: Batch) -> "_Run":
        problems, size = batch.problems, len(batch)
        state = np.stack([problem.initial for problem in problems])
        forms = np.array([[_form(wall) for wall in p.walls.sides.values()] for p in problems])
        changing = any(callable(problem.source) for problem in problems)
        n, stages = batch.grid.n, 2 if changing else 1
        if all(problem.source is None for problem in problems):
            source = np.zeros((size, 0, n))
        else:
            source = np.stack([np.tile(p.source_at(float(batch.times[0])), (stages, 1)) for p in problems])
        zeros = (np.zeros((size, width)) for width in (2, 2, 3, 1))
        return cls(
            batch,
            forms,
            changing or bool((forms[:, :, 0] == GIVEN).any()),
            source,
            state,
            np.zeros_like(state),
            cls._clock(batch),
            np.zeros((size, 3), dtype=np.int64),
            *zeros,
        )

    @staticmethod
    def _clock(batch: Batch) -> FloatArray:
        clock = np.empty((len(batch), 4))
        first = float(batch.times[1] - batch.times[0])
        clock[:, TIME] = batch.times[0]
        clock[:, LEAST] = LEAST_STEP * float(batch.times[-1] - batch.times[0])
        for i, problem in enumerate(batch.problems):
            low, high = batch.reached(i, problem.initial)
            fastest = float(batch.coefficients[i].largest(low, high))
            explicit = batch.grid.width**2 / fastest if fastest > 0.0 else first
            clock[i, STEP] = FIRST_STEP * min(explicit, first)
            clock[i, SCALE] = max(abs(problem.initial).max(), 1e-300)
        return clock

    def cross(self, stop: float, solver: ImplicitDiffusion) -> None:
        """Advance all samples to the next output time."""
        batch = self.batch
        status = np.zeros(len(batch), dtype=np.int64)
        given = np.zeros((len(batch), 2, 2))
        attempts = 1 if self.asks else _MOST_STEPS
        while (self.clock[:, TIME] < stop).any():
            if self.asks:
                self._ask(stop, solver, given)
            over_samples(
                advance_all, len(batch),
                batch.coefficient, batch.kinds, batch.transfers, self.forms, given, self.source, batch.grid.width,
                solver.order, solver.tolerance, solver.longest_step, stop, attempts,
                self.state, self.rate, self.clock, self.counts, self.inflow, self.traffic, self.lost, self.produced,
                status,
            )  # fmt: skip
            for i in np.flatnonzero((status == STUCK) | (status == NOT_FINITE)):
                self._give_up(int(i), int(status[i]))
        batch.check(self.state, stop, solver.name)

    def _ask(self, stop: float, solver: ImplicitDiffusion, given: FloatArray) -> None:
        """Fill in what walls and sources are at the two stages of the step that each sample takes next."""
        gamma = GAMMA if solver.order == 2 else 1.0
        for i in np.flatnonzero(self.clock[:, TIME] < stop):
            problem = self.batch.problems[i]
            time = float(self.clock[i, TIME])
            dt = planned_step(time, min(float(self.clock[i, STEP]), solver.longest_step), stop)
            stages = np.array([time + gamma * dt, time + dt])
            for side, wall in enumerate(problem.walls.sides.values()):
                if self.forms[i, side, 0] == GIVEN:
                    given[i, :, side] = wall.values(stages)
            if callable(problem.source):
                for stage in range(2):
                    self.source[i, stage] = problem.source_at(float(stages[stage]))

    def _give_up(self, sample: int, status: int) -> None:
        problem, clock = self.batch.problems[sample], self.clock[sample]
        what = (
            "stopped being finite"
            if status == NOT_FINITE
            else f"found no solution with a step of {clock[STEP]:.3g}"
        )
        raise SolverError(
            f"Sample {sample} ({problem.name}, {problem.equation}) {what} at t={clock[TIME]:.6g}, after {self.counts[sample, TAKEN]} "
            "steps; check that k(u) ≥ 0 is finite for all u it may reach, and lower the source or the flux of the walls."
        )


def _form(wall: Wall) -> tuple[float, float, float]:
    """How compiled code finds a wall's value at any time."""
    if not isinstance(wall, Dirichlet | Neumann | Robin):
        return (CONSTANT, 0.0, 0.0)
    if not callable(wall.value):
        return (CONSTANT, float(wall.value), 0.0)
    if isinstance(wall.value, PowerOfTime):
        return (POWER_OF_TIME, wall.value.scale, wall.value.exponent)
    return (GIVEN, 0.0, 0.0)
