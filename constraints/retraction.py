"""Covariances of what is left after samples have been moved: along rows, exactly; onto any set, by samples."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, final

import torch
from torch import Tensor

from lawbound.constraints.admissible import nearest_admissible
from lawbound.constraints.conditioning import Updated
from lawbound.constraints.constraint import Admissible
from lawbound.constraints.newton import inverse
from lawbound.constraints.sampled import Sampled
from lawbound.constraints.target import Target
from lawbound.surrogates.covariance import (
    Covariance,
    Shared,
    apply_rows,
    as_blocks,
    as_rows,
    explained_by_columns,
)

#: Samples, over all draws together, from which the variance of a moved prediction is taken.
SAMPLES = 64
_AT_ONCE = 2**24  # numbers of samples that are moved together


@final
@dataclass(frozen=True)
class Retracted:
    """P Σ Pᵀ for P = I − W Gᵀ (G W Gᵀ)⁻¹ G: every sample moved along W Gᵀ until its rows come out right.

    With W = Σ this is conditioning; with W = I it is what an orthogonal projection leaves (its marginal variances
    may grow). metric: W, diagonal, (..., t, n); weights: G, (q, n); inverse: (G W Gᵀ)⁻¹, (..., t, q, q).
    """

    base: Covariance
    weights: Tensor
    metric: Tensor
    inverse: Tensor

    @property
    def couples_times(self) -> bool:
        """As the base."""
        return self.base.couples_times

    @property
    def shape(self) -> torch.Size:
        """(..., t, n)."""
        return self.base.shape

    def _moved(self, field: Tensor) -> Tensor:
        """P e."""
        gap = (self.inverse @ apply_rows(self.weights, field).unsqueeze(-1)).squeeze(-1)
        return field - self.metric * (gap @ self.weights)

    def _spread(self, left: Tensor) -> Tensor:
        """left W Gᵀ (G W Gᵀ)⁻¹ in blocks, as the base has them."""
        here = torch.einsum("an,...tn,qn->...taq", left, self.metric, self.weights) @ self.inverse
        if not self.couples_times:
            return here
        nt = here.shape[-3]
        eye = torch.eye(nt, dtype=here.dtype, device=here.device)
        wide = torch.einsum("...taq,ts->...tasq", here, eye)
        return wide.reshape(*here.shape[:-3], 1, nt * left.shape[0], nt * self.weights.shape[0])

    def variance(self) -> Tensor:
        """diag(Σ) − 2 diag(K G Σ) + diag(K G Σ Gᵀ Kᵀ), K = W Gᵀ (G W Gᵀ)⁻¹; round-off below 0 is cut."""
        q = len(self.weights)
        total = self.base.variance()
        like = torch.zeros((*self.shape[:-1], q), dtype=total.dtype, device=total.device)
        # A row's own response at its own time: enough for the cross term, since K works within a time.
        gram = self.base.gram(self.weights, self.weights)
        if self.couples_times:
            nt = like.shape[-2]
            gram = torch.diagonal(gram.reshape(*gram.shape[:-3], nt, q, nt, q), dim1=-4, dim2=-2).movedim(
                -1, -3
            )
        along = torch.einsum("...tn,qn,...tqr->...tnr", self.metric, self.weights, self.inverse)  # K
        for row in range(q):
            total = total - 2.0 * along[..., row] * self._own_response(row, like)
        return (total + torch.einsum("...tnq,...tqr,...tnr->...tn", along, gram, along)).clamp_min(0.0)

    def _own_response(self, row: int, like: Tensor) -> Tensor:
        """(Σ Gᵀ)[t n, t row], (..., t, n)."""
        if not self.couples_times:
            unit = like.clone()
            unit[..., row] = 1.0
            return self.base.response(self.weights, unit)
        found = torch.empty(self.shape, dtype=like.dtype, device=like.device)
        for t in range(like.shape[-2]):
            unit = like.clone()
            unit[..., t, row] = 1.0
            found[..., t, :] = self.base.response(self.weights, unit)[..., t, :]
        return found

    def gram(self, left: Tensor, right: Tensor) -> Tensor:
        """G_l P Σ Pᵀ G_rᵀ."""
        a, b, own = self._spread(left), self._spread(right), self.base.gram(self.weights, self.weights)
        return (
            self.base.gram(left, right)
            - a @ self.base.gram(self.weights, right)
            - self.base.gram(left, self.weights) @ b.mT
            + a @ own @ b.mT
        )

    def response(self, weights: Tensor, multipliers: Tensor) -> Tensor:
        """P Σ Pᵀ Gᵀλ."""
        spread = self._spread(weights).mT @ as_blocks(multipliers, self.couples_times).unsqueeze(-1)
        like = torch.empty(*multipliers.shape[:-1], len(self.weights))
        back = as_rows(spread.squeeze(-1), like)
        return self._moved(self.base.response(weights, multipliers) - self.base.response(self.weights, back))

    def explained(self, weights: Tensor, factor: Tensor) -> Tensor:
        """diag(P Σ Pᵀ Gᵀ A⁻¹ G P Σ Pᵀ), one row at a time."""
        return explained_by_columns(self.response, self.shape, weights, factor, self.couples_times)

    def sample(self, generator: torch.Generator) -> Tensor:
        """A draw of the base, moved; twice, for round-off."""
        return self._moved(self._moved(self.base.sample(generator)))

    def take(self, index: Tensor) -> "Retracted":
        """Entries of the first batch dimension."""
        return Retracted(self.base.take(index), self.weights, self.metric[index], self.inverse[index])


@final
@dataclass(frozen=True)
class Pushed(Sampled):
    """The law of samples moved onto a set, T(m + e) − T(m), e ~ N(0, Σ): not Gaussian, known by its samples.

    T: the nearest admissible state in the metric D + U Uᵀ; right-hand sides with a tolerance are drawn anew for
    each sample. start: m, and means: T(m), (draw, sample, t, n). metric: D; factors: U. The variance is the mean
    square distance of `SAMPLES` moved samples, over all draws together, from T(m).
    """

    what: ClassVar[str] = "that was moved onto bounds or shapes"

    base: Covariance
    start: Tensor
    means: Tensor
    metric: Tensor
    factors: Tensor | None
    onto: Target

    @property
    def couples_times(self) -> bool:
        """As the base."""
        return self.base.couples_times

    @property
    def shape(self) -> torch.Size:
        """(draw, sample, t, n)."""
        return self.base.shape

    def variance(self) -> Tensor:
        """Second moment about T(m), the same at every call."""
        return self._variance

    @cached_property
    def _variance(self) -> Tensor:
        draws = len(self.means)
        generator = Shared().manual_seed(0)
        again = torch.arange(draws).repeat(-(-SAMPLES // draws))
        total = torch.zeros_like(self.means)
        for index in torch.split(again, max(draws, _AT_ONCE // self.means[0].numel() // draws * draws)):
            squares = self.take(index).sample(generator).square()
            total += squares.reshape(-1, *self.means.shape).sum(0)
        return total / (len(again) / draws)

    def sample(self, generator: torch.Generator) -> Tensor:
        """One moved sample for every batch entry, less T(m)."""
        states = self.start + self.base.sample(generator)
        onto = self.onto.perturbed(generator, states.shape)
        return nearest_admissible(states, self.metric, onto, self.factors).values - self.means

    def take(self, index: Tensor) -> "Pushed":
        """Entries of the first batch dimension."""
        return Pushed(
            self.base.take(index), self.start[index], self.means[index], self.metric[index],
            None if self.factors is None else self.factors[index], self.onto,
        )  # fmt: skip


def moved(
    means: Tensor,
    covariance: Covariance,
    admissible: Admissible,
    onto: Target,
    metric: Tensor,
    factors: Tensor | None,
) -> Updated:
    """Means and samples each taken to the nearest admissible state in the metric."""
    found = nearest_admissible(means, metric, onto, factors)
    rows = onto.rows
    exact = rows is not None and onto.slab is None and not bool((rows.noise > 0.0).any())
    if (
        rows is not None
        and exact
        and admissible.linear
        and factors is None
        and not isinstance(covariance, Pushed)
    ):
        gram = torch.einsum("qn,...n,rn->...qr", rows.weights, metric, rows.weights)
        after: Covariance = Retracted(covariance, rows.weights, metric, inverse(gram))
    else:
        after = Pushed(covariance, means, found.values, metric, factors, onto)
    return Updated(found.values, after, found.multipliers, found.bound)
