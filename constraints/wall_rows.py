"""Rows at walls: a stencil along the normal, once for each point along the wall, and what happens at corners."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.constraints import geometry, stencils
from lawbound.constraints.geometry import Line, Wall
from lawbound.datasets import schema
from lawbound.datasets.layout import Layout

FloatArray = NDArray[np.float64]

#: Kinds of walls at which the value of a field is given.
VALUES = ("dirichlet", "no-slip")
#: Kinds of walls at which a slope is.
SLOPES = ("neumann", "robin")
#: Numbers that were written for the same corner twice agree up to so much, relative to the largest.
_SAME = 1e-9


class WallRows(NamedTuple):
    """weights: (q, n). rhs: (sample, t, q). labels: q."""

    weights: FloatArray
    rhs: FloatArray
    labels: tuple[str, ...]


def slope_at(line: Line, low: bool, order: int | None) -> FloatArray:
    """Weights of the outward slope at an end, from points or from averages."""
    if line.faces is None:
        return stencils.slope_at_end(line, low, order)
    return stencils.from_averages(line, low, 1, (2 if order is None else order) + 1)


def along(data: xr.Dataset, layout: Layout, wall: Wall, stencil: FloatArray, meaning: str) -> WallRows:
    """`stencil` along the normal, the wall's own point first, equals the wall's values at each point that it owns."""
    near = geometry.layers(layout.shape, layout.axes, wall.side, stencil.size)
    kept = np.flatnonzero(_owned(data, layout, wall))
    weights = np.zeros((kept.size, layout.size))
    weights[np.arange(kept.size)[:, None], layout.part(wall.field).start + near[:, kept].T] = stencil
    if len(layout.axes) == 1:
        places = [wall.side]
    else:
        tangent = _tangent(wall)
        places = [f"{wall.side}, {tangent}={x:.4g}" for x in data[tangent].values[kept]]
    return WallRows(weights, wall.values[..., kept], tuple(f"{meaning} at {place}" for place in places))


def stacked(each: Sequence[WallRows]) -> WallRows:
    """One below the other."""
    return WallRows(
        np.concatenate([rows.weights for rows in each]),
        np.concatenate([rows.rhs for rows in each], axis=-1),
        tuple(label for rows in each for label in rows.labels),
    )


def but_at_start(data: xr.Dataset, tolerance: FloatArray, initially: bool) -> FloatArray:
    """The same tolerance, ∞ in the initial state unless it is held to the rows, too."""
    if initially or not geometry.starts(data):
        return tolerance
    later = tolerance.copy()
    later[:, 0] = np.inf
    return later


def refuse_conflict(data: xr.Dataset, walls: Sequence[Wall]) -> None:
    """Raise `ValueError`, naming both walls, sample and time, if two prescribe different values at a corner."""
    for one, other, i, j in _corners(walls):
        a, b = one.values[..., i], other.values[..., j]
        apart = np.abs(a - b) > _SAME * max(np.abs(one.values).max(), np.abs(other.values).max())
        if apart.any():
            sample, time = (int(index) for index in np.argwhere(apart)[0])
            raise ValueError(
                f"`{one.name}` and `{other.name}` meet at a corner with different values, {a[sample, time]:.6g} and "
                f"{b[sample, time]:.6g}, {geometry.at(data, sample, time)}; leave one of the sides out with `sides`, or "
                "give data that fit."
            )


def refuse_bent(data: xr.Dataset, walls: Sequence[Wall], ends: Sequence[FloatArray], who: str) -> None:
    """Raise `ValueError` if the slopes along two walls contradict each other where they meet.

    Differentiating one wall's slopes along it gives the mixed derivative at the corner, and so does the other's.
    """
    of = {wall.side: end for wall, end in zip(walls, ends, strict=True)}
    for one, other, i, j in _corners(walls):
        first, second = of[other.side], of[one.side]
        a = _from_corner(one.values, i, first.size) * first
        b = _from_corner(other.values, j, second.size) * second
        # Slopes that fit differ by the stencils' errors, two powers of the spacing less than what does not fit.
        size = np.abs(a).sum(-1) + np.abs(b).sum(-1)
        apart = np.abs(a.sum(-1) - b.sum(-1)) > size / min(one.values.shape[-1], other.values.shape[-1]) ** 2
        if apart.any():
            sample, time = (int(index) for index in np.argwhere(apart)[0])
            raise ValueError(
                f"`{who}`: the slopes of `{one.name}` and `{other.name}` contradict each other at the corner where they "
                f"meet, {geometry.at(data, sample, time)}; leave one of the sides out with `sides`, or give data that fit."
            )


def _corners(walls: Sequence[Wall]) -> list[tuple[Wall, Wall, int, int]]:
    """Pairs of an x and a y wall, each with its index of the corner they share."""
    return [
        (one, other, 0 if other.low else -1, 0 if one.low else -1)
        for one in walls
        for other in walls
        if one.axis == schema.X and other.axis == schema.Y
    ]


def _from_corner(values: FloatArray, corner: int, count: int) -> FloatArray:
    ordered = values if corner == 0 else values[..., ::-1]
    return np.asarray(ordered[..., :count])


def _tangent(wall: Wall) -> str:
    return schema.X if wall.axis == schema.Y else schema.Y


def _owned(data: xr.Dataset, layout: Layout, wall: Wall) -> NDArray[np.bool_]:
    """The points along a wall that get a row: not those at corners where another wall says it already, (m,)."""
    owned = np.ones(wall.values.shape[-1], dtype=bool)
    if len(layout.axes) == 1:
        return owned
    cells = Line.of(data, wall.axis).faces is not None
    # At points a value fixes the whole wall, corners included; else rows of both walls depend on each other there.
    stronger: tuple[str, ...] = () if cells else VALUES
    if wall.axis == schema.Y:
        stronger = (*SLOPES, *VALUES)
    tangent = _tangent(wall)
    for end, side in ((0, f"{tangent}_lo"), (-1, f"{tangent}_hi")):
        if geometry.kind_of(data, wall.field, side) in stronger:
            owned[end] = False
    return owned
