"""Spectral solver of the wave equation u_tt = c² Δu on an interval or a rectangle, exact in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.equation import Wave
from lawbound.solvers.grid import of_points
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.solver import ResolutionWarning
from lawbound.solvers.spectral import initial_rates, initial_values, tail_of
from lawbound.solvers.wave_plan import Plan

FloatArray = NDArray[np.float64]

#: Most intervals between sampling points along an axis, on an interval and on a rectangle.
_MOST = {1: 4096, 2: 512}


@dataclass(frozen=True)
class SpectralWave:
    """Modal solution of u_tt = c² Δu: every wave turns at its own frequency, a cos ωt + b sin(ωt)/ω, at any t at once.

    Walls are Dirichlet(0), Neumann(0) or Periodic, any two on an axis; on an interval Dirichlet values may differ from 0.
    Fields: `u` and `u_t`. The energy ½ ∫ u_t² + c² |∇u|² dx keeps its value to round-off (`diagnostics["energy"]`). What
    u_t adds to ∫u counts as produced. Initial functions are sampled at 64, 128, 256 … intervals, beyond the grid's own in multiples of
    them, until the last eighth of the spectrum along each axis is below `tolerance`, relative to the largest. Warns where 4096
    intervals (512 along each side of a rectangle) are not enough, as for data that do not fit the walls. Raises
    `ValueError` for other walls.
    """

    tolerance: float = 1e-13

    def __post_init__(self) -> None:
        if not 0.0 < self.tolerance < 1.0:
            raise ValueError(f"tolerance={self.tolerance}; give a number between 0 and 1, such as 1e-13.")

    @property
    def name(self) -> str:
        """Name and version of the scheme, for provenance."""
        return f"spectral-wave 1 (waves, exact in time, tolerance {self.tolerance:g})"

    def solve(self, problem: Problem) -> Trajectory:
        """Solve one problem."""
        return self.solve_batch([problem])[0]

    def solve_batch(self, problems: Sequence[Problem]) -> list[Trajectory]:
        """Solve problems one by one, each by fast transforms over all its output times."""
        for problem in problems:
            if not isinstance(problem.equation, Wave) or not of_points(problem.grid):
                raise ValueError(
                    f"`{problem.name}` is {problem.equation} on {type(problem.grid).__name__}; {self.name} solves Wave(c) on "
                    "points. `lawbound.solve` picks the solver that fits."
                )
        return [self._solve(problem) for problem in problems]

    def _solve(self, problem: Problem) -> Trajectory:
        assert isinstance(problem.equation, Wave)
        plan, a, b = self._start(problem)
        omega = problem.equation.c * np.sqrt(plan.laplacian)
        angle = np.multiply.outer(problem.times - problem.times[0], omega)
        cos, sin = np.cos(angle), np.sin(angle)
        # sin(ωt)/ω, which is t for the mode that does not turn.
        turned = np.where(omega > 0.0, sin / np.where(omega > 0.0, omega, 1.0), plan.since(problem.times))
        amplitude, rate = a * cos + b * turned, b * cos - a * omega * sin
        norm = 0.5 * plan.norms
        energy = np.sum(norm * (rate**2 + omega**2 * amplitude**2), axis=plan.axes) + plan.resting_energy(
            problem.equation.c
        )
        resting = plan.resting
        state, rates = (np.empty((problem.times.size, *problem.grid.shape)) for _ in range(2))
        state[0], rates[0] = problem.initial, 0.0 if problem.initial_rate is None else problem.initial_rate
        state[1:], rates[1:] = plan.on_grid(np.stack([amplitude[1:], rate[1:]]))
        state[1:] += resting
        mass = np.sum(plan.means * amplitude, axis=plan.axes) + plan.resting_mass
        produced = np.sum(plan.means * (b * turned + a * (cos - 1.0)), axis=plan.axes)
        nt, walls = problem.times.size, list(problem.walls.sides.values())
        still = np.zeros((nt, len(walls)))
        return Trajectory(
            problem,
            state,
            np.array([[getattr(wall, "value", 0.0) for wall in walls]] * nt),
            still,
            still,
            produced,
            nt - 1,
            self.name,
            others={"u_t": rates},
            diagnostics={"energy": energy},
            mass=mass,
        )

    def _start(self, problem: Problem) -> tuple["Plan", FloatArray, FloatArray]:
        """The waves that hold the initial data, and their amplitudes in u and u_t."""
        from_functions = problem.initial_function is not None and (
            problem.initial_rate is None or problem.initial_rate_function is not None
        )
        level, most = 0 if from_functions else None, _MOST[len(problem.grid.shape)]
        while True:
            plan = Plan.of(problem, level)
            a, b = plan.amplitudes(initial_values, problem), plan.amplitudes(initial_rates, problem)
            tail = max(tail_of(a), tail_of(b))
            if tail <= self.tolerance or level is None:
                return plan, a, b
            if 2 * max(plan.sampled) > most:
                warn(
                    f"`{problem.name}` is not resolved by {max(plan.sampled)} points along an axis: the end of its spectrum is "
                    f"{tail:.1e} of the whole. Initial data that do not fit the walls, or have corners, travel as they are; "
                    "give smoother data, or take the error as it is.",
                    ResolutionWarning,
                    stacklevel=4,
                )
                return plan, a, b
            level += 1
