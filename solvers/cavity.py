"""The flow in a box whose walls slide: incompressible Navier–Stokes in time."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.cavity_basis import LEAST_DEGREE
from lawbound.solvers.cavity_run import CavityRun
from lawbound.solvers.cavity_walls import largest_reynolds
from lawbound.solvers.equation import NavierStokes
from lawbound.solvers.problem import Problem, Trajectory

FloatArray = NDArray[np.float64]

#: Beyond this degree no resolution is chosen automatically: a step takes 10 ms.
MOST_DEGREE = 128
#: Largest Reynolds number of the fastest wall and the longest side: beyond it no run was checked.
MOST_REYNOLDS = 20_000.0
# Speeds at a corner, and changes of speed there, may be off by this much before somebody is told.
_CORNER, _CORNER_GRADIENT = 1e-8, 1e-5


@dataclass(frozen=True)
class GalerkinCavity:
    """Spectral Galerkin method for the streamfunction of a flow in a rectangle with sliding walls (`NoSlip`).

    u = (ψ_y, −ψ_x) with ψ a polynomial of degree `modes` in x and in y: the velocity has no divergence and sticks to the
    walls to round-off, whatever the step. Diffusion is implicit and advection explicit, of order 4 in time. `tolerance`
    bounds the estimated error of a step, as the root mean square of the velocity relative to the fastest wall or initial
    velocity; with `step` given, steps have that length instead, shortened to meet the output times. Without `modes` the
    degree follows from the Reynolds number and grows until the last coefficients of the velocity are below `resolution`
    relative to the largest, 128 at most; with `modes` a tail above it is warned of. Where the walls' speeds disagree at a
    corner the nearest polynomials are taken and a warning says so: vorticity diverges there.

    The trajectory has u as its state, v, p (mean 0), vorticity v_x − u_y and streamfunction (0 on the walls) as `others`,
    and as diagnostics energy ½∫u² dA, power of the walls, dissipation, their integrals in time `work` and `dissipated`,
    the largest divergence on the Chebyshev nodes, and the tail of the spectrum. Raises `ValueError` for a setting or a problem that does
    not fit, `SolverError` for a run that breaks down.
    """

    modes: int | None = None
    step: float | None = None
    tolerance: float = 1e-7
    resolution: float = 1e-5

    def __post_init__(self) -> None:
        if self.modes is not None and self.modes < LEAST_DEGREE:
            raise ValueError(
                f"modes={self.modes} are too few for a streamfunction; use modes ≥ {LEAST_DEGREE}."
            )
        for name in ("step", "tolerance", "resolution"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0.0):
                raise ValueError(f"{name}={value}; give a finite number > 0.")

    @property
    def name(self) -> str:
        """Name and version of the scheme with its settings, for provenance."""
        size = "chosen" if self.modes is None else self.modes
        pace = f"tolerance {self.tolerance:g}" if self.step is None else f"step {self.step:g}"
        return f"galerkin-cavity 1 (modes {size}, {pace})"

    def solve(self, problem: Problem) -> Trajectory:
        """Solve one problem with `NavierStokes` on a `Rectangle`."""
        return self.solve_batch([problem])[0]

    def solve_batch(self, problems: Sequence[Problem]) -> list[Trajectory]:
        """Solve problems that share grid and output times; samples run in parallel, answers do not depend on it."""
        if not problems:
            return []
        _check_batch(problems)
        answers: dict[int, Trajectory] = {}
        degrees = {i: self.modes or _first_degree(problem) for i, problem in enumerate(problems)}
        corners = np.zeros(2)
        while degrees:
            waiting: dict[int, int] = {}
            for degree in sorted(set(degrees.values())):
                group = [i for i, chosen in degrees.items() if chosen == degree]
                run = CavityRun([problems[i] for i in group], degree, self.tolerance, self.step)
                for i, answer in zip(group, run.trajectories(self.name), strict=True):
                    tail = float(answer.diagnostics["tail"].max())
                    if self.modes is None and tail > self.resolution and degree < MOST_DEGREE:
                        waiting[i] = _next_degree(degree, tail, self.resolution)
                        continue
                    answers[i] = answer
                    self._warn_of_tail(answer, degree, tail)
                corners = np.maximum(corners, run.corners)
            degrees = waiting
        _warn_of_corners(corners)
        return [answers[i] for i in range(len(problems))]

    def _warn_of_tail(self, answer: Trajectory, degree: int, tail: float) -> None:
        if tail > self.resolution:
            warnings.warn(
                f"`{answer.problem.name}` is not resolved by modes={degree}: the last coefficients of its velocity are {tail:.1e} of "
                f"the largest; about modes={_next_degree(degree, tail, self.resolution, most=10**4)} would bring them to {self.resolution:g}, "
                "unless walls jump in time or at corners.",
                stacklevel=3,
            )


def _check_batch(problems: Sequence[Problem]) -> None:
    grid, times = problems[0].grid, problems[0].times
    for problem in problems:
        if not isinstance(problem.equation, NavierStokes):
            raise ValueError(
                f"`{problem.name}` is {problem.equation}; GalerkinCavity solves NavierStokes on a Rectangle with NoSlip walls. "
                "`lawbound.solve` picks the solver that fits."
            )
        if problem.source is not None:
            raise ValueError(
                f"`{problem.name}` has a source; GalerkinCavity moves its fluid by the walls alone."
            )
        reynolds = largest_reynolds(problem)
        if reynolds > MOST_REYNOLDS:
            raise ValueError(
                f"`{problem.name}` has a Reynolds number of {reynolds:.4g}, by its fastest wall and longest side; GalerkinCavity was "
                f"checked up to {MOST_REYNOLDS:g}, so lower `reynolds` or the walls' speed."
            )
    if any(problem.grid != grid or not np.array_equal(problem.times, times) for problem in problems):
        raise ValueError("A batch got several grids or output times; group the problems by grid and times.")


def _first_degree(problem: Problem) -> int:
    return min(MOST_DEGREE, 2 * round(12.0 + 0.5 * np.sqrt(largest_reynolds(problem))))


def _next_degree(degree: int, tail: float, wanted: float, most: int = MOST_DEGREE) -> int:
    """The degree at which a spectrum that decays geometrically would have its tail at `wanted`, by steps of at most a half."""
    grown = degree * np.log(wanted) / np.log(min(tail, 0.3))
    return min(most, 2 * int(np.ceil(0.5 * max(degree + 4, min(1.05 * grown, 1.5 * degree)))))


def _warn_of_corners(changed: FloatArray) -> None:
    corner, gradient = changed
    if corner > _CORNER:
        warnings.warn(
            f"The speeds of two walls disagree at a corner by {corner:.2g} of the fastest; the nearest polynomials that agree are "
            "used. Vorticity diverges there, and more modes help only algebraically; a speed that falls to 0 at the corners avoids it.",
            stacklevel=3,
        )
    elif gradient > _CORNER_GRADIENT:
        warnings.warn(
            f"The gradients of the walls' speeds disagree at a corner by {gradient:.2g}, which no smooth flow can have (∇·u = 0); the "
            "nearest polynomials that agree are used, and more modes help only algebraically.",
            stacklevel=3,
        )
