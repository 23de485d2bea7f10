"""Spectral solver of the wave equation u_tt = c² Δu on an interval or a rectangle, exact in time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.equation import Wave
from lawbound.solvers.fourier import Basis, Kind
from lawbound.solvers.grid import Nodes, PeriodicNodes, Points, Rectangle, of_points
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.solver import ResolutionWarning
from lawbound.solvers.spectral import initial_rates, initial_values
from lawbound.solvers.walls import Dirichlet, Neumann, Periodic, Wall

FloatArray = NDArray[np.float64]

#: Most intervals between sampling points along an axis, on an interval and on a rectangle.
_MOST = {1: 4096, 2: 512}
#: Sampling points where the grid's own points are not equally spaced.
_FIRST = 64


@dataclass(frozen=True)
class SpectralWave:
    """Modal solution of u_tt = c² Δu: every wave turns at its own frequency, a cos ωt + b sin(ωt)/ω, at any t at once.

    Walls are Dirichlet(0), Neumann(0) or Periodic, any two on an axis; on an interval Dirichlet values may differ from 0.
    Fields: `u` and `u_t`. The energy ½ ∫ u_t² + c² |∇u|² dx keeps its value to round-off (`diagnostics["energy"]`). What
    u_t adds to ∫u counts as produced. Initial functions are sampled on the grid's own points, or 2, 4, 8 … times as
    finely, until the last eighth of the spectrum along each axis is below `tolerance`, relative to the largest. Warns where 4096
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
        state, rates = plan.on_grid(amplitude) + resting, plan.on_grid(rate)
        state[0] = problem.initial
        rates[0] = 0.0 if problem.initial_rate is None else problem.initial_rate
        mass = np.sum(plan.means * amplitude, axis=plan.axes) + plan.resting_mass
        produced = np.sum(plan.means * (b * turned + a * (cos - 1.0)), axis=plan.axes)
        nt, walls = problem.times.size, list(problem.walls.sides.values())
        still = np.zeros((nt, len(walls)))
        return Trajectory(
            problem,
            state,
            np.stack([np.asarray(wall.values(problem.times)) for wall in walls], axis=1),
            still,
            still,
            produced,
            nt - 1,
            self.name,
            others={"u_t": rates},
            diagnostics={"energy": energy},
            mass=mass,
        )

    def _start(self, problem: Problem) -> tuple["_Plan", FloatArray, FloatArray]:
        """The waves that hold the initial data, and their amplitudes in u and u_t."""
        from_functions = problem.initial_function is not None or problem.initial_rate_function is not None
        factor, most = 1, _MOST[len(problem.grid.shape)]
        while True:
            plan = _Plan.of(problem, factor)
            a = plan.amplitudes(initial_values, problem)
            b = plan.amplitudes(initial_rates, problem)
            # In units of u: a rate that oscillates with κ moves u by rate/(cκ).
            tail = max(_tail(a, plan.axes_of_modes), _tail(b, plan.axes_of_modes))
            if tail <= self.tolerance or not from_functions:
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
            factor *= 2


@dataclass(frozen=True, eq=False)
class _Axis:
    """One direction: its waves, and how they reach the grid's points."""

    grid: Points
    walls: tuple[Wall, Wall]
    basis: Basis
    factor: int
    nested: bool

    @classmethod
    def of(cls, grid: Points, walls: tuple[Wall, Wall], factor: int) -> "_Axis":
        kind = _kind(walls)
        nested = isinstance(grid, Nodes | PeriodicNodes)
        intervals = factor * (grid.n - isinstance(grid, Nodes) if nested else _FIRST)
        more = {"dirichlet": -1, "neumann": 1}.get(kind, 0)
        return cls(grid, walls, Basis(kind, intervals + more), factor, nested)

    @property
    def length(self) -> float:
        return self.grid.upper - self.grid.lower

    @property
    def points(self) -> FloatArray:
        """Where the initial data are sampled, in the problem's own units."""
        return np.asarray(self.grid.lower + self.length * self.basis.points)

    def on_grid(self, amplitudes: FloatArray) -> FloatArray:
        """Values at the grid's points, along the last axis."""
        if not self.nested:
            y = (self.grid.points - self.grid.lower) / self.length
            return self.basis.evaluate(amplitudes, y)
        values = self.basis.values(amplitudes)
        kind, out = self.basis.kind, np.zeros((*amplitudes.shape[:-1], self.grid.n))
        if kind in ("neumann", "periodic"):
            return np.ascontiguousarray(values[..., :: self.factor])
        # At walls with u = 0 nothing is sampled.
        first, last = (0 if kind == "neumann-dirichlet" else 1), (None if kind == "dirichlet-neumann" else -1)
        out[..., first:last] = values[..., 0 if first == 0 else self.factor - 1 :: self.factor]
        return out


@dataclass(frozen=True, eq=False)
class _Plan:
    """All directions of a problem: x, or x and y; amplitudes are stored (modes of y, modes of x)."""

    along: tuple[_Axis, ...]

    @classmethod
    def of(cls, problem: Problem, factor: int) -> "_Plan":
        grid, walls = problem.grid, problem.walls
        if isinstance(grid, Rectangle):
            assert walls.y_lo is not None and walls.y_hi is not None
            plan = cls(
                (
                    _Axis.of(grid.x, (walls.x_lo, walls.x_hi), factor),
                    _Axis.of(grid.y, (walls.y_lo, walls.y_hi), factor),
                )
            )
        else:
            assert isinstance(grid, Points)
            plan = cls((_Axis.of(grid, (walls.x_lo, walls.x_hi), factor),))
        plan.check(problem)
        return plan

    def check(self, problem: Problem) -> None:
        """Raise `ValueError` for walls that move or let something in."""
        for side, wall in problem.walls.sides.items():
            value = getattr(wall, "value", 0.0)
            fits = isinstance(wall, Dirichlet | Neumann | Periodic) and not callable(value)
            if not fits or (value != 0.0 and (len(self.along) == 2 or not isinstance(wall, Dirichlet))):
                raise ValueError(
                    f"{side} of `{problem.name}` is {wall}; waves are solved between Dirichlet(0), Neumann(0) and Periodic() walls, "
                    "and on an interval with constant Dirichlet values. Subtract from u what satisfies the walls."
                )

    @property
    def axes(self) -> tuple[int, ...]:
        return tuple(range(1, 1 + len(self.along)))

    @property
    def axes_of_modes(self) -> tuple[int, ...]:
        return tuple(range(len(self.along)))

    @property
    def sampled(self) -> tuple[int, ...]:
        return tuple(axis.basis.n for axis in self.along)

    def _outer(self, values: Callable[[_Axis], FloatArray], join: np.ufunc) -> FloatArray:
        x = values(self.along[0])
        return x if len(self.along) == 1 else np.asarray(join.outer(values(self.along[1]), x))

    @property
    def laplacian(self) -> FloatArray:
        return self._outer(lambda axis: (axis.basis.wavenumbers / axis.length) ** 2, np.add)

    @property
    def norms(self) -> FloatArray:
        return self._outer(lambda axis: axis.length * axis.basis.norms, np.multiply)

    @property
    def means(self) -> FloatArray:
        return self._outer(lambda axis: axis.length * axis.basis.means, np.multiply)

    def since(self, times: FloatArray) -> FloatArray:
        return np.reshape(times - times[0], (-1, *[1] * len(self.along)))

    def amplitudes(self, given: Callable[..., FloatArray], problem: Problem) -> FloatArray:
        values = given(problem, *(axis.points for axis in self.along))
        if len(self.along) == 1:
            if given is initial_values:
                values = values - _between(self.along[0], self.along[0].points)
            return self.along[0].basis.amplitudes(values)
        x, y = self.along
        return np.ascontiguousarray(y.basis.amplitudes(x.basis.amplitudes(values).T).T)

    def on_grid(self, amplitudes: FloatArray) -> FloatArray:
        if len(self.along) == 1:
            return self.along[0].on_grid(amplitudes)
        x, y = self.along
        return np.ascontiguousarray(y.on_grid(x.on_grid(amplitudes).swapaxes(1, 2)).swapaxes(1, 2))

    @property
    def resting(self) -> FloatArray | float:
        """What stays where it is, so that Dirichlet values hold: the straight line between them."""
        return _between(self.along[0], self.along[0].grid.points) if len(self.along) == 1 else 0.0

    @property
    def resting_mass(self) -> float:
        low, high = _held(self.along[0])
        return 0.5 * self.along[0].length * (low + high) if len(self.along) == 1 else 0.0

    def resting_energy(self, c: float) -> float:
        """½ c² ∫ (slope of the line)² dx; the line is orthogonal to all waves in energy."""
        low, high = _held(self.along[0])
        return 0.5 * c**2 * (high - low) ** 2 / self.along[0].length if len(self.along) == 1 else 0.0


def _held(axis: _Axis) -> tuple[float, float]:
    """The values between which the resting line runs; beside a free end it is level."""
    low, high = (
        float(w.value) if isinstance(w, Dirichlet) and not callable(w.value) else None for w in axis.walls
    )
    if low is None and high is None:
        return 0.0, 0.0
    return (high if low is None else low, low if high is None else high)  # type: ignore[return-value]


def _between(axis: _Axis, x: FloatArray) -> FloatArray:
    low, high = _held(axis)
    return np.asarray(low + (high - low) * (x - axis.grid.lower) / axis.length)


def _kind(walls: tuple[Wall, Wall]) -> Kind:
    lower, upper = walls
    if isinstance(lower, Periodic):
        return "periodic"
    if isinstance(lower, Dirichlet):
        return "dirichlet" if isinstance(upper, Dirichlet) else "dirichlet-neumann"
    return "neumann-dirichlet" if isinstance(upper, Dirichlet) else "neumann"


def _tail(amplitudes: FloatArray, axes: tuple[int, ...]) -> float:
    """The largest of the last eighth of the amplitudes along any axis, relative to the largest of all."""
    size = np.abs(amplitudes)
    largest = float(size.max())
    if largest == 0.0:
        return 0.0
    return (
        max(
            float(np.take(size, range(n - max(2, n // 8), n), axis=a).max()) for a, n in enumerate(size.shape)
        )
        / largest
    )
