"""What a family's laws say of its trajectories: right-hand sides, the solver's own residuals, and how large they may be."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lawbound.datasets.family import Draw, Family
from lawbound.datasets.labels import Law
from lawbound.solvers import (
    Boxes,
    Cells,
    Grid,
    NavierStokes,
    Neumann,
    Periodic,
    Problem,
    Rectangle,
    Trajectory,
    Wave,
)
from lawbound.solvers.grid import Points, of_points

FloatArray = NDArray[np.float64]

#: Round-off that storing values in single precision adds to a sum, relative to the sum of |u|.
_HALF_ULP = float(np.finfo(np.float32).eps) / 2
#: How well a resolved spectral solution balances, relative to what is there and went through the walls.
_SPECTRAL = 1e-9


class Diagnosed(NamedTuple):
    """A law about a number that the solver watches over time: it keeps its first value, or is 0."""

    diagnostic: str
    kept: bool
    tolerance: float
    meaning: str


_DIAGNOSTICS = {
    "energy": Diagnosed("energy", True, 1e-12, "energy at the start"),
    "divergence-free": Diagnosed("divergence", False, 1e-10, "largest |u_x + v_y|, which is none"),
}


def laws_of(problem: Problem) -> tuple[str, ...]:
    """The laws that any solution of the problem's equation obeys."""
    if isinstance(problem.equation, NavierStokes):
        return ("divergence-free",)
    return ("conservation", "energy") if isinstance(problem.equation, Wave) else ("conservation",)


def laws_by_ledger(trajectories: Sequence[Trajectory]) -> dict[str, Law]:
    """The laws of problems of which nothing is known but what the solver says."""
    return {
        law: _ledger_law(trajectories, rounding=0.0)
        if law == "conservation"
        else _diagnosed_law(trajectories, law)
        for law in laws_of(trajectories[0].problem)
    }


def laws_of_family(
    trajectories: Sequence[Trajectory], draws: Sequence[Draw], family: Family, closed_form: bool
) -> dict[str, Law]:
    """The family's laws by their names."""
    laws = {}
    for law in family.laws:
        if law == "conservation":
            analytic = closed_form and family.mass_tolerance is not None
            laws[law] = (
                _analytic_law(trajectories, draws, family)
                if analytic
                else _ledger_law(trajectories, _HALF_ULP)
            )
        else:
            laws[law] = _diagnosed_law(trajectories, law)
    return laws


def rhs_source(family: Family, problem: Problem, law: str, closed_form: bool) -> str:
    """Where the right-hand side of a family's law comes from: one of `schema.RHS_SOURCES`."""
    if law != "conservation" or (closed_form and family.mass_tolerance is not None):
        return "analytic"
    return _balance_source(problem)


def _balance_source(problem: Problem) -> str:
    """Of a balance of points, what enters may be known beforehand; of cells it is always read off the ledger."""
    given = all(isinstance(wall, Neumann | Periodic) for wall in problem.walls.sides.values())
    return "boundary-data" if given and of_points(problem.grid) else "ledger"


def _ledger_law(trajectories: Sequence[Trajectory], rounding: float) -> Law:
    """b(t) is what was there, what the walls let in and what was produced; values are stored up to `rounding`."""
    first = trajectories[0].problem
    start = np.stack([run.total[0] if run.mass is None else run.mass[0] for run in trajectories])
    rhs = start[:, None] + np.stack([run.inflow.sum(axis=1) + run.produced for run in trajectories])
    total = np.stack([run.total for run in trajectories])
    size = np.stack([_size(run) for run in trajectories])
    scale = size + np.stack([run.traffic.sum(axis=1) + np.abs(run.produced) for run in trajectories])
    if not of_points(first.grid):
        return Law(rhs, "ledger", total - rhs, 1e-13 * scale + rounding * size)
    # Values at points say what the total is up to their quadrature, which the solver's own total shows.
    known = np.stack([run.mass for run in trajectories if run.mass is not None])
    quadrature = 2.0 * np.abs(total - known)
    return Law(rhs, _balance_source(first), total - rhs, quadrature + _SPECTRAL * scale + rounding * size)


def _analytic_law(trajectories: Sequence[Trajectory], draws: Sequence[Draw], family: Family) -> Law:
    assert family.exact is not None and family.mass_tolerance is not None
    along, times = _x_axis(trajectories[0].problem.grid), trajectories[0].problem.times
    exact = [family.exact(draw) for draw in draws]
    rhs = np.stack([one.integral(times, along.upper) - one.integral(times, along.lower) for one in exact])
    total = np.stack([run.total for run in trajectories])
    size = np.stack([_size(run) for run in trajectories])
    h = (along.upper - along.lower) / along.n
    scheme = np.stack([family.mass_tolerance(draw, h, times) for draw in draws])
    return Law(rhs, "analytic", total - rhs, scheme + _HALF_ULP * size)


def _diagnosed_law(trajectories: Sequence[Trajectory], name: str) -> Law:
    """A number that the solver watched, beside what it should be."""
    law = _DIAGNOSTICS[name]
    watched = np.stack([run.diagnostics[law.diagnostic] for run in trajectories])
    rhs = np.repeat(watched[:, :1], watched.shape[1], axis=1) if law.kept else np.zeros_like(watched)
    scale = np.abs(watched).max(axis=1, keepdims=True) if law.kept else np.ones_like(watched)
    return Law(
        rhs,
        "analytic",
        watched - rhs,
        np.array(np.broadcast_to(law.tolerance * scale, watched.shape)),
        law.meaning,
    )


def _size(run: Trajectory) -> FloatArray:
    """∫|u| dx at each output time, (nt,)."""
    return np.asarray(np.abs(run.state).reshape(len(run.state), -1) @ run.problem.grid.weights.ravel())


def _x_axis(grid: Grid) -> Cells | Points:
    if isinstance(grid, Boxes):
        return grid.x
    return grid.x if isinstance(grid, Rectangle) else grid
