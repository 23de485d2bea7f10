"""Kronecker products in time and space, Σ = K_t ⊗ K_x + τ² I, never multiplied out."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from lawbound.surrogates.covariance import lean, normal, taken
from lawbound.surrogates.low_rank import by_times, shortened, solved


@final
@dataclass(frozen=True)
class Kronecker:
    """Σ = K_t ⊗ K_x + τ² I with K_t, (..., t, t), and K_x, (..., x, x), positive semidefinite.

    One pair for a whole batch is given by `expand`, which copies nothing. Raises `ValueError` for shapes that do
    not fit, negative noise, or (when sampling) kernels with negative eigenvalues.
    """

    time: Tensor
    space: Tensor
    noise: float = 0.0

    def __post_init__(self) -> None:
        square = all(k.ndim >= 2 and k.shape[-1] == k.shape[-2] for k in (self.time, self.space))
        if not square or self.time.shape[:-2] != self.space.shape[:-2]:
            raise ValueError(
                f"`Kronecker` got a kernel in time of shape {tuple(self.time.shape)} and one in space of shape "
                f"{tuple(self.space.shape)}; they must be (..., t, t) and (..., x, x) with the same batch."
            )
        if self.noise < 0.0:
            raise ValueError(f"`Kronecker` got noise {self.noise}; a variance is ≥ 0.")

    @property
    def couples_times(self) -> bool:
        """True."""
        return True

    @property
    def shape(self) -> torch.Size:
        """(..., t, x)."""
        return self.time.shape[:-1] + self.space.shape[-1:]

    @cached_property
    def _kernels(self) -> tuple[Tensor, Tensor]:
        return lean(self.time, self.time.ndim - 2), lean(self.space, self.space.ndim - 2)

    def variance(self) -> Tensor:
        """diag K_t ⊗ diag K_x + τ²."""
        time, space = (torch.diagonal(k, dim1=-2, dim2=-1) for k in self._kernels)
        return (time.unsqueeze(-1) * space.unsqueeze(-2) + self.noise).expand(self.shape)

    def gram(self, left: Tensor, right: Tensor) -> Tensor:
        """K_t ⊗ G_l K_x G_rᵀ + τ² I ⊗ G_l G_rᵀ, one block over all times and rows."""
        time, space = self._kernels
        eye = torch.eye(time.shape[-1], dtype=time.dtype, device=time.device)
        blocks = torch.einsum("...ts,...qr->...tqsr", time, left @ space @ right.T)
        blocks = blocks + self.noise * torch.einsum("ts,qr->tqsr", eye, left @ right.T)
        blocks = blocks.flatten(-4, -3).flatten(-2).unsqueeze(-3)
        return blocks.expand(*self.shape[:-2], *blocks.shape[-3:])

    def response(self, weights: Tensor, multipliers: Tensor) -> Tensor:
        """K_t λ (G K_x) + τ² λ G."""
        time, space = self._kernels
        return time @ multipliers @ (weights @ space) + self.noise * (multipliers @ weights)

    def explained(self, weights: Tensor, factor: Tensor) -> Tensor:
        """diag(Σ Gᵀ A⁻¹ G Σ), O(t x q²) after t small factorisations.

        A row of Σ Gᵀ at (t, x) is (K_x Gᵀ, τ² g)_x times the small matrix (K_t[t, :] ⊗ I; e_t ⊗ I).
        """
        time, space = self._kernels
        times, q = time.shape[-1], len(weights)
        eye = torch.eye(times, dtype=time.dtype, device=time.device)
        small = torch.eye(q, dtype=time.dtype, device=time.device)
        spread, kinds = weights @ space, [time]
        if self.noise > 0.0:
            spread = torch.cat((spread, (self.noise * weights).expand_as(spread)), dim=-2)
            kinds.append(eye.expand_as(time))
        columns = [
            torch.einsum("...ts,qr->...tqsr", kind, small).flatten(-4, -3).flatten(-2) for kind in kinds
        ]
        triangle = shortened(
            torch.cat([by_times(solved(factor, part.unsqueeze(-3)), times) for part in columns], dim=-1)
        )  # (..., t, rows, q or 2 q)
        total = torch.zeros(self.shape, dtype=factor.dtype, device=factor.device)
        for row in range(triangle.shape[-2]):
            total += torch.einsum("...tp,...px->...tx", triangle[..., row, :], spread).square()
        return total

    @cached_property
    def _eigen(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Eigenvalues and eigenvectors in time and in space; round-off below 0 counts as 0."""
        return _eigen(self._kernels[0], "time"), _eigen(self._kernels[1], "space")

    def sample(self, generator: torch.Generator) -> Tensor:
        """(V_t ⊗ V_x) √(λ_t ⊗ λ_x + τ²) ε: one draw for kernel and noise together."""
        (time, in_time), (space, in_space) = self._eigen
        scale = (time.unsqueeze(-1) * space.unsqueeze(-2) + self.noise).sqrt()
        white = scale * normal(self.shape, self.time, generator)
        return torch.einsum("...ts,...sx,...yx->...ty", in_time, white, in_space)

    def take(self, index: Tensor) -> "Kronecker":
        """Entries of the first batch dimension."""
        return Kronecker(taken(self.time, index), taken(self.space, index), self.noise)


def _eigen(kernel: Tensor, name: str) -> tuple[Tensor, Tensor]:
    values, vectors = torch.linalg.eigh(kernel)
    if bool((values[..., :1] < -1e-10 * values.abs().amax(-1, keepdim=True)).any()):
        raise ValueError(
            f"The kernel in {name} has the eigenvalue {float(values.min()):.3g}; a covariance has none below 0."
        )
    return values.clamp_min(0.0), vectors
