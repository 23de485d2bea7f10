"""Covariance of a Gaussian process on a (t, x) grid, given values at some of its points.

Σ = K_t ⊗ K_x + τ² I − k(·, C) (K_CC + τ² I)⁻¹ k(C, ·): a Kronecker product, white noise, and a correction of
as many ranks as there are context points C. The three parts are never multiplied out: the largest array is
one slice of time, (x, t·q).
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import torch
from torch import Tensor


@final
@dataclass(frozen=True)
class GridProcess:
    """Posterior covariance over the fields at the stored times with indices `times`, all positions.

    time_kernel: (T, T) over all stored times, amplitude included. position_kernel: (x, x). noise: τ².
    context_times, context_positions: indices of the context points, (sample, c). draws: leading batch size.
    """

    time_kernel: Tensor
    position_kernel: Tensor
    noise: float
    context_times: Tensor
    context_positions: Tensor
    times: Tensor
    draws: int = 1

    @property
    def couples_times(self) -> bool:
        """True."""
        return True

    @property
    def shape(self) -> torch.Size:
        """(draw, sample, t, x)."""
        return torch.Size((self.draws, len(self.context_times), len(self.times), len(self.position_kernel)))

    @cached_property
    def _prior(self) -> Tensor:
        """K_t at the predicted times, (t, t)."""
        return self.time_kernel[self.times][:, self.times]

    @cached_property
    def _from_times(self) -> Tensor:
        """K_t(t, context), (sample, t, c)."""
        return self.time_kernel[self.times][:, self.context_times].movedim(1, 0)

    @cached_property
    def _from_positions(self) -> Tensor:
        """K_x(x, context), (sample, x, c)."""
        return self.position_kernel[:, self.context_positions].movedim(1, 0)

    @cached_property
    def factor(self) -> Tensor:
        """Cholesky factor of K_CC + τ² I, (sample, c, c)."""
        t, x = self.context_times, self.context_positions
        among = (
            self.time_kernel[t[:, :, None], t[:, None, :]]
            * self.position_kernel[x[:, :, None], x[:, None, :]]
        )
        return torch.linalg.cholesky(among + self.noise * torch.eye(t.shape[1], dtype=among.dtype))

    def mean(self, values: Tensor) -> Tensor:
        """k(·, C) (K_CC + τ² I)⁻¹ values, (sample, t, x), for values at the context points, (sample, c)."""
        return self._spread(torch.cholesky_solve(values.unsqueeze(-1), self.factor).squeeze(-1))

    def _spread(self, coefficients: Tensor) -> Tensor:
        """Σ_c k(·, c) coefficients_c, (..., sample, t, x)."""
        return (self._from_times * coefficients.unsqueeze(-2)) @ self._from_positions.mT

    def _rows_at_context(self, weights: Tensor) -> Tensor:
        """G k(·, C), (sample, t·q, c)."""
        over_x = torch.einsum("qx,sxc->sqc", weights, self._from_positions)
        return torch.einsum("stc,sqc->stqc", self._from_times, over_x).flatten(1, 2)

    def variance(self) -> Tensor:
        """diag Σ, a time at a time."""
        prior = torch.outer(self._prior.diagonal(), self.position_kernel.diagonal()) + self.noise
        explained = torch.empty(self.shape[1:], dtype=prior.dtype)
        for i in range(len(self.times)):
            cross = self._from_positions * self._from_times[:, i, None, :]
            explained[:, i] = (
                torch.linalg.solve_triangular(self.factor, cross.mT, upper=False).square().sum(-2)
            )
        return (prior - explained).clamp_min(0.0).expand(self.shape)

    def gram(self, left: Tensor, right: Tensor) -> Tensor:
        """G_l Σ G_rᵀ as one block over all times and rows, (draw, sample, 1, t·q, t·q)."""
        prior = torch.kron(self._prior, left @ self.position_kernel @ right.T)
        prior = prior + self.noise * torch.kron(torch.eye(len(self.times), dtype=prior.dtype), left @ right.T)
        at_right = self._rows_at_context(right).mT
        explained = self._rows_at_context(left) @ torch.cholesky_solve(at_right, self.factor)
        return (prior - explained)[None, :, None].expand(self.draws, -1, -1, -1, -1)

    def response(self, weights: Tensor, multipliers: Tensor) -> Tensor:
        """Σ Gᵀ λ through the parts, O(n c) a batch entry."""
        prior = self._prior @ multipliers @ (weights @ self.position_kernel) + self.noise * (
            multipliers @ weights
        )
        at_context = self._rows_at_context(weights).mT @ multipliers.flatten(-2).unsqueeze(-1)
        return prior - self._spread(torch.cholesky_solve(at_context, self.factor).squeeze(-1))

    def explained(self, weights: Tensor, factor: Tensor) -> Tensor:
        """diag(Σ Gᵀ A⁻¹ G Σ), a time at a time."""
        spread = self.position_kernel @ weights.T  # (x, q)
        solved = torch.cholesky_solve(self._rows_at_context(weights).mT, self.factor)  # (sample, c, t·q)
        nt, q = len(self.times), len(weights)
        result = torch.empty(self.shape, dtype=spread.dtype)
        for i in range(nt):
            prior = torch.einsum("t,xq->xtq", self._prior[i], spread)
            prior[:, i] += self.noise * weights.T
            cross = self._from_positions * self._from_times[:, i, None, :]
            rows = prior.reshape(1, -1, nt * q) - cross @ solved  # (sample, x, t·q)
            whitened = torch.linalg.solve_triangular(
                factor[..., 0, :, :], rows.mT.expand(self.draws, -1, -1, -1), upper=False
            )
            result[..., i, :] = whitened.square().sum(-2)
        return result

    def sample(self, generator: torch.Generator) -> Tensor:
        """Matheron's rule: a draw of the prior on the whole grid, corrected by what it says at the context."""
        size = (self.draws, len(self.context_times), len(self.time_kernel), len(self.position_kernel))
        prior = (
            self._roots[0] @ torch.randn(size, dtype=torch.float64, generator=generator) @ self._roots[1].mT
        )
        samples = torch.arange(size[1])[:, None]
        seen = prior[:, samples, self.context_times, self.context_positions]
        seen = seen + self.noise**0.5 * torch.randn(seen.shape, dtype=torch.float64, generator=generator)
        correction = self._spread(torch.cholesky_solve(seen.unsqueeze(-1), self.factor).squeeze(-1))
        white = self.noise**0.5 * torch.randn(self.shape, dtype=torch.float64, generator=generator)
        return prior[:, :, self.times] - correction + white

    @cached_property
    def _roots(self) -> tuple[Tensor, Tensor]:
        """Symmetric square roots; eigenvalues that round-off made negative count as 0."""
        return _root(self.time_kernel), _root(self.position_kernel)

    def take(self, index: Tensor) -> "GridProcess":
        """All draws are alike: as many as asked for."""
        return replace(self, draws=len(index))


def _root(kernel: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(kernel)
    return vectors * values.clamp_min(0.0).sqrt() @ vectors.mT
