"""The heat equation in its eigenmodes: what each of them does between output times, and what that makes of walls."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers import fourier
from lawbound.solvers.duhamel import Panel, decayed, integrals_of_moments, moments, panels
from lawbound.solvers.eigenmodes import eigenmodes
from lawbound.solvers.grid import PeriodicNodes, Points
from lawbound.solvers.lift import Lift, end_of, factor_of
from lawbound.solvers.problem import Problem
from lawbound.solvers.spectral import initial_values
from lawbound.solvers.walls import Neumann, Robin, Wall

FloatArray = NDArray[np.float64]


class Modes(Protocol):
    """Eigenfunctions of −d²/dy² on [0, 1] with homogeneous ends."""

    @property
    def eigenvalues(self) -> FloatArray:
        """λ ≥ 0, (n,)."""
        ...

    @property
    def points(self) -> FloatArray:
        """Where a function has to be known to be projected, (q,)."""
        ...

    @property
    def gauss(self) -> FloatArray:
        """Weights of the integral over [0, 1] at `points`, (q,)."""
        ...

    def project(self, values: FloatArray) -> FloatArray:
        """Values at `points`, (..., q), to amplitudes, (..., n)."""
        ...

    def spectrum(self, amplitudes: FloatArray) -> FloatArray:
        """Coefficients whose decay tells whether a sum of modes is resolved, (..., m)."""
        ...

    def evaluate(self, amplitudes: FloatArray, y: FloatArray) -> FloatArray:
        """A sum of modes at points of [0, 1], (..., points)."""
        ...


@dataclass(frozen=True)
class Circle:
    """Waves with period 1, as many as `n` points carry."""

    n: int

    @property
    def _basis(self) -> fourier.Basis:
        return fourier.Basis("periodic", self.n)

    @property
    def eigenvalues(self) -> FloatArray:
        """Squares of the wavenumbers."""
        return np.asarray(self._basis.wavenumbers**2)

    @property
    def points(self) -> FloatArray:
        """Equally spaced."""
        return self._basis.points

    @property
    def gauss(self) -> FloatArray:
        """Equal weights."""
        return np.full(self.n, 1.0 / self.n)

    def project(self, values: FloatArray) -> FloatArray:
        """By a fast transform."""
        return self._basis.amplitudes(values)

    def spectrum(self, amplitudes: FloatArray) -> FloatArray:
        """The amplitudes themselves."""
        return amplitudes

    def evaluate(self, amplitudes: FloatArray, y: FloatArray) -> FloatArray:
        """Wave by wave."""
        return self._basis.evaluate(amplitudes, y)


@dataclass(frozen=True, eq=False)
class Answer:
    """What came out: u (nt, nx), ∫u dx (nt,), wall fluxes ∫ dt (nt, 2), ∫∫s (nt,), and how small the spectrum's tail is."""

    state: FloatArray
    mass: FloatArray
    inflow: FloatArray
    produced: FloatArray
    tail: float


@dataclass(frozen=True, eq=False)
class _Run:
    """A problem mapped to [0, 1], with n modes; `rate` is k/length²."""

    problem: Problem
    grid: Points
    modes: Modes
    lift: Lift | None
    k: float

    @property
    def length(self) -> float:
        return self.grid.upper - self.grid.lower

    @property
    def rate(self) -> float:
        return self.k / self.length**2

    @property
    def walls(self) -> tuple[Wall, Wall]:
        return (self.problem.walls.x_lo, self.problem.walls.x_hi)

    def at(self, y: FloatArray) -> FloatArray:
        """Positions in the problem's own units."""
        return np.asarray(self.grid.lower + self.length * y)

    def gamma(self, times: FloatArray) -> FloatArray:
        """What is prescribed at both ends of [0, 1], (nt, 2); zeros on a circle."""
        return np.stack([factor_of(w, self.k, self.length) * w.values(times) for w in self.walls], axis=-1)

    def source(self, times: FloatArray) -> FloatArray:
        """s at the points of projection, (nt, q)."""
        s, where = self.problem.source, self.at(self.modes.points)
        if s is None:
            return np.zeros((times.size, 0))
        if not callable(s):
            from_grid = Problem(
                "source", self.problem.equation, self.grid, self.problem.walls, s, self.problem.times
            )
            return np.broadcast_to(initial_values(from_grid, where), (times.size, where.size))
        return np.stack([_source_at(s, float(t), where) for t in times])

    def forcing(self, times: FloatArray) -> FloatArray:
        """Everything that changes in time, (nt, 2 + q): both ends, and the source at the points of projection."""
        return np.concatenate([self.gamma(times), self.source(times)], axis=1)


def solved(problem: Problem, k: float, n: int) -> Answer:
    """The solution with n modes at the problem's output times and points."""
    grid = problem.grid
    assert isinstance(grid, Points)
    run = _run(problem, grid, k, n)
    times, y = problem.times, (grid.points - grid.lower) / (grid.upper - grid.lower)
    start = initial_values(problem, run.at(run.modes.points))
    gamma = run.gamma(times)
    lifted = run.lift.at(run.modes.points) if run.lift else np.zeros((2, run.modes.points.size))
    c, held, poured, made = _amplitudes(run, run.modes.project(start - gamma[0] @ lifted))
    state = run.modes.evaluate(c, y) + (gamma @ run.lift.at(y) if run.lift else 0.0)
    state[0] = problem.initial
    weights = np.stack([1.0 - run.modes.points, run.modes.points]) * run.modes.gauss
    moments_of_u = _moments(run, c, gamma)
    moments_of_u[0] = weights @ start
    inflow = _inflow(run, moments_of_u, held, poured, made)
    size = max(float(np.abs(state).max()), np.finfo(np.float64).tiny)
    spectrum = np.abs(run.modes.spectrum(c[1:]))
    last = max(4, spectrum.shape[1] // 8)
    return Answer(
        state,
        run.length * moments_of_u.sum(axis=1),
        inflow,
        run.length * made.sum(axis=1),
        float(spectrum[:, -last:].max()) / size,
    )


def _run(problem: Problem, grid: Points, k: float, n: int) -> _Run:
    if isinstance(grid, PeriodicNodes):
        return _Run(problem, grid, Circle(n), None, k)
    length = grid.upper - grid.lower
    lower, upper = (end_of(wall, k, length) for wall in (problem.walls.x_lo, problem.walls.x_hi))
    return _Run(problem, grid, eigenmodes(lower, upper, n), Lift.between(lower, upper), k)


def _amplitudes(run: _Run, start: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Amplitudes at the output times, (nt, n), and since the start ∫c dt, (nt, n), ∫γ dt, (nt, 2), and the source's
    ∫∫ s (1 − y) and ∫∫ s y, (nt, 2)."""
    times, n = run.problem.times, start.size
    c, held = np.zeros((times.size, n)), np.zeros((times.size, n))
    poured, made = np.zeros((times.size, 2)), np.zeros((times.size, 2))
    c[0] = start
    y = run.modes.points
    halves = np.stack([1.0 - y, y], axis=1) * run.modes.gauss[:, None]
    lifted = run.modes.project(run.lift.at(y)) if run.lift else np.zeros((2, n))
    bent = run.rate * run.lift.bend * run.modes.project(np.ones_like(y)) if run.lift else np.zeros(n)
    step = _Step.of(run)
    scale = _scale(run)
    for i, interval in enumerate(panels(run.forcing, times, scale)):
        c[i + 1], held[i + 1], poured[i + 1], made[i + 1] = c[i], held[i], poured[i], made[i]
        for panel in interval:
            f = np.multiply.outer(panel.forcing[:, :2].sum(axis=1), bent) - panel.rate[:, :2] @ lifted
            if panel.forcing.shape[1] > 2:
                f += run.modes.project(panel.forcing[:, 2:])
                made[i + 1] += panel.integral[2:] @ halves
            poured[i + 1] += panel.integral[:2]
            c[i + 1], built_up = step(panel, c[i + 1], f)
            held[i + 1] += built_up
    return c, held, poured, made


@dataclass(frozen=True, eq=False)
class _Step:
    """Takes amplitudes over a panel; what depends on the panel's length alone is kept."""

    decay: FloatArray
    known: dict[float, tuple[FloatArray, FloatArray, FloatArray, FloatArray]]

    @classmethod
    def of(cls, run: _Run) -> "_Step":
        return cls(run.rate * run.modes.eigenvalues, {})

    def __call__(self, panel: Panel, c: FloatArray, forcing: FloatArray) -> tuple[FloatArray, FloatArray]:
        """c at the panel's end and ∫c dt over it, for forcing (STAGES, n)."""
        h = panel.length
        # Lengths that differ by round-off in the times share one table; the values of c do not notice.
        key = float(f"{h:.12e}")
        if key not in self.known:
            z = self.decay * key
            m = moments(z)
            self.known[key] = (np.exp(-z), decayed(z), m, integrals_of_moments(z, m))
        kept, mean, m, built_up = self.known[key]
        after = kept * c + h * np.einsum("nk,kn->n", m, forcing)
        return after, h * (mean * c + h * np.einsum("nk,kn->n", built_up, forcing))


def _scale(run: _Run) -> FloatArray:
    """The size of each channel of the forcing over the whole run, as far as 257 looks tell."""
    times = run.problem.times
    looks = run.forcing(np.linspace(times[0], times[-1], 257)[:: 1 if run.problem.source is None else 16])
    size = np.abs(looks).max(axis=0)
    size[2:] = size[2:].max() if size.size > 2 else 0.0
    return np.where(size > 0.0, size, np.finfo(np.float64).tiny)


def _moments(run: _Run, c: FloatArray, gamma: FloatArray) -> FloatArray:
    """∫ u (1 − y) dy and ∫ u y dy, (nt, 2)."""
    y, gauss = run.modes.points, run.modes.gauss
    if run.lift is None:
        values = run.modes.evaluate(c, y)
        return np.asarray(values @ (np.stack([1.0 - y, y], axis=1) * gauss[:, None]))
    a = run.modes.spectrum(c)
    total = a[:, 0] + gamma @ run.lift.means
    upper = 0.5 * a[:, 0] + a[:, 1] / 6.0 + gamma @ run.lift.moments
    return np.stack([total - upper, upper], axis=1)


def _inflow(
    run: _Run, moments_of_u: FloatArray, held: FloatArray, poured: FloatArray, made: FloatArray
) -> FloatArray:
    """∫ flux dt through each wall, (nt, 2): given at Neumann walls, from the wall's value at Robin ones.

    At a Dirichlet wall the flux comes from the balance of ∫ u (1 − y) dx, or of ∫ u y dx: the function that is 1 at the
    wall and 0 at the other sees this wall's flux alone, and k (u(1) − u(0)).
    """
    if run.lift is None:
        return np.zeros_like(poured)
    # ∫u dt at both ends.
    ends = np.array([0.0, 1.0])
    shown = run.modes.evaluate(held, ends) + poured @ run.lift.at(ends)
    through = run.k / run.length * (shown[:, 1] - shown[:, 0])
    inflow = np.empty_like(poured)
    for side, wall in enumerate(run.walls):
        factor = factor_of(wall, run.k, run.length)
        if isinstance(wall, Neumann):
            inflow[:, side] = poured[:, side] / factor
        elif isinstance(wall, Robin):
            inflow[:, side] = wall.transfer * (poured[:, side] / factor - shown[:, side])
        else:
            gained = run.length * (moments_of_u[:, side] - moments_of_u[0, side] - made[:, side])
            inflow[:, side] = gained - through if side == 0 else gained + through
    return inflow


def _source_at(s: Callable[..., object], time: float, where: FloatArray) -> FloatArray:
    given = np.asarray(s(time, where), dtype=np.float64)
    if given.shape not in ((), where.shape) or not np.isfinite(given).all():
        raise ValueError(
            f"The source gives values of shape {given.shape} or not finite at t={time}; return finite values of shape {where.shape}."
        )
    return np.broadcast_to(given, where.shape)
