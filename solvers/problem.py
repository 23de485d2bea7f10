"""What is to be solved, and what came out. A problem knows no scheme."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lawbound.solvers.coefficient import Coefficient, check_coefficient
from lawbound.solvers.grid import Cells
from lawbound.solvers.walls import Walls


def _frozen(values: ArrayLike) -> NDArray[np.float64]:
    array = np.array(values, dtype=np.float64)
    array += 0.0  # −0.0 becomes 0.0: problems that are equal must have equal hashes
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Problem:
    """u_t = (k(u) u_x)_x on a grid of cells, with walls, initial cell averages and output times.

    `initial` has shape (nx,); `times` has shape (nt,), increases, and starts at the initial time. What it
    conserves: ∫u dx changes by the wall fluxes alone. Raises `ValueError` for shapes that do not match the
    grid, for values that are not finite and for times that do not increase.
    """

    name: str
    coefficient: Coefficient
    grid: Cells
    walls: Walls
    initial: NDArray[np.float64]
    times: NDArray[np.float64]

    def __init__(
        self,
        name: str,
        coefficient: Coefficient,
        grid: Cells,
        walls: Walls,
        initial: ArrayLike,
        times: ArrayLike | Sequence[float],
    ) -> None:
        check_coefficient(coefficient)
        start, output = _frozen(initial), _frozen(times)
        if start.ndim == 0:
            start = _frozen(np.full(grid.n, start))
        if start.shape != (grid.n,):
            raise ValueError(
                f"`initial` has shape {start.shape}; the grid has {grid.n} cells, so give shape ({grid.n},)."
            )
        if not np.isfinite(start).all():
            raise ValueError(
                f"`initial` is not finite in cell {int(np.argmin(np.isfinite(start)))}; give finite averages."
            )
        if (
            output.ndim != 1
            or output.size < 2
            or not np.isfinite(output).all()
            or (np.diff(output) <= 0).any()
        ):
            raise ValueError(
                f"`times` is {output}; give at least two finite times that increase, the first being the start."
            )
        if output[0] < 0:
            raise ValueError(f"`times` starts at {output[0]}; give times t ≥ 0.")
        for field, value in {
            "name": name,
            "coefficient": coefficient,
            "grid": grid,
            "walls": walls,
            "initial": start,
            "times": output,
        }.items():
            object.__setattr__(self, field, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Problem):
            return NotImplemented
        return (
            # Coefficients are tuples: without their class, Constant(2) would equal Power(2).
            type(self.coefficient) is type(other.coefficient)
            and (self.name, self.coefficient, self.grid, self.walls)
            == (other.name, other.coefficient, other.grid, other.walls)
            and np.array_equal(self.initial, other.initial)
            and np.array_equal(self.times, other.times)
        )

    def __hash__(self) -> int:
        return hash(
            (self.name, self.coefficient, self.grid, self.walls, self.initial.tobytes(), self.times.tobytes())
        )


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A solution at the problem's output times, with the ledger of what went through the walls.

    state: cell averages, (nt, nx). walls: wall values, (nt, 2). inflow: ∫ flux dt that entered through
    (x_lo, x_hi) since the start, (nt, 2). traffic: the same with |flux|, the scale of round-off, (nt, 2).
    """

    problem: Problem
    state: NDArray[np.float64]
    walls: NDArray[np.float64]
    inflow: NDArray[np.float64]
    traffic: NDArray[np.float64]
    steps: int
    solver: str

    @property
    def total(self) -> NDArray[np.float64]:
        """∫u dx at each output time, (nt,)."""
        return np.asarray(self.state @ self.problem.grid.weights)

    @property
    def ledger_residual(self) -> NDArray[np.float64]:
        """total − initial total − inflow, relative to ∫|u| + Σ|wall flux|Δt, (nt,); zero up to round-off."""
        scale = np.abs(self.state) @ self.problem.grid.weights + self.traffic.sum(axis=1)
        gap = self.total - self.total[0] - self.inflow.sum(axis=1)
        return np.asarray(gap / np.where(scale > 0, scale, 1.0))
