"""The flow in a box whose walls slide: incompressible Navier–Stokes in time."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.cavity_basis import LEAST_DEGREE
from lawbound.solvers.cavity_run import CavityRun
from lawbound.solvers.cavity_walls import largest_reynolds
from lawbound.solvers.equation import NavierStokes
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.solver import ResolutionWarning

FloatArray = NDArray[np.float64]

#: Beyond this degree no resolution is chosen automatically.
MOST_DEGREE = 128
#: Largest Reynolds number, by the fastest speed and the longest side, at which runs were compared with finer ones.
MOST_REYNOLDS = 5000.0
# Speeds at a corner, and changes of speed there, may be off by this much before somebody is told.
_CORNER, _CORNER_GRADIENT = 1e-8, 1e-5
# Steps leave up to about this many tolerances in the last coefficients of the velocity.
_NOISE = 50.0
# Samples that are stepped together.
_TOGETHER = 32


@dataclass(frozen=True)
class SpectralCavity:
    """Spectral Galerkin method for the streamfunction of a flow in a rectangle with sliding walls (`NoSlip`).

        u = (ψ_y, −ψ_x),    ∫ ∇Φ·∇ψ_t = ∫ ω u·∇Φ − (1/Re) ∫ ΔΦ Δψ    for all polynomials Φ of degree N that are clamped,

    ψ being a polynomial of degree N = `modes` in x and in y: the velocity has no divergence and sticks to the walls to
    round-off, whatever the step. Diffusion is implicit and advection explicit, of order 4 in time. `tolerance` bounds in each
    step the error of the formula of order 3, as the root mean square of the velocity relative to the fastest wall (or initial
    velocity); with `step` given, steps are that long instead, but shorter at the start, and to meet output times. Without
    `modes`, N follows from the Reynolds number and grows until the last coefficients of the velocity are below `resolution`
    relative to the largest, up to 128. Where the walls' speeds disagree at a corner, the nearest polynomials are taken.

    The trajectory has u as its state; v, p (mean 0), vorticity v_x − u_y and streamfunction (0 on the walls) as `others`; as
    diagnostics the energy ½ ∫ u² dA, the walls' power and the dissipation (1/Re) ∫ ω² dA, their integrals over time `work` and
    `dissipated`, the largest divergence on the Chebyshev nodes, and the tail of the spectrum. Raises `ValueError` for a
    setting or a problem that does not fit, `SolverError` for a run that breaks down; warns of too few modes and of corners.
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
        return f"spectral-cavity 1 (modes {size}, {pace})"

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
        changed = np.zeros(2)
        while degrees:
            waiting = {}
            for degree, group in _groups(degrees):
                run = CavityRun([problems[i] for i in group], degree, self.tolerance, self.step)
                for i, answer, corners in zip(group, run.trajectories(self.name), run.corners, strict=True):
                    changed, tail = np.maximum(changed, corners), _tail_of(answer)
                    # Where data disagree at a corner the spectrum falls slowly, and twice the modes would gain little.
                    if (
                        self.modes is None
                        and tail > self._bound
                        and degree < MOST_DEGREE
                        and not _told(corners)
                    ):
                        waiting[i] = _next_degree(degree, tail, self._bound)
                    else:
                        answers[i] = answer
            degrees = waiting
        _warn_of_corners(changed)
        self._warn_of_tails(list(answers.values()))
        return [answers[i] for i in range(len(problems))]

    @property
    def _bound(self) -> float:
        """Steps near their limit of stability leave noise in the last coefficients, which is no lack of modes."""
        return self.resolution if self.step is not None else max(self.resolution, _NOISE * self.tolerance)

    def _warn_of_tails(self, answers: Sequence[Trajectory]) -> None:
        tails = [_tail_of(answer) for answer in answers]
        worst = int(np.argmax(tails))
        if tails[worst] > self._bound:
            modes = self.modes or _first_degree(answers[worst].problem)
            needed = _next_degree(modes, tails[worst], self._bound, most=10 * MOST_DEGREE)
            warn(
                f"`{answers[worst].problem.name}` is not resolved: the last coefficients of its velocity are {tails[worst]:.1e} of the "
                f"largest, above {self._bound:g}; use modes={needed} or more (walls that jump in time or at a corner are "
                "never resolved to the last).",
                ResolutionWarning,
                stacklevel=3,
            )


def _groups(degrees: Mapping[int, int]) -> Iterator[tuple[int, list[int]]]:
    """Samples of one degree, a few at a time: what is remembered of each takes as much room as its answer."""
    for degree in sorted(set(degrees.values())):
        group = [i for i, chosen in degrees.items() if chosen == degree]
        for first in range(0, len(group), _TOGETHER):
            yield degree, group[first : first + _TOGETHER]


def _tail_of(answer: Trajectory) -> float:
    """The largest after the start, where an impulse may be given."""
    return float(answer.diagnostics["tail"][1:].max())


def _told(corners: FloatArray) -> bool:
    return bool(corners[0] > _CORNER or corners[1] > _CORNER_GRADIENT)


def _check_batch(problems: Sequence[Problem]) -> None:
    grid, times = problems[0].grid, problems[0].times
    for problem in problems:
        if not isinstance(problem.equation, NavierStokes):
            raise ValueError(
                f"`{problem.name}` is {problem.equation}; SpectralCavity solves NavierStokes on a Rectangle with NoSlip walls. "
                "`lawbound.solve` picks the solver that fits."
            )
        if problem.source is not None:
            raise ValueError(
                f"`{problem.name}` has a source; SpectralCavity moves its fluid by the walls alone."
            )
        reynolds = largest_reynolds(problem)
        if reynolds > MOST_REYNOLDS:
            raise ValueError(
                f"`{problem.name}` has a Reynolds number of {reynolds:.4g}, by its fastest wall and longest side; SpectralCavity was "
                f"checked up to {MOST_REYNOLDS:g}, so lower `reynolds` or the walls' speed."
            )
    if any(problem.grid != grid or not np.array_equal(problem.times, times) for problem in problems):
        raise ValueError("A batch got several grids or output times; group the problems by grid and times.")


def _first_degree(problem: Problem) -> int:
    return min(MOST_DEGREE, 2 * round(12.0 + 0.5 * math.sqrt(largest_reynolds(problem))))


def _next_degree(degree: int, tail: float, wanted: float, most: int = MOST_DEGREE) -> int:
    """The degree at which a spectrum that decays geometrically would have its tail at `wanted`, by steps of at most a half."""
    grown = degree * math.log(wanted) / math.log(min(tail, 0.3))
    return min(most, 2 * math.ceil(0.5 * max(degree + 4, min(1.05 * grown, 1.5 * degree))))


def _warn_of_corners(changed: FloatArray) -> None:
    corner, gradient = changed
    if corner > _CORNER:
        warn(
            f"The speeds of two walls disagree at a corner by {corner:.2g} of the fastest; the nearest polynomials that agree are "
            "used. Vorticity diverges there, and more modes help only algebraically; let the speed fall to 0 at the corners, or take "
            "SteadyCavity for a steady flow.",
            ResolutionWarning,
            stacklevel=3,
        )
    elif gradient > _CORNER_GRADIENT:
        warn(
            f"The gradients of two walls' speeds disagree at a corner by {gradient:.2g}, which no smooth flow without divergence can "
            "have; the nearest polynomials that agree are used, and more modes help only algebraically.",
            ResolutionWarning,
            stacklevel=3,
        )
