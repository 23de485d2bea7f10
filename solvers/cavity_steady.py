"""The steady flow in a box whose walls slide, straight from the equations: Newton's method, no time."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from lawbound.solvers import chebyshev
from lawbound.solvers.cavity_basis import LEAST_DEGREE, ClampedBasis, clamped_basis
from lawbound.solvers.cavity_corner import SIDES, Scraper, scrapers, sum_of
from lawbound.solvers.cavity_fields import (
    Flow,
    Quadrature,
    divergence_of,
    flow_at,
    head_at,
    spectrum_tail,
    total_head,
)
from lawbound.solvers.cavity_stokes import Stokes
from lawbound.solvers.cavity_walls import (
    chebyshev_points,
    largest_reynolds,
    of_rectangle,
    reynolds_of,
    scales_of,
    wall_speeds,
)
from lawbound.solvers.grid import Rectangle
from lawbound.solvers.problem import Problem
from lawbound.solvers.solver import SolverError

FloatArray = NDArray[np.float64]

#: Largest Reynolds number that is tried; the flow in a square is steady up to about 8000.
MOST_REYNOLDS = 10_000.0
# Newton's method starts from creeping flow at this Reynolds number and goes up by this factor, less where it fails.
_FIRST_REYNOLDS, _FACTOR, _LEAST_FACTOR = 150.0, 2.6, 1.05
# Iterations for one Reynolds number, directions of one linear solution, and how closely it is solved.
_NEWTON, _DIRECTIONS, _CLOSENESS = 14, 600, 3e-3
# How closely the flows on the way are solved.
_ON_THE_WAY = 3e-3


@dataclass(frozen=True, eq=False)
class SteadyFlow:
    """A steady flow, to be evaluated anywhere: a polynomial streamfunction and creeping flows at corners.

    residual: the last Newton correction, as the root mean square of the velocity relative to the fastest wall. iterations:
    linear ones, all together. tail: that of the polynomial velocity's spectrum. divergence: the largest on the Chebyshev nodes.
    """

    grid: Rectangle
    basis: ClampedBasis
    coefficients: FloatArray
    corners: tuple[Scraper, ...]
    head: FloatArray
    mean: float
    nu: float
    residual: float
    iterations: int
    tail: float
    divergence: float

    def fields(self, x: FloatArray, y: FloatArray) -> dict[str, FloatArray]:
        """u, v, p (mean 0), vorticity and streamfunction on the grid of the points x and y, each (ny, nx).

        Where walls disagree at a corner, vorticity and pressure are infinite at that very point.
        """
        to_x, to_y = (
            2.0 * (at - side.lower) / (side.upper - side.lower) - 1.0
            for at, side in ((x, self.grid.x), (y, self.grid.y))
        )
        smooth = flow_at(self.basis, scales_of(self.grid), self.coefficients, to_x, to_y)
        singular, push = sum_of(self.corners, x, y, self.nu)
        flow = smooth + singular
        pressure = head_at(self.head, to_x, to_y) - 0.5 * (flow.u**2 + flow.v**2) + push - self.mean
        return {"u": flow.u, "v": flow.v, "p": pressure, "vorticity": flow.omega, "streamfunction": flow.psi}


@dataclass(frozen=True)
class SteadyCavity:
    """The steady flow of a `NavierStokes` problem, its walls being as they are at the last output time.

    Spectral Galerkin method for the streamfunction, of degree `modes` in x and in y (chosen from the Reynolds number where it is
    not given). Where a wall slides into a corner, the creeping flow there is taken off first (`cavity_corner`), so that a lid of
    constant speed costs little accuracy. Newton's method, its linear systems by GMRES with the creeping flow as preconditioner,
    climbs from low Reynolds numbers. `tolerance` bounds the last correction, relative to the fastest wall. Raises
    `ValueError` beyond Re = 10 000, and `SolverError` where Newton's method does not get there.
    """

    modes: int | None = None
    tolerance: float = 1e-9
    resolution: float = 1e-3

    def __post_init__(self) -> None:
        if self.modes is not None and self.modes < LEAST_DEGREE:
            raise ValueError(
                f"modes={self.modes} are too few for a streamfunction; use modes ≥ {LEAST_DEGREE}."
            )
        for name in ("tolerance", "resolution"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0.0):
                raise ValueError(f"{name}={getattr(self, name)}; give a finite number > 0.")

    @property
    def name(self) -> str:
        """Name and version of the scheme with its settings, for provenance."""
        return f"steady-cavity 1 (modes {self.modes or 'chosen'}, tolerance {self.tolerance:g})"

    def solve(self, problem: Problem) -> SteadyFlow:
        """The steady flow; `problem`'s initial state is not looked at."""
        reynolds = largest_reynolds(problem)
        if reynolds > MOST_REYNOLDS:
            raise ValueError(
                f"`{problem.name}` has a Reynolds number of {reynolds:.4g}, by its fastest wall and longest side; SteadyCavity goes up to "
                f"{MOST_REYNOLDS:g}, beyond which no steady flow is stable: run GalerkinCavity in time."
            )
        degree = self.modes or 2 * round(12.0 + 0.4 * np.sqrt(reynolds))
        flow = _Newton(problem, degree).climb(reynolds, self.tolerance)
        if flow.tail > self.resolution:
            warnings.warn(
                f"`{problem.name}` is not resolved by modes={degree}: the last coefficients of its velocity are {flow.tail:.1e} of the "
                f"largest; try modes={2 * round(0.75 * degree)}.",
                stacklevel=2,
            )
        return flow


class _Newton:
    """The discrete equations of a steady flow, 0 = N(ψ) − ν B ψ, in clamped modes, everything else about ψ being known."""

    def __init__(self, problem: Problem, degree: int) -> None:
        self.problem, self.basis = problem, clamped_basis(degree)
        self.grid = of_rectangle(problem)
        self.scales = scales_of(self.grid)
        self.speeds = wall_speeds(problem, problem.times[-1:], degree + 1)[:, 0]
        self.speed = float(np.abs(self.speeds).max()) or 1.0
        self.corners = tuple(scrapers(self.grid, self.speeds))
        self.quadrature = Quadrature.of(degree + 1 + degree // 4)
        self.known = self._known()
        points, n = self.quadrature.points, self.basis.modes
        sx, sy = self.scales
        self.of_x = [self.basis.values(points, d)[:, :n] * sx**d for d in range(3)]
        self.of_y = [self.basis.values(points, d)[:, :n] * sy**d for d in range(3)]
        w = self.quadrature.weights
        self.weights = np.outer(w, w) / (sx * sy)
        smooth = flow_at(self.basis, self.scales, self.known, points, points)
        at_x, at_y = self._at(points, self.grid.x), self._at(points, self.grid.y)
        self.singular = sum_of(self.corners, at_x, at_y, 0.0)[0]
        self.base = smooth + self.singular
        # ∫ ΔΦ Δψ of what is known; the creeping flows have Δ²ψ = 0 and add nothing.
        bent = self.weights * smooth.omega
        self.held = -(self.of_y[2].T @ bent @ self.of_x[0] + self.of_y[0].T @ bent @ self.of_x[2])
        self.creeping = Stokes(0.0, 1.0, self.scales, self.basis.a, self.basis.r)
        a = self.basis.a
        # Roughly (∫ u² dA)^½ of a mode, per fastest wall: the unit of all norms.
        mass = (sx / sy) * np.outer(a**2, a) + (sy / sx) * np.outer(a, a**2)
        self.unit = np.sqrt(mass * 0.25 * sx * sy) / self.speed
        self.iterations = 0

    @staticmethod
    def _at(points: FloatArray, side: object) -> FloatArray:
        lower, upper = side.lower, side.upper  # type: ignore[attr-defined]
        return np.asarray(0.5 * (lower + upper) + 0.5 * (upper - lower) * points)

    def _known(self) -> FloatArray:
        """The polynomial that gives the walls what the creeping flows leave, by values and slopes on all walls."""
        basis, n = self.basis, self.basis.modes
        x, y = chebyshev_points(self.grid, basis.degree + 1)
        known = np.zeros((n + 4, n + 4))
        for side, speeds in zip(SIDES, self.speeds, strict=True):
            along = x if side[0] == "y" else y
            value, slope = np.zeros(along.size), speeds if side[0] == "y" else -speeds
            for corner in self.corners:
                off, bent = corner.trace(side, along)
                value, slope = value - off, slope - bent
            scale = self.scales[0 if side[0] == "x" else 1]
            value, slope = basis.from_nodes @ value, basis.from_nodes @ slope / scale
            end = int(side.endswith("hi"))
            if side[0] == "y":
                known[n + 2 + end, :], known[n + end, :] = value, slope
            else:
                known[:n, n + 2 + end], known[:n, n + end] = value[:n], slope[:n]
        return known

    def flow(self, c: FloatArray) -> Flow:
        """The flow of modes alone at the quadrature's points."""
        flat = c @ self.of_x[0].T
        omega = -(self.of_y[2] @ flat) - self.of_y[0] @ (c @ self.of_x[2].T)
        return Flow(self.known, self.of_y[1] @ flat, -(self.of_y[0] @ (c @ self.of_x[1].T)), omega)

    def tested(self, through_x: FloatArray, through_y: FloatArray) -> FloatArray:
        """∫ f·∇Φ dA of a flux f at the quadrature's points."""
        along = (self.of_y[0].T @ (self.weights * through_x)) @ self.of_x[1]
        return np.asarray(along + (self.of_y[1].T @ (self.weights * through_y)) @ self.of_x[0])

    def correction(self, c: FloatArray, nu: float) -> tuple[FloatArray, Flow]:
        """What is missing, seen through the creeping flow: B⁻¹ (N / ν) − c; and the flow."""
        own = self.flow(c)
        now = Flow(own.psi, own.u + self.base.u, own.v + self.base.v, own.omega + self.base.omega)
        pushed = self.tested(now.omega * now.u, now.omega * now.v) / nu
        return self.creeping.solve(pushed - self.held) - c, now

    def newton(self, c: FloatArray, nu: float, tolerance: float) -> tuple[FloatArray, float]:
        """Newton's method from c: the modes, and the last correction, infinite where it fails."""
        shape, last = c.shape, np.inf
        for _ in range(_NEWTON):
            missing, now = self.correction(c, nu)

            def linear(d: FloatArray, now: Flow = now) -> FloatArray:
                c = d.reshape(shape) / self.unit
                own = self.flow(c)
                pushed = self.tested(
                    now.omega * own.u + own.omega * now.u, now.omega * own.v + own.omega * now.v
                )
                return ((c - self.creeping.solve(pushed / nu)) * self.unit).ravel()

            step, count = gmres(linear, (missing * self.unit).ravel(), _CLOSENESS, _DIRECTIONS)
            self.iterations += count
            size = float(np.linalg.norm(step))
            if not size < 1e3:
                return c, np.inf
            c, last = c + step.reshape(shape) / self.unit, size
            # GMRES leaves a part of each correction; what it leaves is what the next one would be at best.
            if size * _CLOSENESS <= tolerance:
                return c, size * _CLOSENESS
        return c, np.inf if last > 0.1 * tolerance / _CLOSENESS else last

    def climb(self, reynolds: float, tolerance: float) -> SteadyFlow:
        """From creeping flow to the Reynolds number that is wanted."""
        nu = 1.0 / reynolds_of(self.problem)
        c = np.zeros((self.basis.modes, self.basis.modes))
        reached, factor = 0.0, _FACTOR
        aim = min(reynolds, _FIRST_REYNOLDS)
        while True:
            final = aim >= reynolds
            trial, residual = self.newton(c, nu * reynolds / aim, tolerance if final else _ON_THE_WAY)
            if np.isfinite(residual):
                if final:
                    return self._finished(trial, nu, residual)
                c, reached = trial, aim
            else:
                factor = np.sqrt(factor)
                if factor < _LEAST_FACTOR:
                    raise SolverError(
                        f"The steady flow of `{self.problem.name}` was found up to Re={reached:.4g} and no further with modes="
                        f"{self.basis.degree}; give more modes, or run GalerkinCavity in time if it need not be steady."
                    )
            aim = min(reynolds, (reached or aim / _FACTOR) * factor)

    def _finished(self, c: FloatArray, nu: float, residual: float) -> SteadyFlow:
        basis, scales, points = self.basis, self.scales, self.quadrature.points
        psi = self.known.copy()
        psi[: basis.modes, : basis.modes] += c
        ends = np.array([-1.0, 1.0])
        along_y, along_x = (
            flow_at(basis, scales, psi, ends, points).omega,
            flow_at(basis, scales, psi, points, ends).omega,
        )
        at_walls = (along_y[:, 0], along_y[:, 1], along_x[0], along_x[1])
        own = flow_at(basis, scales, psi, points, points)
        flow = own + self.singular
        head = total_head(basis.degree, scales, nu, self.quadrature, flow, at_walls)
        push = sum_of(self.corners, self._at(points, self.grid.x), self._at(points, self.grid.y), nu)[1]
        mean = (
            float(self.quadrature.integral(push - 0.5 * (flow.u**2 + flow.v**2), scales))
            * 0.25
            * float(scales.prod())
        )
        nodes = chebyshev.nodes(basis.degree + 1)
        at_nodes = flow_at(basis, scales, psi, nodes, nodes)
        return SteadyFlow(
            self.grid, basis, psi, self.corners, head, mean, nu, residual, self.iterations,
            float(spectrum_tail(at_nodes)), float(divergence_of(at_nodes, scales)),
        )  # fmt: skip


def gmres(
    linear: Callable[[FloatArray], FloatArray], right: FloatArray, closeness: float, most: int
) -> tuple[FloatArray, int]:
    """The vector whose image comes within `closeness` · |right| of `right`, or the nearest after `most` directions; their number.

    Y. Saad, M. H. Schultz, SIAM J. Sci. Stat. Comput. 7, 1986, without restarts; orthogonalised twice.
    """
    size = float(np.linalg.norm(right))
    if size == 0.0:
        return np.zeros_like(right), 0
    basis, triangle = np.empty((most + 1, right.size)), np.zeros((most, most))
    turns, rest = np.empty((most, 2)), np.zeros(most + 1)
    basis[0], rest[0] = right / size, size
    k = 0
    for k in range(most):
        image = linear(basis[k])
        column = basis[: k + 1] @ image
        image = image - column @ basis[: k + 1]
        again = basis[: k + 1] @ image
        image, column = image - again @ basis[: k + 1], column + again
        below = float(np.linalg.norm(image))
        for i, (cosine, sine) in enumerate(turns[:k]):
            column[i], column[i + 1] = (
                cosine * column[i] + sine * column[i + 1],
                cosine * column[i + 1] - sine * column[i],
            )
        length = float(np.hypot(column[k], below))
        turns[k] = column[k] / length, below / length
        column[k] = length
        triangle[: k + 1, k] = column
        rest[k], rest[k + 1] = turns[k, 0] * rest[k], -turns[k, 1] * rest[k]
        if abs(rest[k + 1]) <= closeness * size or below == 0.0:
            break
        basis[k + 1] = image / below
    found = solve_triangular(triangle[: k + 1, : k + 1], rest[: k + 1])
    return np.asarray(found @ basis[: k + 1]), k + 1
