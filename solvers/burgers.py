"""Spectral solver of Burgers' equation with viscosity, u_t + (u²/2)_x = ν u_xx, on a period or between walls."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lawbound.solvers import burgers_dirichlet, burgers_march, burgers_periodic
from lawbound.solvers.burgers_march import COARSE, ENDLESS, Controls
from lawbound.solvers.burgers_walls import WallPlan, rate_between_walls, tails_between_walls
from lawbound.solvers.burgers_waves import POINTS, WavePlan, modes_of, rate_of_waves, tails_of_waves
from lawbound.solvers.compiled import chosen_by_type, over_samples
from lawbound.solvers.equation import ViscousBurgers
from lawbound.solvers.exponential import MOST_VALUES
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.solver import SolverError
from lawbound.solvers.walls import Dirichlet, Periodic

Run = burgers_dirichlet.Run | burgers_periodic.Run

chosen_by_type(burgers_march.rate, {WavePlan: rate_of_waves, WallPlan: rate_between_walls})
chosen_by_type(burgers_march.tails, {WavePlan: tails_of_waves, WallPlan: tails_between_walls})

# The last modes are a small part of the spectrum's tail, which is a small part of u: so large they may be, in tolerances.
_TAIL = 2.0
# Modes that do less than this share of the tolerance are dropped; between walls the first steps say nothing about the last.
_IDLE, _SETTLED = 0.03, 24
_LEAST_TOLERANCE = 1e-13


@dataclass(frozen=True)
class SpectralBurgers:
    """Waves on a period, Legendre polynomials between Dirichlet walls; modes and steps chosen for a tolerance.

    Time: an exponential Adams predictor–corrector of orders 4 to 6 that is exact for diffusion, its step and order chosen by the
    error of each step in the mean square, relative to the initial state (and walls); it loses no order at walls that
    change. Output times do not shorten steps: between steps the method's own polynomial is evaluated, and the last time
    is hit. `order` fixes the order, 2 … 7, and `longest_step` bounds the step; with `tolerance=inf` both alone
    decide, and a run that breaks down raises `SolverError`.

    Space: modes are added while the last eighth of the spectrum exceeds twice the tolerance (on a period under way and dropped
    again; between walls by starting anew), unless `modes` fixes how many; then a warning tells if they were too few. Squares are
    free of aliasing. On a period the solver moves with the mean of u, and ∫u dx stays to the last bit. Between walls
    `mass` is that of the polynomial, and what entered follows from d/dt ∫u (x_hi − x)/L dx = F(x_lo) − ∫F dx / L, so that the
    ledger closes to round-off and each wall's flux is as exact as u.

    Jumps between initial state and walls are allowed and reported by a warning. Raises `ValueError` for other equations, walls and
    sources, for data on a period whose ends differ, and for options out of range.
    """

    tolerance: float = 1e-9
    modes: int | None = None
    order: int | None = None
    longest_step: float | None = None

    def __post_init__(self) -> None:
        if not self.tolerance >= _LEAST_TOLERANCE:
            raise ValueError(
                f"tolerance={self.tolerance} is below round-off; give {_LEAST_TOLERANCE:g} or more."
            )
        if self.order is not None and not 2 <= self.order <= MOST_VALUES + 1:
            raise ValueError(f"order={self.order} is not known; give 2 … {MOST_VALUES + 1}, or leave it out.")
        if self.longest_step is not None and not self.longest_step > 0.0:
            raise ValueError(
                f"longest_step={self.longest_step} lets no time pass; give a step > 0, or leave it out."
            )
        if self.longest_step is None and np.isinf(self.tolerance):
            raise ValueError("tolerance=inf leaves the step to nobody; give a longest_step.")
        if self.modes is not None and not 1 <= self.modes < modes_of(POINTS[-1]):
            raise ValueError(
                f"modes={self.modes} is outside 1 … {modes_of(POINTS[-1]) - 1}; give fewer, or leave it out."
            )

    @property
    def name(self) -> str:
        """Name and version of the scheme, for provenance."""
        order = self.order or "4 to 6"
        modes = "" if self.modes is None else f", {self.modes} modes"
        longest = "" if self.longest_step is None else f", steps up to {self.longest_step:g}"
        return f"spectral-burgers 1 (exponential Adams of order {order}, tolerance {self.tolerance:g}{modes}{longest})"

    def solve(self, problem: Problem) -> Trajectory:
        """Solve one problem."""
        return self.solve_batch([problem])[0]

    def solve_batch(self, problems: Sequence[Problem]) -> list[Trajectory]:
        """Solve problems that share grid and output times; samples run in parallel, answers do not depend on it."""
        _check(problems)
        answers: dict[int, Trajectory] = {}
        kinds = [isinstance(problem.walls.x_lo, Periodic) for problem in problems]
        for periodic in sorted(set(kinds)):
            chosen = [i for i, kind in enumerate(kinds) if kind == periodic]
            answers |= zip(chosen, self._solved([problems[i] for i in chosen], periodic), strict=True)
        return [answers[i] for i in range(len(problems))]

    def _solved(self, problems: list[Problem], periodic: bool) -> list[Trajectory]:
        finite = np.isfinite(self.tolerance)
        controls = Controls(
            tolerance=self.tolerance,
            tail=_TAIL * self.tolerance if finite else np.inf,
            idle=_IDLE * self.tolerance if finite else -1.0,
            settled=0 if periodic else _SETTLED,
            longest=self.longest_step or np.finfo(np.float64).max,
            values=self.order - 1 if self.order else 0,
            times=problems[0].times,
        )
        if periodic:
            waves = burgers_periodic.solve_periodic(problems, controls, self.modes, _march, self._give_up)
            self._warn_of_tails(waves)
            return [burgers_periodic.trajectory(run, self.name) for run in waves]
        between = burgers_dirichlet.solve_between_walls(problems, controls, self.modes, _march, self._give_up)
        self._warn_of_tails(between)
        for run in between:
            burgers_dirichlet.warn_of_corners(run)
        return [burgers_dirichlet.trajectory(run, self.name) for run in between]

    def _give_up(self, run: Run, status: int) -> None:
        where = f"Sample {run.number} ({run.problem.name}, {run.problem.equation})"
        when = f"t={float(run.row['time']):.6g} (step {int(run.row['steps'])})"
        if status == COARSE:
            raise SolverError(
                f"{where} needs more than {run.count} modes at {when}; its fronts are too thin, so raise nu or the tolerance, "
                "or give smoother data."
            )
        if status == ENDLESS:
            raise SolverError(f"{where} is not done at {when}; raise the tolerance or nu.")
        raise SolverError(
            f"{where} broke down at {when}, where no step down to {float(run.row['step']):.3g} was good enough; check that its data "
            "are smooth, use more modes or leave `modes` out, lower `longest_step`, or raise the tolerance."
        )

    def _warn_of_tails(self, runs: Sequence[Run]) -> None:
        """Fixed modes that were too few, and how many the decay of the spectrum asks for."""
        if self.modes is None:
            return
        worst = max(runs, key=lambda run: float(run.row["tail"]) / run.scale)
        tail, tolerance = float(worst.row["tail"]) / worst.scale, _TAIL * min(self.tolerance, 1e-3)
        if tail > tolerance:
            needed = int(worst.count * np.log(tolerance) / np.log(min(tail, 0.5)))
            warnings.warn(
                f"Sample {worst.number} ({worst.problem.name}, {worst.problem.equation}): the last of its {worst.count} modes reached "
                f"{tail:.1e} of u, and {tolerance:.0e} was asked; use about {needed} modes, or leave `modes` out.",
                stacklevel=4,
            )


def _march(groups: int, *arguments: Any) -> None:
    over_samples(burgers_march.march, groups, *arguments)


def _check(problems: Sequence[Problem]) -> None:
    for problem in problems:
        if not isinstance(problem.equation, ViscousBurgers):
            raise ValueError(
                f"`{problem.name}` is {type(problem.equation).__name__} on {type(problem.grid).__name__}; SpectralBurgers solves "
                "u_t + (u²/2)_x = ν u_xx, a ViscousBurgers(nu) on points. `lawbound.solve` picks the solver that fits."
            )
        for side, wall in problem.walls.sides.items():
            if not isinstance(wall, Dirichlet | Periodic):
                raise ValueError(
                    f"{side} of `{problem.name}` is {wall}; SpectralBurgers takes Dirichlet or Periodic walls."
                )
        if problem.source is not None:
            raise ValueError(
                f"`{problem.name}` has a source, which SpectralBurgers does not take; leave it out."
            )
        first = problems[0]
        if problem.grid != first.grid or not np.array_equal(problem.times, first.times):
            raise ValueError(
                "A batch got several grids or output times; group the problems by grid and times."
            )
