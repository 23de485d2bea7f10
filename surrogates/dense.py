"""The full matrix, for reference and for small states."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from lawbound.surrogates.covariance import as_blocks, normal, taken
from lawbound.surrogates.low_rank import solved


@final
@dataclass(frozen=True)
class Dense:
    """Σ written out: (..., t, x, x), or (..., t·x, t·x) over `times` coupled times.

    O(x²) or O(t² x²) numbers: every other structure is to be preferred where it fits. Raises `ValueError` for
    shapes that do not fit and, when sampling, for a matrix with negative eigenvalues.
    """

    matrix: Tensor
    times: int | None = None

    def __post_init__(self) -> None:
        rows, columns = self.matrix.shape[-2:]
        if rows != columns or rows % (self.times or 1) or (self.times is None and self.matrix.ndim < 3):
            raise ValueError(
                f"`Dense` got a matrix of shape {tuple(self.matrix.shape)} and times={self.times}; it must be "
                "(..., t, x, x), or (..., t·x, t·x) with times=t."
            )

    @property
    def couples_times(self) -> bool:
        """Whether the number of times was given."""
        return self.times is not None

    @property
    def shape(self) -> torch.Size:
        """(..., t, x)."""
        if self.times is None:
            return self.matrix.shape[:-1]
        return torch.Size((*self.matrix.shape[:-2], self.times, self.matrix.shape[-1] // self.times))

    @property
    def _blocks(self) -> Tensor:
        """(..., blocks, n, n)."""
        return self.matrix.unsqueeze(-3) if self.couples_times else self.matrix

    def _rows(self, weights: Tensor) -> Tensor:
        """G at each time, or at all times in one."""
        if self.times is None:
            return weights
        return torch.kron(torch.eye(self.times, dtype=weights.dtype, device=weights.device), weights)

    def variance(self) -> Tensor:
        """diag Σ."""
        return torch.diagonal(self.matrix, dim1=-2, dim2=-1).reshape(self.shape)

    def gram(self, left: Tensor, right: Tensor) -> Tensor:
        """G_l Σ G_rᵀ."""
        return self._rows(left) @ self._blocks @ self._rows(right).T

    def response(self, weights: Tensor, multipliers: Tensor) -> Tensor:
        """Σ Gᵀ λ."""
        source = as_blocks(multipliers @ weights, self.couples_times).unsqueeze(-1)
        moved = (self._blocks @ source).squeeze(-1)
        return moved.reshape(*moved.shape[:-2], *self.shape[-2:])

    def explained(self, weights: Tensor, factor: Tensor) -> Tensor:
        """diag(Σ Gᵀ A⁻¹ G Σ)."""
        spread = self._rows(weights) @ self._blocks
        squares = solved(factor, spread).square().sum(-2)
        return squares.reshape(*squares.shape[:-2], *self.shape[-2:])

    def sample(self, generator: torch.Generator) -> Tensor:
        """The symmetric root times white noise; a singular Σ will do."""
        values, vectors = torch.linalg.eigh(self._blocks)
        if bool((values[..., :1] < -1e-10 * values.abs().amax(-1, keepdim=True)).any()):
            raise ValueError(
                f"The covariance has the eigenvalue {float(values.min()):.3g}; a covariance has none below 0."
            )
        white = normal(values.shape, values, generator) * values.clamp_min(0.0).sqrt()
        return (vectors @ white.unsqueeze(-1)).squeeze(-1).reshape(self.shape)

    def take(self, index: Tensor) -> "Dense":
        """Entries of the first batch dimension."""
        return Dense(taken(self.matrix, index), self.times)
