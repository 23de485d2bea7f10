"""Gaussian processes that know many points through few: variational inference with inducing points (Titsias, AISTATS 2009).

The values at M points Z stand for those at n context points X. With Q = K_XZ K_ZZ⁻¹ K_ZX the hyperparameters maximise

    log N(y; 0, Q + τ² I) − tr(K_XX − Q) / 2τ²,

a lower bound of the marginal likelihood, which gpytorch computes in O(n M²).
"""

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from lawbound.datasets.extras import optional
from lawbound.surrogates.covariance import normal
from lawbound.surrogates.separable import RIDGE, SeparableKernel


def inducing_lattice(count: int, times: int, positions: int) -> tuple[Tensor, Tensor]:
    """Indices of about `count` stored points, (M,) each: a lattice, evenly spread over times and positions."""
    across = min(positions, max(1, round(count**0.5)))
    down = min(times, max(1, count // across))
    t = torch.linspace(0, times - 1, down, dtype=torch.float64).round().long()
    x = torch.linspace(0, positions - 1, across, dtype=torch.float64).round().long()
    return t.repeat_interleave(across), x.repeat(down)


@final
@dataclass(frozen=True)
class SparseEvidence:
    """Functions at points of their own, through inducing points: (M, axis), (sample, c, axis) and (sample, c).

    Raises `MissingExtra` where gpytorch is not installed.
    """

    kernel: SeparableKernel
    inducing: Tensor
    where: Tensor
    values: Tensor

    def __post_init__(self) -> None:
        optional("gpytorch", "gp")

    def loss(self, logs: Tensor) -> Tensor:
        """Minus the bound, averaged over functions and points."""
        with torch.no_grad():
            return torch.stack([self._of(logs, i) for i in range(len(self.values))]).mean()

    def loss_with_gradient(self, logs: Tensor) -> Tensor:
        """A function at a time, so that memory is that of one."""
        total = torch.zeros((), dtype=logs.dtype)
        for i in range(len(self.values)):
            part = self._of(logs, i) / len(self.values)
            part.backward()  # type: ignore[no-untyped-call]
            total += part.detach()
        return total

    def _of(self, logs: Tensor, sample: int) -> Tensor:
        gpytorch = optional("gpytorch", "gp")
        numbers = self.kernel.numbers(logs)
        where, values = self.where[sample], self.values[sample]
        noise = self.kernel.noise(numbers)
        with (
            gpytorch.settings.min_fixed_noise(double_value=0.0),
            gpytorch.settings.max_cholesky_size(len(values) + 1),
            gpytorch.settings.fast_computations(False, False, False),
        ):
            likelihood = gpytorch.likelihoods.FixedNoiseGaussianLikelihood(noise.expand(len(values)))
            base = _base(gpytorch, self.kernel, numbers)
            model = _model(gpytorch, base, self.inducing, likelihood, where, values)
            bound = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)(model(where), values)
        return -bound


def _base(gpytorch: Any, kernel: SeparableKernel, numbers: tuple[Tensor, ...]) -> Any:
    class Base(gpytorch.kernels.Kernel):  # type: ignore[misc]
        """Our kernel; a floor lies under the diagonal of that among equal points, the inducing ones."""

        def forward(self, left: Tensor, right: Tensor, diag: bool = False, **_: Any) -> Tensor:
            total = sum(kernel.amplitudes(numbers))
            assert isinstance(total, Tensor)
            if diag:
                return total.expand(left.shape[:-1])
            among = kernel.between(numbers, left, right)
            if torch.equal(left, right):
                among = among + RIDGE * total * torch.eye(left.shape[-2], dtype=left.dtype)
            return among

    return Base()


def _model(gpytorch: Any, base: Any, inducing: Tensor, likelihood: Any, where: Tensor, values: Tensor) -> Any:
    class Model(gpytorch.models.ExactGP):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(where, values, likelihood)
            self.mean_module = gpytorch.means.ZeroMean()
            self.covar_module = gpytorch.kernels.InducingPointKernel(base, inducing.clone(), likelihood)

        def forward(self, points: Tensor) -> Any:
            return gpytorch.distributions.MultivariateNormal(
                self.mean_module(points), self.covar_module(points)
            )

    return Model()


@final
@dataclass(frozen=True)
class Sparse:
    """W = K_ZZ⁻¹ − (K_ZZ + K_ZX K_XZ / τ²)⁻¹ of each function, as R Rᵀ with R = whitening · √δ.

    whitening: L⁻ᵀ V, (sample, M, M), of K_ZZ = L Lᵀ and L⁻¹ K_ZX K_XZ L⁻ᵀ / τ² = V diag(μ) Vᵀ. shares: δ = μ / (1 + μ), how
    much of each direction the data say. floor: what was added to the diagonal of K_ZZ.
    """

    whitening: Tensor
    shares: Tensor
    floor: float

    @classmethod
    def of(cls, among: Tensor, across: Tensor, noise: float, floor: float) -> "Sparse":
        """From K_ZZ, (M, M), K_ZX, (sample, M, c), and τ²."""
        factor = torch.linalg.cholesky(among + floor * torch.eye(len(among), dtype=among.dtype))
        whole = torch.linalg.solve_triangular(factor, across, upper=False) / noise**0.5
        values, vectors = torch.linalg.eigh(whole @ whole.mT)
        values = values.clamp_min(0.0)
        back = torch.linalg.solve_triangular(factor.mT, vectors, upper=True)
        return cls(back, values / (1.0 + values), floor)

    def coefficients(self, across: Tensor, values: Tensor, noise: float) -> Tensor:
        """(K_ZZ + K_ZX K_XZ / τ²)⁻¹ K_ZX y / τ², of which the mean is k(·, Z) times, (sample, M)."""
        inside = self.whitening.mT @ (across @ values.unsqueeze(-1)) / noise
        return (self.whitening @ ((1.0 - self.shares).unsqueeze(-1) * inside)).squeeze(-1)

    def solve(self, rows: Tensor) -> Tensor:
        """W r."""
        return self.whitening @ (self.shares.unsqueeze(-1) * (self.whitening.mT @ rows))

    def half(self, rows: Tensor) -> Tensor:
        """Rᵀ r."""
        return self.shares.sqrt().unsqueeze(-1) * (self.whitening.mT @ rows)

    def corrected(self, seen: Tensor, generator: torch.Generator) -> Tensor:
        """W (e + η), the part of the noise by what the data do not say: L⁻ᵀ V √(δ (1 − δ)) ε."""
        seen = seen + self.floor**0.5 * normal(seen.shape, seen, generator)
        left = (self.shares * (1.0 - self.shares)).sqrt() * normal(seen.shape, seen, generator)
        return self.solve(seen.unsqueeze(-1)).squeeze(-1) + (self.whitening @ left.unsqueeze(-1)).squeeze(-1)
