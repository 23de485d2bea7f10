"""What a surrogate was trained on: problem, channels, grid, data. A checkpoint remembers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
import xarray as xr

from lawbound.datasets import schema

_PRESCRIBED = frozenset({"dirichlet", "neumann", "robin", "no-slip"})


@final
@dataclass(frozen=True)
class Axis:
    """A dimension of the grid: `points` stored ones from `first` to `last`; nodes, or centres of cells.

    `intervals` of equal length make up the domain, from `low` to `high`: one fewer than there are nodes, as many as
    there are cells, or nodes of a period. Where points are not evenly spaced, intervals count them and no more.
    """

    points: int
    first: float
    last: float
    cells: bool = False
    periodic: bool = False

    @property
    def intervals(self) -> int:
        """How many lengths between neighbours the domain has."""
        return self.points if self.cells or self.periodic else max(1, self.points - 1)

    @property
    def step(self) -> float:
        """Length of an interval."""
        return (self.last - self.first) / max(1, self.points - 1)

    @property
    def low(self) -> float:
        """Where the domain begins."""
        return self.first - self.step / 2 if self.cells else self.first

    @property
    def high(self) -> float:
        """Where the domain ends."""
        return self.low + self.step * self.intervals if self.cells or self.periodic else self.last


@final
@dataclass(frozen=True)
class Origin:
    """What a surrogate was trained on; `predict` refuses other problems.

    fields: what it predicts, in channel order. grid: the axes t, (y,) x of the training data. inputs: names of the
    channels that it reads, in order, for surrogates that read channels.
    """

    problem: str
    fields: tuple[str, ...]
    grid: Mapping[str, Axis]
    dataset_sha256: str
    inputs: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, data: xr.Dataset, fields: str | Sequence[str], *, inputs: Sequence[str] = ()) -> "Origin":
        """The origin that a dataset is."""
        return cls(
            problem=str(data.attrs["lawbound_problem"]),
            fields=(fields,) if isinstance(fields, str) else tuple(fields),
            grid={name: axis_of(data, name) for name in (schema.TIME, *schema.axes(data))},
            dataset_sha256=str(data.attrs["lawbound_config_sha256"]),
            inputs=tuple(inputs),
        )

    @property
    def field(self) -> str:
        """The field of a surrogate that has one."""
        (only,) = self.fields
        return only

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes in space, y before x."""
        return tuple(name for name in self.grid if name != schema.TIME)

    def refuse_others(self, data: xr.Dataset) -> None:
        """Raise `ValueError` if the data are of another problem, lack a field, or have other dimensions."""
        problem = str(data.attrs.get("lawbound_problem"))
        if problem != self.problem:
            raise ValueError(
                f"This surrogate was trained on `{self.problem}`, the data are of `{problem}`; "
                f"give data of `{self.problem}`, or train one on `{problem}`."
            )
        missing = [name for name in self.fields if name not in data]
        if missing:
            raise ValueError(
                f"The data have no field `{'`, `'.join(missing)}`, which the surrogate reads at some of its points; "
                "give a full dataset."
            )
        if self.grid and self.axes != schema.axes(data):
            raise ValueError(
                f"This surrogate was trained on a grid along {', '.join(self.axes)}, the data have one along "
                f"{', '.join(schema.axes(data))}; give data of the same dimensions."
            )

    def refuse_other_spans(self, data: xr.Dataset) -> None:
        """Raise `ValueError` unless every axis of the data, however fine, covers what the training data covered."""
        for name, axis in self.grid.items():
            here = axis_of(data, name)
            if not np.allclose((here.low, here.high), (axis.low, axis.high), rtol=0, atol=1e-3 * axis.step):
                raise ValueError(
                    f"The data run over {name} in [{here.low:g}, {here.high:g}], the surrogate was trained on "
                    f"[{axis.low:g}, {axis.high:g}]; give data over the same span (any number of points)."
                )
            if here.cells != axis.cells:
                raise ValueError(
                    f"The data are on {_kind(here)} along {name}, the surrogate was trained on {_kind(axis)}; give data on those."
                )


def _kind(axis: Axis) -> str:
    return "cells" if axis.cells else "nodes"


def axis_of(data: xr.Dataset, name: str) -> Axis:
    """The axis of that name."""
    points = np.asarray(data[name].values, dtype=np.float64)
    count, first, last = points.size, float(points[0]), float(points[-1])
    if name == schema.TIME or count < 2:
        return Axis(count, first, last)
    # Weights sum to the length of the domain, whatever the quadrature; cells and periods are a step longer than
    # the way from their first point to their last.
    length, step = float(data[f"{name}_weights"].values.sum()), (last - first) / (count - 1)
    closed = name in periodic_axes(data)
    longer = round(length / step) == count
    return Axis(count, first, last, cells=longer and not closed, periodic=longer and closed)


def walls_of(data: xr.Dataset) -> tuple[str, ...]:
    """Names of the walls' values that prescribe something, in file order."""
    return tuple(
        name
        for name in schema.by_role(data, schema.WALL)
        if data[name].attrs.get("lawbound_bc_type") in _PRESCRIBED
    )


def periodic_axes(data: xr.Dataset) -> frozenset[str]:
    """Axes along which the domain closes on itself."""
    return frozenset(
        str(data[name].attrs.get("lawbound_bc_side", ""))[:1]
        for name in schema.by_role(data, schema.WALL)
        if data[name].attrs.get("lawbound_bc_type") == "periodic"
    )
