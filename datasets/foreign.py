"""Arrays out of other people's files, as a dataset: what their layouts leave open is filled in here."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.datasets import schema
from lawbound.datasets.labels import Axis, Boundary, labelled
from lawbound.datasets.provenance import values_hash
from lawbound.datasets.split import split_variable

FloatArray = NDArray[np.float64]
Stands = Literal["nodes", "cells", "periodic"]


class Foreign(NamedTuple):
    """What a file of another layout says.

    fields: name → (sample, t, [y], x). axes: name → positions, y before x. kinds: side, such as x_lo → kind of
    wall, where it is known. parameters: name → (sample,). vectors: name → its components along x and y.
    """

    fields: dict[str, np.ndarray]
    times: np.ndarray
    axes: dict[str, np.ndarray]
    kinds: dict[str, str]
    parameters: dict[str, np.ndarray]
    splits: list[str]
    vectors: dict[str, tuple[str, ...]]
    name: str
    left_out: tuple[str, ...] = ()


def dataset(found: Foreign, layout: str, reader: str, stands: Stands | None) -> xr.Dataset:
    """A dataset that follows the schema; raises `ValueError` for values that are not finite and axes that do not increase.

    Where `stands` is not given, positions are those of nodes, or of a period where both walls of an axis are periodic.
    """
    n, nt = next(iter(found.fields.values())).shape[:2]
    axes = {
        name: _axis(name, points, stands or _stands(found.kinds, name)) for name, points in found.axes.items()
    }
    data = labelled(
        found.fields,
        times=as_double(found.times),
        axes=axes,
        boundaries=[
            Boundary(field, side, kind, np.zeros((n, nt)))
            for field in found.fields
            for side, kind in found.kinds.items()
        ],
        laws={},
        attributes={
            "title": f"{found.name}, read from {layout}'s layout",
            "lawbound_problem": found.name,
            "references": "none given",
            "comment": " ".join(("Laws and values at walls are not known.", *found.left_out)),
        },
        config={
            "problem": found.name,
            "made_by": reader,
            "values_sha256": values_hash(*found.fields.values(), found.times, *found.axes.values()),
        },
        dtype=np.result_type(*(values.dtype for values in found.fields.values()), np.float32),
        source=f"a file in {layout}'s layout, through {reader}",
    )
    for name, values in found.parameters.items():
        attributes = {"long_name": f"parameter {name}", "units": "1", schema.ROLE: schema.PARAMETER}
        data[_free_name(name, data)] = ((schema.SAMPLE,), as_double(values), attributes)
    for vector, components in found.vectors.items():
        for along, component in zip(("x", "y"), components, strict=False):
            data[component].attrs |= {"lawbound_vector": vector, "lawbound_component": along}
    data["split"] = split_variable(found.splits, ("train", "valid", "test"))
    schema.require(data, f"What was read in {layout}'s layout")
    schema.require_finite(data)
    return data


def as_double(values: np.ndarray) -> FloatArray:
    """Numbers in double precision; those stored in single precision are taken as the shortest decimals they stand for.

    >>> float(as_double(np.float32([0.1]))[0])
    0.1
    """
    if values.dtype != np.float32:
        return np.asarray(values, dtype=np.float64)
    return np.array([float(str(value)) for value in values.ravel()], dtype=np.float64).reshape(values.shape)


def _stands(kinds: Mapping[str, str], axis: str) -> Stands:
    walls = {kinds.get(f"{axis}_lo"), kinds.get(f"{axis}_hi")}
    return "periodic" if walls == {"periodic"} else "nodes"


def _axis(name: str, stored: np.ndarray, stands: Stands) -> Axis:
    points = as_double(stored)
    if points.size < 2 or (np.diff(points) <= 0).any():
        raise ValueError(f"the positions along {name} do not increase; a grid of at least 2 is needed.")
    even = np.linspace(points[0], points[-1], points.size)
    rounding = 4 * float(np.finfo(np.float32).eps) * float(np.abs(points).max())
    uniform = bool((np.abs(points - even) <= rounding).all())
    points = even if uniform else points
    between = 0.5 * (points[:-1] + points[1:])
    if stands == "nodes":
        edges = np.concatenate([points[:1], between, points[-1:]])  # their gaps are the trapezoidal rule
        return Axis(points, np.diff(edges), None)
    if stands == "periodic" and not uniform:
        raise ValueError(
            f"the positions along {name} are not equally spaced, which a period needs; say points='nodes'."
        )
    edges = np.concatenate(
        [[1.5 * points[0] - 0.5 * points[1]], between, [1.5 * points[-1] - 0.5 * points[-2]]]
    )
    bounds = np.stack([edges[:-1], edges[1:]], axis=1) if stands == "cells" else None
    return Axis(points, np.diff(edges), bounds)


def _free_name(name: str, data: xr.Dataset) -> str:
    """A name for a parameter that no other variable has, even in capitals."""
    wanted = re.sub(r"\W+", "_", name) or "parameter"
    taken = {str(one).lower() for one in (*data.variables, *data.dims)} | {"split", "seed"}
    while wanted.lower() in taken:
        wanted = f"{wanted}_parameter"
    return wanted


def merged(parts: Sequence[Foreign], layout: str) -> Foreign:
    """Files of one dataset as one; raises `ValueError` if they differ in fields, parameters, times or positions."""
    first = parts[0]
    for part in parts[1:]:
        same = (
            list(part.fields) == list(first.fields)
            and set(part.parameters) == set(first.parameters)
            and part.kinds == first.kinds
            and np.array_equal(part.times, first.times)
            and list(part.axes) == list(first.axes)
            and all(np.array_equal(part.axes[name], first.axes[name]) for name in first.axes)
        )
        if not same:
            raise ValueError(
                f"files in {layout}'s layout differ in fields, parameters, walls, times or positions; read them one by one."
            )
    return first._replace(
        fields={name: np.concatenate([part.fields[name] for part in parts]) for name in first.fields},
        parameters={
            name: np.concatenate([part.parameters[name] for part in parts]) for name in first.parameters
        },
        splits=[split for part in parts for split in part.splits],
        left_out=tuple(dict.fromkeys(note for part in parts for note in part.left_out)),
    )
