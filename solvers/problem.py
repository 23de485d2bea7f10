"""What is to be solved, and what came out. A problem knows no scheme."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lawbound.solvers.coefficient import Coefficient, Step, check_coefficient
from lawbound.solvers.conservation_law import ConservationLaw, check_conservation_law
from lawbound.solvers.front import front_position
from lawbound.solvers.grid import Boxes, Cells
from lawbound.solvers.walls import Dirichlet, Outflow, Robin, Walls

FloatArray = NDArray[np.float64]

#: u_t + ∇·F = s with F = −k(u) ∇u, given by its coefficient k, or F = f(u), given by its conservation law.
Equation = Coefficient | ConservationLaw

#: s, the production of u per time and volume: a number, one number a cell, or a function of (t, x), on a plane
#: of (t, x, y), that takes one time and arrays of cell centres and returns one number a cell.
Source = float | ArrayLike | Callable[..., ArrayLike]


def _frozen(values: ArrayLike) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    array += 0.0  # −0.0 becomes 0.0: problems that are equal must have equal hashes
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Problem:
    """u_t + ∇·F = s on a grid of cells, with walls, initial cell averages, output times and a source.

    `equation` is a coefficient, for u_t = ∇·(k(u) ∇u) + s, or a conservation law, for u_t + f(u)_x = s.
    `initial` has the grid's shape, or is one number; `times` has shape (nt,), increases, and starts at the
    initial time. What it conserves: ∫u dx changes by wall fluxes and the source alone. Raises `ValueError` for
    shapes that do not match the grid, for values that are not finite, for times that do not increase and for
    walls that the equation cannot have.
    """

    name: str
    equation: Equation
    grid: Cells | Boxes
    walls: Walls
    initial: FloatArray
    times: FloatArray
    source: FloatArray | Callable[..., ArrayLike] | None = None

    def __init__(
        self,
        name: str,
        equation: Equation,
        grid: Cells | Boxes,
        walls: Walls,
        initial: ArrayLike,
        times: ArrayLike | Sequence[float],
        source: Source | None = None,
    ) -> None:
        if isinstance(equation, ConservationLaw):
            check_conservation_law(equation)
        else:
            check_coefficient(equation)
        _check_walls(equation, grid, walls)
        for field, value in {
            "name": name,
            "equation": equation,
            "grid": grid,
            "walls": walls,
            "initial": _on_cells("initial", initial, grid, "averages"),
            "times": _increasing(times),
            "source": source
            if source is None or callable(source)
            else _on_cells("source", source, grid, "values"),
        }.items():
            object.__setattr__(self, field, value)

    def source_at(self, time: float) -> FloatArray:
        """s in each cell; raises `ValueError` where a function gives something else than one finite number a cell."""
        if not callable(self.source):
            return np.zeros(self.grid.shape) if self.source is None else self.source
        if isinstance(self.grid, Boxes):
            where: tuple[FloatArray, ...] = (self.grid.x.centres[None, :], self.grid.y.centres[:, None])
        else:
            where = (self.grid.centres,)
        given = np.asarray(self.source(time, *where), dtype=np.float64)
        if given.shape not in ((), self.grid.shape) or not np.isfinite(given).all():
            raise ValueError(
                f"The source gives values of shape {given.shape} or not finite at t={time}; "
                f"return finite values of shape {self.grid.shape}."
            )
        return np.broadcast_to(given, self.grid.shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Problem):
            return NotImplemented
        return (
            # Coefficients are tuples: without their class, Constant(2) would equal Power(2).
            type(self.equation) is type(other.equation)
            and (self.name, self.equation, self.grid, self.walls)
            == (other.name, other.equation, other.grid, other.walls)
            and np.array_equal(self.initial, other.initial)
            and np.array_equal(self.times, other.times)
            and _key(self.source) == _key(other.source)
        )

    def __hash__(self) -> int:
        arrays = (self.initial.tobytes(), self.times.tobytes())
        return hash((self.name, self.equation, self.grid, self.walls, *arrays, _key(self.source)))


def _key(source: object) -> object:
    return source.tobytes() if isinstance(source, np.ndarray) else source


def _on_cells(name: str, values: ArrayLike, grid: Cells | Boxes, what: str) -> FloatArray:
    array = _frozen(values)
    if array.ndim == 0:
        array = _frozen(np.full(grid.shape, array))
    if array.shape != grid.shape:
        cells = " × ".join(str(n) for n in grid.shape)
        raise ValueError(
            f"`{name}` has shape {array.shape}; the grid has {cells} cells, so give shape {grid.shape}."
        )
    if not np.isfinite(array).all():
        cell = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(
            f"`{name}` is not finite in cell {cell[0] if len(cell) == 1 else cell}; give finite {what}."
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


def _check_walls(equation: Equation, grid: Cells | Boxes, walls: Walls) -> None:
    sides = walls.sides
    if isinstance(grid, Boxes) != ("y_lo" in sides):
        wanted = "x_lo, x_hi, y_lo and y_hi" if isinstance(grid, Boxes) else "x_lo and x_hi only"
        raise ValueError(f"Walls got {', '.join(sides)}; this grid needs {wanted}.")
    for side, wall in sides.items():
        if isinstance(equation, ConservationLaw) and isinstance(wall, Robin):
            raise ValueError(
                f"{side} is {wall}, which a first-order equation cannot have; use Dirichlet (what flows in), Neumann (a given "
                "flux), Outflow or Periodic."
            )
        if not isinstance(equation, ConservationLaw) and isinstance(wall, Outflow):
            raise ValueError(
                f"{side} is Outflow(), which diffusion cannot have; use Neumann(0.0) for an insulated wall."
            )


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A solution at the problem's output times, with the ledger of what went through the walls and was produced.

    state: cell averages, (nt, nx) or (nt, ny, nx). walls: the walls' values in the order of `Walls.sides`, (nt, sides);
    on a plane their means along the wall. inflow: ∫ flux dt that entered through each wall since the start, (nt, sides).
    traffic: the same with |flux|, the scale of round-off, (nt, sides). produced: ∫∫ s dx dt since the start, (nt,).
    """

    problem: Problem
    state: FloatArray
    walls: FloatArray
    inflow: FloatArray
    traffic: FloatArray
    produced: FloatArray
    steps: int
    solver: str

    @property
    def total(self) -> FloatArray:
        """∫u dx at each output time, (nt,)."""
        return _integral(self.state, self.problem.grid.weights)

    @property
    def ledger_residual(self) -> FloatArray:
        """total − initial total − inflow − produced, relative to ∫|u| + Σ|wall flux|Δt + |produced|, (nt,); zero up to round-off."""
        scale = _integral(np.abs(self.state), self.problem.grid.weights) + self.traffic.sum(axis=1)
        scale = scale + np.abs(self.produced)
        gap = self.total - self.total[0] - self.inflow.sum(axis=1) - self.produced
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
