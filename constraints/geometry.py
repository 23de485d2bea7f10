"""What a dataset says of its grid and walls, as constraints need it: lines of points, walls, layers beside them."""

import json
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.datasets import schema

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SIDES = ("x_lo", "x_hi", "y_lo", "y_hi")
#: Coordinates that are written down differ from the ones that were meant by so much of a domain.
_WRITTEN = 1e-9


@final
@dataclass(frozen=True, eq=False)
class Line:
    """One axis of a grid: cells with their faces, (n + 1,), or points of a kind.

    `repeats`: whether the last point is at the end of the domain, as on a period that is stored with both ends.
    """

    name: str
    points: FloatArray
    weights: FloatArray
    faces: FloatArray | None
    kind: Literal["cells", "uniform", "chebyshev", "uneven"]
    repeats: bool

    @classmethod
    def of(cls, data: xr.Dataset, axis: str) -> "Line":
        """The line along `axis`, `x` or `y`."""
        points = np.asarray(data[axis].values, dtype=np.float64)
        weights = np.asarray(data[f"{axis}_weights"].values, dtype=np.float64)
        bounds = f"{axis}_bounds"
        if bounds in data:
            cells = np.asarray(data[bounds].values, dtype=np.float64)
            return cls(axis, points, weights, np.append(cells[:, 0], cells[-1, 1]), "cells", False)
        # A period that is stored once has a weight more than there are gaps between its points.
        span = points[-1] - points[0]
        repeats = bool(weights.sum() < span + 0.25 * span / max(points.size - 1, 1))
        return cls(axis, points, weights, None, _kind(points), repeats)

    @property
    def length(self) -> float:
        """The length of the domain: its quadrature weights sum to it."""
        return float(self.weights.sum())


def _kind(points: FloatArray) -> Literal["uniform", "chebyshev", "uneven"]:
    n = points.size
    far = _WRITTEN * (points[-1] - points[0])
    if (np.abs(points - np.linspace(points[0], points[-1], n)) <= far).all():
        return "uniform"
    angle = np.pi * np.arange(n) / (n - 1)
    extrema = 0.5 * (points[0] + points[-1]) - 0.5 * (points[-1] - points[0]) * np.cos(angle)
    return "chebyshev" if (np.abs(points - extrema) <= far).all() else "uneven"


@final
@dataclass(frozen=True, eq=False)
class Wall:
    """A wall of the domain for one field: its kind and values, (sample, t, m), m being the points along it."""

    field: str
    side: str
    kind: str
    values: FloatArray

    @property
    def name(self) -> str:
        """The variable that holds its values."""
        return schema.wall_variable(self.field, self.side)

    @property
    def axis(self) -> str:
        """The axis that it is normal to."""
        return self.side[0]

    @property
    def low(self) -> bool:
        """Whether it is the lower end of its axis."""
        return self.side.endswith("lo")


def sides_of(data: xr.Dataset) -> tuple[str, ...]:
    """The sides that the domain has."""
    return SIDES if schema.Y in data.dims else SIDES[:2]


def kind_of(data: xr.Dataset, field: str, side: str) -> str | None:
    """The kind of wall that a side is for a field, None where the dataset says nothing."""
    name = schema.wall_variable(field, side)
    return str(data[name].attrs.get("lawbound_bc_type", "unknown")) if name in data else None


def wall_of(data: xr.Dataset, field: str, side: str) -> Wall:
    """The wall at a side; raises `ValueError` if its values are missing or not finite."""
    name = schema.wall_variable(field, side)
    if name not in data:
        raise ValueError(f"The dataset has no `{name}`, the values at the {side} wall.")
    stored = data[name]
    m = 1
    if schema.Y in data.dims:
        m = data.sizes[schema.X if side.startswith("y") else schema.Y]
    values = np.asarray(stored.transpose(schema.SAMPLE, schema.TIME, ...).values, dtype=np.float64)
    values = np.broadcast_to(values.reshape(*values.shape[:2], -1), (*values.shape[:2], m))
    if not np.isfinite(values).all():
        sample, time = (int(i) for i in np.argwhere(~np.isfinite(values))[0][:2])
        raise ValueError(f"`{name}` is not finite {at(data, sample, time)}; give finite values at walls.")
    return Wall(field, side, str(kind_of(data, field, side)), values)


def walls_of(
    data: xr.Dataset, field: str, kinds: tuple[str, ...], sides: tuple[str, ...] | None, who: str
) -> list[Wall]:
    """The walls of these kinds: the given sides, all of which must be, or all sides that are.

    Raises `ValueError` for a side that does not exist, whose values are missing, or that is of another kind.
    """
    known = {side: kind_of(data, field, side) for side in sides_of(data)}
    if sides is None:
        chosen = tuple(side for side, kind in known.items() if kind in kinds)
        if not chosen:
            listed = ", ".join(f"{side} is {kind or 'not given'}" for side, kind in known.items())
            raise ValueError(
                f"`{who}` found no {kinds[0]} wall of `{field}`: {listed}. Use the constraint of those kinds, or add "
                f"`{schema.wall_variable(field, 'x_lo')}` with lawbound_bc_type={kinds[0]!r}."
            )
        return [wall_of(data, field, side) for side in chosen]
    for side in sides:
        if side not in known:
            raise ValueError(f"`{who}` got the side {side!r}; this domain has {', '.join(known)}.")
        if known[side] is None:
            raise ValueError(
                f"`{who}` needs the values at the {side} wall, `{schema.wall_variable(field, side)}`, which the dataset "
                "does not carry; add them, or leave the side out."
            )
        if known[side] not in kinds:
            raise ValueError(
                f"`{who}` on {side}: the wall of `{field}` there is {known[side]}, not {kinds[0]}. Leave the side out, or "
                "use the constraint of that kind."
            )
    return [wall_of(data, field, side) for side in sides]


def wall_inputs(field: str, sides: tuple[str, ...] | None) -> tuple[str, ...]:
    """Names of the walls' variables; where sides are left to the dataset, `bc_<field>_*` stands for all that it has."""
    return tuple(schema.wall_variable(field, side) for side in (("*",) if sides is None else sides))


def layers(shape: tuple[int, ...], axes: tuple[str, ...], side: str, depth: int) -> IntArray:
    """Positions in a flattened field of the points nearest to a side: (depth, m), the wall's own first."""
    at_points = np.moveaxis(np.arange(int(np.prod(shape))).reshape(shape), axes.index(side[0]), 0)
    from_wall = at_points if side.endswith("lo") else at_points[::-1]
    return np.ascontiguousarray(from_wall[:depth].reshape(depth, -1), dtype=np.int64)


def at(data: xr.Dataset, sample: int, time: int) -> str:
    """`for sample i at t=…`, for messages."""
    return f"for sample {int(data[schema.SAMPLE].values[sample])} at t={float(data[schema.TIME].values[time]):.4g}"


def starts(data: xr.Dataset) -> bool:
    """Whether the first stored time is the start of the run, so far as the dataset knows: it may be a part of one."""
    try:
        first = json.loads(str(data.attrs.get("lawbound_config", "{}"))).get("times", [None])[0]
    except (ValueError, AttributeError, TypeError, IndexError):
        return True
    times = data[schema.TIME].values
    return first is None or abs(float(times[0]) - float(first)) <= 1e-12 * max(1.0, abs(float(first)))


def initial_state(data: xr.Dataset, field: str, who: str) -> FloatArray:
    """The field at the start, (sample, points); raises `ValueError` if the dataset begins later or lacks it."""
    if field not in data:
        raise ValueError(
            f"`{who}` needs the initial state, the field `{field}` at the start, which is missing."
        )
    if not starts(data):
        raise ValueError(
            f"`{who}` needs the initial state, but the first stored time, t={float(data[schema.TIME].values[0]):.4g}, is not "
            "the start of the run. Keep the first time, and predict it as well."
        )
    first = data[field].isel({schema.TIME: 0}).transpose(schema.SAMPLE, *schema.axes(data)).values
    values = np.asarray(first, dtype=np.float64).reshape(first.shape[0], -1)
    if not np.isfinite(values).all():
        sample = int(np.argwhere(~np.isfinite(values))[0][0])
        raise ValueError(f"`{field}` is not finite {at(data, sample, 0)}; give a finite initial state.")
    return values


def require_fields(data: xr.Dataset, fields: tuple[str, ...], who: str) -> None:
    """Raise `ValueError` if the dataset's states do not have these fields."""
    known = schema.state_variables(data)
    missing = [field for field in fields if field not in known]
    if missing:
        raise ValueError(
            f"`{who}` is about the fields {', '.join(fields)}; these data have {', '.join(known)}. Name the ones that are meant."
        )


def number_or_parameter(data: xr.Dataset, value: float | str, who: str, what: str) -> FloatArray:
    """A number, or the variable of that name over (sample, [t]), as (sample, t or 1)."""
    samples = data.sizes[schema.SAMPLE]
    if not isinstance(value, str):
        return np.full((samples, 1), float(value))
    if value not in data:
        raise ValueError(
            f"`{who}` reads its {what} from `{value}`, which the dataset does not carry; give a number, or the name of "
            "a variable over (sample,) or (sample, t)."
        )
    stored = data[value]
    if stored.dims not in ((schema.SAMPLE,), (schema.SAMPLE, schema.TIME)):
        raise ValueError(
            f"`{who}` reads its {what} from `{value}`, which has dimensions {stored.dims}; it needs (sample,) or "
            "(sample, t)."
        )
    values = np.asarray(stored.values, dtype=np.float64).reshape(samples, -1)
    if not np.isfinite(values).all():
        sample, time = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(f"`{value}` is not finite {at(data, sample, time)}; `{who}` needs a finite {what}.")
    return values
