"""Between which values, and how much, the initial and wall data vary up to each time."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.constraints import geometry
from lawbound.constraints.geometry import Line
from lawbound.datasets import schema

FloatArray = NDArray[np.float64]

#: Walls at which a value is given: nothing beside it enters.
_GIVEN = ("dirichlet", "no-slip", "robin")
#: Walls through which no new value enters.
_FREE = ("outflow", "periodic")


def between_samples(values: FloatArray, *, jumps: bool) -> FloatArray:
    """How far a function may exceed its extrema between samples along the last axis, ≥ 0, same shape.

    The parabola through three samples exceeds the middle one by at most an eighth of their second difference, and an
    average is below the top by a twenty-fourth more. Where the function may have `jumps`, second differences that do not
    repeat are those of one, which is no extremum.
    """
    out = np.zeros_like(values)
    if values.shape[-1] < 5:
        return out
    ends = [(0, 0)] * (values.ndim - 1)
    second = np.pad(np.diff(values, n=2, axis=-1), [*ends, (2, 2)], mode="edge")
    left, here, right = second[..., :-2], second[..., 1:-1], second[..., 2:]
    before, after = (
        np.diff(values, axis=-1, prepend=values[..., :1]),
        np.diff(values, axis=-1, append=values[..., -1:]),
    )
    counts = before * after <= 0.0
    if jumps:
        alike = np.minimum(np.abs(left), np.abs(right)) > 0.25 * np.abs(here)
        counts &= (np.sign(left) == np.sign(right)) & alike
    largest = np.maximum(np.maximum(np.abs(left), np.abs(right)), np.abs(here))
    return np.where(counts, largest / 6.0, out)


def value_walls(data: xr.Dataset, field: str, who: str) -> list[geometry.Wall]:
    """The walls that bring in values; raises `ValueError` if one lets in what is no value, or is not given."""
    found = []
    for side in geometry.sides_of(data):
        kind = geometry.kind_of(data, field, side)
        if kind in _GIVEN:
            found.append(geometry.wall_of(data, field, side))
        elif kind == "neumann" and not geometry.wall_of(data, field, side).values.any():
            continue
        elif kind not in _FREE:
            said = "lets a flux in" if kind == "neumann" else f"is {kind or 'not given'}"
            raise ValueError(
                f"`{who}` does not follow from the data: the {side} wall of `{field}` {said}. Give the numbers yourself."
            )
    return found


def refuse_systems(data: xr.Dataset, field: str, who: str) -> None:
    """Raise `ValueError` for data of several fields: they are coupled, and no comparison of solutions holds."""
    fields = schema.state_variables(data)
    if fields != [field]:
        raise ValueError(
            f"`{who}` follows from initial and wall data for one quantity that is carried and diffused, without sources; "
            f"these data have {', '.join(fields)}. Give the numbers yourself, if you know them."
        )


def known_range(data: xr.Dataset, field: str, who: str) -> tuple[FloatArray, FloatArray]:
    """Least and greatest value of the initial state and, up to each time, of the walls, (sample, t) both."""
    refuse_systems(data, field, who)
    axes = schema.axes(data)
    start = geometry.initial_state(data, field, who)
    shaped = start.reshape(len(start), *(data.sizes[axis] for axis in axes))
    over = np.zeros_like(shaped)
    for i in range(1, shaped.ndim):
        over += np.moveaxis(between_samples(np.moveaxis(shaped, i, -1), jumps=True), -1, i)
    flat = over.reshape(start.shape)
    lowest = [np.repeat((start - flat).min(axis=1)[:, None], data.sizes[schema.TIME], axis=1)]
    highest = [np.repeat((start + flat).max(axis=1)[:, None], data.sizes[schema.TIME], axis=1)]
    for wall in value_walls(data, field, who):
        margin = np.swapaxes(between_samples(np.swapaxes(wall.values, 1, 2), jumps=False), 1, 2)
        lowest.append(np.minimum.accumulate((wall.values - margin).min(axis=-1), axis=1))
        highest.append(np.maximum.accumulate((wall.values + margin).max(axis=-1), axis=1))
    return np.min(lowest, axis=0), np.max(highest, axis=0)


def known_variation(data: xr.Dataset, field: str, who: str) -> FloatArray:
    """The most that u can vary along x at each time, (sample, t).

    TV(u(t)) ≤ TV(u_0) + Σ over walls |u_0(wall) − g(t_0)| + TV(g over [t_0, t]). Raises `ValueError` on a plane, and
    where a wall's share is not known.
    """
    refuse_systems(data, field, who)
    if schema.Y in data.dims:
        raise ValueError(f"`{who}` follows from the data on an interval only; on a plane give a number.")
    start = geometry.initial_state(data, field, who)
    most = np.abs(np.diff(start, axis=1)).sum(axis=1) + 2.0 * between_samples(start, jumps=True).sum(axis=1)
    if geometry.kind_of(data, field, "x_lo") == "periodic" and not Line.of(data, schema.X).repeats:
        most = most + np.abs(start[:, 0] - start[:, -1])
    total = np.repeat(most[:, None], data.sizes[schema.TIME], axis=1)
    for wall in value_walls(data, field, who):
        if wall.kind == "robin":
            raise ValueError(
                f"`{who}` does not follow from the data: what the {wall.side} wall exchanges with its surroundings may vary "
                "more than they do. Give a number."
            )
        series = wall.values[..., 0]
        moved = np.zeros_like(series)
        moved[:, 1:] = np.cumsum(np.abs(np.diff(series, axis=1)), axis=1)
        jump = np.abs(series[:, :1] - start[:, 0 if wall.low else -1][:, None])
        total += jump + moved + 2.0 * np.cumsum(between_samples(series, jumps=False), axis=1)
    return total
