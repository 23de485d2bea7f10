"""What is to be solved, and what came out. A problem knows no scheme."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lawbound.solvers.coefficient import Coefficient, Constant, Step, check_coefficient
from lawbound.solvers.conservation_law import ConservationLaw, check_conservation_law
from lawbound.solvers.equation import (
    NavierStokes,
    SpectralEquation,
    ViscousBurgers,
    Wave,
    check_spectral_equation,
)
from lawbound.solvers.front import front_position
from lawbound.solvers.grid import Boxes, Cells, Grid, PeriodicNodes, Rectangle, of_points, on_plane
from lawbound.solvers.walls import Dirichlet, NoSlip, Outflow, Periodic, Robin, Walls

FloatArray = NDArray[np.float64]

#: u_t + ∇·F = s with F = −k(u) ∇u, given by its coefficient k, or F = f(u), given by its conservation law; on grids of
#: points a constant coefficient, or one of the equations that only spectral solvers take.
Equation = Coefficient | ConservationLaw | SpectralEquation

#: Values on the grid, or on a grid of points a function of x, on a rectangle of (x, y), that takes and returns arrays.
State = ArrayLike | Callable[..., ArrayLike]

#: s, the production of u per time and volume: a number, one number a cell or point, or a function of (t, x), on a plane
#: of (t, x, y), that takes one time and arrays of positions and returns one number for each.
Source = float | ArrayLike | Callable[..., ArrayLike]


def _frozen(values: ArrayLike) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    array += 0.0  # −0.0 becomes 0.0: problems that are equal must have equal hashes
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Problem:
    """An equation on a grid, with walls, an initial state, output times and a source.

    `equation` is a coefficient, for u_t = ∇·(k(u) ∇u) + s, a conservation law, for u_t + f(u)_x = s, or one that only
    spectral solvers take. On cells `initial` has the cell averages: an array of the grid's shape, or one number. On
    points it may be a function of the positions instead, which a solver samples where it likes, and so keeps to its own
    accuracy; `initial` then holds the values on the grid and `initial_function` the function. `initial_rate` is u_t at
    the start, for waves; for `NavierStokes` the initial state is the streamfunction. `times` has shape (nt,), increases,
    and starts at the initial time. Raises `ValueError` for shapes that do not match the grid, for values that are not
    finite, for times that do not increase, and for equations, grids and walls that do not go together.
    """

    name: str
    equation: Equation
    grid: Grid
    walls: Walls
    initial: FloatArray
    times: FloatArray
    source: FloatArray | Callable[..., ArrayLike] | None = None
    initial_rate: FloatArray | None = None
    initial_function: Callable[..., ArrayLike] | None = None
    initial_rate_function: Callable[..., ArrayLike] | None = None

    def __init__(
        self,
        name: str,
        equation: Equation,
        grid: Grid,
        walls: Walls,
        initial: State,
        times: ArrayLike | Sequence[float],
        source: Source | None = None,
        initial_rate: State | None = None,
    ) -> None:
        _check_equation(equation, grid)
        _check_walls(equation, grid, walls)
        if initial_rate is not None and not isinstance(equation, Wave):
            raise ValueError(
                f"`initial_rate` is given for {equation}; only a wave starts with a rate of its own."
            )
        for attribute, value in {
            "name": name,
            "equation": equation,
            "grid": grid,
            "walls": walls,
            "initial": _on_grid("initial", initial, grid),
            "times": _increasing(times),
            "source": source if source is None or callable(source) else _on_grid("source", source, grid),
            "initial_rate": None if initial_rate is None else _on_grid("initial_rate", initial_rate, grid),
            "initial_function": initial if callable(initial) else None,
            "initial_rate_function": initial_rate if callable(initial_rate) else None,
        }.items():
            object.__setattr__(self, attribute, value)

    def source_at(self, time: float) -> FloatArray:
        """s at each cell or point; raises `ValueError` where a function gives something else than one finite number for each."""
        if not callable(self.source):
            return np.zeros(self.grid.shape) if self.source is None else self.source
        given = np.asarray(self.source(time, *positions(self.grid)), dtype=np.float64)
        if given.shape not in ((), self.grid.shape) or not np.isfinite(given).all():
            raise ValueError(
                f"The source gives values of shape {given.shape} or not finite at t={time}; "
                f"return finite values of shape {self.grid.shape}."
            )
        return np.broadcast_to(given, self.grid.shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Problem):
            return NotImplemented
        # Equations are tuples: without their class, Constant(2) would equal Power(2).
        return type(self.equation) is type(other.equation) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[object, ...]:
        values = (self.initial, self.times, self.source, self.initial_rate)
        functions = (self.initial_function, self.initial_rate_function)
        return (self.name, self.equation, self.grid, self.walls, *map(_hashable, values), *functions)


def positions(grid: Grid) -> tuple[FloatArray, ...]:
    """Where a grid's unknowns are: (x,), on a plane x of shape (1, nx) and y of shape (ny, 1)."""
    if isinstance(grid, Boxes):
        return grid.x.centres[None, :], grid.y.centres[:, None]
    if isinstance(grid, Rectangle):
        return grid.x.points[None, :], grid.y.points[:, None]
    return (grid.centres if isinstance(grid, Cells) else grid.points,)


def _hashable(value: object) -> object:
    return (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value


def _on_grid(name: str, values: State, grid: Grid) -> FloatArray:
    where, what = (
        ("point", "values") if of_points(grid) else ("cell", "averages" if name == "initial" else "values")
    )
    if callable(values):
        if not of_points(grid):
            raise ValueError(
                f"`{name}` is a function, and the grid has cells; give their averages (`lawbound.solvers.cell_averages` makes them)."
            )
        values = np.broadcast_to(np.asarray(values(*positions(grid)), dtype=np.float64), grid.shape)
    array = _frozen(values)
    if array.ndim == 0:
        array = _frozen(np.full(grid.shape, array))
    if array.shape != grid.shape:
        size = " × ".join(str(n) for n in grid.shape)
        raise ValueError(
            f"`{name}` has shape {array.shape}; the grid has {size} {where}s, so give shape {grid.shape}."
        )
    if not np.isfinite(array).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(
            f"`{name}` is not finite in {where} {bad[0] if len(bad) == 1 else bad}; give finite {what}."
        )
    return array


def _increasing(times: ArrayLike | Sequence[float]) -> FloatArray:
    output = _frozen(times)
    if output.ndim != 1 or output.size < 2 or not np.isfinite(output).all() or (np.diff(output) <= 0).any():
        raise ValueError(
            f"`times` is {output}; give at least two finite times that increase, the first being the start."
        )
    if output[0] < 0:
        raise ValueError(f"`times` starts at {output[0]}; give times t ≥ 0.")
    return output


def _check_equation(equation: Equation, grid: Grid) -> None:
    if isinstance(equation, SpectralEquation):
        check_spectral_equation(equation)
        plane = isinstance(equation, NavierStokes)
        if (
            not of_points(grid)
            or (plane and not on_plane(grid))
            or (isinstance(equation, ViscousBurgers) and on_plane(grid))
        ):
            wanted = "a Rectangle of points" if plane else "points (Nodes, PeriodicNodes or ChebyshevNodes)"
            raise ValueError(f"{equation} got {type(grid).__name__}; it is solved on {wanted}.")
        return
    if isinstance(equation, ConservationLaw):
        check_conservation_law(equation)
    else:
        check_coefficient(equation)
    if of_points(grid) and (not isinstance(equation, Constant) or on_plane(grid)):
        wanted = "Boxes" if on_plane(grid) else "Cells"
        raise ValueError(f"{equation} got {type(grid).__name__}; it is solved in averages, on {wanted}.")


def _check_walls(equation: Equation, grid: Grid, walls: Walls) -> None:
    sides = walls.sides
    if on_plane(grid) != ("y_lo" in sides):
        wanted = "x_lo, x_hi, y_lo and y_hi" if on_plane(grid) else "x_lo and x_hi only"
        raise ValueError(f"Walls got {', '.join(sides)}; this grid needs {wanted}.")
    for side, wall in sides.items():
        if isinstance(wall, NoSlip) != isinstance(equation, NavierStokes):
            raise ValueError(
                f"{side} is {wall} for {equation}; NoSlip walls go with NavierStokes, and no others do."
            )
        if isinstance(equation, ConservationLaw) and isinstance(wall, Robin):
            raise ValueError(
                f"{side} is {wall}, which a first-order equation cannot have; use Dirichlet (what flows in), Neumann (a given "
                "flux), Outflow or Periodic."
            )
        if not isinstance(equation, ConservationLaw) and isinstance(wall, Outflow):
            raise ValueError(
                f"{side} is Outflow(), which diffusion cannot have; use Neumann(0.0) for an insulated wall."
            )
    _check_periods(grid, walls)


def _check_periods(grid: Grid, walls: Walls) -> None:
    """Periodic points go with periodic walls, and only with them."""
    if not of_points(grid):
        return
    pairs = {"x_lo": grid.x, "y_lo": grid.y} if isinstance(grid, Rectangle) else {"x_lo": grid}
    for side, points in pairs.items():
        if isinstance(walls.sides[side], Periodic) != isinstance(points, PeriodicNodes):
            raise ValueError(
                f"{side} is {walls.sides[side]} and the points along it are {points}; Periodic() walls go with PeriodicNodes, "
                "others with Nodes or ChebyshevNodes."
            )


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A solution at the problem's output times, with the ledger of what went through the walls and was produced.

    state: u, cell averages or values at points, (nt, nx) or (nt, ny, nx). walls: the walls' values in the order of
    `Walls.sides`, (nt, sides); on a plane their means along the wall. inflow: ∫ flux dt that entered through each wall
    since the start, (nt, sides). traffic: the same with |flux|, the scale of round-off, (nt, sides). produced:
    ∫∫ s dx dt since the start, (nt,). others: further fields by their names, shaped like `state`. diagnostics: numbers
    over time by their names, (nt,). mass: ∫u dx as a spectral solver knows it, without the grid's quadrature, (nt,).
    """

    problem: Problem
    state: FloatArray
    walls: FloatArray
    inflow: FloatArray
    traffic: FloatArray
    produced: FloatArray
    steps: int
    solver: str
    others: Mapping[str, FloatArray] = field(default_factory=dict)
    diagnostics: Mapping[str, FloatArray] = field(default_factory=dict)
    mass: FloatArray | None = None

    @property
    def total(self) -> FloatArray:
        """∫u dx at each output time by the grid's quadrature, (nt,)."""
        return _integral(self.state, self.problem.grid.weights)

    @property
    def ledger_residual(self) -> FloatArray:
        """total − initial total − inflow − produced, relative to ∫|u| + Σ|wall flux|Δt + |produced|, (nt,).

        Zero up to round-off in averages; up to the solver's accuracy at points, where the total is the solver's `mass`.
        """
        total = self.total if self.mass is None else self.mass
        scale = _integral(np.abs(self.state), self.problem.grid.weights) + self.traffic.sum(axis=1)
        scale = scale + np.abs(self.produced)
        gap = total - total[0] - self.inflow.sum(axis=1) - self.produced
        return np.asarray(gap / np.where(scale > 0, scale, 1.0))

    @property
    def front(self) -> FloatArray | None:
        """Where a one-phase Stefan front is at each output time, to a fraction of a cell, (nt,); None for other problems."""
        equation, grid = self.problem.equation, self.problem.grid
        if not isinstance(equation, Step) or equation.k_min > 0.0 or not isinstance(grid, Cells):
            return None
        shown = [isinstance(wall, Dirichlet) for wall in self.problem.walls.sides.values()]
        return front_position(equation, grid, self.state, np.where(shown, self.walls, equation.u_star))


def _integral(state: FloatArray, weights: FloatArray) -> FloatArray:
    return np.asarray(state.reshape(len(state), -1) @ weights.ravel())
