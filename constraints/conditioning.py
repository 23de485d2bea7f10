"""The arithmetic of enforcement: linear rows on structured Gaussians, batched, in float64, never n × n."""

from typing import NamedTuple

import torch
from torch import Tensor

from lawbound.surrogates.covariance import Conditioned, Covariance, apply_rows, as_blocks, as_rows, polished

# Below this share of what rows of that size could have, a row's variance is round-off: the row is known already.
_KNOWN = 1e-13
# Root of the pivot of a row that is taken out.
_BEYOND = 1e100
# A known row may miss its right-hand side by this share of its terms' sum of magnitudes.
_ROUND_OFF = 1e-10


class Updated(NamedTuple):
    """New means and covariance, the multipliers λ of the rows, (draw, sample, t, q), and the share of points on a

    bound, (draw, sample, t).
    """

    means: Tensor
    covariance: Covariance
    multipliers: Tensor
    bound: Tensor


class UnreachableError(ValueError):
    """A row misses its right-hand side where the prediction has no variance to move it; `index` names it."""

    def __init__(self, index: tuple[int, ...], residual: float) -> None:
        super().__init__(
            f"row at (draw, sample, t, row) index {index} is off by {residual:.3g} and has no variance"
        )
        self.index = index
        self.residual = residual


def condition(
    means: Tensor, covariance: Covariance, weights: Tensor, rhs: Tensor, sigma: Tensor, relative: float
) -> Updated:
    """Gaussian conditioning on b = G u + σ_G ε, R = σ_G² + relative² · diag(G Σ Gᵀ).

    μ̃ = μ − Σ Gᵀ λ, (G Σ Gᵀ + R) λ = G μ − b; Σ̃ = Σ − Σ Gᵀ (G Σ Gᵀ + R)⁻¹ G Σ. With R = 0 this is the
    projection along Σ Gᵀ, and G μ̃ = b. means: (draw, sample, t, x); weights: (q, x); rhs, sigma: (sample, t, q).
    Hansen et al., ICML 2023, arXiv:2302.11002, eqs. for the updated mean and variance.
    Raises `UnreachableError` where a row has no variance and does not hold, `ValueError` for contradicting rows.
    """
    coupled = covariance.couples_times
    gram = covariance.gram(weights, weights)
    row_variance = as_rows(torch.diagonal(gram, dim1=-2, dim2=-1), apply_rows(weights, means))
    residual = apply_rows(weights, means) - rhs
    applies = torch.isfinite(sigma)
    noise = (torch.where(applies, sigma, 0.0) ** 2 + relative**2 * row_variance).clamp_min(0.0)
    residual = torch.where(applies, residual, 0.0)
    known = _known_rows(means, covariance, weights, rhs, residual, row_variance + noise) | ~applies
    # A known row is taken out: its equation becomes λ = 0.
    out = as_blocks(known.to(gram.dtype), coupled)
    system = gram * (1.0 - out.unsqueeze(-1)) * (1.0 - out.unsqueeze(-2))
    system = system + torch.diag_embed(as_blocks(noise, coupled) * (1.0 - out) + out)
    # A pivot beyond all others lets it explain no variance either.
    factor = _cholesky(system) + torch.diag_embed(_BEYOND * out)
    multipliers = torch.zeros_like(residual)
    updated = means
    # One solve, and one or two of iterative refinement: the residual that is left is round-off of G μ̃ itself.
    for _ in range(3):
        gap = (apply_rows(weights, updated) - rhs - noise * multipliers).masked_fill(known, 0.0)
        step = as_rows(torch.cholesky_solve(as_blocks(gap, coupled).unsqueeze(-1), factor).squeeze(-1), gap)
        multipliers = multipliers + step
        updated = means - covariance.response(weights, multipliers)
    if not bool(noise.any()) and bool(applies.all()):
        updated = polished(updated, weights, rhs)
        _refuse_contradiction(updated, means, weights, rhs)
    conditioned = Conditioned(covariance, weights, noise, factor)
    return Updated(updated, conditioned, multipliers, multipliers.new_zeros(means.shape[:-1]))


def _refuse_contradiction(updated: Tensor, means: Tensor, weights: Tensor, rhs: Tensor) -> None:
    gap = (apply_rows(weights, updated) - rhs).abs()
    size = torch.maximum(updated.abs(), means.abs()) @ weights.abs().T + rhs.abs()
    if bool((gap > _ROUND_OFF * size).any()):
        raise ValueError(
            f"The rows of the constraints cannot hold together: one is still off by {float(gap.max()):.3g}. Leave out "
            "one of those that contradict each other."
        )


def _known_rows(
    means: Tensor,
    covariance: Covariance,
    weights: Tensor,
    rhs: Tensor,
    residual: Tensor,
    row_variance: Tensor,
) -> Tensor:
    """Rows without variance, (draw, sample, t, q) bool; they must hold already."""
    reach = (covariance.variance().sqrt() @ weights.abs().T) ** 2
    known = row_variance <= _KNOWN * reach
    size = means.abs() @ weights.abs().T + rhs.abs()
    broken = known & (residual.abs() > _ROUND_OFF * size)
    if bool(broken.any()):
        index = tuple(int(i) for i in torch.nonzero(broken)[0])
        raise UnreachableError(index, float(residual[index]))
    return known


def _cholesky(system: Tensor) -> Tensor:
    """Cholesky factor; a block that is singular to round-off gets the smallest jitter that works."""
    factor, info = torch.linalg.cholesky_ex(system)
    if not bool(info.any()):
        return factor
    scale = torch.diagonal(system, dim1=-2, dim2=-1).mean(-1)[..., None, None]
    eye = torch.eye(system.shape[-1], dtype=system.dtype, device=system.device)
    for jitter in (1e-15, 1e-14, 1e-13, 1e-12):
        factor, info = torch.linalg.cholesky_ex(system + jitter * scale * eye)
        if not bool(info.any()):
            return factor
    raise ValueError(
        "The covariance of the constraints' rows is not positive definite even with a jitter; check that the "
        "prediction's covariance is, and leave out rows that repeat each other."
    )
