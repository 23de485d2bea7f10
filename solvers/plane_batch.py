"""Diffusion problems on one grid of boxes that are solved together, and what is kept of them on their way."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.batch import Batch
from lawbound.solvers.coefficient import Coefficient
from lawbound.solvers.grid import Boxes
from lawbound.solvers.ledger import Ledger
from lawbound.solvers.plane_walls import PlaneWalls
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.walls import Dirichlet, Neumann, Robin, Wall

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# After so many explicit steps the range of the solution, and with it the step, is looked at again. A source
# that is a function of time is kept for all of them, so it gets fewer.
_BLOCK, _BLOCK_WITH_SOURCE = 256, 16


@dataclass(frozen=True)
class PlaneBatch(Batch):
    """Diffusion problems on one grid of boxes with the same output times; raises `ValueError` for any others."""

    @classmethod
    def of(cls, problems: Sequence[Problem], solver: str) -> "PlaneBatch":
        """Check that the problems can be solved together, and by a solver of diffusion on a plane."""
        for problem in problems:
            if not isinstance(problem.grid, Boxes) or not isinstance(problem.equation, Coefficient):
                raise ValueError(
                    f"`{problem.name}` is {type(problem.equation).__name__} on {type(problem.grid).__name__}; {solver} solves "
                    "u_t = ∇·(k(u) ∇u) on Boxes. `lawbound.solve` picks the solver that fits."
                )
        grid, times = problems[0].grid, problems[0].times
        if any(problem.grid != grid or not np.array_equal(problem.times, times) for problem in problems):
            raise ValueError(
                "A batch got several grids or output times; group the problems by grid and times."
            )
        return cls(tuple(problems))

    @property
    def boxes(self) -> Boxes:
        """The grid that all share."""
        grid = self.problems[0].grid
        assert isinstance(grid, Boxes)
        return grid

    @cached_property
    def widths(self) -> FloatArray:
        """(hx, hy)."""
        return np.array([self.boxes.x.width, self.boxes.y.width])

    def named(self, sample: int) -> str:
        """How errors speak of a sample."""
        problem = self.problems[sample]
        return f"Sample {sample} ({problem.name}, {problem.equation})"

    def along(self, side: str) -> FloatArray:
        """The tangential coordinates of the cells at a wall."""
        return self.boxes.y.centres if side.startswith("x") else self.boxes.x.centres

    @cached_property
    def asks(self) -> NDArray[np.bool_]:
        """Which samples have a wall or a source that is a function of time, (sample,)."""
        return np.array(
            [
                callable(p.source) or any(_is_function(wall) for wall in p.walls.sides.values())
                for p in self.problems
            ]
        )

    @cached_property
    def roams(self) -> NDArray[np.bool_]:
        """Which samples may leave the range of state and walls at the start of a step, (sample,)."""
        pulled = [
            any(_is_function(wall) and not isinstance(wall, Neumann) for wall in p.walls.sides.values())
            for p in self.problems
        ]
        return np.asarray(self.grows | np.array(pulled))

    @cached_property
    def blocks(self) -> IntArray:
        """Most explicit steps before the range is looked at again, (sample,)."""
        return np.array([_BLOCK_WITH_SOURCE if callable(p.source) else _BLOCK for p in self.problems])

    def wall_values(self, moments: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values at the x walls, (sample, moment, 2, ny), and the y walls, (sample, moment, 2, nx), at (sample, moment)."""
        ny, nx = self.boxes.shape
        values = tuple(np.empty((*moments.shape, 2, n)) for n in (ny, nx))
        for i, problem in enumerate(self.problems):
            for place, (side, wall) in enumerate(problem.walls.sides.items()):
                # A constant needs no times; asking for one row of it is cheap.
                when = moments[i] if _is_function(wall) else moments[i, :1]
                values[place // 2][i, :, place % 2] = wall.values(when, self.along(side))
        return values[0], values[1]

    def walls_at(self, moments: FloatArray) -> PlaneWalls:
        """The walls of all samples at (sample, moment), for compiled code."""
        return PlaneWalls(self.kinds, self.transfers, *self.wall_values(moments), self.widths)

    def sources(self, moments: FloatArray) -> FloatArray:
        """Sources at (sample, moment): (sample, 0, 1 or moment, ny, nx), 0 if there is none and 1 if all are steady."""
        if all(problem.source is None for problem in self.problems):
            return np.zeros((len(self), 0, *self.boxes.shape))
        rows = moments.shape[1] if any(callable(problem.source) for problem in self.problems) else 1
        table = np.zeros((len(self), rows, *self.boxes.shape))
        for i, problem in enumerate(self.problems):
            for row in range(rows):
                table[i, row] = problem.source_at(float(moments[i, row]))
        return table

    def ranges(self, state: FloatArray, x_values: FloatArray, y_values: FloatArray) -> FloatArray:
        """Least and largest value of state and walls, (sample, 2)."""
        result = np.stack([state.min(axis=(1, 2)), state.max(axis=(1, 2))], axis=1)
        for i, problem in enumerate(self.problems):
            for place, wall in enumerate(problem.walls.sides.values()):
                if isinstance(wall, Dirichlet | Robin):
                    values = (x_values, y_values)[place // 2][i, :, place % 2]
                    result[i] = min(result[i, 0], values.min()), max(result[i, 1], values.max())
        return result

    def most_rise(self, values: tuple[FloatArray, FloatArray], time: FloatArray, stop: float) -> FloatArray:
        """How far what pours in now could raise a single cell until `stop`, (sample,)."""
        rise = np.zeros(len(self))
        for i, problem in enumerate(self.problems):
            for place, wall in enumerate(problem.walls.sides.values()):
                if isinstance(wall, Neumann):
                    rise[i] += abs(values[place // 2][i, :, place % 2]).max() / self.widths[place // 2]
            if problem.source is not None:
                rise[i] += abs(problem.source_at(float(min(time[i], stop)))).max()
        return rise * (stop - time)

    def reached(self, sample: int, state: FloatArray) -> tuple[float, float]:
        """Least and largest value of a state and of the walls at the output times."""
        seen = [state]
        for side, wall in self.problems[sample].walls.sides.items():
            if isinstance(wall, Dirichlet | Robin):
                seen.append(wall.values(self.times, self.along(side)))
        return min(float(a.min()) for a in seen), max(float(a.max()) for a in seen)

    def at_walls(self) -> FloatArray:
        """Means of the walls' values along them at the output times, (sample, nt, 4)."""
        return np.stack(
            [
                np.stack([w.values(self.times, self.along(s)).mean(axis=1) for s, w in p.walls.sides.items()], axis=1)
                for p in self.problems
            ]
        )  # fmt: skip


def _is_function(wall: Wall) -> bool:
    return isinstance(wall, Dirichlet | Neumann | Robin) and callable(wall.value)


class PlaneRun:
    """A batch under way: the state now and its ledger, changed in place, and what was recorded of them."""

    def __init__(self, batch: PlaneBatch) -> None:
        size = len(batch)
        self.batch = batch
        self.state = np.stack([problem.initial for problem in batch.problems])
        self.ledger = Ledger.empty(size, 4)
        self.steps = np.zeros(size, dtype=np.int64)
        self._records = [self._record()]

    def _record(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        return self.state.copy(), *self.ledger.settled()

    def record(self, time: float, solver: str) -> None:
        """Keep state and ledger as they are at an output time; raises `SolverError` where they make no sense."""
        self.batch.check(self.state, time, solver)
        self._records.append(self._record())

    def trajectories(self, solver: str) -> list[Trajectory]:
        """One trajectory a sample."""
        state, inflow, traffic, produced = (
            np.stack(kept, axis=1) for kept in zip(*self._records, strict=True)
        )
        return self.batch.trajectories(state, inflow, traffic, produced, self.steps, solver)
