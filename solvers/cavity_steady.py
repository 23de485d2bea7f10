"""The steady flow in a box whose walls slide, straight from the equations: Newton's method, no time."""

from dataclasses import dataclass
from warnings import warn

import numpy as np
from numpy.typing import NDArray

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
from lawbound.solvers.cavity_krylov import gmres
from lawbound.solvers.cavity_products import product
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
from lawbound.solvers.solver import ResolutionWarning, SolverError

FloatArray = NDArray[np.float64]

#: Largest Reynolds number that is tried; the flow in a square is steady up to about 8000.
MOST_REYNOLDS = 10_000.0
# Newton's method starts from creeping flow at this Reynolds number and goes up by this factor, less where it fails.
_FIRST_REYNOLDS, _FACTOR, _LEAST_FACTOR = 150.0, 2.6, 1.05
# Iterations for one Reynolds number, directions of one linear solution, and how closely it is solved.
_NEWTON, _DIRECTIONS, _CLOSENESS = 14, 600, 3e-3
# The largest last correction of flows on the way, and of any one, in speeds of the fastest wall.
_ON_THE_WAY, _LOST = 0.03, 1.5
# Beyond this degree the way up is walked with fewer modes.
_MANY_MODES = 50


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
                f"{MOST_REYNOLDS:g}, beyond which no steady flow is stable: run SpectralCavity in time."
            )
        degree = self.modes or 2 * round(12.0 + 0.4 * np.sqrt(reynolds))
        flow = _solved(problem, degree, reynolds, self.tolerance)
        if flow.tail > self.resolution:
            warn(
                f"`{problem.name}` is not resolved by modes={degree}: the last coefficients of its velocity are {flow.tail:.1e} of the "
                f"largest; try modes={2 * round(0.75 * degree)}.",
                ResolutionWarning,
                stacklevel=2,
            )
        return flow


def _solved(problem: Problem, degree: int, reynolds: float, tolerance: float) -> SteadyFlow:
    """The way up is walked with fewer modes where there are many: the count of iterations does not depend on them."""
    fine = _Newton(problem, degree)
    if degree <= _MANY_MODES:
        return fine.finished(*fine.climb(reynolds, tolerance))
    coarse = _Newton(problem, max(_MANY_MODES, 2 * round(0.3 * degree)))
    start, _ = coarse.climb(reynolds, _ON_THE_WAY * _CLOSENESS)
    between = fine.basis.transfer_from(coarse.basis)
    c, residual = fine.newton(between @ start @ between.T, 1.0 / reynolds_of(problem), tolerance)
    fine.iterations += coarse.iterations
    return fine.finished(c, residual)


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
        tables = [self.basis.values(points, d)[:, :n] for d in range(3)]
        self.of_x = [np.ascontiguousarray(table * sx**d) for d, table in enumerate(tables)]
        self.of_y = [np.ascontiguousarray(table * sy**d) for d, table in enumerate(tables)]
        self.turned_x = [np.ascontiguousarray(table.T) for table in self.of_x]
        self.turned_y = [np.ascontiguousarray(table.T) for table in self.of_y]
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
        of_x, of_y = self.turned_x, self.of_y
        flat = _times(c, of_x[0])
        omega = -_times(of_y[2], flat) - _times(of_y[0], _times(c, of_x[2]))
        return Flow(self.known, _times(of_y[1], flat), -_times(of_y[0], _times(c, of_x[1])), omega)

    def tested(self, through_x: FloatArray, through_y: FloatArray) -> FloatArray:
        """∫ f·∇Φ dA of a flux f at the quadrature's points."""
        along = _times(_times(self.turned_y[0], self.weights * through_x), self.of_x[1])
        return along + _times(_times(self.turned_y[1], self.weights * through_y), self.of_x[0])

    def correction(self, c: FloatArray, nu: float) -> tuple[FloatArray, Flow]:
        """What is missing, seen through the creeping flow: B⁻¹ (N / ν) − c; and the flow."""
        own = self.flow(c)
        now = Flow(own.psi, own.u + self.base.u, own.v + self.base.v, own.omega + self.base.omega)
        pushed = self.tested(now.omega * now.u, now.omega * now.v) / nu
        return self.creeping.solve(pushed - self.held) - c, now

    def newton(self, c: FloatArray, nu: float, tolerance: float) -> tuple[FloatArray, float]:
        """Newton's method from c until a correction is within the tolerance: the modes, and that correction, infinite where it fails."""
        for _ in range(_NEWTON):
            missing, now = self.correction(c, nu)
            step, count = gmres(
                lambda d, now=now: self._linear(d, now, nu),  # type: ignore[misc]
                (missing * self.unit).ravel(),
                _CLOSENESS,
                _DIRECTIONS,
            )
            self.iterations += count
            size = float(np.linalg.norm(step))
            if not size < _LOST:
                break
            c = c + step.reshape(c.shape) / self.unit
            # GMRES leaves that part of each correction, and the next one would be no less.
            if size * _CLOSENESS <= tolerance:
                return c, size * _CLOSENESS
        return c, np.inf

    def _linear(self, d: FloatArray, now: Flow, nu: float) -> FloatArray:
        """The derivative of `−correction` along d, in units of speed, (modes²,)."""
        c = d.reshape(self.unit.shape) / self.unit
        own = self.flow(c)
        pushed = self.tested(now.omega * own.u + own.omega * now.u, now.omega * own.v + own.omega * now.v)
        return np.asarray(((c - self.creeping.solve(pushed / nu)) * self.unit).ravel())

    def climb(self, reynolds: float, tolerance: float) -> tuple[FloatArray, float]:
        """From creeping flow to the Reynolds number that is wanted, guessing each flow from the last two."""
        nu = 1.0 / reynolds_of(self.problem)
        c = before = np.zeros(self.unit.shape)
        reached, earlier, factor = 0.0, 0.0, _FACTOR
        aim = min(reynolds, _FIRST_REYNOLDS)
        while True:
            ahead = np.log(aim / reached) / np.log(reached / earlier) if earlier > 0.0 else 0.0
            close = tolerance if aim >= reynolds else _ON_THE_WAY * _CLOSENESS
            trial, residual = self.newton(c + ahead * (c - before), nu * reynolds / aim, close)
            if np.isfinite(residual) and aim >= reynolds:
                return trial, residual
            if np.isfinite(residual):
                before, c, earlier, reached = c, trial, reached, aim
            elif (factor := np.sqrt(factor)) < _LEAST_FACTOR:
                break
            aim = min(reynolds, (reached or aim / _FACTOR) * factor)
        raise SolverError(
            f"The steady flow of `{self.problem.name}` was found up to Re={reached:.4g} and no further with modes="
            f"{self.basis.degree}; give more modes, or run SpectralCavity in time if it need not be steady."
        )

    def finished(self, c: FloatArray, residual: float) -> SteadyFlow:
        """The flow with its pressure; raises `SolverError` where Newton's method failed in the end."""
        nu = 1.0 / reynolds_of(self.problem)
        if not np.isfinite(residual):
            raise SolverError(
                f"Newton's method for `{self.problem.name}` does not get beyond modes={self.basis.degree} from fewer; give other modes."
            )
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


def _times(left: FloatArray, right: FloatArray) -> FloatArray:
    """left @ right on this thread: two cores that wait for each other in every small product are slower than one."""
    out = np.empty((left.shape[0], right.shape[1]))
    product(left, right, out)
    return out
