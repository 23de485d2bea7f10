"""Implicit solver of the generalized porous medium equation u_t = (k(u) u_x)_x + s in one dimension."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.batch import Batch
from lawbound.solvers.compiled import over_samples
from lawbound.solvers.functions import PowerOfTime
from lawbound.solvers.ledger import Ledger
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.sdirk import Surroundings
from lawbound.solvers.solver import SolverError
from lawbound.solvers.step_control import (
    FIRST_STEP,
    GAMMA,
    LEAST,
    LEAST_STEP,
    NEWTON,
    NOT_FINITE,
    SCALE,
    STEP,
    STUCK,
    TAKEN,
    TIME,
    Progress,
    planned_step,
)
from lawbound.solvers.stepping import CONSTANT, GIVEN, POWER_OF_TIME, Control, advance_all
from lawbound.solvers.walls import Dirichlet, Neumann, Robin, Wall

FloatArray = NDArray[np.float64]

_MOST_STEPS = 10**7


@dataclass(frozen=True)
class ImplicitDiffusion:
    """Conservative finite volumes, second order in h, with implicit steps of a length that the error controls.

    order 2 is an L-stable two-stage SDIRK method whose fluxes are blended with backward Euler's where it would leave
    the range of the data; order 1 is backward Euler, which keeps bounds and, where the data do, monotonicity in
    time by itself. `tolerance` bounds the mean error of a step relative to the size of u; `longest_step` the step.
    Output times are hit exactly. `diagnostics["newton_steps"]` counts the linear systems solved since the start. Raises
    `ValueError` for other orders and for numbers that are not positive.
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
        run, nt = _Run.start(batch), batch.times.size
        state = np.empty((len(batch), nt, batch.grid.n))
        inflow, traffic = np.zeros((len(batch), nt, 2)), np.zeros((len(batch), nt, 2))
        produced, newton = np.zeros((len(batch), nt)), np.zeros((len(batch), nt))
        state[:, 0] = run.progress.u
        for k in range(1, nt):
            run.cross(float(batch.times[k]), self)
            state[:, k] = run.progress.u
            inflow[:, k], traffic[:, k], produced[:, k] = run.ledger.settled()
            newton[:, k] = run.progress.counts[:, NEWTON]
        steps = run.progress.counts[:, TAKEN]
        answers = batch.trajectories(state, inflow, traffic, produced, steps, self.name)
        return [
            replace(answer, diagnostics={"newton_steps": row})
            for answer, row in zip(answers, newton, strict=True)
        ]


@dataclass(frozen=True)
class _Run:
    """A batch under way: the state now and its ledger, changed in place."""

    batch: Batch
    around: Surroundings
    asks: bool  # whether a wall or a source has to be asked for its value at each step
    progress: Progress
    ledger: Ledger

    @classmethod
    def start(cls, batch: Batch) -> "_Run":
        problems, size, n = batch.problems, len(batch), batch.grid.n
        forms = np.array([[_form(wall) for wall in p.walls.sides.values()] for p in problems])
        changing = any(callable(problem.source) for problem in problems)
        if all(problem.source is None for problem in problems):
            source = np.zeros((size, 0, n))
        else:
            stages = 2 if changing else 1
            source = np.stack([np.tile(p.source_at(float(batch.times[0])), (stages, 1)) for p in problems])
        given = np.zeros((size, 2, 2))
        around = Surroundings(batch.kinds, batch.transfers, forms, given, source, batch.grid.width)
        asks = changing or bool((forms[:, :, 0] == GIVEN).any())
        state, counts = (
            np.stack([problem.initial for problem in problems]),
            np.zeros((size, 3), dtype=np.int64),
        )
        progress = Progress(state, np.zeros_like(state), cls._clock(batch), counts)
        return cls(batch, around, asks, progress, Ledger.empty(size, 2))

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
        batch, clock = self.batch, self.progress.clock
        status = np.zeros(len(batch), dtype=np.int64)
        control = Control(solver.order, solver.tolerance, solver.longest_step)
        attempts = 1 if self.asks else _MOST_STEPS
        while (clock[:, TIME] < stop).any():
            if self.asks:
                self._ask(stop, solver)
            over_samples(
                advance_all, len(batch),
                batch.coefficient, self.around, control, stop, attempts, self.progress, self.ledger, status,
            )  # fmt: skip
            for i in np.flatnonzero((status == STUCK) | (status == NOT_FINITE)):
                self._give_up(int(i), int(status[i]))
        batch.check(self.progress.u, stop, solver.name)

    def _ask(self, stop: float, solver: ImplicitDiffusion) -> None:
        """Fill in what walls and sources are at the two stages of the step that each sample takes next."""
        gamma, around, clock = GAMMA if solver.order == 2 else 1.0, self.around, self.progress.clock
        for i in np.flatnonzero(clock[:, TIME] < stop):
            problem, time = self.batch.problems[i], float(clock[i, TIME])
            dt = planned_step(time, min(float(clock[i, STEP]), solver.longest_step), stop)
            stages = np.array([time + gamma * dt, time + dt])
            for side, wall in enumerate(problem.walls.sides.values()):
                if around.forms[i, side, 0] == GIVEN:
                    around.given[i, :, side] = wall.values(stages)
            if callable(problem.source):
                for stage in range(2):
                    around.source[i, stage] = problem.source_at(float(stages[stage]))

    def _give_up(self, sample: int, status: int) -> None:
        problem, clock = self.batch.problems[sample], self.progress.clock[sample]
        what = (
            "stopped being finite"
            if status == NOT_FINITE
            else f"found no solution with a step of {clock[STEP]:.3g}"
        )
        raise SolverError(
            f"Sample {sample} ({problem.name}, {problem.equation}) {what} at t={clock[TIME]:.6g}, after "
            f"{self.progress.counts[sample, TAKEN]} steps; check that k(u) ≥ 0 is finite for all u it may reach, and lower the source or the flux of the walls."
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
