"""From trajectories to a labelled dataset that carries all that later layers need."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, DTypeLike

from lawbound.datasets import schema
from lawbound.datasets.family import Draw, Family
from lawbound.datasets.labels import Axis, Boundary, Law, labelled
from lawbound.datasets.laws import laws_by_ledger, laws_of_family
from lawbound.datasets.provenance import values_hash
from lawbound.datasets.split import split_variable
from lawbound.solvers import (
    Advection,
    Boxes,
    Cells,
    Constant,
    InviscidBurgers,
    NavierStokes,
    Power,
    Problem,
    Rectangle,
    Solver,
    Step,
    Trajectory,
    ViscousBurgers,
    solver_for,
)
from lawbound.solvers.grid import Points


def solve(problem: Problem, solver: Solver | None = None) -> xr.Dataset:
    """Solve one problem and label the result; b(t) comes from the solver's own ledger of wall fluxes.

    Without a `solver`, one that fits is taken, with its default accuracy.
    """
    trajectory = (solver or solver_for(problem)).solve(problem)
    return _assemble(
        [trajectory],
        laws=laws_by_ledger([trajectory]),
        attributes={
            "title": f"solution of one {problem.name} problem",
            "lawbound_problem": problem.name,
            **_fluxes(problem),
        },
        config={
            "problem": problem.name,
            "solver": trajectory.solver,
            "equation": _described(problem),
            "grid": repr(problem.grid),
            "walls": [wall.kind for wall in problem.walls.sides.values()],
            # Functions have no lasting name; what they did is in the walls, the ledger and what was produced.
            "values_sha256": values_hash(
                problem.initial, problem.times, trajectory.walls, trajectory.inflow, trajectory.produced
            ),
        },
        dtype=np.float64,
    )


def _fluxes(problem: Problem) -> dict[str, str]:
    """k(u) and f(u), where a flux can be told by them and is all there is; a step of another height is not told."""
    if problem.source is not None:
        return {}
    match problem.equation:
        case Constant(k):
            return {schema.CONDUCTIVITY: f"constant {k!r}"}
        case Power(m):
            return {schema.CONDUCTIVITY: f"power {m!r}"}
        case Step(u_star, k_max=1.0, k_min=0.0):
            return {schema.CONDUCTIVITY: f"step {u_star!r}"}
        case Advection(beta):
            return {schema.FLUX: f"linear {beta!r}"}
        case InviscidBurgers():
            return {schema.FLUX: "square"}
        case ViscousBurgers(nu):
            return {schema.CONDUCTIVITY: f"constant {nu!r}", schema.FLUX: "square"}
    return {}


def _described(problem: Problem) -> str:
    """The equation in words that are the same in every process: a user's functions by their names."""
    values = problem.equation._asdict().items()
    named = (f"{name}={getattr(value, '__qualname__', None) or repr(value)}" for name, value in values)
    return f"{type(problem.equation).__name__}({', '.join(named)})"


def gather(
    family: Family,
    draws: Sequence[Draw],
    trajectories: Sequence[Trajectory],
    *,
    samples: Sequence[int],
    splits: Sequence[str],
    closed_form: bool,
    config: Mapping[str, object],
    dtype: DTypeLike = np.float32,
) -> xr.Dataset:
    """Label the trajectories of a family's problems.

    With `closed_form` b(t) is the closed form's mass, where the family has a tolerance for it; else what the walls let in.
    """
    data = _assemble(
        trajectories,
        laws=laws_of_family(trajectories, draws, family, closed_form),
        attributes={
            "title": f"{family.name}: {family.title}",
            "references": family.references,
            "comment": family.equation,
            "lawbound_problem": family.name,
            "lawbound_time_of_interest": repr(family.time_of_interest),
            **({} if family.conductivity is None else {schema.CONDUCTIVITY: family.conductivity}),
            **({} if family.flux is None else {schema.FLUX: family.flux}),
        },
        config=config,
        dtype=dtype,
    )
    extra: dict[str, tuple[tuple[str, ...], ArrayLike, dict[str, object]]] = {
        **{
            name: (
                (schema.SAMPLE,),
                np.array([draw[name] for draw in draws], dtype=np.float64),
                {"long_name": meaning, "units": "1", schema.ROLE: schema.PARAMETER},
            )
            for name, meaning in family.parameters.items()
        },
        "seed": (
            (schema.SAMPLE,),
            np.array([draw.seed for draw in draws], dtype=np.int64),
            {
                "long_name": "seed of numpy's default_rng that draws the sample",
                schema.ROLE: schema.SEED,
                "units": "1",
            },
        ),
    }
    data["split"] = split_variable(splits, list(family.splits))
    if family.front_level is not None and closed_form:
        extra["front_level"] = (
            (schema.SAMPLE,),
            np.asarray([family.front_level(draw) for draw in draws], dtype=np.float64),
            {
                "long_name": "value of u that marks the front: half the jump",
                "units": "1",
                schema.ROLE: schema.FRONT_LEVEL,
            },
        )
    return data.assign(extra).assign_coords(
        {schema.SAMPLE: data[schema.SAMPLE].copy(data=np.asarray(samples, np.int32))}
    )


def _axis(points: Cells | Points) -> Axis:
    if not isinstance(points, Cells):
        return Axis(points.points, points.weights, None)
    faces = points.faces
    return Axis(points.centres, points.weights, np.stack([faces[:-1], faces[1:]], axis=1))


def _boundaries(trajectories: Sequence[Trajectory]) -> list[Boundary]:
    """What is prescribed at each wall; for a flow both velocities, along the wall."""
    problem = trajectories[0].problem
    sides = problem.walls.sides
    if not isinstance(problem.grid, Rectangle) or not isinstance(problem.equation, NavierStokes):
        return [
            Boundary("u", side, wall.kind, np.stack([run.walls[:, i] for run in trajectories]))
            for i, (side, wall) in enumerate(sides.items())
        ]
    found = []
    for side in sides:
        axis, field, normal = ("y", "v", "u") if side.startswith("x") else ("x", "u", "v")
        along = problem.grid.y.points if axis == "y" else problem.grid.x.points
        slip = np.stack([run.problem.walls.sides[side].values(problem.times, along) for run in trajectories])
        found += [
            Boundary(field, side, "no-slip", slip, axis),
            Boundary(normal, side, "no-slip", np.zeros_like(slip), axis),
        ]
    return found


def _assemble(
    trajectories: Sequence[Trajectory],
    *,
    laws: Mapping[str, Law],
    attributes: Mapping[str, str],
    config: Mapping[str, object],
    dtype: DTypeLike,
) -> xr.Dataset:
    problem = trajectories[0].problem
    grid = problem.grid
    produced = any(run.problem.source is not None for run in trajectories)
    data = labelled(
        {
            "u": np.stack([run.state for run in trajectories]),
            **{name: np.stack([run.others[name] for run in trajectories]) for name in trajectories[0].others},
        },
        times=problem.times,
        axes={schema.Y: _axis(grid.y), schema.X: _axis(grid.x)}
        if isinstance(grid, Boxes | Rectangle)
        else {schema.X: _axis(grid)},
        boundaries=_boundaries(trajectories),
        laws=laws,
        attributes={"references": "none", "comment": "none", **attributes},
        config=config,
        dtype=dtype,
        source=f"lawbound {version('lawbound')}; solver {trajectories[0].solver}",
    )
    if "conservation" not in laws:
        return data
    data["inflow_u"] = (
        (schema.SAMPLE, schema.TIME),
        np.stack([run.inflow.sum(axis=1) + run.produced for run in trajectories]),
        {
            "long_name": "integral of u that entered through the walls"
            + (" or was produced" if produced else "")
            + " since the start",
            "units": "1",
            schema.ROLE: schema.INFLOW,
        },
    )
    fronts = [run.front for run in trajectories]
    # The schema stores complete arrays, so a front that is not there at some time is not stored at all.
    if all(front is not None and np.isfinite(front).all() for front in fronts):
        data["front_u"] = (
            (schema.SAMPLE, schema.TIME),
            np.array(fronts, dtype=np.float64),
            {
                "long_name": "position of the front, from how full its cell is",
                "units": "1",
                schema.ROLE: schema.FRONT,
            },
        )
    return data
