"""Covariances with a banded precision along the state: neighbours correlate, everything costs O(n b²)."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from lawbound.surrogates import block_tridiagonal
from lawbound.surrogates.block_tridiagonal import Factor
from lawbound.surrogates.covariance import explained_by_columns, lean, normal, taken


@final
@dataclass(frozen=True)
class BandedPrecision:
    """Σ = Λ⁻¹ at each time, Λ symmetric with half-bandwidth b.

    bands: (..., t, b + 1, x), bands[j, i] = Λ[i + j, i]; entries beyond the end are not read. Λ is cut into
    blocks of b points, a block tridiagonal matrix. Raises `ValueError` if Λ is not positive definite.
    """

    bands: Tensor

    @property
    def couples_times(self) -> bool:
        """False."""
        return False

    @property
    def shape(self) -> torch.Size:
        """(..., t, x)."""
        return self.bands.shape[:-2] + self.bands.shape[-1:]

    @property
    def width(self) -> int:
        """Points in a block: b, or 1 for a diagonal Λ."""
        return max(1, self.bands.shape[-2] - 1)

    @cached_property
    def factor(self) -> Factor:
        """The Cholesky factor of Λ."""
        return block_tridiagonal.factorise(*_blocks(lean(self.bands, self.bands.ndim - 2), self.width))

    def _cut(self, vectors: Tensor) -> Tensor:
        """(..., x) → (..., blocks, b, 1), padded with zeros."""
        missing = -vectors.shape[-1] % self.width
        return _pad(vectors, 0, missing).reshape(*vectors.shape[:-1], -1, self.width, 1)

    def _joined(self, blocks: Tensor) -> Tensor:
        """The inverse of `_cut`."""
        return blocks.squeeze(-1).flatten(-2)[..., : self.shape[-1]]

    def solve(self, field: Tensor) -> Tensor:
        """Λ⁻¹ f = Σ f, (..., t, x)."""
        return self._joined(block_tridiagonal.solve(self.factor, self._cut(field)))

    def variance(self) -> Tensor:
        """diag Λ⁻¹ by selected inversion."""
        diagonal, _ = block_tridiagonal.selected_inverse(self.factor)
        values = torch.diagonal(diagonal, dim1=-2, dim2=-1).flatten(-2)
        return values[..., : self.shape[-1]].expand(self.shape)

    def gram(self, left: Tensor, right: Tensor) -> Tensor:
        """(L⁻¹ G_lᵀ)ᵀ (L⁻¹ G_rᵀ) with Λ = L Lᵀ, one half of a solve a row."""
        of_left = self._whitened_rows(left)
        of_right = of_left if right is left else self._whitened_rows(right)
        blocks = torch.stack(
            [torch.einsum("...nbq,...nbr->...qr", *pair) for pair in zip(of_left, of_right, strict=True)]
        ).sum(0)
        return blocks.expand(*self.shape[:-1], len(left), len(right))

    def _whitened_rows(self, weights: Tensor) -> list[Tensor]:
        rows = self._cut(weights).squeeze(-1).movedim(0, -1)  # (blocks, b, q)
        return block_tridiagonal.whitened(self.factor, rows)

    def response(self, weights: Tensor, multipliers: Tensor) -> Tensor:
        """Λ⁻¹ Gᵀ λ by one solve."""
        return self.solve(multipliers @ weights)

    def explained(self, weights: Tensor, factor: Tensor) -> Tensor:
        """diag(Σ Gᵀ A⁻¹ G Σ), one solve a row."""
        return explained_by_columns(self.response, self.shape, weights, factor, False)

    def sample(self, generator: torch.Generator) -> Tensor:
        """L⁻ᵀ ε."""
        blocks = torch.Size((*self.shape[:-1], sum(self.factor.sizes), self.width, 1))
        white = normal(blocks, self.bands, generator)
        parts = list(torch.split(white, self.factor.sizes, dim=-3))
        return self._joined(block_tridiagonal.coloured(self.factor, parts))

    def take(self, index: Tensor) -> "BandedPrecision":
        """Entries of the first batch dimension."""
        return BandedPrecision(taken(self.bands, index))


def _blocks(bands: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Diagonal blocks and those below, (..., blocks, b, b); the end is padded with a unit diagonal."""
    half, size = bands.shape[-2] - 1, bands.shape[-1]
    rows = []
    for j in range(width + 1):
        band = bands[..., j, : max(0, size - j)] if j <= half else bands[..., 0, :0]
        missing = size + (-size % width) - band.shape[-1]
        band = _pad(band, 0, missing)
        if j == 0:
            band = torch.cat((band[..., :size], torch.ones_like(band[..., size:])), dim=-1)
        rows.append(band.reshape(*band.shape[:-1], -1, width))
    zero = torch.zeros_like(rows[0][..., 0])
    diagonal = [
        [rows[abs(r - c)][..., min(r, c)] if abs(r - c) <= half else zero for c in range(width)]
        for r in range(width)
    ]
    below = [
        [rows[width + r - c][..., :-1, c] if r <= c else zero[..., :-1] for c in range(width)]
        for r in range(width)
    ]
    return _matrix(diagonal), _matrix(below)


def _matrix(entries: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, dim=-1) for row in entries], dim=-2)


def exponential(variance: Tensor, correlation: Tensor | float) -> BandedPrecision:
    """A Markov chain along x with these variances, (..., t, x), and these correlations of neighbours, (x − 1,).

    With correlation exp(−Δx / ℓ) it is the Matérn process of smoothness ½; 0 between two neighbours parts them (fields
    of one state). Λ = S⁻¹ T S⁻¹, S = √variance, T tridiagonal. Raises `ValueError` for zero variance or |ρ| ≥ 1.
    """
    _check_positive(variance)
    size = variance.shape[-1]
    edges = torch.as_tensor(correlation, dtype=variance.dtype, device=variance.device).expand(size - 1)
    if not bool((edges.abs() < 1.0).all()):
        raise ValueError(
            f"Correlations of neighbours reach {float(edges.abs().max()):.4g}; they must be inside (−1, 1)."
        )
    beyond = edges.square() / (1.0 - edges.square())
    deviation = variance.rsqrt()
    main = (1.0 + _pad(beyond, 0, 1) + _pad(beyond, 1, 0)) * deviation.square()
    below = -edges / (1.0 - edges.square()) * deviation[..., :-1] * deviation[..., 1:]
    return BandedPrecision(torch.stack((main, _pad(below, 0, 1)), dim=-2))


def penalised(
    variance: Tensor, stencil: tuple[float, ...], weights: Tensor, *, line: int | None = None
) -> BandedPrecision:
    """Λ = diag(1 / variance) + Σ_e w_e s_e s_eᵀ, s_e the stencil at the points e, e + 1, …

    variance: (..., t, x); weights: (..., t, x − len(stencil) + 1), ≥ 0. The state is lines of `line` points, one after
    another (rows of a plane, fields); no stencil reaches over the end of a line.
    """
    _check_positive(variance)
    size, reach = variance.shape[-1], len(stencil) - 1
    first = torch.arange(size - reach, device=variance.device)
    within = first % (line or size) < (line or size) - reach
    weights = torch.where(within, weights, 0.0).expand(*variance.shape[:-1], -1)
    bands = torch.zeros((*variance.shape[:-1], reach + 1, size), dtype=variance.dtype, device=variance.device)
    bands[..., 0, :] = variance.reciprocal()
    for j in range(reach + 1):
        for place in range(reach + 1 - j):
            bands[..., j, place : place + size - reach] += stencil[place] * stencil[place + j] * weights
    return BandedPrecision(bands)


def smoothed(
    means: Tensor, variance: Tensor, *, correlation: float = 0.9, line: int | None = None
) -> tuple[Tensor, BandedPrecision]:
    """Means and covariance once told that second differences vanish up to their own spread.

    Σ'⁻¹ = D⁻¹ + D₂ᵀ R⁻¹ D₂, μ' = Σ' D⁻¹ μ, with R_j the variance of u_j − 2 u_{j+1} + u_{j+2} if neighbours have
    correlation α: v₀ + 4 v₁ + v₂ − 4 α s₀ s₁ + 2 α² s₀ s₂ − 4 α s₁ s₂. Hansen et al., ICML 2023, the
    second-derivative variant, here in O(n). It blurs fronts and makes the prediction surer; see `edge_stopping`.
    """
    deviation = variance.sqrt()
    v0, v1, v2 = variance[..., :-2], variance[..., 1:-1], variance[..., 2:]
    s0, s1, s2 = deviation[..., :-2], deviation[..., 1:-1], deviation[..., 2:]
    spread = v0 + 4.0 * v1 + v2
    spread = spread - 4.0 * correlation * s1 * (s0 + s2) + 2.0 * correlation**2 * s0 * s2
    _check_positive(spread)
    precision = penalised(variance, (1.0, -2.0, 1.0), spread.reciprocal(), line=line)
    return precision.solve(means / variance), precision


def edge_stopping(
    means: Tensor,
    variance: Tensor,
    *,
    strength: float = 1.0,
    contrast: float = 1.0,
    line: int | None = None,
) -> BandedPrecision:
    """Corrections that spread along smooth pieces and stop at fronts: Λ = diag(1/v) + Σ_e w_e ∂_eᵀ ∂_e.

    w_e = strength / (s² (1 + (Δμ / (contrast s))²)), s² = v_i + v_{i+1}: small where the mean jumps by more than its
    spread, or is unsure (the conductance of Perona & Malik, IEEE PAMI 12, 1990). Marginal variances shrink; `rescaled`
    gives them back.
    """
    spread = variance[..., :-1] + variance[..., 1:]
    _check_positive(spread)
    jump = means.diff(dim=-1).square() / (contrast**2 * spread)
    return penalised(variance, (-1.0, 1.0), strength / (spread * (1.0 + jump)), line=line)


def rescaled(precision: BandedPrecision, variance: Tensor) -> BandedPrecision:
    """The same correlations with these marginal variances, (..., t, x)."""
    _check_positive(variance)
    scale = (precision.variance() / variance).sqrt()
    bands = precision.bands * scale.unsqueeze(-2)
    shifted = [_pad(scale[..., j:], 0, j) for j in range(bands.shape[-2])]
    return BandedPrecision(bands * torch.stack(shifted, dim=-2))


def _pad(values: Tensor, before: int, after: int) -> Tensor:
    return torch.nn.functional.pad(values, (before, after))


def _check_positive(variance: Tensor) -> None:
    if not bool((variance > 0.0).all()):
        raise ValueError(
            f"A precision needs variances above 0; the smallest is {float(variance.min()):.3g}. Give the prediction a "
            "floor, or take a covariance that needs no inverse (`Diagonal`, `DiagonalLowRank`)."
        )
