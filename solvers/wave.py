"""Spectral solver of the wave equation u_tt = c² Δu on an interval or a rectangle, exact in time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.equation import Wave
from lawbound.solvers.fourier import Basis, Kind
from lawbound.solvers.grid import ChebyshevNodes, PeriodicNodes, Points, Rectangle, of_points
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.solver import ResolutionWarning
from lawbound.solvers.spectral import initial_rates, initial_values
from lawbound.solvers.walls import Dirichlet, Neumann, Periodic, Wall

FloatArray = NDArray[np.float64]

#: Most intervals between sampling points along an axis, on an interval and on a rectangle.
_MOST = {1: 4096, 2: 512}
#: Intervals between sampling points at first.
_FIRST = 64


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
        from_functions = problem.initial_function is not None and (
            problem.initial_rate is None or problem.initial_rate_function is not None
        )
        level, most = 0 if from_functions else None, _MOST[len(problem.grid.shape)]
        while True:
            plan = _Plan.of(problem, level)
            a, b = plan.amplitudes(initial_values, problem), plan.amplitudes(initial_rates, problem)
            tail = max(_tail(a), _tail(b))
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


@dataclass(frozen=True, eq=False)
class _Axis:
    """One direction: its waves, and how they reach the grid's points."""

    grid: Points
    walls: tuple[Wall, Wall]
    basis: Basis

    @classmethod
    def of(cls, grid: Points, walls: tuple[Wall, Wall], level: int | None) -> "_Axis":
        """Sampled at 64 · 2^level intervals, or at the grid's own points where nothing else is known."""
        own = grid.n if isinstance(grid, PeriodicNodes) else grid.n - 1
        equal = not isinstance(grid, ChebyshevNodes)
        intervals = (
            own if level is None and equal else max(_FIRST * 2 ** (level or 0), own if level is None else 0)
        )
        if equal and intervals > own:
            intervals = -(-intervals // own) * own
        kind = _kind(walls)
        return cls(grid, walls, Basis(kind, _waves(kind, intervals)))

    @property
    def length(self) -> float:
        return self.grid.upper - self.grid.lower

    @property
    def points(self) -> FloatArray:
        """Where the initial data are sampled, in the problem's own units."""
        return np.asarray(self.grid.lower + self.length * self.basis.points)

    def on_grid(self, amplitudes: FloatArray) -> FloatArray:
        """Values at the grid's points, along the last axis."""
        if isinstance(self.grid, ChebyshevNodes):
            y = (self.grid.points - self.grid.lower) / self.length
            return self.basis.evaluate(amplitudes, y)
        kind, n = self.basis.kind, self.basis.n
        own = Basis(kind, _waves(kind, self.grid.n if kind == "periodic" else self.grid.n - 1))
        if own.n >= n:
            fine, step = own.values(amplitudes), 1
        else:
            # The grid's points are some of those that were sampled.
            fine, step = (
                self.basis.values(amplitudes),
                -(-n // own.n) if kind != "neumann" else (n - 1) // (own.n - 1),
            )
            if kind == "dirichlet":
                step = (n + 1) // (own.n + 1)
        if kind in ("neumann", "periodic"):
            return np.ascontiguousarray(fine[..., ::step])
        # At walls with u = 0 nothing is sampled.
        out = np.zeros((*amplitudes.shape[:-1], self.grid.n))
        free_first, free_last = kind == "neumann-dirichlet", kind == "dirichlet-neumann"
        inside = slice(0 if free_first else 1, None if free_last else -1)
        out[..., inside] = fine[..., 0 if free_first else step - 1 :: step]
        return out


@dataclass(frozen=True, eq=False)
class _Plan:
    """All directions of a problem: x, or x and y; amplitudes are stored (modes of y, modes of x)."""

    along: tuple[_Axis, ...]

    @classmethod
    def of(cls, problem: Problem, level: int | None) -> "_Plan":
        grid, walls = problem.grid, problem.walls
        if isinstance(grid, Rectangle):
            assert walls.y_lo is not None and walls.y_hi is not None
            plan = cls(
                (
                    _Axis.of(grid.x, (walls.x_lo, walls.x_hi), level),
                    _Axis.of(grid.y, (walls.y_lo, walls.y_hi), level),
                )
            )
        else:
            assert isinstance(grid, Points)
            plan = cls((_Axis.of(grid, (walls.x_lo, walls.x_hi), level),))
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
        if given is initial_rates and problem.initial_rate is None:
            return np.zeros(self.sampled[::-1])
        values = given(problem, *(axis.points for axis in self.along))
        if len(self.along) == 1:
            if given is initial_values and any(_held(self.along[0])):
                values = values - _between(self.along[0], self.along[0].points)
            return self.along[0].basis.amplitudes(values)
        x, y = self.along
        return np.ascontiguousarray(y.basis.amplitudes(x.basis.amplitudes(values).T).T)

    def on_grid(self, amplitudes: FloatArray) -> FloatArray:
        if len(self.along) == 1:
            return self.along[0].on_grid(amplitudes)
        x, y = self.along
        return np.ascontiguousarray(y.on_grid(x.on_grid(amplitudes).swapaxes(-1, -2)).swapaxes(-1, -2))

    @property
    def resting(self) -> FloatArray | float:
        """What stays where it is, so that Dirichlet values hold: the straight line between them."""
        if len(self.along) == 2 or not any(_held(self.along[0])):
            return 0.0
        return _between(self.along[0], self.along[0].grid.points)

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


def _waves(kind: Kind, intervals: int) -> int:
    """How many waves of a kind the points between so many intervals carry."""
    return intervals + {"dirichlet": -1, "neumann": 1}.get(kind, 0)


def _tail(amplitudes: FloatArray) -> float:
    """The largest of the last eighth of the amplitudes along any axis, relative to the largest of all."""
    size = np.abs(amplitudes)
    largest = float(size.max())
    if largest == 0.0:
        return 0.0
    ends = (size.swapaxes(0, axis)[-max(2, n // 8) :] for axis, n in enumerate(size.shape))
    return max(float(end.max()) for end in ends) / largest
