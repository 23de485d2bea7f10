"""Bounds: given ones, and those that the initial and wall data imply."""

from dataclasses import dataclass
from typing import final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.constraints import geometry
from lawbound.constraints.constraint import Constraint
from lawbound.constraints.known_range import known_range
from lawbound.constraints.sets import Box
from lawbound.datasets import schema
from lawbound.datasets.layout import Layout

FloatArray = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Bounds(Constraint):
    """lower ≤ u(t, x) ≤ upper; without arguments u ≥ 0.

    lower, upper: numbers, or names of variables over (sample,) or (sample, t); ∓inf where there is none. Raises
    `ValueError` for a variable that is missing or not finite, and where lower > upper, with sample and time.
    """

    lower: float | str = 0.0
    upper: float | str = np.inf
    field: str = "u"

    def __post_init__(self) -> None:
        numbers = [end for end in (self.lower, self.upper) if not isinstance(end, str)]
        if any(np.isnan(end) for end in numbers):
            raise ValueError("`Bounds` got NaN; use ∓inf where there is no bound.")
        if len(numbers) == 2 and numbers[0] > numbers[1]:
            raise ValueError(f"`Bounds` got lower={self.lower} above upper={self.upper}; swap them.")

    @property
    def name(self) -> str:
        """`bounds`."""
        return "bounds"

    @property
    def fields(self) -> tuple[str, ...]:
        """The field that is bounded."""
        return (self.field,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The variables that the bounds are."""
        return tuple(end for end in (self.lower, self.upper) if isinstance(end, str))

    def bounds(self, data: xr.Dataset) -> Box:
        """The same bounds at every point."""
        lower, upper = (
            geometry.number_or_parameter(data, end, self.name, what)
            for end, what in ((self.lower, "lower bound"), (self.upper, "upper bound"))
        )
        return _everywhere(data, self.field, lower, upper, f"bounds of {self.field}")


@final
@dataclass(frozen=True)
class MaximumPrinciple(Constraint):
    """min ≤ u(t, x) ≤ max of the initial state and of what the walls have had up to t.

    It holds for one scalar that is carried along, diffused, or both, u_t + ∇·F(u) = ∇·(k(u) ∇u) with F of u alone and without
    sources, between walls with given values, surroundings (Robin), outflow, a period, or no flux. Data of several fields (waves,
    flows) and walls that let a flux in are refused; that there is no source is the user's word. Extrema between stored points
    and times are estimated by parabolas, so that smooth data cannot exceed the bounds by being sampled elsewhere.
    L. C. Evans, Partial Differential Equations, 2nd ed., AMS 2010, section 7.1.4.
    """

    field: str = "u"

    @property
    def name(self) -> str:
        """`maximum-principle`."""
        return "maximum-principle"

    @property
    def fields(self) -> tuple[str, ...]:
        """The field that is bounded."""
        return (self.field,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The initial state and the walls."""
        return (f"{self.field} at the start", schema.wall_variable(self.field, "*"))

    def bounds(self, data: xr.Dataset) -> Box:
        """Bounds that widen with time."""
        lower, upper = known_range(data, self.field, self.name)
        return _everywhere(data, self.field, lower, upper, f"maximum principle of {self.field}")


def _everywhere(data: xr.Dataset, field: str, lower: FloatArray, upper: FloatArray, label: str) -> Box:
    """Bounds (sample, t or 1) at every point."""
    over_t = (data.sizes[schema.SAMPLE], data.sizes[schema.TIME])
    lower, upper = np.broadcast_to(lower, over_t), np.broadcast_to(upper, over_t)
    if (lower > upper).any():
        sample, time = (int(i) for i in np.argwhere(lower > upper)[0])
        raise ValueError(
            f"The {label} are empty {geometry.at(data, sample, time)}: {lower[sample, time]:g} > {upper[sample, time]:g}."
        )
    shape = (*over_t, Layout.of(data, (field,)).size)
    return Box(
        np.array(np.broadcast_to(lower[..., None], shape)),
        np.array(np.broadcast_to(upper[..., None], shape)),
        label,
    )
