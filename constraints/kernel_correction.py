"""Boundary conditions by correcting the kernels inside a network, as BOON does (Saad et al., ICLR 2023, arXiv:2212.07477).

Each linear layer K is replaced by T₁ K T₂: T₂ changes the input at the walls so that nothing but the value at a wall
reaches it (elimination), T₁ puts the prescribed value there; the output is closed in the same way. How, is a rule:
`boon.Corrected`, or `boon_quirks.AsReleased`, the published code with what is wrong in it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, final

import torch
from torch import Tensor, nn

from lawbound.constraints.wall_closure import SIDES, End, Kind, refuse_conditions, refuse_short
from lawbound.surrogates.surrogate import KernelLayer, Layered, Opened


class Rule(Protocol):
    """How layers and output are made to fit walls."""

    @property
    def zero_padded(self) -> bool:
        """If data are zero where a layer's grid goes on beyond the domain, rather than constant."""
        ...

    @property
    def reach(self) -> int:
        """How many layers inside a slope's stencil ends."""
        ...

    def refuse(self, conditions: Mapping[str, Kind], dimensions: int) -> None:
        """Raise `ValueError` for conditions that the rule does not know."""
        ...

    def layer(self, layer: KernelLayer, u: Tensor, ends: Sequence[End]) -> Tensor:
        """The corrected layer's output before σ, (batch, *padded grid, channel)."""
        ...

    def activated(self, u: Tensor, activate: Callable[[Tensor], Tensor], ends: Sequence[End]) -> Tensor:
        """σ of it."""
        ...

    def output(self, u: Tensor, ends: Sequence[End]) -> Tensor:
        """The network's output, (batch, *grid, 1), closed at the walls."""
        ...


@final
class KernelCorrection(nn.Module):
    """The network with corrected layers: channels (batch, in, *grid) and boundary data to (batch, 1, *grid).

    network: one that can be opened (`Layered`), kept as `network`; no parameter is added. conditions: a kind,
    `dirichlet`, `neumann` or `periodic`, for each side, `x_lo x_hi y_lo y_hi`, x being the last axis of the grid.

    Data are physical: u, or ∂u/∂x along the axis (not outwards). Where the network normalises, u = scale · v + shift, its
    layers are corrected with (u − shift)/scale and slope/scale, and the output is closed after it has become physical,
    so that no rounding of the map is left at a wall. They are rounded to the network's precision.

    Grids are padded at their end inside the network; walls are where the domain ends, not the padding. Where two walls
    meet, those of y are closed last, and win. Raises `ValueError` for sides, kinds and grids that do not fit, `TypeError` for
    a network that cannot be opened.
    """

    def __init__(self, network: nn.Module, conditions: Mapping[str, Kind], rule: Rule) -> None:
        super().__init__()
        if not isinstance(network, Layered):
            raise TypeError(
                f"{type(network).__name__} does not show its layers; give a network with a method `opened`, as "
                "`lawbound.surrogates.surrogate.Layered` has it (a Fourier operator), or use a lift (`operator`)."
            )
        opened = network.opened()
        refuse_conditions(conditions, opened, rule.reach)
        rule.refuse(conditions, len(opened.axes))
        self.network = network
        self.rule = rule
        # In the order of `SIDES`, which is that in which walls are closed.
        self.conditions: dict[str, Kind] = {side: conditions[side] for side in SIDES if side in conditions}

    def forward(self, channels: Tensor, data: Mapping[str, Tensor] | Tensor) -> Tensor:
        """What obeys at the walls, (batch, 1, *grid).

        data: of each side with values or slopes, (batch, *grid without its axis), or (batch, t, m) with the sides beside each
        other in the order x_lo, x_hi, y_lo, y_hi and a column for each point along them.
        """
        assert isinstance(self.network, Layered)
        opened = self.network.opened()
        grid = channels.shape[2:]
        if len(grid) != len(opened.axes):
            raise ValueError(
                f"Channels of shape {tuple(channels.shape)} have {len(grid)} axes, the network {len(opened.axes)}."
            )
        walls = self._walls(data, channels)
        u = opened.lift(channels)
        inside = self._ends(opened, walls, grid, u, inner=True)
        for i, layer in enumerate(opened.layers):
            u = self.rule.layer(layer, u, inside)
            if i < len(opened.layers) - 1:
                u = self.rule.activated(u, opened.activate, inside)
        out = opened.project(u, grid).movedim(1, -1)
        ends = self._ends(opened, walls, grid, out, inner=False)
        return self.rule.output(out, ends).movedim(-1, 1)

    def _walls(self, data: Mapping[str, Tensor] | Tensor, channels: Tensor) -> dict[str, Tensor]:
        """Data of each side, (batch, *grid without its axis); raises `ValueError` if they do not fit."""
        batch, grid = channels.shape[0], channels.shape[2:]
        shapes = {
            side: (batch, *(n for i, n in enumerate(grid) if i != len(grid) + SIDES[side]))
            for side, kind in self.conditions.items()
            if kind != "periodic"
        }
        if isinstance(data, Tensor):
            return _apart(data, shapes)
        if set(data) != set(shapes):
            raise ValueError(f"Boundary data for {sorted(data)}; needed are exactly {sorted(shapes)}.")
        for side, shape in shapes.items():
            if tuple(data[side].shape) != shape:
                raise ValueError(
                    f"Boundary data at {side} have shape {tuple(data[side].shape)}; needed is {shape}, a number for each "
                    "sample and point of the wall (and time)."
                )
        return dict(data)

    def _ends(
        self, opened: Opened, walls: Mapping[str, Tensor], grid: Sequence[int], u: Tensor, *, inner: bool
    ) -> list[End]:
        """The walls in values (batch, *grid, channel): physical, or `inner` ones on the padded grid."""
        ends = []
        for side, kind in self.conditions.items():
            axis, points = opened.axes[SIDES[side]], grid[SIDES[side]]
            refuse_short(side, kind, points, self.rule.reach)
            value = walls[side].to(u.device, torch.float64) if side in walls else u.new_zeros(())
            if inner and side in walls:
                value = self._beyond(self._unit(opened, value, kind), u, SIDES[side])
            if side in walls:
                value = value.unsqueeze(-1)
            step = (axis.last - axis.first) / (points - 1)
            index = 0 if side.endswith("lo") else points - 1
            ends.append(End(side, kind, SIDES[side] - 1, index, step, value.to(u.dtype)))
        return ends

    def _unit(self, opened: Opened, value: Tensor, kind: Kind) -> Tensor:
        """In the units of the layers."""
        if kind == "dirichlet" and opened.shift is not None:
            value = value - opened.shift.double()
        return value if opened.scale is None else value / opened.scale.double()

    def _beyond(self, value: Tensor, u: Tensor, axis: int) -> Tensor:
        """On the padded grid without the axis."""
        sizes = [n for i, n in enumerate(u.shape[1:-1]) if i != u.ndim - 2 + axis]
        for dim, size in enumerate(sizes, start=1):
            points = value.shape[dim]
            if size == points:
                continue
            if self.rule.zero_padded:
                shape = [*value.shape[:dim], size - points, *value.shape[dim + 1 :]]
                value = torch.cat([value, value.new_zeros(shape)], dim)
            else:
                value = value.index_select(dim, torch.arange(size, device=value.device).clamp_max(points - 1))
        return value


def _apart(data: Tensor, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """(batch, t, m) → data of each side; raises `ValueError` if they do not fit."""
    sizes = [math.prod(shape[1:]) for shape in shapes.values()]
    columns = [size // data.shape[1] for size in sizes] if data.ndim == 3 and data.shape[1] else []
    needed = data.ndim == 3 and data.numel() == sum(sizes) * data.shape[0] and sum(columns) == data.shape[2]
    if not needed or any(shape[0] != data.shape[0] for shape in shapes.values()):
        raise ValueError(
            f"Boundary data have shape {tuple(data.shape)}; needed is (sample, t, m), or a mapping to tensors, for the sides "
            f"{', '.join(f'{side} {shape}' for side, shape in shapes.items())}."
        )
    parts = torch.split(data, columns, dim=2)
    return {side: part.reshape(shape) for part, (side, shape) in zip(parts, shapes.items(), strict=True)}
