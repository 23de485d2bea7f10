"""The Fourier neural operator (Li et al., ICLR 2021, arXiv:2010.08895): channels on a grid in, channels on it out."""

from collections.abc import Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from lawbound.surrogates.fourier_layer import Ends, SpectralConvolution, reflected
from lawbound.surrogates.origin import Axis
from lawbound.surrogates.surrogate import Opened, Strip
from lawbound.surrogates.wall_features import WallFeatures

#: Channels between the last Fourier layer and the output, as in the original code.
HIDDEN = 128


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

    mirror: axes, by number, that go on beyond their ends as in a mirror instead, continuous where zeros make a jump. Their
    waves are those of a domain twice as long, their transform costs less than with zeros: no point is added.
    walls: features that walls add before every block, made of the channels (`wall_features.WallFeatures`).
    """

    def __init__(
        self, inputs: int, outputs: int, axes: Sequence[Axis], *, modes: int, width: int, blocks: int,
        padding: float, dropout: float = 0.0, mirror: Sequence[int] = (), walls: WallFeatures | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._mirror = tuple(number for number in mirror if not axes[number].periodic)
        ends = [self._ends(number, axis) for number, axis in enumerate(axes)]
        self._axes = tuple(axes)
        self._padding = padding
        grid = [self._padded(number, axis.points) for number, axis in enumerate(axes)]
        periods = [len(reflected(points, end)) for points, end in zip(grid, ends, strict=True)]
        kept = [max(1, min(modes, points // 2)) for points in periods]
        self.lift = nn.Linear(inputs, width)
        self.convolutions = nn.ModuleList(
            SpectralConvolution(width, width, kept, grid, ends) for _ in range(blocks)
        )
        self.around = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.walls = walls
        if walls is not None:
            self.beside = nn.ModuleList(nn.Linear(walls.size, width, bias=False) for _ in range(blocks))
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
        grid = channels.shape[2:]
        known = None if self.walls is None else self._extended(self.walls(channels), grid)
        for i, layer in enumerate(layers):
            around = layer.around(u)
            u = layer.convolution(
                self._summed(u, grid), around if known is None else around + self.beside[i](known)
            )
            if i < len(layers) - 1:
                u = gelu(u)
        return self._hidden(u, grid)

    def opened(self) -> Opened:
        """Its parts; raises `TypeError` where walls add to every block, or axes are mirrored."""
        if self.walls is not None or self._mirror:
            raise TypeError(
                "A Fourier operator with walls in every block, or mirrored, cannot be opened; train it with walls=input and "
                "extension=zero, or obey by a lift (method=lift)."
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
        sizes = [self._padded(number, points) for number, points in enumerate(grid)]
        ends = [after - points for after, points in zip(sizes, grid, strict=True)]
        if any(ends):
            u = pad(u, (0, 0, *(side for end in reversed(ends) for side in (0, end))))
        return u

    def _summed(self, u: Tensor, grid: Sequence[int]) -> Tensor:
        """u with its ends weighted so that sums over points are those of the training grid, to second order.

        Padding makes u jump at both ends of an open axis. A node on a jump counts for one step h where the trapezoidal rule
        has half of each side, which adds h/2 times the jump to every coefficient; the weights were trained with that of
        the training grid. On it nothing changes.
        """
        for number, (axis, points) in enumerate(zip(self._axes, grid, strict=True)):
            if axis.periodic or axis.cells or number in self._mirror or points == axis.points:
                continue
            dim, longer = number + 1, self._padded(number, points)
            excess = 0.5 * (self._intervals(number, points) / axis.intervals - 1.0)
            inside = torch.tensor([0, points - 1], device=u.device)
            beyond = torch.tensor([longer - 1, points % longer], device=u.device)
            u = u.index_add(
                dim, inside, u.index_select(dim, inside) - u.index_select(dim, beyond), alpha=excess
            )
        return u

    def _hidden(self, u: Tensor, grid: Sequence[int]) -> Tensor:
        """(batch, *padded grid, width) → (batch, *grid, HIDDEN)."""
        for axis, points in enumerate(grid, start=1):
            u = u.narrow(axis, 0, points)
        return self.dropout(gelu(self.project(u)))

    def _ends(self, number: int, axis: Axis) -> Ends:
        if number not in self._mirror:
            return "open"
        return "half" if axis.cells else "whole"

    def _padded(self, number: int, points: int) -> int:
        """Points of a longer, periodic domain that has the same length at any resolution, up to half a step."""
        axis = self._axes[number]
        if axis.periodic or number in self._mirror:
            return points
        longest = round((1 + self._padding) * axis.intervals)  # of the training grid
        return max(points, round(longest * self._intervals(number, points) / axis.intervals))

    def _intervals(self, number: int, points: int) -> int:
        return points - (self._axes[number].points - self._axes[number].intervals)
