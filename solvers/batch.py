"""Problems that are solved together, as the arrays that compiled code takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Coefficient, Custom, Tabulated, batch_of
from lawbound.solvers.grid import Cells
from lawbound.solvers.potential import ready
from lawbound.solvers.problem import Problem, Trajectory
from lawbound.solvers.solver import SolverError
from lawbound.solvers.wall_flux import code_of, transfer_of
from lawbound.solvers.walls import Dirichlet, Neumann, Outflow, Periodic, Robin

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: A wall that starts from rest must be seen moving before the first step is chosen.
LEAST_WALL_SAMPLES = 64


@dataclass(frozen=True)
class Batch:
    """Diffusion problems on one grid with the same output times; raises `ValueError` for any others."""

    problems: tuple[Problem, ...]

    @classmethod
    def of(cls, problems: Sequence[Problem], solver: str) -> "Batch":
        """Check that the problems can be solved together, and by a solver of diffusion."""
        grid, times = problems[0].grid, problems[0].times
        for problem in problems:
            if not isinstance(problem.grid, Cells) or not isinstance(problem.equation, Coefficient):
                raise ValueError(
                    f"`{problem.name}` is {type(problem.equation).__name__} on {type(problem.grid).__name__}; {solver} solves "
                    "u_t = (k(u) u_x)_x on Cells. `lawbound.solve` picks the solver that fits."
                )
            if problem.grid.n < 3 and isinstance(problem.walls.x_lo, Periodic):
                raise ValueError(f"nx={problem.grid.n} cells are too few for periodic walls; use nx ≥ 3.")
        if any(problem.grid != grid or not np.array_equal(problem.times, times) for problem in problems):
            raise ValueError(
                "A batch got several grids or output times; group the problems by grid and times."
            )
        return cls(tuple(problems))

    def __len__(self) -> int:
        return len(self.problems)

    @property
    def grid(self) -> Cells:
        """The cells that all share."""
        grid = self.problems[0].grid
        assert isinstance(grid, Cells)
        return grid

    @property
    def times(self) -> FloatArray:
        """The output times that all share."""
        return self.problems[0].times

    @cached_property
    def coefficients(self) -> list[Coefficient]:
        """One coefficient a sample, user functions compiled or tabulated over what their own problem reaches."""
        made = []
        for i, problem in enumerate(self.problems):
            coefficient = problem.equation
            if isinstance(coefficient, Custom):
                coefficient = ready(coefficient, *self.reached(i, problem.initial))
            made.append(coefficient)
        return made  # type: ignore[return-value]

    @cached_property
    def coefficient(self) -> Any:
        """The coefficients as one, its numbers being arrays over the samples."""
        return batch_of(self.coefficients)

    def reached(self, sample: int, state: FloatArray) -> tuple[float, float]:
        """Least and largest value of a state and of the walls at all times, as far as 64 looks between outputs tell."""
        times = np.unique(np.concatenate([self.times, *_between(self.times, LEAST_WALL_SAMPLES)]))
        seen = [state]
        for wall in self.problems[sample].walls.sides.values():
            if not isinstance(wall, Neumann | Periodic | Outflow):
                seen.append(wall.values(times))
        return min(float(a.min()) for a in seen), max(float(a.max()) for a in seen)

    @cached_property
    def kinds(self) -> IntArray:
        """Codes of the wall kinds, (sample, 2)."""
        return np.array([[code_of(w) for w in p.walls.sides.values()] for p in self.problems], dtype=np.int64)

    @cached_property
    def transfers(self) -> FloatArray:
        """Transfer coefficients of Robin walls, (sample, 2)."""
        return np.array([[transfer_of(w) for w in p.walls.sides.values()] for p in self.problems])

    @cached_property
    def constants(self) -> FloatArray:
        """Values of the walls that do not change, 0 for the others, (sample, 2)."""
        return np.array(
            [
                [
                    0.0 if callable(value := getattr(w, "value", 0.0)) else value
                    for w in p.walls.sides.values()
                ]
                for p in self.problems
            ],
            dtype=np.float64,
        )

    @cached_property
    def functions(self) -> list[tuple[int, int, Dirichlet | Neumann | Robin]]:
        """(sample, side, wall) of the walls whose value is a function of time."""
        return [
            (i, side, wall)
            for i, p in enumerate(self.problems)
            for side, wall in enumerate(p.walls.sides.values())
            if isinstance(wall, Dirichlet | Neumann | Robin) and callable(wall.value)
        ]

    @cached_property
    def bounding(self) -> NDArray[np.bool_]:
        """Walls that show the solution a value of u, (sample, 2)."""
        return np.array(
            [[isinstance(w, Dirichlet | Robin) for w in p.walls.sides.values()] for p in self.problems]
        )

    @cached_property
    def grows(self) -> NDArray[np.bool_]:
        """Which samples may leave the range of their data, because something pours in, (sample,)."""
        return np.array(
            [
                p.source is not None
                or any(isinstance(w, Neumann) and (callable(w.value) or w.value != 0.0) for w in p.walls.sides.values())
                for p in self.problems
            ]
        )  # fmt: skip

    def check(self, state: FloatArray, time: float, solver: str) -> None:
        """Raise `SolverError` unless all states are finite and no tabulated conductivity was left."""
        finite = np.isfinite(state).all()
        if not finite or any(isinstance(coefficient, Tabulated) for coefficient in self.coefficients):
            for i in range(len(self)):
                self._check(i, state[i], time, solver)

    def _check(self, sample: int, state: FloatArray, time: float, solver: str) -> None:
        problem = self.problems[sample]
        if not np.isfinite(state).all():
            raise SolverError(
                f"Sample {sample} ({problem.name}, {problem.equation}) stopped being finite before t={time:.6g}; "
                f"check its initial and wall values and its source, or give closer output times to {solver}."
            )
        table = self.coefficients[sample]
        if isinstance(table, Tabulated):
            low, high = table.low, table.low + table.spacing * (table.phi.size - 1)
            if state.min() < low or state.max() > high:
                raise SolverError(
                    f"Sample {sample} ({problem.name}) reached u in [{state.min():.4g}, {state.max():.4g}] by t={time:.6g}, "
                    f"beyond the table of its k(u) on [{low:.4g}, {high:.4g}]; give Custom(..., reach=(low, high)) a wider "
                    "range, or the integral of k."
                )

    def at_walls(self) -> FloatArray:
        """The walls' values at the output times, (sample, nt, 2)."""
        values = np.repeat(self.constants[:, None, :], self.times.size, axis=1)
        for i, side, wall in self.functions:
            values[i, :, side] = wall.values(self.times)
        return values

    def trajectories(
        self,
        state: FloatArray,
        inflow: FloatArray,
        traffic: FloatArray,
        produced: FloatArray,
        steps: IntArray,
        solver: str,
    ) -> list[Trajectory]:
        """One trajectory a sample from arrays over the samples."""
        walls = self.at_walls()
        return [
            Trajectory(p, state[i], walls[i], inflow[i], traffic[i], produced[i], int(steps[i]), solver)
            for i, p in enumerate(self.problems)
        ]


def subset(coefficient: Any, chosen: IntArray) -> Any:
    """The coefficient of some samples of a batch."""
    if isinstance(coefficient, Custom):
        return coefficient
    return type(coefficient)(*(field[chosen] for field in coefficient))


def _between(times: FloatArray, count: int) -> list[FloatArray]:
    return [np.linspace(a, b, count) for a, b in pairwise(times)]
