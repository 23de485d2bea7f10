"""From trajectories, or a user's own arrays, to a labelled dataset that carries all that later layers need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, DTypeLike, NDArray

from lawbound.datasets import schema
from lawbound.datasets.family import Family
from lawbound.datasets.provenance import provenance, values_hash
from lawbound.datasets.split import split_variable
from lawbound.solvers import Boxes, Cells, Grid, Problem, Rectangle, Trajectory, solver_for
from lawbound.solvers.grid import Points

FloatArray = NDArray[np.float64]

#: Round-off that storing cell averages in single precision adds to a sum, relative to the sum of |u|.
_HALF_ULP = float(np.finfo(np.float32).eps) / 2

#: What a wall's values are, by its kind; on a plane they are means along the wall.
_WALL_MEANINGS = {
    "dirichlet": "value of u at",
    "neumann": "flux that enters through",
    "robin": "value of u that surrounds",
    "periodic": "nothing is prescribed at",
    "outflow": "nothing is prescribed at",
}


class Axis(NamedTuple):
    """A dimension in space: positions and quadrature weights, (n,), and bounds of the cells, (n, 2), if it has any."""

    points: FloatArray
    weights: FloatArray
    bounds: FloatArray | None


@dataclass(frozen=True)
class Law:
    """A conservation law's right-hand side b(t) = ∫u dx, (sample, t), and how far the reference is from it."""

    rhs: FloatArray
    source: str
    residual: FloatArray
    tolerance: FloatArray


def solve(problem: Problem) -> xr.Dataset:
    """Solve one problem and label the result; b(t) comes from the solver's own ledger of wall fluxes."""
    trajectory = solver_for(problem).solve(problem)
    return _assemble(
        [trajectory],
        law=_ledger_law([trajectory]),
        attributes={"title": f"solution of one {problem.name} problem", "lawbound_problem": problem.name},
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


def _described(problem: Problem) -> str:
    """The equation in words that are the same in every process: a user's functions by their names."""
    values = problem.equation._asdict().items()
    named = (f"{name}={getattr(value, '__qualname__', None) or repr(value)}" for name, value in values)
    return f"{type(problem.equation).__name__}({', '.join(named)})"


def gather(
    family: Family,
    parameters: Sequence[float],
    trajectories: Sequence[Trajectory],
    *,
    samples: Sequence[int],
    splits: Sequence[str],
    seeds: Sequence[int],
    config: Mapping[str, object],
    dtype: DTypeLike = np.float32,
) -> xr.Dataset:
    """Label the trajectories of a family's problems; b(t) is the closed form's mass."""
    data = _assemble(
        trajectories,
        law=_analytic_law(trajectories, parameters, family),
        attributes={
            "title": f"{family.name}: {family.title}",
            "references": family.references,
            "comment": family.equation,
            "lawbound_problem": family.name,
            "lawbound_time_of_interest": repr(family.time_of_interest),
        },
        config=config,
        dtype=dtype,
    )
    extra: dict[str, tuple[tuple[str, ...], ArrayLike, dict[str, object]]] = {
        family.parameter: (
            (schema.SAMPLE,),
            np.asarray(parameters, dtype=np.float64),
            {"long_name": family.parameter_meaning, "units": "1", schema.ROLE: schema.PARAMETER},
        ),
        "seed": (
            (schema.SAMPLE,),
            np.asarray(seeds, dtype=np.int64),
            {
                "long_name": "seed of numpy's default_rng that draws the sample",
                schema.ROLE: schema.SEED,
                "units": "1",
            },
        ),
    }
    data["split"] = split_variable(splits, list(family.splits))
    if family.front_level is not None:
        extra["front_level"] = (
            (schema.SAMPLE,),
            np.asarray([family.front_level(value) for value in parameters], dtype=np.float64),
            {
                "long_name": "value of u that marks the front: half the jump",
                "units": "1",
                schema.ROLE: schema.FRONT_LEVEL,
            },
        )
    return data.assign(extra).assign_coords(
        {schema.SAMPLE: data[schema.SAMPLE].copy(data=np.asarray(samples, np.int32))}
    )


def from_arrays(
    u: ArrayLike,
    *,
    t: ArrayLike,
    x: ArrayLike,
    weights: ArrayLike | None = None,
    mass: ArrayLike | None = None,
    mass_source: str = "boundary-data",
    parameters: Mapping[str, ArrayLike] | None = None,
    walls: Mapping[str, ArrayLike] | None = None,
    split: Sequence[str] | None = None,
    problem: str = "custom",
    title: str = "solutions of a user's own solver",
) -> xr.Dataset:
    """A valid dataset from the output of any solver.

    u: (sample, t, x). t: (nt,) and x: (nx,), increasing. weights: quadrature weights along x; the trapezoidal
    rule on x if not given. mass: the known ∫u dx, (sample, t), needed by `conservation`; `mass_source` says
    where it comes from (`analytic`, `boundary-data` or `ledger`). parameters: name → (sample,).
    walls: `x_lo` and `x_hi` → (sample, t). split: one name a sample. Raises `ValueError` for shapes that do
    not match and for values that are not finite.

    >>> u = np.ones((1, 2, 3))
    >>> data = from_arrays(u, t=[0.0, 1.0], x=[0.0, 0.5, 1.0], mass=[[1.0, 1.0]])
    >>> [float(w) for w in data.x_weights]
    [0.25, 0.5, 0.25]
    """
    field, times, points = (np.asarray(a, dtype=np.float64) for a in (u, t, x))
    if field.ndim != 3 or field.shape[1:] != (times.size, points.size):
        raise ValueError(
            f"`u` has shape {field.shape}; with {times.size} times and {points.size} positions it needs "
            f"(sample, {times.size}, {points.size})."
        )
    if not np.isfinite(field).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(field))[0])
        raise ValueError(
            f"`u` is not finite at (sample, t, x) index {where}; a dataset holds finite values only."
        )
    n, nt, nx = field.shape
    w = _trapezoid(points) if weights is None else _shaped("weights", weights, (nx,))
    law = None
    if mass is not None:
        if mass_source not in schema.RHS_SOURCES:
            raise ValueError(f"mass_source={mass_source!r}; say one of {', '.join(schema.RHS_SOURCES)}.")
        rhs = _shaped("mass", mass, (n, nt))
        residual = field @ w - rhs
        # Nothing is known of the foreign scheme: its own gap is what its data allow.
        tolerance = np.maximum(np.abs(residual) * (1 + 1e-9), 16 * np.finfo(float).eps * (np.abs(field) @ w))
        law = Law(rhs, mass_source, residual, tolerance)
    data = _labelled(
        field,
        times=times,
        axes={schema.X: Axis(points, w, None)},
        walls={side: _shaped(side, values, (n, nt)) for side, values in (walls or {}).items()},
        law=law,
        wall_kinds=dict.fromkeys(walls or {}, "dirichlet"),
        attributes={
            "title": title,
            "lawbound_problem": problem,
            "references": "none given",
            "comment": "none given",
        },
        config={
            "problem": problem,
            "made_by": "lawbound.from_arrays",
            "values_sha256": values_hash(field, times, points),
        },
        dtype=np.asarray(u).dtype if np.asarray(u).dtype == np.float32 else np.float64,
        source="a user's own solver, through lawbound.from_arrays",
    )
    for name, values in (parameters or {}).items():
        attributes = {"long_name": f"parameter {name}", "units": "1", schema.ROLE: schema.PARAMETER}
        data[name] = ((schema.SAMPLE,), _shaped(name, values, (n,)), attributes)
    if split is not None:
        data["split"] = split_variable(split, [name for name in ("train", "valid", "test") if name in split])
    schema.require(data, "The dataset made from your arrays")
    return data


def _shaped(name: str, values: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(
            f"`{name}` has shape {array.shape} or values that are not finite; needed are finite values of shape {shape}."
        )
    return array


def _trapezoid(x: FloatArray) -> FloatArray:
    gaps = np.diff(x)
    return np.asarray(0.5 * (np.append(gaps, 0.0) + np.append(0.0, gaps)))


def _ledger_law(trajectories: Sequence[Trajectory]) -> Law:
    rhs = np.stack([run.total[0] + run.inflow.sum(axis=1) + run.produced for run in trajectories])
    total = np.stack([run.total for run in trajectories])
    scale = np.stack([_size(run) + run.traffic.sum(axis=1) + np.abs(run.produced) for run in trajectories])
    return Law(rhs, "ledger", total - rhs, 1e-13 * scale)


def _analytic_law(trajectories: Sequence[Trajectory], parameters: Sequence[float], family: Family) -> Law:
    along, times = _x_axis(trajectories[0].problem.grid), trajectories[0].problem.times
    exact = [family.exact(value) for value in parameters]
    rhs = np.stack([one.integral(times, along.upper) - one.integral(times, along.lower) for one in exact])
    total = np.stack([run.total for run in trajectories])
    size = np.stack([_size(run) for run in trajectories])
    scheme = np.stack(
        [family.mass_tolerance(value, (along.upper - along.lower) / along.n, times) for value in parameters]
    )
    return Law(rhs, "analytic", total - rhs, scheme + _HALF_ULP * size)


def _size(run: Trajectory) -> FloatArray:
    """∫|u| dx at each output time, (nt,)."""
    return np.asarray(np.abs(run.state).reshape(len(run.state), -1) @ run.problem.grid.weights.ravel())


def _x_axis(grid: Grid) -> Cells | Points:
    return grid.x if isinstance(grid, Boxes | Rectangle) else grid


def _axis(points: Cells | Points) -> Axis:
    if not isinstance(points, Cells):
        return Axis(points.points, points.weights, None)
    faces = points.faces
    return Axis(points.centres, points.weights, np.stack([faces[:-1], faces[1:]], axis=1))


def _assemble(
    trajectories: Sequence[Trajectory],
    *,
    law: Law,
    attributes: Mapping[str, str],
    config: Mapping[str, object],
    dtype: DTypeLike,
) -> xr.Dataset:
    problem = trajectories[0].problem
    grid, sides = problem.grid, problem.walls.sides
    produced = any(run.problem.source is not None for run in trajectories)
    data = _labelled(
        np.stack([run.state for run in trajectories]),
        times=problem.times,
        axes={schema.Y: _axis(grid.y), schema.X: _axis(grid.x)}
        if isinstance(grid, Boxes | Rectangle)
        else {schema.X: _axis(grid)},
        walls={side: np.stack([run.walls[:, i] for run in trajectories]) for i, side in enumerate(sides)},
        wall_kinds={side: wall.kind for side, wall in sides.items()},
        law=law,
        attributes={"references": "none", "comment": "none", **attributes},
        config=config,
        dtype=dtype,
        source=f"lawbound {version('lawbound')}; solver {trajectories[0].solver}",
    )
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


def _labelled(
    field: FloatArray,
    *,
    times: FloatArray,
    axes: Mapping[str, Axis],
    walls: Mapping[str, FloatArray],
    wall_kinds: Mapping[str, str],
    law: Law | None,
    attributes: Mapping[str, str],
    config: Mapping[str, object],
    dtype: DTypeLike,
    source: str,
) -> xr.Dataset:
    over_t = (schema.SAMPLE, schema.TIME)
    wall_names = [schema.wall_variable("u", side) for side in walls]
    state_attributes = {"long_name": "state", "units": "1", schema.ROLE: schema.STATE}
    if all(axis.bounds is not None for axis in axes.values()):
        state_attributes["cell_methods"] = f"t: point {' '.join(f'{name}:' for name in axes)} mean"
    if wall_names:
        state_attributes["lawbound_bc"] = " ".join(wall_names)
    variables: dict[str, object] = {
        "u": ((*over_t, *axes), field.astype(dtype), state_attributes),
    }
    for name, axis in axes.items():
        variables[f"{name}_weights"] = (
            (name,),
            axis.weights,
            {"long_name": f"quadrature weights along {name}", "units": "1", schema.ROLE: schema.WEIGHTS},
        )
        if axis.bounds is not None:
            variables[f"{name}_bounds"] = ((name, schema.BOUNDS), axis.bounds)
    for side, values in walls.items():
        variables[schema.wall_variable("u", side)] = (
            over_t,
            values,
            {
                "long_name": f"{_WALL_MEANINGS[wall_kinds[side]]} the {side} wall",
                "units": "1",
                schema.ROLE: schema.WALL,
                "lawbound_bc_variable": "u",
                "lawbound_bc_side": side,
                "lawbound_bc_type": wall_kinds[side],
            },
        )
    if law is not None:
        variables |= _law_variables("conservation", law)
    return xr.Dataset(
        variables,
        coords={
            schema.SAMPLE: (
                schema.SAMPLE,
                np.arange(field.shape[0], dtype=np.int32),
                {"long_name": "position of the sample in the whole design", "units": "1"},
            ),
            schema.TIME: (schema.TIME, times, {"long_name": "time", "units": "1"}),
            **{name: (name, axis.points, _position(name, axis, len(axes))) for name, axis in axes.items()},
        },
        attrs={
            **provenance(config),
            **attributes,
            "source": source,
            "lawbound_state_variables": "u",
        },
    )


def _position(name: str, axis: Axis, dimensions: int) -> dict[str, object]:
    position: dict[str, object] = {
        "long_name": "position" if dimensions == 1 else f"position along {name}",
        "units": "1",
    }
    if axis.bounds is not None:
        position["bounds"] = f"{name}_bounds"
    return position


def _law_variables(law_id: str, law: Law) -> dict[str, object]:
    over_t = (schema.SAMPLE, schema.TIME)
    described = {
        "rhs": (schema.LAW_RHS, law.rhs, "what the law says the integral of u over the domain is"),
        "residual": (
            schema.LAW_RESIDUAL,
            law.residual,
            "integral of the reference minus the right-hand side, before any cast",
        ),
        "tolerance": (
            schema.LAW_TOLERANCE,
            law.tolerance,
            "largest absolute residual that scheme, quadrature and stored precision allow",
        ),
    }
    variables: dict[str, object] = {}
    for what, (role, values, meaning) in described.items():
        attributes = {"long_name": meaning, "units": "1", schema.ROLE: role, "lawbound_law": law_id}
        if what == "rhs":
            attributes["lawbound_rhs_source"] = law.source
        variables[schema.law_variable(law_id, what)] = (over_t, values, attributes)
    return variables
