"""The convolution of a Fourier neural operator, by matrix products with the few waves that it keeps.

Only some tens of frequencies are wanted, so each axis is transformed by a matrix product with their cosines and sines
instead of by a whole fast transform, most of which would be thrown away. Products are in real arithmetic, with real
and imaginary parts side by side.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, final

import torch
from torch import Tensor, nn

from lawbound.surrogates.surrogate import Strip

Ends = Literal["open", "whole", "half"]


@final
class SpectralConvolution(nn.Module):
    """(K u)(x) = Σ_k R_k û_k e^{2πi k·x}, over the frequencies |k_j| below `modes[j]` (Li et al. 2021, eq. 4).

    u: (batch, *grid, channel), real. Along the last axis the frequencies are 0 … m − 1, conjugates understood; along
    the others 0 … m − 1 and −m … −1, as the original code keeps them. R, (frequency, in, 2 · out), holds real parts,
    then imaginary ones. Grids of any size will do, as long as they resolve the frequencies.

    ends: axes that are `open` close on themselves; along others u goes on as in a mirror that stands at the end points
    (`whole`) or half a step beside them (`half`). The period is then two domains long, of which only one is computed.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        modes: Sequence[int],
        grid: Sequence[int] | None = None,
        ends: Sequence[Ends] | None = None,
    ) -> None:
        super().__init__()
        self.modes = tuple(modes)
        self._ends: tuple[Ends, ...] = tuple(ends or ["open" for _ in self.modes])
        # Compilers see no sizes inside `vmap`; they compile training, which has one grid, and are told which.
        self._grid = tuple(grid) if grid is not None else None
        frequencies = math.prod(2 * m for m in modes[:-1]) * modes[-1]
        self.weight = nn.Parameter(torch.rand(frequencies, inputs, 2 * outputs) / (inputs * outputs))

    def forward(self, u: Tensor, rest: Tensor) -> Tensor:
        """K u + rest, (batch, *grid, out)."""
        # In bfloat16, waves of different frequencies would no longer be orthogonal.
        with torch.autocast(u.device.type, enabled=False):
            return self._inverse(self._mixed(self._forward(u.to(self.weight.dtype))), rest)

    def kernel(self, u: Tensor) -> Tensor:
        """K u alone."""
        return self(u, u.new_zeros(*u.shape[:-1], self.weight.shape[-1] // 2))

    def coefficients(self, u: Tensor, grid: Sequence[int], strip: Strip | None = None) -> Tensor:
        """R û, (batch, 2, frequency, out); with `strip`, of a u that is 0 elsewhere and given there."""
        with torch.autocast(u.device.type, enabled=False):
            return self._mixed(self._forward(u.to(self.weight.dtype), self._cut(grid, strip)))

    def units(self, grid: Sequence[int], strip: Strip) -> Tensor:
        """R ê of unit vectors, (layer · in, 2, frequency, out): R times the waves of one channel's."""
        count, axis, weight = len(strip.layers), strip.axis, self.weight
        one = weight.new_zeros(count, *(count if j == axis else n for j, n in enumerate(grid)), 1)
        for layer in range(count):
            one[(layer, *(layer if j == axis else 0 for j in range(len(grid))), 0)] = 1.0
        with torch.autocast(weight.device.type, enabled=False):
            waves = self._forward(one, self._cut(grid, strip)).unsqueeze(1)  # (layer, 1, 2, frequency, 1)
            real, imaginary = waves.unbind(2)
            r, i = weight.transpose(0, 1).tensor_split(2, dim=-1)  # (in, frequency, out)
            spectrum = torch.stack([r * real - i * imaginary, r * imaginary + i * real], 2)
        return spectrum.flatten(0, 1)

    def values(self, coefficients: Tensor, grid: Sequence[int], strip: Strip | None = None) -> Tensor:
        """K u, (batch, *grid, out), from its coefficients; with `strip`, there only."""
        cut = [len(strip.layers) if strip and i == strip.axis else n for i, n in enumerate(grid)]
        rest = coefficients.new_zeros(coefficients.shape[0], *cut, coefficients.shape[-1])
        with torch.autocast(rest.device.type, enabled=False):
            return self._inverse(coefficients, rest, self._cut(grid, strip))

    def _cut(self, grid: Sequence[int], strip: Strip | None) -> "tuple[Transform, ...]":
        whole = transforms(tuple(grid), self.modes, self.weight.device, self.weight.dtype, self._ends)
        if strip is None:
            return whole
        return tuple(
            one.cut(strip.layers, pairs=axis < len(grid) - 1) if axis == strip.axis else one
            for axis, one in enumerate(whole)
        )

    def _grid_of(self, u: Tensor) -> tuple[int, ...]:
        if self._grid is not None and torch.compiler.is_compiling():
            return self._grid
        return tuple(u.shape[1:-1])

    def _forward(self, u: Tensor, matrices: "tuple[Transform, ...] | None" = None) -> Tensor:
        """û, (batch, 2, frequency, in), real and imaginary parts."""
        batch, channels = u.shape[0], u.shape[-1]
        grid = self._grid_of(u) if matrices is None else tuple(u.shape[1:-1])
        if matrices is None:
            matrices = transforms(grid, self.modes, u.device, self.weight.dtype, self._ends)
        z = _along(matrices[-1].analysis, u.reshape(-1, grid[-1], channels))  # (…, 2 · m, in)
        for axis in reversed(range(len(grid) - 1)):
            lines = batch * math.prod(grid[:axis])
            z = _along(matrices[axis].analysis, z.reshape(lines, 2 * grid[axis], -1))
        return z.reshape(batch, 2, -1, channels)

    def _mixed(self, spectrum: Tensor) -> Tensor:
        """R û, (batch, 2, frequency, out): one batched product, a frequency each."""
        batch, _, frequencies, channels = spectrum.shape
        by_frequency = spectrum.permute(2, 1, 0, 3).reshape(frequencies, 2 * batch, channels)
        products = torch.bmm(by_frequency, self.weight).reshape(frequencies, 2, batch, 2, -1)
        real = products[:, 0, :, 0] - products[:, 1, :, 1]
        imaginary = products[:, 0, :, 1] + products[:, 1, :, 0]
        return torch.stack([real, imaginary]).permute(2, 0, 1, 3)

    def _inverse(
        self, spectrum: Tensor, rest: Tensor, matrices: "tuple[Transform, ...] | None" = None
    ) -> Tensor:
        batch, outputs = rest.shape[0], rest.shape[-1]
        grid = self._grid_of(rest) if matrices is None else tuple(rest.shape[1:-1])
        if matrices is None:
            matrices = transforms(grid, self.modes, rest.device, self.weight.dtype, self._ends)
        z = spectrum
        for axis in range(len(grid) - 1):
            lines = batch * math.prod(grid[:axis])
            z = _along(matrices[axis].synthesis, z.reshape(lines, 4 * self.modes[axis], -1))
        last, lines = matrices[-1].synthesis, batch * math.prod(grid[:-1])
        # The sum with what goes around the convolution costs nothing here.
        return torch.baddbmm(
            rest.to(self.weight.dtype).reshape(lines, grid[-1], outputs),
            last.expand(lines, -1, -1),
            z.reshape(lines, 2 * self.modes[-1], outputs),
        ).reshape(rest.shape)


def _along(matrix: Tensor, lines: Tensor) -> Tensor:
    """The matrix times each of the lines, (line, n, channel); `matmul` would first lay the lines out anew."""
    return torch.bmm(matrix.expand(len(lines), -1, -1), lines)


class Transform(NamedTuple):
    """Real matrices between an axis of n points and its kept frequencies.

    Along the last axis u is real: analysis (2 · m, n) gives real parts, then imaginary ones; synthesis (n, 2 · m). Along
    the others, of m frequencies either side of 0, it is complex: (2 · 2m, n · 2) and (n · 2, 2 · 2m), real and
    imaginary part of a point being neighbours, those of frequencies apart, as memory has them.
    """

    analysis: Tensor
    synthesis: Tensor

    def cut(self, points: Sequence[int], *, pairs: bool) -> "Transform":
        """From and to these points alone; in `pairs` along the complex axes."""
        chosen = [2 * i + part for i in points for part in (0, 1)] if pairs else list(points)
        at = torch.tensor(chosen, device=self.analysis.device)
        return Transform(self.analysis[:, at], self.synthesis[at])


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def transforms(
    grid: Sequence[int], modes: Sequence[int], device: torch.device, dtype: torch.dtype = torch.float32,
    ends: Sequence[Ends] | None = None,
) -> tuple[Transform, ...]:  # fmt: skip
    """The matrices of all axes; raises `ValueError` if an axis has too few points for its frequencies."""
    return _transforms(tuple(grid), tuple(modes), device, dtype, tuple(ends or ("open",) * len(grid)))


def reflected(points: int, end: Ends) -> Tensor:
    """Where each point of a whole period, first those that there are, is found among these."""
    there = torch.arange(points)
    if end == "whole":
        return torch.cat([there, there[1:-1].flip(0)])
    return torch.cat([there, there.flip(0)]) if end == "half" else there


def _mirrored(transform: Transform, points: int, end: Ends, parts: int) -> Transform:
    """The matrices of a whole period for the points that there are; parts: numbers at a point."""
    if end == "open":
        return transform
    analysis = transform.analysis.reshape(len(transform.analysis), -1, parts)
    folded = torch.zeros(len(analysis), points, parts, dtype=analysis.dtype)
    folded.index_add_(1, reflected(points, end), analysis)
    return Transform(folded.flatten(1), transform.synthesis[: points * parts])


@lru_cache(maxsize=64)
def _transforms(
    grid: tuple[int, ...], modes: tuple[int, ...], device: torch.device, dtype: torch.dtype, ends: tuple[Ends, ...]
) -> tuple[Transform, ...]:  # fmt: skip
    periods = tuple(len(reflected(points, end)) for points, end in zip(grid, ends, strict=True))
    for axis, (points, kept) in enumerate(zip(periods, modes, strict=True)):
        if points < 2 * kept:
            raise ValueError(
                f"{kept} frequencies need {2 * kept} points or more, axis {axis} has {points} (padding included); "
                "give a finer grid, or train with fewer modes."
            )
    # Not under inference mode, whose tensors no later training may use.
    with torch.inference_mode(False), torch.no_grad():
        along = [_complex(*pair) for pair in zip(periods[:-1], modes[:-1], strict=True)]
        pairs = [Transform(*pair) for pair in (*along, _real(periods[-1], modes[-1]))]
        parts = [2] * len(along) + [1]
        own = [_mirrored(*each) for each in zip(pairs, grid, ends, parts, strict=True)]
        return tuple(Transform(*(matrix.to(device, dtype) for matrix in pair)) for pair in own)


def _waves(points: int, frequencies: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin of 2πkj/n, (frequency, point), the angle reduced in integers so that it is exact."""
    turns = torch.outer(frequencies, torch.arange(points)) % points
    angle = turns.double() * (2 * math.pi / points)
    return angle.cos(), angle.sin()


def _real(points: int, modes: int) -> tuple[Tensor, Tensor]:
    cos, sin = _waves(points, torch.arange(modes))
    analysis = torch.cat([cos, -sin]) / points
    # Frequencies above 0 stand for their conjugates, too.
    weights = torch.full((modes,), 2.0, dtype=torch.float64)
    weights[0] = 1.0
    return analysis, points * analysis.T * weights.repeat(2)


def _complex(points: int, modes: int) -> tuple[Tensor, Tensor]:
    cos, sin = _waves(points, torch.cat([torch.arange(modes), torch.arange(-modes, 0)]))
    real, imaginary = torch.stack([cos, sin], dim=-1), torch.stack([-sin, cos], dim=-1)  # (frequency, n, 2)
    analysis = torch.cat([real, imaginary]).flatten(1) / points
    return analysis, points * analysis.T
