"""Structured covariances of states over (t, x), and their conditioning on linear rows. No n × n matrix.

`x` counts the state at one time: one field on a line, or several fields or a plane laid out one after the other.

Leading dimensions `...` are batches (draw, sample). A row set is given by `weights` of shape (q, x): it takes
q weighted sums over x at every time, (G u)[t, q] = Σ_x weights[q, x] u[t, x]. Covariances that do not couple
times answer in blocks, one per time, of shape (..., t, q, q); those that do answer in one block over all
times and rows, (..., 1, t·q, t·q). `as_blocks` and `as_rows` go between the two views.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor


class Covariance(Protocol):
    """Σ of states over (t, x), in whatever structure it has."""

    @property
    def couples_times(self) -> bool:
        """Whether different times are correlated."""
        ...

    @property
    def shape(self) -> torch.Size:
        """(..., t, x)."""
        ...

    def variance(self) -> Tensor:
        """diag Σ, (..., t, x)."""
        ...

    def gram(self, left: Tensor, right: Tensor) -> Tensor:
        """G_left Σ G_rightᵀ in blocks."""
        ...

    def response(self, weights: Tensor, multipliers: Tensor) -> Tensor:
        """Σ Gᵀ λ, (..., t, x), for λ of shape (..., t, q)."""
        ...

    def explained(self, weights: Tensor, factor: Tensor) -> Tensor:
        """diag(Σ Gᵀ A⁻¹ G Σ), (..., t, x), for A = L Lᵀ given by the Cholesky factor L of its blocks."""
        ...

    def sample(self, generator: torch.Generator) -> Tensor:
        """One draw from N(0, Σ) for every batch entry, (..., t, x)."""
        ...

    def take(self, index: Tensor) -> "Covariance":
        """The covariance of the given entries of the first batch dimension."""
        ...


def as_blocks(rows: Tensor, couples_times: bool) -> Tensor:
    """(..., t, q) → blocks (..., t, q), or (..., 1, t·q) if times are coupled."""
    return rows.flatten(-2).unsqueeze(-2) if couples_times else rows


def as_rows(blocks: Tensor, like: Tensor) -> Tensor:
    """The inverse of `as_blocks`."""
    return blocks.reshape(*blocks.shape[:-2], *like.shape[-2:])


_TAKEN_OUT = 1e50  # pivots of a Cholesky factor beyond which a row says nothing


def apply_rows(weights: Tensor, field: Tensor) -> Tensor:
    """G u, (..., t, q)."""
    return field @ weights.T


def polished(field: Tensor, weights: Tensor, rhs: Tensor) -> Tensor:
    """The nearest field with G u = rhs; rows that repeat each other count once.

    After an exact update it takes off the round-off that solving with a nearly singular Σ leaves.
    """
    inverse = torch.linalg.pinv(weights @ weights.T, hermitian=True, rtol=1e-12)
    return field - (apply_rows(weights, field) - rhs) @ inverse @ weights


@final
class Shared(torch.Generator):
    """Draws the same for every sample, so that what is found of one does not depend on those beside it."""


def normal(shape: Sequence[int], like: Tensor, generator: torch.Generator) -> Tensor:
    """White noise (draw, sample, …) of the type and on the device of `like`, drawn where the generator lives."""
    return _drawn(torch.randn, shape, like, generator)


def uniform(shape: Sequence[int], like: Tensor, generator: torch.Generator) -> Tensor:
    """Numbers from 0 to 1, likewise."""
    return _drawn(torch.rand, shape, like, generator)


def _drawn(
    law: Callable[..., Tensor], shape: Sequence[int], like: Tensor, generator: torch.Generator
) -> Tensor:
    size = list(shape)
    if isinstance(generator, Shared) and len(size) > 2:
        size[1] = 1
    drawn = law(size, dtype=like.dtype, device=generator.device, generator=generator)
    return drawn.to(like.device).expand(*shape)


def lean(tensor: Tensor, dims: int) -> Tensor:
    """One copy of what `expand` repeats along the first `dims` dimensions: what is the same is computed once."""
    for dim in range(dims):
        if tensor.shape[dim] > 1 and tensor.stride(dim) == 0:
            tensor = tensor.narrow(dim, 0, 1)
    return tensor


def taken(tensor: Tensor, index: Tensor) -> Tensor:
    """Entries of the first dimension; one that only repeats itself is repeated again, not copied."""
    if tensor.stride(0) == 0 or tensor.shape[0] == 1:
        return tensor[:1].expand(len(index), *tensor.shape[1:])
    return tensor[index]


def explained_by_columns(
    response: Callable[[Tensor, Tensor], Tensor],
    shape: torch.Size,
    weights: Tensor,
    factor: Tensor,
    couples_times: bool,
) -> Tensor:
    """Σ over the rows of L⁻¹ of (Σ Gᵀ L⁻ᵀ)², which is diag(Σ Gᵀ A⁻¹ G Σ), by one response a row."""
    size = factor.shape[-1]
    inverse = torch.linalg.solve_triangular(
        factor, torch.eye(size, dtype=factor.dtype, device=factor.device), upper=False
    )
    total = torch.zeros(shape, dtype=factor.dtype, device=factor.device)
    like = torch.empty(*shape[:-1], weights.shape[0])
    for row in range(size):
        multipliers = inverse[..., row, :]  # (..., blocks, size)
        total += response(weights, as_rows(multipliers, like) if couples_times else multipliers).square()
    return total


@final
@dataclass(frozen=True)
class Diagonal:
    """Independent points: Σ = diag(values)."""

    values: Tensor

    @property
    def couples_times(self) -> bool:
        """False."""
        return False

    @property
    def shape(self) -> torch.Size:
        """(..., t, x)."""
        return self.values.shape

    def variance(self) -> Tensor:
        """The values."""
        return self.values

    def gram(self, left: Tensor, right: Tensor) -> Tensor:
        """Σ_x left · v · right at each time, O(n)."""
        return torch.einsum("qx,...tx,rx->...tqr", left, self.values, right)

    def response(self, weights: Tensor, multipliers: Tensor) -> Tensor:
        """v · Gᵀλ, O(n)."""
        return self.values * (multipliers @ weights)

    def explained(self, weights: Tensor, factor: Tensor) -> Tensor:
        """v² · diag(Gᵀ A⁻¹ G), O(n q²)."""
        whitened = torch.linalg.solve_triangular(
            factor, weights.expand(*factor.shape[:-2], *weights.shape), upper=False
        )
        return self.values**2 * whitened.square().sum(-2)

    def sample(self, generator: torch.Generator) -> Tensor:
        """Scaled white noise."""
        return self.values.sqrt() * normal(self.values.shape, self.values, generator)

    def take(self, index: Tensor) -> "Diagonal":
        """Entries of the first batch dimension."""
        return Diagonal(taken(self.values, index))


@final
@dataclass(frozen=True)
class Conditioned:
    """Σ̃ = Σ − Σ Gᵀ (G Σ Gᵀ + R)⁻¹ G Σ: what is left of `base` once G u is known up to noise R.

    Hansen et al., ICML 2023, eq. for the updated covariance; kept as base, rows and the small Cholesky factor,
    and sampled pathwise (Matheron's rule): e − Σ Gᵀ A⁻¹ (G e + η), e ~ N(0, Σ), η ~ N(0, R).
    """

    base: Covariance
    weights: Tensor  # (q, x)
    noise: Tensor  # variances R, (..., t, q)
    factor: Tensor  # Cholesky factor of the blocks of G Σ Gᵀ + R

    @property
    def couples_times(self) -> bool:
        """As the base."""
        return self.base.couples_times

    @property
    def shape(self) -> torch.Size:
        """(..., t, x)."""
        return self.base.shape

    def _solve(self, rows: Tensor) -> Tensor:
        """A⁻¹ r for r of shape (..., t, q)."""
        blocks = as_blocks(rows, self.couples_times).unsqueeze(-1)
        return as_rows(torch.cholesky_solve(blocks, self.factor).squeeze(-1), rows)

    def variance(self) -> Tensor:
        """diag Σ minus what the rows explain; round-off below 0 is cut."""
        return (self.base.variance() - self.base.explained(self.weights, self.factor)).clamp_min(0.0)

    def gram(self, left: Tensor, right: Tensor) -> Tensor:
        """G_l Σ G_rᵀ − G_l Σ Gᵀ A⁻¹ G Σ G_rᵀ."""
        crossed = torch.cholesky_solve(self.base.gram(self.weights, right), self.factor)
        return self.base.gram(left, right) - self.base.gram(left, self.weights) @ crossed

    def response(self, weights: Tensor, multipliers: Tensor) -> Tensor:
        """Σ̃ Gᵀλ by two responses of the base."""
        direct = self.base.response(weights, multipliers)
        return direct - self.base.response(self.weights, self._solve(apply_rows(self.weights, direct)))

    def explained(self, weights: Tensor, factor: Tensor) -> Tensor:
        """diag(Σ̃ Gᵀ A⁻¹ G Σ̃), one row at a time."""
        return explained_by_columns(self.response, self.shape, weights, factor, self.couples_times)

    def sample(self, generator: torch.Generator) -> Tensor:
        """Pathwise: a draw of the base, moved so that its rows come out right."""
        free = self.base.sample(generator)
        noise = self.noise.sqrt() * normal(self.noise.shape, self.noise, generator)
        moved = free - self.base.response(self.weights, self._solve(apply_rows(self.weights, free) + noise))
        # A row that was taken out, by a pivot beyond all others, holds nothing that polishing could be told.
        out = torch.diagonal(self.factor, dim1=-2, dim2=-1) > _TAKEN_OUT
        if bool(self.noise.any()) or bool(out.any()):
            return moved
        return polished(moved, self.weights, torch.zeros_like(self.noise))

    def take(self, index: Tensor) -> "Conditioned":
        """Entries of the first batch dimension."""
        return Conditioned(self.base.take(index), self.weights, self.noise[index], self.factor[index])
