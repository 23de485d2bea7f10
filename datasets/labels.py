"""Plain arrays to a labelled dataset: names, dimensions and attributes as the schema wants them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike, NDArray

from lawbound.datasets import schema
from lawbound.datasets.provenance import provenance

FloatArray = NDArray[np.float64]

#: What a wall's values are, by its kind; on a plane of diffusion they are means along the wall.
_WALL_MEANINGS = {
    "dirichlet": "value of u at",
    "neumann": "flux that enters through",
    "robin": "value of u that surrounds",
    "periodic": "nothing is prescribed at",
    "outflow": "nothing is prescribed at",
    "no-slip": "velocity at",
}

_FIELD_MEANINGS = {
    "u": "state",
    "u_t": "rate of change of u",
    "v": "velocity along y",
    "p": "pressure, of mean zero",
    "vorticity": "vorticity v_x - u_y",
    "streamfunction": "streamfunction, u = psi_y, v = -psi_x",
}


class Axis(NamedTuple):
    """A dimension in space: positions and quadrature weights, (n,), and bounds of the cells, (n, 2), if it has any."""

    points: FloatArray
    weights: FloatArray
    bounds: FloatArray | None


class Boundary(NamedTuple):
    """What is prescribed at a wall: (sample, t), or (sample, t, n) where it varies along the axis `along`."""

    field: str
    side: str
    kind: str
    values: FloatArray
    along: str | None = None


@dataclass(frozen=True)
class Law:
    """A law's right-hand side, (sample, t), and how far the reference is from it."""

    rhs: FloatArray
    source: str
    residual: FloatArray
    tolerance: FloatArray
    meaning: str = "what the law says the integral of u over the domain is"


def labelled(
    fields: Mapping[str, FloatArray],
    *,
    times: FloatArray,
    axes: Mapping[str, Axis],
    boundaries: Sequence[Boundary],
    laws: Mapping[str, Law],
    attributes: Mapping[str, str],
    config: Mapping[str, object],
    dtype: DTypeLike,
    source: str,
) -> xr.Dataset:
    """A dataset of fields (sample, t, [y], x) by their names, the first being the state that laws speak of."""
    over_t = (schema.SAMPLE, schema.TIME)
    variables: dict[str, object] = {
        name: ((*over_t, *axes), values.astype(dtype), _field_attributes(name, axes, boundaries))
        for name, values in fields.items()
    }
    for name, axis in axes.items():
        variables[f"{name}_weights"] = (
            (name,),
            axis.weights,
            {"long_name": f"quadrature weights along {name}", "units": "1", schema.ROLE: schema.WEIGHTS},
        )
        if axis.bounds is not None:
            variables[f"{name}_bounds"] = ((name, schema.BOUNDS), axis.bounds)
    for boundary in boundaries:
        dims = over_t if boundary.along is None else (*over_t, boundary.along)
        variables[schema.wall_variable(boundary.field, boundary.side)] = (
            dims,
            boundary.values,
            {
                "long_name": f"{_WALL_MEANINGS[boundary.kind]} the {boundary.side} wall",
                "units": "1",
                schema.ROLE: schema.WALL,
                "lawbound_bc_variable": boundary.field,
                "lawbound_bc_side": boundary.side,
                "lawbound_bc_type": boundary.kind,
            },
        )
    for name, law in laws.items():
        variables |= _law_variables(name, law)
    samples = next(iter(fields.values())).shape[0]
    return xr.Dataset(
        variables,
        coords={
            schema.SAMPLE: (
                schema.SAMPLE,
                np.arange(samples, dtype=np.int32),
                {"long_name": "position of the sample in the whole design", "units": "1"},
            ),
            schema.TIME: (schema.TIME, times, {"long_name": "time", "units": "1"}),
            **{name: (name, axis.points, _position(name, axis, len(axes))) for name, axis in axes.items()},
        },
        attrs={
            **provenance(config),
            **attributes,
            "source": source,
            "lawbound_state_variables": " ".join(fields),
        },
    )


def _field_attributes(name: str, axes: Mapping[str, Axis], boundaries: Sequence[Boundary]) -> dict[str, str]:
    attributes = {"long_name": _FIELD_MEANINGS.get(name, name), "units": "1", schema.ROLE: schema.STATE}
    if all(axis.bounds is not None for axis in axes.values()):
        attributes["cell_methods"] = f"t: point {' '.join(f'{axis}:' for axis in axes)} mean"
    walls = [schema.wall_variable(name, one.side) for one in boundaries if one.field == name]
    if walls:
        attributes["lawbound_bc"] = " ".join(walls)
    return attributes


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
        "rhs": (schema.LAW_RHS, law.rhs, law.meaning),
        "residual": (
            schema.LAW_RESIDUAL,
            law.residual,
            "what the reference has minus the right-hand side, before any cast",
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
