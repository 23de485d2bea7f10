"""The Fourier neural operator (Li et al., ICLR 2021, arXiv:2010.08895): channels on a grid in, channels on it out."""

from collections.abc import Sequence
from typing import final

from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from lawbound.surrogates.fourier_layer import Ends, SpectralConvolution, reflected
from lawbound.surrogates.origin import Axis
from lawbound.surrogates.wall_features import WallFeatures

#: Channels between the last Fourier layer and the output, as in the original code.
HIDDEN = 128


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
        grid = channels.shape[2:]
        u = self.lift(channels.movedim(1, -1))
        sizes = [self._padded(number, points) for number, points in enumerate(grid)]
        ends = [after - points for after, points in zip(sizes, grid, strict=True)]
        more = (0, 0, *(side for end in reversed(ends) for side in (0, end)))
        if any(ends):
            u = pad(u, more)
        known = None if self.walls is None else pad(self.walls(channels), more)
        for i, (convolution, around) in enumerate(zip(self.convolutions, self.around, strict=True)):
            rest = around(u)
            u = convolution(u, rest if known is None else rest + self.beside[i](known))
            if i < len(self.convolutions) - 1:
                u = gelu(u)
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
        intervals = points - (axis.points - axis.intervals)
        longest = round((1 + self._padding) * axis.intervals)  # of the training grid
        return max(points, round(longest * intervals / axis.intervals))
