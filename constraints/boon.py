"""Kernel correction done right: layers of matrices, pivots of any sign, one product with the batch a layer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from lawbound.constraints.elimination import change
from lawbound.constraints.wall_closure import End, Kind, closed, functional, interior, slope
from lawbound.surrogates.surrogate import KernelLayer


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
        """K T₂ u, (batch, *grid, out): one product with the batch, and the columns of the walls' points."""
        image = layer.kernel(u)
        dims = [end.dim for end in ends if end.kind != "periodic"]
        if not dims:
            return image
        chosen = [end for end in ends if end.kind != "periodic" and end.dim == max(dims)]
        return image + self._correction(layer, u, image, chosen)

    def _correction(self, layer: KernelLayer, u: Tensor, image: Tensor, ends: Sequence[End]) -> Tensor:
        """V δ, δ being the change at the walls, frequency by frequency along them."""
        grid, stencil = u.shape[1:-1], slope(self.accuracy)
        axis = len(grid) + ends[0].dim + 1
        origin = [[end.index if i == axis else 0 for i in range(len(grid))] for end in ends]
        columns = layer.columns(origin, grid).double()  # (wall, in, *grid, out)
        blocks = torch.stack(
            [functional(columns, end, stencil) for end in ends]
        )  # (row, wall, in, *along, out)
        images = torch.stack(
            [functional(image, end, stencil) for end in ends]
        ).double()  # (row, batch, *along, out)
        values = torch.stack([end.layer(u) for end in ends]).double()
        along = _Along([n for i, n in enumerate(grid) if i != axis])
        delta = change(
            along.spectrum(blocks, 3).permute(3, 0, 4, 1, 2),  # (wave, row, out, wall, in)
            along.spectrum(images, 2).permute(2, 0, 3, 1),  # (wave, row, out, batch)
            along.spectrum(values, 2).permute(2, 0, 3, 1),
            torch.finfo(u.dtype).eps ** 0.75 if self.floor is None else self.floor,
        )
        # For the solve float64 matters, for what follows no longer.
        wide = along.spectrum(columns.movedim(2 + axis, 2).to(u.dtype), 3)  # (wall, in, across, wave, out)
        moved = torch.einsum("jixwo,wjib->bxwo", wide, delta.to(wide.dtype))
        return along.field(moved, 2).movedim(1, 1 + axis).to(image.dtype)


class _Along:
    """Fourier transforms over the axes along a wall, of no or more axes."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = list(sizes) or [1]
        self.none = not sizes

    def spectrum(self, values: Tensor, first: int) -> Tensor:
        """(..., *along, channel), `first` being where they begin → (..., wave, channel)."""
        if self.none:
            values = values.unsqueeze(first)
        dims = list(range(first, first + len(self.sizes)))
        return torch.fft.rfftn(values, dim=dims).flatten(dims[0], dims[-1])

    def field(self, waves: Tensor, first: int) -> Tensor:
        """Back again."""
        half = [*self.sizes[:-1], self.sizes[-1] // 2 + 1]
        dims = list(range(first, first + len(self.sizes)))
        spread = waves.reshape(*waves.shape[:first], *half, *waves.shape[first + 1 :])
        values = torch.fft.irfftn(spread, s=self.sizes, dim=dims)
        return values.squeeze(first) if self.none else values
