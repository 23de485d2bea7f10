"""The log marginal likelihood of Gaussian processes and its maximum (Rasmussen and Williams 2006, eq. 5.8 and 5.9)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, final

import numpy as np
import torch
from torch import Tensor

from lawbound.surrogates.separable import SeparableKernel

# The most points of one function that are factorised densely: 4096² numbers are 134 MB, a factorisation a second.
MOST_DENSE = 4096


class Evidence(Protocol):
    """Values that a process should have given, and how likely they are."""

    def loss(self, logs: Tensor) -> Tensor:
        """Negative log marginal likelihood, averaged over functions and points."""
        ...

    def loss_with_gradient(self, logs: Tensor) -> Tensor:
        """The loss, its gradient being added to `logs.grad`."""
        ...


@final
@dataclass(frozen=True)
class DenseEvidence:
    """Functions at points of their own: where (sample, c, axis), values (sample, c). Any kernel."""

    kernel: SeparableKernel
    where: Tensor
    values: Tensor

    def __post_init__(self) -> None:
        if self.values.shape[1] > MOST_DENSE:
            raise ValueError(
                f"kernel={self.kernel.formula.text!r} is a sum, whose {self.values.shape[1]} points need one dense factorisation; at "
                f"most {MOST_DENSE} are taken. Give a product, which stays fast on lattices, fewer points (context_times, "
                "context_positions, functions), or inducing=200."
            )

    def _parts(self) -> list[tuple[Tensor, Tensor]]:
        at_once = max(1, MOST_DENSE**2 // self.values.shape[1] ** 2)
        return list(zip(torch.split(self.where, at_once), torch.split(self.values, at_once), strict=True))

    def loss(self, logs: Tensor) -> Tensor:
        """By Cholesky factorisation."""
        each = [
            _negative_log_density(torch.linalg.cholesky(self.kernel.matrix(logs, where)), values)
            for where, values in self._parts()
        ]
        return torch.cat(each).mean() / self.values.shape[1]

    def loss_with_gradient(self, logs: Tensor) -> Tensor:
        """dL/dθ = ½ tr((K⁻¹ − K⁻¹ y yᵀ K⁻¹) dK/dθ).

        Differentiating the kernel with a constant factor is several times cheaper than going back through the
        Cholesky factor.
        """
        each = []
        for where, values in self._parts():
            kernel = self.kernel.matrix(logs, where)
            factor = torch.linalg.cholesky(kernel.detach())
            solved = torch.cholesky_solve(values.unsqueeze(-1), factor)
            outer = torch.cholesky_inverse(factor) - solved @ solved.mT
            (0.5 * (outer * kernel).sum() / self.values.numel()).backward()  # type: ignore[no-untyped-call]
            each.append(_negative_log_density(factor, values))
        return torch.cat(each).mean() / self.values.shape[1]


def _negative_log_density(factor: Tensor, values: Tensor) -> Tensor:
    """−log N(values; 0, L Lᵀ) of every function."""
    whitened = torch.linalg.solve_triangular(factor, values.unsqueeze(-1), upper=False)
    log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return 0.5 * whitened.square().sum((-2, -1)) + log_det + 0.5 * values.shape[1] * np.log(2 * np.pi)


class Side(NamedTuple):
    """A side of a lattice: the axes that it runs over, and its points, (sample or 1, n, axis)."""

    axes: tuple[str, ...]
    points: Tensor

    def correlation(self, kernel: SeparableKernel, numbers: Sequence[Tensor]) -> Tensor:
        """The factor of a product kernel that belongs to this side, (sample or 1, n, n)."""
        gap = (self.points.unsqueeze(-2) - self.points.unsqueeze(-3)).abs()
        total = kernel.correlation(numbers, 0, self.axes[0], gap[..., 0])
        for i, axis in enumerate(self.axes[1:], start=1):
            total = total * kernel.correlation(numbers, 0, axis, gap[..., i])
        return total


@final
@dataclass(frozen=True)
class LatticeEvidence:
    """Functions on lattices: values (sample, n_1, …), a side for each n_i. Product kernels only.

    K = s² C_1 ⊗ … ⊗ C_k + τ² I has the eigenvectors V_1 ⊗ … ⊗ V_k (Saatçi, Scalable inference for structured Gaussian
    process models, 2011, chapter 5): k small factorisations instead of one of all points, and nothing of their size squared.
    """

    kernel: SeparableKernel
    sides: Sequence[Side]
    values: Tensor

    def loss(self, logs: Tensor) -> Tensor:
        """½ Σ (ỹ² / λ + log 2πλ), ỹ the values in the eigenvectors of the sides."""
        spectrum = Spectrum.of(self.kernel, self.sides, logs)
        return self._loss(spectrum, spectrum.into(self.values))

    def _loss(self, spectrum: "Spectrum", inside: Tensor) -> Tensor:
        each = 0.5 * (inside.square() / spectrum.total + spectrum.total.log()).flatten(1).sum(1)
        size = self.values[0].numel()
        return (each.mean() + 0.5 * size * np.log(2 * np.pi)) / size

    def loss_with_gradient(self, logs: Tensor) -> Tensor:
        """As for dense matrices, each factor in turn: no derivative of eigenvectors, which may not exist."""
        spectrum = Spectrum.of(self.kernel, self.sides, logs.detach())
        inside = spectrum.into(self.values)
        solved = spectrum.out_of(inside / spectrum.total)
        numbers = self.kernel.numbers(logs)
        factors = [side.correlation(self.kernel, numbers) for side in self.sides]
        (amplitude,), noise = self.kernel.amplitudes(numbers), self.kernel.noise(numbers)
        rayleigh = [
            (vectors * (factor @ vectors)).sum(-2)
            for factor, vectors in zip(factors, spectrum.vectors, strict=True)
        ]
        share = len(self.values) / len(spectrum.total)  # samples that share a lattice share its determinant
        trace = share * ((amplitude * outer(rayleigh) + noise) / spectrum.total).sum()
        square = (solved * (amplitude * along(factors, solved) + noise * solved)).sum()
        (0.5 * (trace - square) / self.values.numel()).backward()  # type: ignore[no-untyped-call]
        return self._loss(spectrum, inside)


@final
@dataclass(frozen=True)
class Spectrum:
    """Eigenvectors of each side's correlation (sample or 1, n, n), and the eigenvalues of K, (sample or 1, n_1, …)."""

    vectors: tuple[Tensor, ...]
    total: Tensor

    @classmethod
    def of(cls, kernel: SeparableKernel, sides: Sequence[Side], logs: Tensor) -> "Spectrum":
        """Of a product kernel with noise; eigenvalues that round-off made negative count as 0."""
        numbers = kernel.numbers(logs)
        pairs = [torch.linalg.eigh(side.correlation(kernel, numbers)) for side in sides]
        values = tuple(pair[0].clamp_min(0.0) for pair in pairs)
        (amplitude,) = kernel.amplitudes(numbers)
        return cls(tuple(pair[1] for pair in pairs), amplitude * outer(values) + kernel.noise(numbers))

    def into(self, values: Tensor) -> Tensor:
        """(V_1 ⊗ …)ᵀ values."""
        return along([v.mT for v in self.vectors], values)

    def out_of(self, values: Tensor) -> Tensor:
        """(V_1 ⊗ …) values."""
        return along(self.vectors, values)


def along(matrices: Sequence[Tensor], values: Tensor) -> Tensor:
    """(M_1 ⊗ … ⊗ M_k) values for values (sample, n_1, …, n_k) and matrices (sample or 1, m_i, n_i)."""
    for i, matrix in enumerate(matrices, start=1):
        last = values.movedim(i, -1)
        turned = last.flatten(1, -2) @ matrix.mT
        values = turned.reshape(len(turned), *last.shape[1:-1], -1).movedim(-1, i)
    return values


def outer(values: Sequence[Tensor]) -> Tensor:
    """v_1 ⊗ … ⊗ v_k, (sample, n_1, …, n_k)."""
    total = values[0]
    for value in values[1:]:
        total = total.unsqueeze(-1) * value.reshape(len(value), *[1] * (total.ndim - 1), -1)
    return total


def maximise(
    evidence: Evidence,
    start: Tensor,
    iterations: int,
) -> tuple[Tensor, float]:
    """Logarithms of the hyperparameters at a maximum of the likelihood, and the loss there; raises `ValueError`."""
    logs = start.clone().requires_grad_(True)
    optimiser = torch.optim.LBFGS([logs], max_iter=iterations, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        return evidence.loss_with_gradient(logs)

    try:
        optimiser.step(closure)  # type: ignore[no-untyped-call]
        found = logs.detach()
        loss = float(evidence.loss(found))
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        loss = np.nan
    if not np.isfinite(loss):
        raise ValueError(
            "The marginal likelihood stopped being finite; check the data with `lawbound check`."
        )
    return found, loss
