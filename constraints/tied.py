"""What is left of independent errors once rows that may differ from sample to sample are known exactly."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from lawbound.surrogates.covariance import explained_by_columns, normal, taken


@final
@dataclass(frozen=True)
class TiedDiagonal:
    """Σ = D − D Gᵀ (G D Gᵀ)⁻¹ G D for D = diag(values) and G = A B, A of each sample and time: no variance of G u.

    values: (..., t, n). rows: B, (r, n). roots: F = Aᵀ S⁻ᵀ with A B D Bᵀ Aᵀ = S Sᵀ, (..., t, r, m), so that
    Σ = D − D Bᵀ F Fᵀ B D. It is Gaussian conditioning of independent errors, as `covariance.Conditioned` is for rows that are
    the same everywhere.
    """

    values: Tensor
    rows: Tensor
    roots: Tensor

    @classmethod
    def of(cls, values: Tensor, rows: Tensor, choices: Tensor, which: Tensor) -> "TiedDiagonal":
        """For sets of rows (`row_sets.RowSets`): choices (set, m, r), which (sample, t); values (draw, sample, t, n)."""
        gram = torch.einsum("rx,...tx,qx->...trq", rows, values, rows)
        chosen = choices[0] if len(choices) == 1 else choices[which]
        reach = chosen @ gram @ chosen.mT
        # A row among points without variance is known already; one of zeros is none.
        diagonal = torch.diagonal(reach, dim1=-2, dim2=-1)
        scale = torch.where(diagonal > 0.0, diagonal, 1.0).rsqrt()
        scaled = reach * scale.unsqueeze(-1) * scale.unsqueeze(-2)
        system = scaled + torch.diag_embed(torch.where(diagonal > 0.0, 1e-14, 1.0))
        factor = torch.linalg.cholesky(system)
        weighted = (chosen * scale.unsqueeze(-1)).expand(*values.shape[:-1], *chosen.shape[-2:])
        return cls(values, rows, torch.linalg.solve_triangular(factor, weighted, upper=False).mT)

    @property
    def couples_times(self) -> bool:
        """False."""
        return False

    @property
    def shape(self) -> torch.Size:
        """(..., t, n)."""
        return self.values.shape

    def _seen(self, weights: Tensor) -> Tensor:
        """G' D Bᵀ F, (..., t, q, m)."""
        return torch.einsum("qx,...tx,rx->...tqr", weights, self.values, self.rows) @ self.roots

    def variance(self) -> Tensor:
        """d − d² ∘ rowsum((Bᵀ F)²); round-off below 0 is cut."""
        total = torch.zeros_like(self.values)
        for column in self.roots.unbind(-1):  # (..., t, r): one at a time, for n m numbers may be many
            total += (column @ self.rows).square()
        left = self.values - self.values.square() * total
        return torch.where(left > 1e-12 * self.values, left, 0.0)

    def gram(self, left: Tensor, right: Tensor) -> Tensor:
        """G_l D G_rᵀ − (G_l D Bᵀ F)(G_r D Bᵀ F)ᵀ."""
        direct = torch.einsum("qx,...tx,rx->...tqr", left, self.values, right)
        return direct - self._seen(left) @ self._seen(right).mT

    def _without(self, states: Tensor) -> Tensor:
        """(I − D Bᵀ F Fᵀ B) u, whose rows G u are 0."""
        latent = (self.roots.mT @ (states @ self.rows.mT).unsqueeze(-1)).squeeze(-1)
        spread = (self.roots @ latent.unsqueeze(-1)).squeeze(-1)
        return states - self.values * (spread @ self.rows)

    def response(self, weights: Tensor, multipliers: Tensor) -> Tensor:
        """Σ Gᵀ λ, O(n r)."""
        return self._without(self.values * (multipliers @ weights))

    def explained(self, weights: Tensor, factor: Tensor) -> Tensor:
        """diag(Σ Gᵀ A⁻¹ G Σ), one row at a time."""
        return explained_by_columns(self.response, self.shape, weights, factor, self.couples_times)

    def sample(self, generator: torch.Generator) -> Tensor:
        """White noise of the diagonal, moved so that its rows are 0; the second pass takes off round-off."""
        free = self.values.sqrt() * normal(self.values.shape, self.values, generator)
        return self._without(self._without(free))

    def take(self, index: Tensor) -> "TiedDiagonal":
        """Entries of the first batch dimension."""
        return TiedDiagonal(taken(self.values, index), self.rows, taken(self.roots, index))
