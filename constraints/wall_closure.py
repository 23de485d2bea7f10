"""Walls of a grid inside a network, and values at them that follow from what lies next to them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final, get_args

import numpy as np
import torch
from torch import Tensor

from lawbound.constraints.stencils import finite_difference
from lawbound.surrogates.surrogate import Opened

Kind = Literal["dirichlet", "neumann", "periodic"]
#: Grids are (t, y, x), (t, x), (y, x) or (x,): the axis of a side, counted from the end. In this order walls are closed.
SIDES = {"x_lo": -1, "x_hi": -1, "y_lo": -2, "y_hi": -2}


@final
@dataclass(frozen=True)
class End:
    """A wall of values (batch, *grid, channel): the layer `index` along `dim`, inwards the next ones.

    value: what is prescribed there, u or ∂u/∂x (along the axis, not outwards), (batch, *grid without the axis, 1).
    """

    side: str
    kind: Kind
    dim: int
    index: int
    step: float
    value: Tensor

    @property
    def low(self) -> bool:
        """If the axis begins here."""
        return self.side.endswith("lo")

    @property
    def inwards(self) -> int:
        """The step from a layer to the next."""
        return 1 if self.low else -1

    def layer(self, u: Tensor, depth: int = 0) -> Tensor:
        """The values so many layers inside."""
        return u.select(self.dim, self.index + self.inwards * depth)

    def with_layer(self, u: Tensor, values: Tensor) -> Tensor:
        """u with these values at the wall."""
        at = self.layer(u)
        return u.select_scatter(values.to(u.dtype).expand_as(at), self.dim, self.index)


#: Weights of ∂u/∂x at a wall, its own point first.
Stencil = Callable[[End], Sequence[float]]


def slope(order: int) -> Stencil:
    """One-sided differences of that order, at either end."""

    def weights(end: End) -> Sequence[float]:
        points = np.arange(order + 1, dtype=np.float64) * np.float64(end.step * end.inwards)
        return [float(w) for w in finite_difference(points, 0.0, 1)]

    return weights


def functional(u: Tensor, end: End, stencil: Stencil) -> Tensor:
    """L u: the value at a wall, or the slope, (..., channel) without the wall's axis."""
    if end.kind != "neumann":
        return end.layer(u)
    weights = stencil(end)
    total = weights[0] * end.layer(u)
    for depth, weight in enumerate(weights[1:], start=1):
        total = total + weight * end.layer(u, depth)
    return total


def closed(u: Tensor, ends: Sequence[End], stencil: Stencil, share: float = 1.0) -> Tensor:
    """u with what `share` of the data prescribes at each wall, in order; the mean of both ends of a period."""
    for end in ends:
        if end.kind == "dirichlet":
            u = end.with_layer(u, share * end.value)
        elif end.kind == "neumann":
            weights = stencil(end)
            inside = sum(w * end.layer(u, depth) for depth, w in enumerate(weights[1:], start=1))
            u = end.with_layer(u, (share * end.value - inside) / weights[0])
        elif end.low:
            (other,) = (one for one in ends if one.dim == end.dim and not one.low)
            mean = 0.5 * (end.layer(u) + other.layer(u))
            u = other.with_layer(end.with_layer(u, mean), mean)
    return u


def interior(u: Tensor, ends: Sequence[End]) -> Tensor:
    """Which points are at no wall with data, (*grid, 1)."""
    inside = torch.ones(*u.shape[1:-1], 1, dtype=torch.bool, device=u.device)
    for end in ends:
        if end.kind != "periodic":
            inside.select(end.dim, end.index).fill_(False)
    return inside


def refuse_conditions(conditions: Mapping[str, str], network: Opened, reach: int) -> None:
    """Raise `ValueError` for sides or kinds that are not, or do not fit the training grid, which has stencils' `reach` or more."""
    if not conditions:
        raise ValueError('A kernel correction got no conditions; give some, such as {"x_lo": "dirichlet"}.')
    space = min(2, len(network.axes))
    for side, kind in conditions.items():
        if side not in SIDES or -SIDES[side] > space:
            known = [name for name, axis in SIDES.items() if -axis <= space]
            raise ValueError(
                f"`{side}` is no side of a grid of {len(network.axes)} axes; give some of {known}."
            )
        if kind not in get_args(Kind):
            raise ValueError(f"`{kind}` at {side}: a kernel correction knows {', '.join(get_args(Kind))}.")
        axis = network.axes[SIDES[side]]
        if axis.cells:
            raise ValueError(
                f"{side} has cells, whose values are not at the wall; use a lift (`operator`) instead."
            )
        if kind == "periodic":
            other = f"{side[0]}_{'hi' if side.endswith('lo') else 'lo'}"
            if conditions.get(other) != "periodic":
                raise ValueError(f"{side} is periodic, {other} is not; a period needs both.")
            if axis.periodic:
                raise ValueError(
                    f"{side}: this grid stores each point of the period once, so that there is nothing to impose; leave "
                    "the condition out, or give a grid that repeats its first point at its end."
                )
        elif axis.periodic:
            raise ValueError(f"{side} is {kind}, but the axis closes on itself; leave the condition out.")
        refuse_short(side, kind, axis.points, reach)
    if network.outputs != 1:
        raise ValueError(
            f"The network has {network.outputs} outputs; a kernel correction puts the data of one field into all channels. "
            "Train on one field without a variance head, or use a lift (`operator`)."
        )


def refuse_short(side: str, kind: str, points: int, reach: int) -> None:
    """Raise `ValueError` if a slope's stencil would reach the wall on the other side."""
    needed = reach + 2 if kind == "neumann" else 2
    if points < needed:
        raise ValueError(
            f"{side} is {kind}, which needs {needed} points along the axis (its stencil may not reach the other wall), the "
            f"grid has {points}; use a finer grid, or lower `accuracy`."
        )
