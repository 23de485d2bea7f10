"""Spectral solver of the heat equation u_t = k u_xx + s between walls of any kind, exact in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Constant
from lawbound.solvers.grid import PeriodicNodes, Points
from lawbound.solvers.heat_circle import decayed_waves, together, waves_of
from lawbound.solvers.heat_modes import solved
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.solver import ResolutionWarning

FloatArray = NDArray[np.float64]

#: How many modes are tried, one number after the other, until the solution is resolved.
LADDER = (48, 96, 192, 384)


@dataclass(frozen=True)
class SpectralHeat:
    """Modal solution of u_t = k u_xx + s: c_n(t) = e^{−kλ_n t} c_n(0) + what walls and source put in, without steps.

    Between walls the modes are polynomials (`eigenmodes.py`), on a circle they are waves. Walls and sources that change
    in time are integrated to round-off (`duhamel.py`), whatever their kind, and so are initial data that do not fit the
    walls: the error falls faster than any power of the number of modes at every t after the start, and only like a
    power as t → 0. `modes` fixes their number; by default it grows from 48 to 384 until the last eighth of the spectrum
    is below `tolerance`, relative to the largest, at every output time. Warns where 384, or the number that was fixed,
    is not enough. Raises `ValueError` for tolerance outside (0, 1) and for less than 8 modes.
    """

    tolerance: float = 1e-12
    modes: int | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.tolerance < 1.0:
            raise ValueError(f"tolerance={self.tolerance}; give a number between 0 and 1, such as 1e-12.")
        if self.modes is not None and self.modes < 8:
            raise ValueError(f"modes={self.modes} are too few; give at least 8, or leave it out.")

    @property
    def name(self) -> str:
        """Name and version of the scheme, for provenance."""
        size = f"{self.modes} modes" if self.modes else f"tolerance {self.tolerance:g}"
        return f"spectral-heat 1 (eigenmodes, exact in time, {size})"

    def solve(self, problem: Problem) -> Trajectory:
        """Solve one problem."""
        return self.solve_batch([problem])[0]

    def solve_batch(self, problems: Sequence[Problem]) -> list[Trajectory]:
        """Solve problems; those on circles together, the others one by one, with the modes of equal walls kept.

        Raises `ValueError` for other equations.
        """
        for problem in problems:
            if not isinstance(problem.equation, Constant) or not isinstance(problem.grid, Points):
                raise ValueError(
                    f"`{problem.name}` is {problem.equation} on {type(problem.grid).__name__}; {self.name} solves Constant(k) on "
                    "Nodes, ChebyshevNodes or PeriodicNodes. `lawbound.solve` picks the solver that fits."
                )
        on_circle = [isinstance(p.grid, PeriodicNodes) and p.source is None for p in problems]
        circles = iter(self._on_circles([p for p, round_ in zip(problems, on_circle, strict=True) if round_]))
        return [
            next(circles) if round_ else self._between_walls(p)
            for p, round_ in zip(problems, on_circle, strict=True)
        ]

    def _on_circles(self, problems: Sequence[Problem]) -> list[Trajectory]:
        answers: list[Trajectory] = []
        for group in together(problems):
            found = waves_of(group, self.tolerance, self.modes)
            for problem, (c, tail) in zip(group, found, strict=True):
                if tail > self.tolerance:
                    _warn(problem, 2 * (c.size - 1), tail)
            waves, name = [c for c, _ in found], self.name
            nt = group[0].times.size
            still = np.zeros((nt, 2))
            for problem, c, state in zip(group, waves, decayed_waves(group, waves), strict=True):
                assert isinstance(problem.grid, PeriodicNodes)
                mass = np.full(nt, c[0].real * (problem.grid.upper - problem.grid.lower))
                answers.append(
                    Trajectory(problem, state, still, still, still, still[:, 0], nt - 1, name, mass=mass)
                )
        return answers

    def _between_walls(self, problem: Problem) -> Trajectory:
        k = _conductivity(problem)
        for modes in (self.modes,) if self.modes else LADDER:
            answer = solved(problem, k, modes)
            if answer.tail <= self.tolerance:
                break
        else:
            _warn(problem, modes, answer.tail)
        sides = problem.walls.sides.values()
        walls = np.stack([wall.values(problem.times) for wall in sides], axis=1)
        moved = np.abs(np.diff(answer.inflow, axis=0, prepend=0.0))
        return Trajectory(
            problem,
            answer.state,
            walls,
            answer.inflow,
            np.cumsum(moved, axis=0),
            answer.produced,
            problem.times.size - 1,
            self.name,
            mass=answer.mass,
        )


def _conductivity(problem: Problem) -> float:
    assert isinstance(problem.equation, Constant)
    return problem.equation.k


def _warn(problem: Problem, modes: int, tail: float) -> None:
    warn(
        f"`{problem.name}` is not resolved by {modes} modes: the end of its spectrum is {tail:.1e} of the whole. Give smoother "
        "data, a first output time later after a start that does not fit the walls, or more modes to SpectralHeat(modes=...).",
        ResolutionWarning,
        stacklevel=2,
    )
