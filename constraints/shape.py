"""Shapes along x: monotone, in two phases, of limited variation."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.constraints import geometry, known_range
from lawbound.constraints.constraint import Constraint
from lawbound.constraints.geometry import Line
from lawbound.constraints.sets import Order, Phases, Variation
from lawbound.datasets import schema
from lawbound.datasets.layout import Layout

FloatArray = NDArray[np.float64]
#: Steps smaller than what storing in single precision does to values do not count.
_STORED = 1e-6


@final
@dataclass(frozen=True)
class Monotone(Constraint):
    """u(t, x) only falls, or only rises, along x; on a plane along each line of x.

    direction: "falling", "rising", or "auto": what the initial state and the walls imply. For one scalar that is carried
    or diffused and two solutions that stay ordered once they are (comparison principle), u falls for ever if u_0 falls, the
    lower wall's value never decreases and never was below u_0, and the upper wall's never increases and never was above
    u_0; walls without a value (outflow, no flux) add nothing. Raises `ValueError` where the data imply neither, or
    not the same for all samples.
    M. H. Protter, H. F. Weinberger, Maximum Principles in Differential Equations, Springer 1984, chapter 3.
    """

    direction: Literal["auto", "falling", "rising"] = "auto"
    field: str = "u"

    def __post_init__(self) -> None:
        if self.direction not in ("auto", "falling", "rising"):
            raise ValueError(f'`Monotone` got {self.direction!r}; say "falling", "rising" or "auto".')

    @property
    def name(self) -> str:
        """`monotone`."""
        return "monotone"

    @property
    def fields(self) -> tuple[str, ...]:
        """The field that is monotone."""
        return (self.field,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The initial state and the walls, if the direction is to be found in them."""
        known = (f"{self.field} at the start", schema.wall_variable(self.field, "*"))
        return known if self.direction == "auto" else ()

    def order(self, data: xr.Dataset) -> Order:
        """One chain for each line of x."""
        sign = {"falling": -1, "rising": 1}.get(self.direction) or self._found(data)
        starts, stops = _lines(Layout.of(data, self.fields))
        return Order(
            starts, stops, np.full(starts.size, sign), f"{self.field} {'rises' if sign > 0 else 'falls'}"
        )

    def _found(self, data: xr.Dataset) -> int:
        known_range.refuse_systems(data, self.field, self.name)
        if schema.Y in data.dims:
            raise ValueError('`monotone` finds its direction on an interval only; say "falling" or "rising".')
        start = geometry.initial_state(data, self.field, self.name)
        walls = known_range.value_walls(data, self.field, self.name)
        if any(geometry.kind_of(data, self.field, side) == "periodic" for side in ("x_lo", "x_hi")):
            raise ValueError("`monotone`: what has a period does not fall or rise.")
        small = _STORED * np.maximum(np.abs(start).max(axis=1), 1e-300)
        possible = np.stack(
            [_keeps(sign * start, [sign * w.values for w in walls], walls, small) for sign in (-1, 1)]
        )
        for sign, holds in zip((-1, 1), possible, strict=True):
            if holds.all():
                return sign
        neither = ~possible.any(axis=0)
        sample = int(np.argmax(neither if neither.any() else ~possible[0]))
        what = "neither" if neither.any() else "not the same for all samples, such as"
        raise ValueError(
            f"`monotone`: the initial state and the walls imply {what} for sample {int(data[schema.SAMPLE].values[sample])}; "
            'say "falling" or "rising" if you know, or leave it out.'
        )


def _keeps(
    start: FloatArray, values: list[FloatArray], walls: list[geometry.Wall], small: FloatArray
) -> NDArray[np.bool_]:
    """Whether what rises at the start keeps rising, (sample,)."""
    holds = (np.diff(start, axis=1) >= -small[:, None]).all(axis=1)
    for value, wall in zip(values, walls, strict=True):
        if wall.kind == "robin":
            return np.zeros_like(holds)
        series = value[..., 0]
        outward = -series if wall.low else series
        end = -start[:, :1] if wall.low else start[:, -1:]
        holds &= (np.diff(np.concatenate([end, outward], axis=1), axis=1) >= -small[:, None]).all(axis=1)
    return np.asarray(holds)


@final
@dataclass(frozen=True)
class TwoPhase(Constraint):
    """u ∈ [level, upper] behind one front and u = lower ahead of it; values between lower and level do not occur.

    level: the value just behind the front, a number or a variable's name, such as u* of a Stefan problem. lower and upper:
    numbers, names, or "data": the least and greatest value of the initial state and, up to each time, of the walls
    (see `MaximumPrinciple`). On cell averages the front's cell has a value in between; `mixed_cell` says so for other data.
    Along x, behind being the side of small x; on an interval only. H. S. Carslaw, J. C. Jaeger, Conduction of Heat in Solids,
    2nd ed., Oxford 1959, chapter 11. Raises `ValueError` unless lower < level ≤ upper everywhere.
    """

    level: float | str = "u_star"
    lower: float | str = "data"
    upper: float | str = "data"
    mixed_cell: bool | None = None
    field: str = "u"

    @property
    def name(self) -> str:
        """`two-phase`."""
        return "two-phase"

    @property
    def fields(self) -> tuple[str, ...]:
        """The field with two phases."""
        return (self.field,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The variables that the level and the bounds are, and the initial state and the walls."""
        named = tuple(v for v in (self.level, self.lower, self.upper) if isinstance(v, str) and v != "data")
        if "data" not in (self.lower, self.upper):
            return named
        return (*named, f"{self.field} at the start", schema.wall_variable(self.field, "*"))

    def phases(self, data: xr.Dataset) -> Phases:
        """Level and bounds for each sample and time."""
        if schema.Y in data.dims:
            raise ValueError("`two-phase` is along x on an interval; these data are on a plane.")
        shape = (data.sizes[schema.SAMPLE], data.sizes[schema.TIME])
        found = None
        if "data" in (self.lower, self.upper):
            found = known_range.known_range(data, self.field, self.name)

        def number(value: float | str, what: str, end: int) -> FloatArray:
            if value == "data" and found is not None:
                return found[end]
            given = geometry.number_or_parameter(data, value, self.name, what)
            return np.array(np.broadcast_to(given, shape))

        level = number(self.level, "level", 0)
        lower, upper = number(self.lower, "lower value", 0), number(self.upper, "upper value", 1)
        wrong = ~((lower < level) & (level <= upper))
        if wrong.any():
            i = tuple(int(j) for j in np.argwhere(wrong)[0])
            raise ValueError(
                f"`two-phase` needs lower < level ≤ upper, and has {lower[i]:g}, {level[i]:g}, {upper[i]:g} "
                f"{geometry.at(data, *i)}."
            )
        cells = Line.of(data, schema.X).faces is not None
        mixed = cells if self.mixed_cell is None else self.mixed_cell
        phases = Phases(level, lower, upper, mixed, f"two phases of {self.field}")
        if found is not None:
            self._refuse_others(data, phases)
        return phases

    def _refuse_others(self, data: xr.Dataset, phases: Phases) -> None:
        """What starts otherwise does not come to have two phases."""
        start = geometry.initial_state(data, self.field, self.name)
        level, lower, upper = (a[:, :1] for a in (phases.level, phases.lower, phases.upper))
        first = Phases(level, lower, upper, phases.mixed_cell, phases.label)
        off = first.violation(start[:, None])[:, 0, 0] > _STORED * np.abs(start).max(initial=1.0)
        if off.any():
            raise ValueError(
                f"`two-phase`: the initial state of sample {int(data[schema.SAMPLE].values[int(np.argmax(off))])} has other "
                "values than one phase behind a front and one ahead of it; leave the constraint out."
            )


@final
@dataclass(frozen=True)
class TotalVariation(Constraint):
    """Σ_i |u(t, x_{i+1}) − u(t, x_i)| ≤ most(t), along x; on a plane summed over its lines.

    most: a number, the name of a variable over (sample,) or (sample, t), or "data": for one scalar that is carried or diffused
    TV(u(t)) ≤ TV(u_0) + Σ over walls |u_0(wall) − g(t_0)| + TV(g over [t_0, t]), walls without a value adding nothing.
    C. Bardos, A. Y. Le Roux, J. C. Nédélec, Comm. PDE 4, 1979, for walls; A. Harten, J. Comput. Phys. 49, 1983.
    Raises `ValueError` where that does not follow from the data: systems, planes, walls that let in a flux, surroundings.
    """

    most: float | str = "data"
    field: str = "u"

    def __post_init__(self) -> None:
        if not isinstance(self.most, str) and not 0.0 <= self.most < np.inf:
            raise ValueError(f"`TotalVariation` got most={self.most}; give a number ≥ 0.")

    @property
    def name(self) -> str:
        """`total-variation`."""
        return "total-variation"

    @property
    def fields(self) -> tuple[str, ...]:
        """The field whose variation is limited."""
        return (self.field,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The variable that the limit is, or the initial state and the walls."""
        if self.most == "data":
            return (f"{self.field} at the start", schema.wall_variable(self.field, "*"))
        return (self.most,) if isinstance(self.most, str) else ()

    def variation(self, data: xr.Dataset) -> Variation:
        """The limit at each time."""
        starts, stops = _lines(Layout.of(data, self.fields))
        if self.most == "data":
            most = known_range.known_variation(data, self.field, self.name)
        else:
            shape = (data.sizes[schema.SAMPLE], data.sizes[schema.TIME])
            given = geometry.number_or_parameter(data, self.most, self.name, "limit")
            most = np.array(np.broadcast_to(given, shape))
        return Variation(starts, stops, most, f"variation of {self.field}")


def _lines(layout: Layout) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where lines of x start and stop in the state."""
    length = layout.shape[-1]
    starts = np.arange(0, layout.size, length, dtype=np.int64)
    return starts, starts + length
