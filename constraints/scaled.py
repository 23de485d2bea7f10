"""A covariance scaled by a number for each time: what rows at a time have made null stays null."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from lawbound.surrogates.covariance import Covariance, explained_by_columns


@final
@dataclass(frozen=True)
class Scaled:
    """S Σ S, S = diag(s(t)) ⊗ I. factor: s, (t,), > 0."""

    base: Covariance
    factor: Tensor

    @property
    def couples_times(self) -> bool:
        """As the base."""
        return self.base.couples_times

    @property
    def shape(self) -> torch.Size:
        """(..., t, x)."""
        return self.base.shape

    def variance(self) -> Tensor:
        """s² diag Σ."""
        return self.factor.square().unsqueeze(-1) * self.base.variance()

    def gram(self, left: Tensor, right: Tensor) -> Tensor:
        """G_left S Σ S G_rightᵀ in blocks."""
        blocks = self.base.gram(left, right)
        if not self.couples_times:
            return self.factor.square()[:, None, None] * blocks
        rows, columns = (self.factor.repeat_interleave(len(weights)) for weights in (left, right))
        return rows.unsqueeze(-1) * blocks * columns

    def response(self, weights: Tensor, multipliers: Tensor) -> Tensor:
        """S Σ S Gᵀ λ."""
        s = self.factor.unsqueeze(-1)
        return s * self.base.response(weights, s * multipliers)

    def explained(self, weights: Tensor, factor: Tensor) -> Tensor:
        """diag(S Σ S Gᵀ A⁻¹ G S Σ S), one row at a time."""
        return explained_by_columns(self.response, self.shape, weights, factor, self.couples_times)

    def sample(self, generator: torch.Generator) -> Tensor:
        """A draw of the base, scaled."""
        return self.factor.unsqueeze(-1) * self.base.sample(generator)

    def take(self, index: Tensor) -> "Scaled":
        """Entries of the first batch dimension."""
        return Scaled(self.base.take(index), self.factor)
