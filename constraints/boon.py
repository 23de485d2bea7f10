"""Kernel correction done right: layers of matrices, pivots of any sign, one product with the batch a layer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from lawbound.constraints.elimination import change
from lawbound.constraints.wall_closure import End, Kind, closed, interior, slope
from lawbound.surrogates.surrogate import KernelLayer, Strip


@final
@dataclass(frozen=True)
class Corrected:
    """Elimination of whole channels by `elimination.change`, then the data, once, in every channel of K u + W u + b.

    Along a wall, time included, layers commute with shifts, so that a Fourier transform parts the elimination into a
    small one for each frequency, and it is exact where the published code takes row sums over time. W and b act at a point
    each: nothing is to be eliminated from them. Where walls lie across two axes, those of the last one are eliminated,
    and the others get their data. What is left is the method's own: next to a wall values go to what elimination
    keeps there, not to the data, a jump that refinement does not heal.

    accuracy: order of the one-sided slopes. floor: pivots below this share of the largest are damped; None: ε^¾ of the
    network's precision, above its rounding.
    """

    accuracy: int = 3
    floor: float | None = None

    def __post_init__(self) -> None:
        if self.accuracy < 1:
            raise ValueError(f"accuracy={self.accuracy}; give an order of 1 or more.")
        if self.floor is not None and not 0.0 <= self.floor < 1.0:
            raise ValueError(f"floor={self.floor}; give a share of at least 0 and below 1.")

    @property
    def zero_padded(self) -> bool:
        """Data go on beyond the domain."""
        return False

    @property
    def reach(self) -> int:
        """The stencil's."""
        return self.accuracy

    def refuse(self, conditions: Mapping[str, Kind], dimensions: int) -> None:
        """One side, both, and any kinds will do."""

    def layer(self, layer: KernelLayer, u: Tensor, ends: Sequence[End]) -> Tensor:
        """T₁ (K T₂ u + W u + b)."""
        return closed(self.eliminated(layer, u, ends) + layer.pointwise(u), ends, slope(self.accuracy))

    def activated(self, u: Tensor, activate: Callable[[Tensor], Tensor], ends: Sequence[End]) -> Tensor:
        """σ but at walls with data, which stay what they are."""
        return torch.where(interior(u, ends), activate(u), u)

    def output(self, u: Tensor, ends: Sequence[End]) -> Tensor:
        """T₁."""
        return closed(u, ends, slope(self.accuracy))

    def eliminated(self, layer: KernelLayer, u: Tensor, ends: Sequence[End]) -> Tensor:
        """K T₂ u, (batch, *grid, out): one product with the batch, and unit vectors at the walls."""
        dims = [end.dim for end in ends if end.kind != "periodic"]
        if not dims:
            return layer.kernel(u)
        return self._eliminated(layer, u, [e for e in ends if e.kind != "periodic" and e.dim == max(dims)])

    def _eliminated(self, layer: KernelLayer, u: Tensor, ends: Sequence[End]) -> Tensor:
        """K (u + δ), δ being the change at the walls, found frequency by frequency along them."""
        grid = u.shape[1:-1]
        axis = len(grid) + ends[0].dim + 1
        sources = Strip(axis, tuple(end.index for end in ends))
        seen, rows = self._rows(ends)
        target = Strip(axis, seen)
        coefficients = layer.coefficients(u, grid)
        unit = layer.values(layer.units(grid, sources), grid, target)

        def at_walls(strip: Tensor) -> Tensor:
            """L of values on the strip, (wall, batch, *along, channel), in float64, as the solve wants it."""
            return torch.tensordot(rows.to(strip.device), strip.movedim(1 + axis, 0).double(), dims=1)

        along = _Along([n for i, n in enumerate(grid) if i != axis])
        blocks = along.spectrum(at_walls(unit)).unflatten(1, (len(ends), u.shape[-1]))  # type: ignore[no-untyped-call]
        images = along.spectrum(at_walls(layer.values(coefficients, grid, target)))
        values = along.spectrum(torch.stack([end.layer(u) for end in ends]).double())
        delta = change(
            blocks.permute(3, 0, 4, 1, 2),  # (wave, row, out, wall, in)
            images.permute(2, 0, 3, 1),  # (wave, row, out, batch)
            values.permute(2, 0, 3, 1),
            torch.finfo(u.dtype).eps ** 0.75 if self.floor is None else self.floor,
        )
        moved = along.field(delta.permute(1, 3, 0, 2)).movedim(
            0, 1 + axis
        )  # (batch, *grid cut to the walls, in)
        return layer.values(coefficients + layer.coefficients(moved.to(u.dtype), grid, sources), grid)

    def _rows(self, ends: Sequence[End]) -> tuple[tuple[int, ...], Tensor]:
        """The layers that L reads, and its weights on them, (wall, layer)."""
        stencil = slope(self.accuracy)
        read = [(end, stencil(end) if end.kind == "neumann" else (1.0,)) for end in ends]
        layers = sorted({end.index + end.inwards * k for end, weights in read for k in range(len(weights))})
        rows = torch.zeros(len(ends), len(layers), dtype=torch.float64)
        for i, (end, weights) in enumerate(read):
            for depth, weight in enumerate(weights):
                rows[i, layers.index(end.index + end.inwards * depth)] = weight
        return tuple(layers), rows


class _Along:
    """Fourier transforms over the axes along a wall, (wall, batch, *along, channel) ↔ (wall, batch, wave, channel)."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = list(sizes)
        self.dims = list(range(2, 2 + len(sizes)))

    def spectrum(self, values: Tensor) -> Tensor:
        """A wall that is a point has one real wave."""
        if not self.sizes:
            return values.unsqueeze(2)
        return torch.fft.rfftn(values, dim=self.dims).flatten(2, -2)

    def field(self, waves: Tensor) -> Tensor:
        """Back again."""
        if not self.sizes:
            return waves.squeeze(2)
        half = (*self.sizes[:-1], self.sizes[-1] // 2 + 1)
        spread = waves.reshape(*waves.shape[:2], *half, waves.shape[-1])
        return torch.fft.irfftn(spread, s=self.sizes, dim=self.dims)
