"""Diagonal plus low rank, Σ = diag(d) + U Uᵀ: ensembles, latent draws, learned residuals."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import torch
from torch import Tensor

from lawbound.surrogates.covariance import as_blocks, lean, normal, taken

# A point without variance may miss the value that it is told by this share of its size.
_ROUND_OFF = 1e-10


@final
@dataclass(frozen=True)
class DiagonalLowRank:
    """Σ = diag(d) + U Uᵀ: u = √d ∘ ε + U c with white ε and c.

    values: d, (..., t, x). factors: U, (..., t, x, k); leading dimensions of length 1 stand for all. With
    `couples_times` one c of length k is shared by all times; otherwise each time has its own.
    Everything costs O(t x (k + q)²) at most. Raises `ValueError` for negative d or shapes that do not fit.
    """

    values: Tensor
    factors: Tensor
    couples_times: bool = False

    def __post_init__(self) -> None:
        wanted, got = self.values.shape, self.factors.shape
        fits = len(got) == len(wanted) + 1 and len(wanted) >= 2 and got[-3:-1] == wanted[-2:]
        if not fits or any(g not in (1, w) for g, w in zip(got[:-3], wanted[:-2], strict=True)):
            raise ValueError(
                f"`DiagonalLowRank` got values of shape {tuple(wanted)} and factors of shape {tuple(got)}; factors "
                "need the shape of the values with one more dimension, the modes, at the end."
            )
        if not bool((self._d >= 0.0).all()):
            raise ValueError(
                f"`DiagonalLowRank` got values down to {float(self._d.min()):.3g}; variances are ≥ 0 and not NaN."
            )

    @cached_property
    def _d(self) -> Tensor:
        return lean(self.values, self.values.ndim - 2)

    @cached_property
    def _u(self) -> Tensor:
        return lean(self.factors, self.factors.ndim - 3)

    @property
    def shape(self) -> torch.Size:
        """(..., t, x)."""
        return self.values.shape

    @property
    def rank(self) -> int:
        """k."""
        return self.factors.shape[-1]

    def variance(self) -> Tensor:
        """d + rowsum(U²)."""
        return (self._d + torch.einsum("...txk,...txk->...tx", self._u, self._u)).expand(self.shape)

    def _rows_of_modes(self, weights: Tensor) -> Tensor:
        """G U, (..., t, q, k), or (..., 1, t·q, k) if times are coupled."""
        rows = weights @ self._u
        return rows.flatten(-3, -2).unsqueeze(-3) if self.couples_times else rows

    def gram(self, left: Tensor, right: Tensor) -> Tensor:
        """G_l D G_rᵀ + (G_l U)(G_r U)ᵀ in blocks, O(n (k + q) q)."""
        direct = torch.einsum("qx,...tx,rx->...tqr", left, self._d, right)
        if self.couples_times:
            direct = _block_diagonal(direct)
        blocks = direct + self._rows_of_modes(left) @ self._rows_of_modes(right).mT
        return blocks.expand(*self.shape[:-2], *blocks.shape[-3:])

    def response(self, weights: Tensor, multipliers: Tensor) -> Tensor:
        """d ∘ Gᵀλ + U (G U)ᵀ λ, O(n (k + q))."""
        blocks = as_blocks(multipliers, self.couples_times)
        latent = (self._rows_of_modes(weights).mT @ blocks.unsqueeze(-1)).squeeze(-1)
        return self._d * (multipliers @ weights) + self._spread(latent)

    def _spread(self, latent: Tensor) -> Tensor:
        """U c for c of shape (..., t or 1, k)."""
        # einsum keeps what repeats along the batch as it is; a broadcast `@` would copy U for every entry.
        if self.couples_times:
            return torch.einsum("...txk,...k->...tx", self._u, latent.squeeze(-2))
        return torch.einsum("...txk,...tk->...tx", self._u, latent)

    def explained(self, weights: Tensor, factor: Tensor) -> Tensor:
        """diag(Σ Gᵀ A⁻¹ G Σ), O(n (k + q)²) whether times are coupled or not.

        A row of Σ Gᵀ at (t, x) is (d g_x, u_x) times a small matrix C_t that knows no x, so that the sum of
        squares is that of R (d g_x, u_x), R the triangle of L⁻¹ C_t: a sum of squares, never a difference.
        """
        q, size = len(weights), factor.shape[-1]
        direct = solved(factor, torch.eye(size, dtype=factor.dtype, device=factor.device))
        latent = solved(factor, self._rows_of_modes(weights))
        if self.couples_times:  # the rows of each time among all
            direct = by_times(direct, self.shape[-2])
            latent = latent.expand(*direct.shape[:-1], -1)
        triangle = shortened(torch.cat((direct, latent), dim=-1))  # (..., t, r, q + k)
        total = torch.zeros(self.shape, dtype=factor.dtype, device=factor.device)
        for row in range(triangle.shape[-2]):
            direct, latent = triangle[..., row, :q], triangle[..., row, q:]
            total += (
                self._d * (direct @ weights) + torch.einsum("...txk,...tk->...tx", self._u, latent)
            ).square()
        return total

    def sample(self, generator: torch.Generator) -> Tensor:
        """√d ∘ ε + U c."""
        white = normal(self.shape, self.values, generator)
        times = 1 if self.couples_times else self.shape[-2]
        latent = normal(torch.Size((*self.shape[:-2], times, self.rank)), self.values, generator)
        return self._d.sqrt() * white + self._spread(latent)

    def take(self, index: Tensor) -> "DiagonalLowRank":
        """Entries of the first batch dimension."""
        return DiagonalLowRank(taken(self.values, index), taken(self.factors, index), self.couples_times)

    def log_density(self, deviations: Tensor) -> Tensor:
        """log N(deviations; 0, Σ) of whole states over all times, (...).

        With W = D^-½ U and the QR factors of (W; I), eᵀ Σ⁻¹ e = min_c |D^-½ e − W c|² + |c|² and log det Σ =
        log det D + 2 Σ log |R_ii|: exact for d as small as 1e-12 of the trace, where I + Wᵀ W is not.
        Raises `ValueError` if a point has d = 0.
        """
        if not bool((self._d > 0.0).all()):
            raise ValueError("The density needs d > 0 at every point; give the diagonal a floor.")
        scale = self._d.rsqrt()
        rows = self._flat(self._u * scale.unsqueeze(-1))
        white = as_blocks(deviations * scale, self.couples_times)
        basis, triangle = _ridge(rows)
        latent = _latent(basis, triangle, white)
        left = white - torch.einsum("...xk,...k->...x", rows, latent)
        squares = left.square().sum((-2, -1)) + latent.square().sum((-2, -1))
        log_det = self._d.log().sum((-2, -1))
        log_det = log_det + 2.0 * torch.diagonal(triangle, dim1=-2, dim2=-1).abs().log().sum((-2, -1))
        return -0.5 * (squares + log_det + self.shape[-2:].numel() * math.log(2.0 * math.pi))

    def _flat(self, rows: Tensor) -> Tensor:
        """(..., t, x, k) → (..., 1, t·x, k) if times are coupled."""
        return rows.flatten(-3, -2).unsqueeze(-3) if self.couples_times else rows

    def conditioned_on_points(
        self, means: Tensor, mask: Tensor, values: Tensor, *, noise: float = 0.0
    ) -> tuple[Tensor, "DiagonalLowRank"]:
        """Means and covariance once the state is known at the points of `mask`, up to noise of that variance.

        Given the points, c is Gaussian with precision I + U_Fᵀ (D_F + R)⁻¹ U_F = Tᵀ T, and what is left stays
        diagonal plus low rank: (1 − g) ∘ d and (1 − g) ∘ U T⁻¹, with g = d / (d + R) at the points and 0 elsewhere;
        without noise the points have variance 0. T is the triangle of a QR factorisation, so that d may be as small
        as 1e-12 of the trace. means: (..., t, x); mask: (x,) or (t, x), bool; values: broadcast to (..., t, x), read
        at the points only. Raises `ValueError` if a point has d = 0 and modes, or no variance and another value.
        """
        mask = mask.expand(self.shape[-2:])
        points = mask.any(-2)
        seen = mask[:, points]
        total = torch.where(seen, self._d[..., points] + noise, 1.0)
        known = total == 0.0
        self._refuse_bare_modes(known, points)
        weight = torch.where(known, 1.0, total).rsqrt() * seen
        rows = self._u[..., points, :] * weight.unsqueeze(-1)
        told = torch.where(mask, values, means)
        gap = (told - means)[..., points]
        _refuse_other_value(gap, known, means[..., points])
        basis, triangle = _ridge(self._flat(rows))
        latent = _latent(basis, triangle, as_blocks(gap * weight, self.couples_times))
        gain = torch.where(mask & (self._d + noise == 0.0), 1.0, mask * self._d / (self._d + noise))
        gain = torch.where(mask, gain, 0.0)  # 0 / 0 outside the mask
        updated = torch.lerp(means + self._spread(latent), told, gain.expand(means.shape))
        factors = torch.linalg.solve_triangular(triangle, self._u, upper=True, left=False)
        left = DiagonalLowRank(
            ((1.0 - gain) * self._d).expand(self.shape),
            (1.0 - gain).unsqueeze(-1) * factors,
            self.couples_times,
        )
        return updated, left

    def _refuse_bare_modes(self, known: Tensor, points: Tensor) -> None:
        bare = known & (self._u[..., points, :] != 0.0).any(-1)
        if bool(bare.any()):
            time, point = (int(i) for i in torch.nonzero(bare)[0][-2:])
            raise ValueError(
                f"Point {int(torch.nonzero(points)[point])} at time {time} has modes but no variance of its own "
                "(d = 0), so that its value would fix a combination of modes exactly; give the diagonal a floor, "
                "or pass `noise`."
            )


def low_rank_of(
    samples: Tensor, *, within: Tensor | None = None, floor: float = 1e-6, couples_times: bool = False
) -> DiagonalLowRank:
    """The covariance of `samples`, (member, ..., t, x): members − 1 modes, and a diagonal.

    U Uᵀ is the unbiased sample covariance, its members seen through an orthonormal basis of what is orthogonal
    to their mean. The diagonal is `within`, (..., t, x), the members' own variance, plus `floor` times the mean
    variance over (t, x). Raises `ValueError` for fewer than two members.
    """
    members = len(samples)
    if members < 2:
        raise ValueError(
            f"`low_rank_of` got {members} member; a covariance needs two or more. Draw more, or use `Diagonal`."
        )
    deviations = (samples - samples.mean(0)) / math.sqrt(members - 1)
    factors = torch.movedim(deviations, 0, -1) @ _helmert(members, samples)
    own = torch.zeros_like(samples[0]) if within is None else within
    mean = (deviations.square().sum(0) + own).mean((-2, -1), keepdim=True)
    return DiagonalLowRank(own + floor * mean, factors, couples_times)


def solved(factor: Tensor, columns: Tensor) -> Tensor:
    """L⁻¹ C, columns shared by a batch or one set for each of its entries."""
    batch = np.broadcast_shapes(factor.shape[:-2], columns.shape[:-2])
    return torch.linalg.solve_triangular(factor, columns.expand(*batch, *columns.shape[-2:]), upper=False)


def by_times(columns: Tensor, times: int) -> Tensor:
    """The one block (..., 1, rows, t·q) seen as (..., t, rows, q): its columns of each time."""
    return columns.squeeze(-3).reshape(*columns.shape[:-3], columns.shape[-2], times, -1).movedim(-2, -3)


def shortened(columns: Tensor) -> Tensor:
    """R with Rᵀ R = Cᵀ C and no more rows than columns: C itself, or the triangle of its QR factors."""
    return columns if columns.shape[-2] <= columns.shape[-1] else torch.linalg.qr(columns, mode="r").R


def _ridge(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The upper part of Q, and R, of (W; I) = Q R: the ridge problem min_c |W c − b|² + |c|²."""
    k = rows.shape[-1]
    eye = torch.eye(k, dtype=rows.dtype, device=rows.device).expand(*rows.shape[:-2], k, k)
    basis, triangle = torch.linalg.qr(torch.cat((rows, eye), dim=-2))
    return basis[..., : rows.shape[-2], :], triangle


def _latent(basis: Tensor, triangle: Tensor, white: Tensor) -> Tensor:
    """The minimiser c = R⁻¹ Qᵀ b."""
    projected = torch.einsum("...xk,...x->...k", basis, white)
    return torch.linalg.solve_triangular(
        triangle.expand(*projected.shape, triangle.shape[-1]), projected.unsqueeze(-1), upper=True
    ).squeeze(-1)


def _block_diagonal(blocks: Tensor) -> Tensor:
    """(..., t, q, r) → (..., 1, t·q, t·r)."""
    t, q, r = blocks.shape[-3:]
    return torch.diag_embed(blocks.movedim(-3, -1), dim1=-4, dim2=-2).reshape(
        *blocks.shape[:-3], 1, t * q, t * r
    )


def _helmert(size: int, like: Tensor) -> Tensor:
    """An orthonormal basis of the vectors whose entries sum to 0, (size, size − 1)."""
    number = torch.arange(1, size, dtype=like.dtype, device=like.device)
    ones = torch.ones(size, size - 1, dtype=like.dtype, device=like.device).triu()
    ones[torch.arange(1, size), torch.arange(size - 1)] = -number
    return ones * (number * (number + 1.0)).rsqrt()


def _refuse_other_value(gap: Tensor, known: Tensor, means: Tensor) -> None:
    size = means.abs() + (means + gap).abs()
    wrong = known & (gap.abs() > _ROUND_OFF * size)
    if bool(wrong.any()):
        index = tuple(int(i) for i in torch.nonzero(wrong)[0])
        raise ValueError(
            f"A point without variance is told another value, {float(gap[index]):.3g} away (first of them: number "
            f"{index[-1]} of the points, time {index[-2]}); it is known already, so leave it out or check the value."
        )
