"""What has a period, and what is known at the start."""

from dataclasses import dataclass
from typing import final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.constraints import geometry
from lawbound.constraints.constraint import Constraint
from lawbound.constraints.geometry import Line
from lawbound.constraints.sets import Box, Rows
from lawbound.constraints.wall_rows import slope_at
from lawbound.datasets.layout import Layout

FloatArray = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Periodic(Constraint):
    """u at one end is u at the other, on points that include both ends of a period; with `slopes` ∂u/∂x as well.

    axes: those with a period; None: all whose walls the dataset calls periodic. Slopes are one-sided stencils of order
    `accuracy`, as in `Neumann`. On a plane with two periods, what follows from the other rows has no row.
    Raises `ValueError` where a wall is not periodic, and on a grid that stores each point of a period once, as cells and
    points without the right end do: every field on it has the period, and there is nothing to impose.
    """

    field: str = "u"
    axes: tuple[str, ...] | None = None
    slopes: bool = False
    accuracy: int | None = None

    def __post_init__(self) -> None:
        if self.axes is not None and (not self.axes or any(axis not in ("x", "y") for axis in self.axes)):
            raise ValueError(f'`Periodic` got axes={self.axes!r}; give a tuple of "x" and "y", or None.')

    @property
    def name(self) -> str:
        """`periodic`."""
        return "periodic"

    @property
    def fields(self) -> tuple[str, ...]:
        """The field with the period."""
        return (self.field,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The walls' variables, of which only the kind is read."""
        sides = None if self.axes is None else tuple(f"{a}_{end}" for a in self.axes for end in ("lo", "hi"))
        return geometry.wall_inputs(self.field, sides)

    def rows(self, data: xr.Dataset) -> Rows | None:
        """The differences between both ends."""
        layout = Layout.of(data, self.fields)
        axes = self._periods(data)
        weights, labels = [], []
        for axis in axes:
            line = Line.of(data, axis)
            ends = [geometry.layers(layout.shape, layout.axes, f"{axis}_{end}", 1)[0] for end in ("lo", "hi")]
            # The last line along another period is the first one again.
            others = [other for other in axes if other != axis]
            repeated = np.zeros(ends[0].size, dtype=bool)
            repeated[-1] = bool(others)
            firm = repeated if axis == "y" else np.zeros_like(repeated)
            weights.append(_differences(layout.size, ends, np.ones(1), np.ones(1), ~firm))
            labels += [f"{self.field} at both ends of {axis}"] * int((~firm).sum())
            if self.slopes:
                low, high = (slope_at(line, is_low, self.accuracy) for is_low in (True, False))
                deep = [
                    geometry.layers(layout.shape, layout.axes, f"{axis}_{end}", size)
                    for end, size in (("lo", low.size), ("hi", high.size))
                ]
                # Both axes' slopes give the same mixed derivative at the corner: one of them is left out.
                repeated[0] = bool(others) and axis == "y"
                # Outward slopes point in opposite directions.
                weights.append(_differences(layout.size, deep, low, -high, ~repeated))
                labels += [f"∂{self.field}/∂{axis} at both ends of {axis}"] * int((~repeated).sum())
        joined = np.concatenate(weights)
        rhs = np.zeros((data.sizes["sample"], data.sizes["t"], len(joined)))
        return Rows(joined, rhs, np.zeros_like(rhs), tuple(labels))

    def _periods(self, data: xr.Dataset) -> list[str]:
        kinds = {
            axis: geometry.kind_of(data, self.field, f"{axis}_lo")
            for axis in Layout.of(data, self.fields).axes
        }
        chosen = (
            [axis for axis, kind in kinds.items() if kind == "periodic"] if self.axes is None else self.axes
        )
        for axis in chosen:
            if kinds.get(axis) != "periodic":
                found = "not there" if axis not in kinds else f"{kinds[axis] or 'not given'}"
                raise ValueError(f"`periodic` along {axis}: the walls there are {found}; leave the axis out.")
        if not chosen:
            raise ValueError(
                f"`periodic` found no period of `{self.field}`: "
                f"{', '.join(f'{axis} is {kind}' for axis, kind in kinds.items())}; use the constraint of those kinds."
            )
        for axis in chosen:
            if not Line.of(data, axis).repeats:
                raise ValueError(
                    f"`periodic` along {axis}: this grid stores each point of the period once, so that every field on it has "
                    "the period and there is nothing to impose. Leave the constraint out."
                )
        return list(chosen)


def _differences(
    n: int, ends: "list[NDArray[np.int64]]", low: FloatArray, high: FloatArray, kept: NDArray[np.bool_]
) -> FloatArray:
    """Rows of a stencil at the lower end minus one at the upper, for the points along the wall that are kept."""
    first, last = (np.atleast_2d(end)[:, kept].T for end in ends)
    rows = np.zeros((len(first), n))
    at = np.arange(len(first))[:, None]
    np.add.at(rows, (at, first), low)
    np.add.at(rows, (at, last), -high)
    return rows


@final
@dataclass(frozen=True)
class Initial(Constraint):
    """u(t_0) = u_0: the dataset's initial state, at the first time only, a box without width.

    fields: those that are known at the start. Raises `ValueError` if the first stored time is not the start of the run.
    """

    field: str | tuple[str, ...] = "u"

    @property
    def name(self) -> str:
        """`initial`."""
        return "initial"

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are known at the start."""
        return (self.field,) if isinstance(self.field, str) else self.field

    @property
    def inputs(self) -> tuple[str, ...]:
        """The fields at the start."""
        return tuple(f"{field} at the start" for field in self.fields)

    def bounds(self, data: xr.Dataset) -> Box | None:
        """The state that is fixed at the start."""
        start = np.concatenate(
            [geometry.initial_state(data, field, self.name) for field in self.fields], axis=-1
        )
        shape = (len(start), data.sizes["t"], start.shape[-1])
        lower, upper = np.full(shape, -np.inf), np.full(shape, np.inf)
        lower[:, 0] = upper[:, 0] = start
        return Box(lower, upper, f"{', '.join(self.fields)} at the start")
