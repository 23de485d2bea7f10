"""Covariance of a Gaussian process on a (t, x) grid, given values at some of its points.

Σ = Σ_m K_t,m ⊗ K_x,m + τ² I − k(·, C) W k(C, ·): Kronecker products, white noise, and a correction of as many ranks as
there are context points C, with W = (K_CC + τ² I)⁻¹. The parts are never multiplied out: the largest array is one
slice of time, (x, t·q).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add
from typing import Protocol, final

import torch
from torch import Tensor

from lawbound.surrogates.covariance import normal


class Seen(Protocol):
    """What is known at the context points: W, positive semidefinite, (sample or 1, c, c)."""

    def solve(self, rows: Tensor) -> Tensor:
        """W r, (..., sample, c, k)."""
        ...

    def half(self, rows: Tensor) -> Tensor:
        """Rᵀ r with W = R Rᵀ."""
        ...

    def corrected(self, seen: Tensor, generator: torch.Generator) -> Tensor:
        """W (e + η) for a draw e of the prior at the context, (draw, sample, c), with noise η such that W⁻¹ is its covariance."""
        ...


@final
@dataclass(frozen=True)
class Exact:
    """Values with white noise τ²: W⁻¹ = K_CC + τ² I = L Lᵀ."""

    factor: Tensor
    noise: float

    def solve(self, rows: Tensor) -> Tensor:
        """By the Cholesky factor."""
        return torch.cholesky_solve(rows, self.factor)

    def half(self, rows: Tensor) -> Tensor:
        """L⁻¹ r."""
        return torch.linalg.solve_triangular(self.factor, rows, upper=False)

    def corrected(self, seen: Tensor, generator: torch.Generator) -> Tensor:
        """With white noise added."""
        seen = seen + self.noise**0.5 * normal(seen.shape, seen, generator)
        return self.solve(seen.unsqueeze(-1)).squeeze(-1)


@final
@dataclass(frozen=True)
class GridProcess:
    """Posterior covariance over the fields at the stored times with indices `times`, all positions.

    time_kernels: of every term, (T, T) over all stored times, amplitude included. position_kernels: (x, x). noise: τ².
    context_times, context_positions: indices of the context points, (sample, c). observed: W, if it is not that of
    exact regression on the context. draws: leading batch size.
    """

    time_kernels: tuple[Tensor, ...]
    position_kernels: tuple[Tensor, ...]
    noise: float
    context_times: Tensor
    context_positions: Tensor
    times: Tensor
    observed: Seen | None = None
    draws: int = 1

    @property
    def couples_times(self) -> bool:
        """True."""
        return True

    @property
    def shape(self) -> torch.Size:
        """(draw, sample, t, x)."""
        return torch.Size(
            (self.draws, len(self.context_times), len(self.times), len(self.position_kernels[0]))
        )

    @cached_property
    def _priors(self) -> list[Tensor]:
        """K_t at the predicted times, (t, t), of every term."""
        return [kernel[self.times][:, self.times] for kernel in self.time_kernels]

    @cached_property
    def _from_times(self) -> list[Tensor]:
        """K_t(t, context), (sample, t, c), of every term."""
        return [kernel[self.times][:, self.context_times].movedim(1, 0) for kernel in self.time_kernels]

    @cached_property
    def _from_positions(self) -> list[Tensor]:
        """K_x(x, context), (sample, x, c), of every term."""
        return [kernel[:, self.context_positions].movedim(1, 0) for kernel in self.position_kernels]

    @cached_property
    def seen(self) -> Seen:
        """W: that of the context points, if no other is given."""
        if self.observed is not None:
            return self.observed
        t, x = self.context_times, self.context_positions
        among = _summed(
            time[t[:, :, None], t[:, None, :]] * position[x[:, :, None], x[:, None, :]]
            for time, position in zip(self.time_kernels, self.position_kernels, strict=True)
        )
        ridge = self.noise * torch.eye(t.shape[1], dtype=among.dtype)
        return Exact(torch.linalg.cholesky(among + ridge), self.noise)

    def mean(self, values: Tensor) -> Tensor:
        """k(·, C) W values, (sample, t, x), for values at the context points, (sample, c)."""
        return self.spread(self.seen.solve(values.unsqueeze(-1)).squeeze(-1))

    def spread(self, coefficients: Tensor) -> Tensor:
        """Σ_c k(·, c) coefficients_c, (..., sample, t, x)."""
        return _summed(
            (times * coefficients.unsqueeze(-2)) @ positions.mT
            for times, positions in zip(self._from_times, self._from_positions, strict=True)
        )

    def _cross(self, time: int) -> Tensor:
        """k(·, C) at one of the predicted times, (sample, x, c)."""
        return _summed(
            positions * times[:, time, None, :]
            for times, positions in zip(self._from_times, self._from_positions, strict=True)
        )

    def _rows_at_context(self, weights: Tensor) -> Tensor:
        """G k(·, C), (sample, t·q, c)."""
        total = []
        for times, positions in zip(self._from_times, self._from_positions, strict=True):
            over_x = torch.einsum("qx,sxc->sqc", weights, positions)
            total.append(torch.einsum("stc,sqc->stqc", times, over_x).flatten(1, 2))
        return _summed(total)

    def variance(self) -> Tensor:
        """diag Σ, a time at a time."""
        prior = self.noise + _summed(
            torch.outer(time.diagonal(), position.diagonal())
            for time, position in zip(self._priors, self.position_kernels, strict=True)
        )
        explained = torch.empty(self.shape[1:], dtype=prior.dtype)
        for i in range(len(self.times)):
            explained[:, i] = self.seen.half(self._cross(i).mT).square().sum(-2)
        return (prior - explained).clamp_min(0.0).expand(self.shape)

    def gram(self, left: Tensor, right: Tensor) -> Tensor:
        """G_l Σ G_rᵀ as one block over all times and rows, (draw, sample, 1, t·q, t·q)."""
        prior = _summed(
            torch.kron(time, left @ position @ right.T)
            for time, position in zip(self._priors, self.position_kernels, strict=True)
        )
        prior = prior + self.noise * torch.kron(torch.eye(len(self.times), dtype=prior.dtype), left @ right.T)
        explained = self._rows_at_context(left) @ self.seen.solve(self._rows_at_context(right).mT)
        return (prior - explained)[None, :, None].expand(self.draws, -1, -1, -1, -1)

    def response(self, weights: Tensor, multipliers: Tensor) -> Tensor:
        """Σ Gᵀ λ through the parts, O(n c) a batch entry."""
        prior = _summed(
            time @ multipliers @ (weights @ position)
            for time, position in zip(self._priors, self.position_kernels, strict=True)
        )
        prior = prior + self.noise * (multipliers @ weights)
        at_context = self._rows_at_context(weights).mT @ multipliers.flatten(-2).unsqueeze(-1)
        return prior - self.spread(self.seen.solve(at_context).squeeze(-1))

    def explained(self, weights: Tensor, factor: Tensor) -> Tensor:
        """diag(Σ Gᵀ A⁻¹ G Σ), a time at a time."""
        spread = [position @ weights.T for position in self.position_kernels]  # (x, q)
        solved = self.seen.solve(self._rows_at_context(weights).mT)  # (sample, c, t·q)
        nt, q = len(self.times), len(weights)
        result = torch.empty(self.shape, dtype=weights.dtype)
        for i in range(nt):
            prior = _summed(
                torch.einsum("t,xq->xtq", time[i], over_x)
                for time, over_x in zip(self._priors, spread, strict=True)
            )
            prior[:, i] += self.noise * weights.T
            rows = prior.reshape(1, -1, nt * q) - self._cross(i) @ solved  # (sample, x, t·q)
            whitened = torch.linalg.solve_triangular(
                factor[..., 0, :, :], rows.mT.expand(self.draws, -1, -1, -1), upper=False
            )
            result[..., i, :] = whitened.square().sum(-2)
        return result

    def sample(self, generator: torch.Generator) -> Tensor:
        """Matheron's rule: a draw of the prior on the whole grid, corrected by what it says at the context."""
        like = self.time_kernels[0]
        size = (self.draws, len(self.context_times), len(like), len(self.position_kernels[0]))
        prior = _summed(
            in_time @ normal(size, like, generator) @ in_space.mT for in_time, in_space in self._roots
        )
        samples = torch.arange(size[1])[:, None]
        seen = prior[:, samples, self.context_times, self.context_positions]
        correction = self.spread(self.seen.corrected(seen, generator))
        white = self.noise**0.5 * normal(self.shape, like, generator)
        return prior[:, :, self.times] - correction + white

    @cached_property
    def _roots(self) -> list[tuple[Tensor, Tensor]]:
        """Symmetric square roots of every term; eigenvalues that round-off made negative count as 0."""
        pairs = zip(self.time_kernels, self.position_kernels, strict=True)
        return [(root(time), root(position)) for time, position in pairs]

    def take(self, index: Tensor) -> "GridProcess":
        """All draws are alike: as many as asked for."""
        return replace(self, draws=len(index))


def _summed(parts: Iterable[Tensor]) -> Tensor:
    """Σ parts, of which there is at least one."""
    return reduce(add, parts)


def root(kernel: Tensor) -> Tensor:
    """A symmetric square root; eigenvalues that round-off made negative count as 0."""
    values, vectors = torch.linalg.eigh(kernel)
    return (vectors * values.clamp_min(0.0).sqrt().unsqueeze(-2)) @ vectors.mT
