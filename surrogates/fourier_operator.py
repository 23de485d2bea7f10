"""The Fourier neural operator (Li et al., ICLR 2021, arXiv:2010.08895): channels on a grid in, channels on it out."""

from collections.abc import Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from lawbound.surrogates.fourier_layer import Kind, SpectralConvolution
from lawbound.surrogates.origin import Axis
from lawbound.surrogates.surrogate import Opened, Strip

#: Channels between the last Fourier layer and the output, as in the original code.
HIDDEN = 128
#: How far walls are felt in every layer, where they are told to it, in shares of the domain.
REACHES = (0.02, 0.1)


class WallChannel(NamedTuple):
    """A channel that holds what a wall prescribes, the axis of the grid that it ends, and at which end."""

    channel: int
    axis: int
    low: bool


class FourierLayer(NamedTuple):
    """u ← K u + W u + b."""

    convolution: SpectralConvolution
    around: nn.Linear

    def __call__(self, u: Tensor) -> Tensor:
        """Both at once."""
        return self.convolution(u, self.around(u))

    def kernel(self, u: Tensor) -> Tensor:
        """K u."""
        return self.convolution.kernel(u)

    def coefficients(self, u: Tensor, grid: Sequence[int], strip: Strip | None = None) -> Tensor:
        """Those of the waves of K u."""
        return self.convolution.coefficients(u, grid, strip)

    def units(self, grid: Sequence[int], strip: Strip) -> Tensor:
        """Those of unit vectors."""
        return self.convolution.units(grid, strip)

    def values(self, coefficients: Tensor, grid: Sequence[int], strip: Strip | None = None) -> Tensor:
        """K u from them."""
        return self.convolution.values(coefficients, grid, strip)

    def pointwise(self, u: Tensor) -> Tensor:
        """W u + b."""
        return self.around(u)


@final
class FourierOperator(nn.Module):
    """Lift, `blocks` layers u ← σ(K u + W u + b), a perceptron at each point; no σ after the last layer.

    Every axis that is not periodic is padded with zeros at its end by the share `padding` of the domain, so that what
    leaves on one side does not come in on the other. A grid of another size is padded to the same length of domain:
    the network is a function of functions, and knows no resolution.

    mirrored: axes that go on as in a mirror instead (`SpectralConvolution`), without padding, up to the same highest
    wavenumber. walls: channels that hold what walls prescribe; they go into every layer, along their wall's axis also faded
    by exp(−d/ℓ), d being the distance from it and ℓ the shares `REACHES` of the domain: Σ V (walls, faded walls).
    """

    def __init__(
        self, inputs: int, outputs: int, axes: Sequence[Axis], *, modes: int, width: int, blocks: int,
        padding: float, dropout: float = 0.0, mirrored: Sequence[bool] | None = None, walls: Sequence[WallChannel] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self._axes = tuple(axes)
        self._padding = padding
        mirror = mirrored or [False] * len(self._axes)
        self._kinds = [_kind(axis, in_it) for axis, in_it in zip(axes, mirror, strict=True)]
        self._walls = tuple(walls)
        grid = [self._padded(axis, axis.points, kind) for axis, kind in zip(axes, self._kinds, strict=True)]
        kept = [self._kept(modes, n, kind) for n, kind in zip(grid, self._kinds, strict=True)]
        features = len(self._walls) * (1 + len(REACHES))
        self.lift = nn.Linear(inputs, width)
        self.convolutions = nn.ModuleList(
            SpectralConvolution(width, width, kept, grid, self._kinds) for _ in range(blocks)
        )
        self.around = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.told = nn.ModuleList(
            nn.Linear(features, width, bias=False) for _ in range(blocks if features else 0)
        )
        self.project = nn.Linear(width, HIDDEN)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(HIDDEN, outputs)

    def forward(self, channels: Tensor) -> Tensor:
        """(batch, in, *grid) → (batch, out, *grid)."""
        return self.last(self.features(channels)).movedim(-1, 1)

    def features(self, channels: Tensor) -> Tensor:
        """What the last linear layer sees at each point, (batch, *grid, HIDDEN)."""
        u = self._lifted(channels)
        layers = self._layers()
        known = self._known(channels) if self._walls else None
        for i, layer in enumerate(layers):
            u = layer(u) if known is None else layer.convolution(u, layer.around(u) + self.told[i](known))
            if i < len(layers) - 1:
                u = gelu(u)
        return self._hidden(u, channels.shape[2:])

    def opened(self) -> Opened:
        """Its parts; raises `TypeError` where walls go into every layer, or axes are mirrored: they are not K u + W u + b then."""
        if self._walls or set(self._kinds) != {"period"}:
            raise TypeError(
                "A Fourier operator with walls in all layers, or in a mirror, cannot be opened; build it with wall_layers=first and "
                "extension=zero, or use a lift (`operator`)."
            )
        return Opened(
            axes=self._axes, outputs=self.last.out_features, lift=self._lifted, layers=self._layers(), activate=gelu,
            project=lambda u, grid: self.last(self._hidden(u, grid)).movedim(-1, 1),
        )  # fmt: skip

    def _layers(self) -> list[FourierLayer]:
        return [
            FourierLayer(convolution, around)  # type: ignore[arg-type]
            for convolution, around in zip(self.convolutions, self.around, strict=True)
        ]

    def _lifted(self, channels: Tensor) -> Tensor:
        """What the first layer sees, (batch, *padded grid, width)."""
        grid = channels.shape[2:]
        u: Tensor = self.lift(channels.movedim(1, -1))
        return self._extended(u, grid)

    def _extended(self, u: Tensor, grid: Sequence[int]) -> Tensor:
        """(batch, *grid, ·) with zeros up to the padded grid."""
        sizes = [self._padded(*one) for one in zip(self._axes, grid, self._kinds, strict=True)]
        ends = [after - points for after, points in zip(sizes, grid, strict=True)]
        if any(ends):
            u = pad(u, (0, 0, *(side for end in reversed(ends) for side in (0, end))))
        return u

    def _known(self, channels: Tensor) -> Tensor:
        """What walls prescribe, as it is and faded, (batch, *padded grid, feature)."""
        found = []
        for wall in self._walls:
            value = channels[:, wall.channel]
            n, axis = value.shape[1 + wall.axis], self._axes[wall.axis]
            at = torch.arange(n, dtype=value.dtype, device=value.device)
            away = (at + 0.5) / n if axis.cells else at / max(1, n - 1)
            away = (away if wall.low else 1.0 - away).reshape(-1, *[1] * (len(self._axes) - 1 - wall.axis))
            found += [value, *(value * torch.exp(-away / reach) for reach in REACHES)]
        return self._extended(torch.stack(found, dim=-1), channels.shape[2:])

    def _hidden(self, u: Tensor, grid: Sequence[int]) -> Tensor:
        """(batch, *padded grid, width) → (batch, *grid, HIDDEN)."""
        for axis, points in enumerate(grid, start=1):
            u = u.narrow(axis, 0, points)
        return self.dropout(gelu(self.project(u)))

    def _kept(self, modes: int, points: int, kind: Kind) -> int:
        """Frequencies along an axis; in a mirror twice as many, of half waves, up to the highest of the padded domain."""
        if kind == "period":
            return max(1, min(modes, points // 2))
        return max(1, min(round(2 * (modes - 1) / (1 + self._padding)) + 1, points))

    def _padded(self, axis: Axis, points: int, kind: Kind = "period") -> int:
        """Points of a longer, periodic domain that has the same length at any resolution, up to half a step."""
        if axis.periodic or kind != "period":
            return points
        intervals = points - (axis.points - axis.intervals)
        longest = round((1 + self._padding) * axis.intervals)  # of the training grid
        return max(points, round(longest * intervals / axis.intervals))


def _kind(axis: Axis, mirrored: bool) -> Kind:
    if not mirrored or axis.periodic:
        return "period"
    return "cells" if axis.cells else "nodes"
