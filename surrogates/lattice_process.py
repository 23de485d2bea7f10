"""Covariance of a Gaussian process with a product kernel on a (t, x) grid, given functions on lattices of its points.

Values at all points (t_i, x_j) of a lattice have the covariance C_t ⊗ C_x + τ² I, which the eigenvectors V_t ⊗ V_x of its
two small factors diagonalise. With P = K(·, lattice) V along each axis

    Σ = K_t ⊗ K_x + τ² I − (P_t ⊗ P_x) diag(E) (P_t ⊗ P_x)ᵀ,    E_ij = Σ_p w_p² / (λ_p λ_i λ_j + τ²),

where p counts functions that were seen, in the eigenvectors of their own correlation, and w says how the predicted function
goes with them; a function seen itself has one λ_p = w = 1. All costs are those of products of matrices along one axis.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, final

import torch
from torch import Tensor

from lawbound.surrogates.covariance import normal
from lawbound.surrogates.grid_process import root


@final
@dataclass(frozen=True)
class Line:
    """An axis of the process: covariances (n, n) of all of its points, which are predicted, which of the lattice.

    predicted: indices (m,). lattice: indices (sample or 1, c).
    """

    kernel: Tensor
    predicted: Tensor
    lattice: Tensor

    @cached_property
    def prior(self) -> Tensor:
        """K among the predicted points."""
        return self.kernel[self.predicted][:, self.predicted]

    @cached_property
    def spectrum(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues (sample or 1, c) and eigenvectors of K among the lattice; round-off below 0 counts as 0."""
        values, vectors = torch.linalg.eigh(self.kernel[self.lattice[:, :, None], self.lattice[:, None, :]])
        return values.clamp_min(0.0), vectors

    @cached_property
    def across(self) -> Tensor:
        """P = K(predicted, lattice) V, (sample or 1, m, c)."""
        return self.kernel[self.predicted][:, self.lattice].movedim(1, 0) @ self.spectrum[1]

    @cached_property
    def root(self) -> Tensor:
        """A symmetric square root of K."""
        return root(self.kernel)


class Functions(NamedTuple):
    """The functions that were seen: λ_p of their correlation, (p,), and w of each predicted function, (sample, p)."""

    values: Tensor
    weights: Tensor

    @classmethod
    def itself(cls, samples: int) -> "Functions":
        """Each predicted function was seen, and no other."""
        return cls(torch.ones(1, dtype=torch.float64), torch.ones(samples, 1, dtype=torch.float64))


@final
@dataclass(frozen=True)
class LatticeProcess:
    """Posterior covariance over fields at the predicted times and positions; amplitudes are part of the time's kernel.

    noise: τ². draws: leading batch size.
    """

    time: Line
    position: Line
    functions: Functions
    noise: float
    draws: int = 1

    @property
    def couples_times(self) -> bool:
        """True."""
        return True

    @property
    def shape(self) -> torch.Size:
        """(draw, sample, t, x)."""
        samples = len(self.functions.weights)
        return torch.Size((self.draws, samples, len(self.time.predicted), len(self.position.predicted)))

    @cached_property
    def _among(self) -> Tensor:
        """λ_i λ_j, (sample or 1, c_t, c_x)."""
        return self.time.spectrum[0].unsqueeze(-1) * self.position.spectrum[0].unsqueeze(-2)

    @cached_property
    def inverse(self) -> Tensor:
        """E, (sample or 1, c_t, c_x)."""
        total = torch.zeros((), dtype=self._among.dtype)
        for value, weight in zip(self.functions.values, self.functions.weights.T, strict=True):
            total = total + weight.square()[:, None, None] / (value * self._among + self.noise)
        return total

    def mean(self, values: Tensor) -> Tensor:
        """The mean given values on the lattice of every function that was seen, in the eigenvectors of all three.

        values: (sample, c_t, c_x) of each function itself, or (p, c_t, c_x) of others, for all samples.
        """
        total = torch.zeros(self.shape[1:], dtype=values.dtype)
        for number, (value, weight) in enumerate(
            zip(self.functions.values, self.functions.weights.T, strict=True)
        ):
            own = values if len(self.functions.values) == 1 else values[number]
            total = total + weight[:, None, None] * self._spread(own / (value * self._among + self.noise))
        return total

    def into(self, values: Tensor) -> Tensor:
        """V_tᵀ values V_x of values on the lattice, (..., c_t, c_x)."""
        return self.time.spectrum[1].mT @ values @ self.position.spectrum[1]

    def _spread(self, coefficients: Tensor) -> Tensor:
        """(P_t ⊗ P_x) coefficients."""
        return self.time.across @ coefficients @ self.position.across.mT

    def variance(self) -> Tensor:
        """diag Σ, by two products."""
        prior = torch.outer(self.time.prior.diagonal(), self.position.prior.diagonal()) + self.noise
        explained = self.time.across.square() @ self.inverse @ self.position.across.square().mT
        return (prior - explained).clamp_min(0.0).expand(self.shape)

    def gram(self, left: Tensor, right: Tensor) -> Tensor:
        """G_l Σ G_rᵀ as one block over all times and rows, (draw, sample, 1, t·q, t·q)."""
        over_left, over_right = (
            left @ self.position.across,
            right @ self.position.across,
        )  # (sample or 1, q, c_x)
        pairs = over_left.unsqueeze(2) * over_right.unsqueeze(1)  # (sample or 1, q, r, c_x)
        inside = (pairs.unsqueeze(-2) * self.inverse[:, None, None]).sum(-1)  # (sample or 1, q, r, c_t)
        times = self.time.across[:, None, None]
        explained = (times * inside.unsqueeze(-2)) @ times.mT  # (sample or 1, q, r, t, t)
        eye = torch.eye(len(self.time.prior), dtype=explained.dtype)
        prior = torch.kron(self.time.prior, left @ self.position.prior @ right.T)
        prior = prior + self.noise * torch.kron(eye, left @ right.T)
        rows = explained.permute(0, 3, 1, 4, 2).flatten(3).flatten(1, 2)
        return (prior - rows)[None, :, None].expand(*self.shape[:2], 1, -1, -1)

    def response(self, weights: Tensor, multipliers: Tensor) -> Tensor:
        """Σ Gᵀ λ along the axes."""
        prior = self.time.prior @ multipliers @ (weights @ self.position.prior)
        inside = self.time.across.mT @ multipliers @ (weights @ self.position.across)
        return prior + self.noise * (multipliers @ weights) - self._spread(self.inverse * inside)

    def explained(self, weights: Tensor, factor: Tensor) -> Tensor:
        """diag(Σ Gᵀ A⁻¹ G Σ), a time at a time."""
        nt = len(self.time.predicted)
        spread = self.position.prior @ weights.T  # (x, q)
        over = weights @ self.position.across  # (sample or 1, q, c_x)
        result = torch.empty(self.shape, dtype=weights.dtype)
        for i in range(nt):
            prior = torch.einsum("t,xq->xtq", self.time.prior[i], spread)
            prior[:, i] += self.noise * weights.T
            inside = (
                self.time.across * self.time.across[:, i, None, :]
            ) @ self.inverse  # (sample or 1, t, c_x)
            cross = (inside.unsqueeze(2) * over.unsqueeze(1)).flatten(1, 2)  # (sample or 1, t·q, c_x)
            rows = prior.flatten(1).T - cross @ self.position.across.mT  # (sample or 1, t·q, x)
            whitened = torch.linalg.solve_triangular(
                factor[..., 0, :, :], rows.expand(*self.shape[:2], -1, -1), upper=False
            )
            result[..., i, :] = whitened.square().sum(-2)
        return result

    def sample(self, generator: torch.Generator) -> Tensor:
        """Matheron's rule in the eigenvectors: a draw of the prior, less what it says of the lattice that is known otherwise."""
        like = self.time.kernel
        size = (*self.shape[:2], len(self.time.kernel), len(self.position.kernel))
        prior = self.time.root @ normal(size, like, generator) @ self.position.root.mT
        samples = torch.arange(size[1])[:, None, None]
        seen = self.into(prior[:, samples, self.time.lattice[:, :, None], self.position.lattice[:, None, :]])
        # Noise such that E times (draw + noise) has the covariance E, that of what the lattice explains.
        left = (self.inverse * (1.0 - self.inverse * self._among)).clamp_min(0.0).sqrt()
        correction = self._spread(self.inverse * seen + left * normal(seen.shape, like, generator))
        picked = prior[:, :, self.time.predicted][..., self.position.predicted]
        return picked - correction + self.noise**0.5 * normal(self.shape, like, generator)

    def take(self, index: Tensor) -> "LatticeProcess":
        """All draws are alike: as many as asked for."""
        return replace(self, draws=len(index))
