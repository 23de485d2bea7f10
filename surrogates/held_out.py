"""Rank and shrinkage of a covariance of few samples, chosen by the likelihood of samples held out."""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from lawbound.surrogates.low_rank import DiagonalLowRank

# Shares of the off-diagonal that shrinkage gives up, before the likelihood decides.
_SHRINKAGES = (0.0, 1e-4, 1e-2, 0.05, 0.15, 0.4, 0.8)

Over = Literal["x", "tx"]
Folds = list[tuple[Tensor, Tensor]]


class Rules(NamedTuple):
    """What is fixed beforehand: over which dimensions, the most modes, the least variance relative to the mean."""

    over: Over
    max_rank: int
    floor: float


class Axes(NamedTuple):
    """Residuals of some samples by principal axes: centre, variance (t, n), modes (t, n, r) largest first."""

    centre: Tensor
    variance: Tensor
    modes: Tensor
    powers: Tensor  # variances along all axes, (t or 1, r)
    coupled: bool

    def model(self, choice: "Choice", floor: float) -> tuple[Tensor, Tensor]:
        """Diagonal and modes of (1 − γ) S_r + the diagonal that keeps every point's variance."""
        modes = math.sqrt(1.0 - choice.shrinkage) * self.modes[..., : choice.rank]
        rest = self.variance - modes.square().sum(-1)
        return rest.clamp_min(floor * float(self.variance.mean())), modes

    def carried(self, residuals: Tensor) -> Tensor:
        """Squares of the residuals within the first 0, 1, … modes, (r + 1,)."""
        dims = (-3, -2) if self.coupled else (-2,)
        power = self.modes.square().sum(dims, keepdim=True)
        axes = self.modes * torch.where(power > 0.0, power, torch.inf).rsqrt()
        along = torch.einsum("btx,txk->bk" if self.coupled else "btx,txk->btk", residuals - self.centre, axes)
        squares = along.square().reshape(-1, along.shape[-1]).sum(0)
        return torch.nn.functional.pad(squares.cumsum(0), (1, 0))


class Choice(NamedTuple):
    """One way of estimating: whether to take off the mean, how many modes, how much to shrink them."""

    centred: bool
    rank: int
    shrinkage: float


def folds(residuals: Tensor, count: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Samples to learn from and samples held out, `count` times, each held out once; fewer for few samples."""
    order = torch.randperm(len(residuals), generator=torch.Generator().manual_seed(seed)).to(residuals.device)
    parts = torch.tensor_split(order, min(count, len(residuals) // 2))
    rests = [torch.cat([other for other in parts if other is not part]) for part in parts]
    return [(residuals[rest], residuals[part]) for rest, part in zip(rests, parts, strict=True)]


def has_bias(parts: Folds, rules: Rules) -> bool:
    """Whether taking off the mean makes held-out residuals likelier, points taken as independent."""
    totals = []
    for centred in (False, True):
        total = 0.0
        for train, test in parts:
            centre, variance = moments(train, centred)
            variance = variance.clamp_min(rules.floor * float(variance.mean()))
            total += float(((test - centre).square() / variance + variance.log()).sum())
        totals.append(total)
    return totals[1] < totals[0]


def likelihoods(parts: Folds, rules: Rules, centred: bool) -> tuple[dict[Choice, Tensor], list[float]]:
    """Log-likelihood of each held-out sample under each choice; share of their squares in the first 0, 1, … modes."""
    found: dict[Choice, list[Tensor]] = {}
    squares: list[Tensor] = []
    total = 0.0
    for train, test in parts:
        axes = axes_of(train, rules, centred)
        squares.append(axes.carried(test))
        total += float((test - axes.centre).square().sum())
        for choice in _choices(centred, axes.modes.shape[-1]):
            density = gaussian(axes, choice, rules, test.shape).log_density(test - axes.centre)
            found.setdefault(choice, []).append(density)
    # Folds may differ in the ranks that they offer: compare what all of them have tried.
    most = min(map(len, squares))
    shares = torch.stack([part[:most] for part in squares]).sum(0) / total
    joined = {choice: torch.cat(column) for choice, column in found.items() if len(column) == len(parts)}
    return joined, shares.tolist()


def error_ratio(parts: Folds, rules: Rules, choice: Choice, points: Tensor) -> tuple[float, float]:
    """RMS held-out error off `points` after over before conditioning on them, and its value two standard errors up."""
    before, after = [], []
    for train, test in parts:
        mask = points.expand(test.shape[1:])
        axes = axes_of(train, rules, choice.centred)
        means = axes.centre.expand(test.shape)
        updated, _ = gaussian(axes, choice, rules, test.shape).conditioned_on_points(means, mask, test)
        before.append(test[:, ~mask].square().mean(-1))
        after.append((test - updated)[:, ~mask].square().mean(-1))
    first, then = torch.cat(before), torch.cat(after)
    ratio = float(then.mean() / first.mean())
    # The ratio of two means over the same samples: its error is that of then − ratio · first.
    error = float((then - ratio * first).std() / (math.sqrt(len(first)) * first.mean()))
    return math.sqrt(ratio), math.sqrt(ratio + 2.0 * error)


def _choices(centred: bool, most: int) -> Iterator[Choice]:
    yield Choice(centred, 0, 0.0)
    ranks = {most, *(2**j for j in range(most.bit_length()))}
    for rank in sorted(ranks - {0}):
        for shrinkage in _SHRINKAGES:
            yield Choice(centred, rank, shrinkage)


def moments(residuals: Tensor, centred: bool) -> tuple[Tensor, Tensor]:
    """Centre and variance about it, (t, n)."""
    centre = residuals.mean(0) if centred else torch.zeros_like(residuals[0])
    return centre, (residuals - centre).square().sum(0) / (len(residuals) - centred)


def axes_of(residuals: Tensor, rules: Rules, centred: bool) -> Axes:
    """Principal axes by an SVD of the residuals."""
    (centre, variance), count = moments(residuals, centred), len(residuals) - centred
    deviations = (residuals - centre) / math.sqrt(count)
    coupled = rules.over == "tx"
    table = deviations.flatten(1)[None] if coupled else deviations.movedim(1, 0)  # (t or 1, sample, n)
    # The tall side first: its QR factors leave an SVD of (sample, sample).
    basis, triangle = torch.linalg.qr(table.mT) if table.shape[-1] > table.shape[-2] else (None, table.mT)
    left, sizes, _ = torch.linalg.svd(triangle, full_matrices=False)
    directions = left if basis is None else basis @ left[..., : rules.max_rank]
    # Axes below the floor say nothing that the diagonal does not.
    powers = sizes.square()
    live = int((powers > rules.floor * powers.sum(-1, keepdim=True)).sum(-1).max())
    rank = min(rules.max_rank, count, live)
    modes = directions[..., :rank] * sizes[..., None, :rank]
    shape = (*residuals.shape[1:], rank)
    return Axes(centre, variance, modes.reshape(shape), powers, coupled)


def gaussian(axes: Axes, choice: Choice, rules: Rules, shape: torch.Size) -> DiagonalLowRank:
    """The covariance that a choice makes of the axes, for a batch of shape (sample, t, n)."""
    values, modes = axes.model(choice, rules.floor)
    return DiagonalLowRank(values.expand(shape), modes[None], axes.coupled)
