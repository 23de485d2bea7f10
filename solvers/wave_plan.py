"""The waves of an interval or a rectangle: where they are sampled, how fast they turn, and how they reach a grid's points."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.fourier import Basis, Kind
from lawbound.solvers.grid import ChebyshevNodes, Grid, PeriodicNodes, Points, Rectangle
from lawbound.solvers.problem import Problem
from lawbound.solvers.spectral import initial_rates, initial_values
from lawbound.solvers.walls import Dirichlet, Neumann, Periodic, Wall, Walls

FloatArray = NDArray[np.float64]

#: Intervals between sampling points at first.
_FIRST = 64


@dataclass(frozen=True, eq=False)
class Axis:
    """One direction: its waves, and how they reach the grid's points."""

    grid: Points
    walls: tuple[Wall, Wall]
    basis: Basis

    @classmethod
    def of(cls, grid: Points, walls: tuple[Wall, Wall], level: int | None) -> "Axis":
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
        """Of the interval."""
        return self.grid.upper - self.grid.lower

    @cached_property
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
class Plan:
    """All directions of a problem: x, or x and y; amplitudes are stored (modes of y, modes of x)."""

    along: tuple[Axis, ...]

    @classmethod
    def of(cls, problem: Problem, level: int | None) -> "Plan":
        """The plan for a problem; raises `ValueError` for walls that move or let something in."""
        _check(problem)
        return _kept(problem.grid, problem.walls, level)

    @property
    def axes(self) -> tuple[int, ...]:
        """Where the modes stand in arrays over time."""
        return tuple(range(1, 1 + len(self.along)))

    @property
    def sampled(self) -> tuple[int, ...]:
        """How many points along each direction."""
        return tuple(axis.basis.n for axis in self.along)

    def _outer(self, values: Callable[[Axis], FloatArray], join: np.ufunc) -> FloatArray:
        x = values(self.along[0])
        return x if len(self.along) == 1 else np.asarray(join.outer(values(self.along[1]), x))

    @cached_property
    def laplacian(self) -> FloatArray:
        """κ² of each mode, the eigenvalues of −Δ."""
        return self._outer(lambda axis: (axis.basis.wavenumbers / axis.length) ** 2, np.add)

    @cached_property
    def norms(self) -> FloatArray:
        """∫ wave² of each mode."""
        return self._outer(lambda axis: axis.length * axis.basis.norms, np.multiply)

    @cached_property
    def means(self) -> FloatArray:
        """∫ wave of each mode."""
        return self._outer(lambda axis: axis.length * axis.basis.means, np.multiply)

    def since(self, times: FloatArray) -> FloatArray:
        """Times since the start, shaped to be multiplied with modes."""
        return np.reshape(times - times[0], (-1, *[1] * len(self.along)))

    def amplitudes(self, given: Callable[..., FloatArray], problem: Problem) -> FloatArray:
        """Of the initial state or rate, which `given` samples."""
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
        """Values at the grid's points, over any leading axes."""
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
        """∫ of the resting line."""
        low, high = _held(self.along[0])
        return 0.5 * self.along[0].length * (low + high) if len(self.along) == 1 else 0.0

    def resting_energy(self, c: float) -> float:
        """½ c² ∫ (slope of the line)² dx; the line is orthogonal to all waves in energy."""
        low, high = _held(self.along[0])
        return 0.5 * c**2 * (high - low) ** 2 / self.along[0].length if len(self.along) == 1 else 0.0


def _held(axis: Axis) -> tuple[float, float]:
    """The values between which the resting line runs; beside a free end it is level."""
    low, high = (
        float(w.value) if isinstance(w, Dirichlet) and not callable(w.value) else None for w in axis.walls
    )
    if low is None and high is None:
        return 0.0, 0.0
    return (high if low is None else low, low if high is None else high)  # type: ignore[return-value]


def _between(axis: Axis, x: FloatArray) -> FloatArray:
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


@lru_cache(maxsize=64)
def _kept(grid: Grid, walls: Walls, level: int | None) -> Plan:
    """Many problems share a grid and walls, and a small one is solved before its plan is made."""
    if isinstance(grid, Rectangle):
        assert walls.y_lo is not None and walls.y_hi is not None
        sides = ((grid.x, (walls.x_lo, walls.x_hi)), (grid.y, (walls.y_lo, walls.y_hi)))
        return Plan(tuple(Axis.of(points, pair, level) for points, pair in sides))
    assert isinstance(grid, Points)
    return Plan((Axis.of(grid, (walls.x_lo, walls.x_hi), level),))


def _check(problem: Problem) -> None:
    on_interval = not isinstance(problem.grid, Rectangle)
    for side, wall in problem.walls.sides.items():
        value = getattr(wall, "value", 0.0)
        fits = isinstance(wall, Dirichlet | Neumann | Periodic) and not callable(value)
        if not fits or (value != 0.0 and not (on_interval and isinstance(wall, Dirichlet))):
            raise ValueError(
                f"{side} of `{problem.name}` is {wall}; waves are solved between Dirichlet(0), Neumann(0) and Periodic() walls, "
                "and on an interval with constant Dirichlet values. Subtract from u what satisfies the walls."
            )
