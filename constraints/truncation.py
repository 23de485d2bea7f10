"""The Gaussian truncated to bounds and rows: what is left of it once the state is known to be lawful.

Moving samples onto bounds (`retraction.Pushed`) leaves them there together; here none lies on a bound. Drawn by Gibbs
sampling within the rows: each sweep deals the points into tuples of q + 1, and each tuple moves along the one
direction that keeps its q rows, by an exact draw from the normal law between the limits that bounds leave it. Tuples
are disjoint, so all move at once; nothing is rejected.

Factors U of the metric D + U Uᵀ are taken up twice a sweep: their coefficients are drawn given the state, which
makes the points independent; and the state is moved along each of them, as far as rows allow, without coefficients,
so that factors larger than D do not hold the chain up.

A chain starts at the nearest lawful state. Tuples are dealt anew each sweep, so what was there at first fades by a
constant factor a sweep, about 1 − 1/(q + 1), whatever n: `SWEEPS` (q + 1) leave 1e-4 or less of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import ClassVar, final

import torch
from torch import Tensor

from lawbound.constraints.admissible import nearest_admissible
from lawbound.constraints.projection import Equalities, nearest
from lawbound.constraints.sampled import Sampled
from lawbound.constraints.target import Target
from lawbound.constraints.truncated_normal import between
from lawbound.surrogates.covariance import Shared, normal, uniform

#: Sweeps of a chain for each of q + 1.
SWEEPS = 12
#: Chains, over all draws together, from which moments are taken, over the second half of twice as many sweeps.
CHAINS = 64


@final
@dataclass(frozen=True, eq=False)
class Chain:
    """Gibbs sampling of N(means, D + U Uᵀ) given rows and bounds; all tensors (..., n), factors (..., n, k).

    Rows that are known up to a variance get a slack point of that variance, and then hold exactly.
    """

    means: Tensor
    metric: Tensor
    weights: Tensor  # (q, n)
    lower: Tensor
    upper: Tensor
    factors: Tensor | None

    @property
    def sweeps(self) -> int:
        """How many forget the start."""
        return SWEEPS * (len(self.weights) + 1)

    @cached_property
    def _precision(self) -> Tensor:
        """1 / D; 0 for a slack that costs nothing, and for points that do not move (see `_moving`)."""
        return torch.where(self._moving & torch.isfinite(self.metric), 1.0 / self.metric, 0.0)

    @cached_property
    def _moving(self) -> Tensor:
        return (self.metric > 0.0) & (self.lower < self.upper)

    def states(self, start: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
        """The state after each sweep, for ever."""
        u = start
        while True:
            centre = self.means
            if self.factors is not None:
                centre = centre + self._latent(u, generator)
            u = self._tuples(u, centre, generator)
            if self.factors is not None:
                u = self._along_factors(u, generator)
            yield u

    def _tuples(self, u: Tensor, centre: Tensor, generator: torch.Generator) -> Tensor:
        """Every tuple of a new deal moved along the direction that keeps the rows."""
        size = len(self.weights) + 1
        n = u.shape[-1]
        dealt = torch.randperm(n, generator=generator)[: n // size * size].reshape(-1, size).to(u.device)
        if not len(dealt):
            return u
        rows = self.weights[:, dealt].movedim(0, 1)  # (tuple, q, q + 1)
        along = torch.linalg.svd(rows)[2][:, -1] if size > 1 else torch.ones_like(dealt, dtype=u.dtype)

        def of(tensor: Tensor) -> Tensor:
            return tensor.expand(u.shape)[..., dealt]

        precision = (along.square() * of(self._precision)).sum(-1)
        pull = -(along * of(self._precision) * (of(u) - of(centre))).sum(-1)
        low, high = _reach(of(u), along, of(self.lower), of(self.upper))
        held = ((along.abs() > 1e-14) & ~of(self._moving)).any(-1)
        step = _drawn(pull, precision, low, high, generator)
        moved = of(u) + torch.where(held, 0.0, step).unsqueeze(-1) * along
        moved = torch.minimum(torch.maximum(moved, of(self.lower)), of(self.upper))
        out = u.clone()
        out[..., dealt] = torch.where(held.unsqueeze(-1), of(u), moved)
        return out

    @cached_property
    def _inner(self) -> Tensor:
        """Cholesky factor of I + Uᵀ D⁻¹ U."""
        assert self.factors is not None
        u = self.factors
        gram = u.mT @ (u * self._precision.unsqueeze(-1))
        return torch.linalg.cholesky(gram + torch.eye(u.shape[-1], dtype=u.dtype, device=u.device))

    def _latent(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """U c for coefficients c drawn given the state."""
        assert self.factors is not None
        seen = (self.factors.mT @ ((u - self.means) * self._precision).unsqueeze(-1)).squeeze(-1)
        inner = self._inner.expand(*seen.shape, seen.shape[-1])
        mean = torch.cholesky_solve(seen.unsqueeze(-1), inner)
        white = normal(seen.shape, u, generator).unsqueeze(-1)
        c = mean + torch.linalg.solve_triangular(inner.mT, white, upper=True)
        return (self.factors @ c).squeeze(-1)

    @cached_property
    def _directions(self) -> Tensor:
        """Each factor, less what rows see of it, at points that move, (..., n, k)."""
        assert self.factors is not None
        lengths = torch.where(self._moving & torch.isfinite(self.metric), self.metric, 0.0)
        lengths = torch.where(torch.isfinite(self.metric), lengths, lengths.amax(-1, keepdim=True))
        factors = torch.where(self._moving.unsqueeze(-1), self.factors, 0.0)
        if not len(self.weights):
            return factors
        through = lengths.unsqueeze(-1) * self.weights.mT  # D Gᵀ
        inverse = torch.linalg.pinv(self.weights @ through, hermitian=True, rtol=1e-12)
        for _ in range(2):
            factors = factors - through @ (inverse @ (self.weights @ factors))
        return factors

    def _along_factors(self, u: Tensor, generator: torch.Generator) -> Tensor:
        for j in range(self._directions.shape[-1]):
            along = self._directions[..., j]
            whitened = self._whitened(along)
            precision = (along * whitened).sum(-1)
            pull = -(whitened * (u - self.means)).sum(-1)
            low, high = _reach(u, along, self.lower, self.upper)
            step = _drawn(pull, precision, low, high, generator)
            moved = torch.minimum(torch.maximum(u + step.unsqueeze(-1) * along, self.lower), self.upper)
            u = torch.where(self._moving, moved, u)
        return u

    def _whitened(self, off: Tensor) -> Tensor:
        """(D + U Uᵀ)⁻¹ off, by Woodbury's identity."""
        assert self.factors is not None
        plain = off * self._precision
        seen = self.factors.mT @ plain.unsqueeze(-1)
        inner = self._inner.expand(*seen.shape[:-1], seen.shape[-2])
        back = (self.factors @ torch.cholesky_solve(seen, inner)).squeeze(-1)
        return plain - self._precision * back


def _reach(u: Tensor, along: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """How far u may go along a direction, back and forth, before a bound is met."""
    safe = torch.where(along == 0.0, 1.0, along)
    ends = ((lower - u) / safe, (upper - u) / safe)
    still = along == 0.0
    back = torch.where(still, -torch.inf, torch.minimum(*ends)).amax(-1)
    forth = torch.where(still, torch.inf, torch.maximum(*ends)).amin(-1)
    return back.clamp_max(0.0), forth.clamp_min(0.0)


def _drawn(pull: Tensor, precision: Tensor, low: Tensor, high: Tensor, generator: torch.Generator) -> Tensor:
    """A draw from N(pull / precision, 1 / precision) between the ends; 0 where nothing says how far."""
    known = (precision > 0.0) & (low < high)
    precision = torch.where(known, precision, 1.0)
    mean, spread = pull / precision, precision.rsqrt()
    low, high = torch.where(known, low, -1.0), torch.where(known, high, 1.0)
    step = mean + spread * between(
        (low - mean) / spread, (high - mean) / spread, uniform(mean.shape, mean, generator)
    )
    return torch.where(known, torch.minimum(torch.maximum(step, low), high), 0.0)


@final
@dataclass(frozen=True, eq=False)
class Truncated(Sampled):
    """The law N(start, D + U Uᵀ) given rows and bounds, less its mean: known by its samples.

    start, means, metric: (draw, sample, t, n); factors: (draw, sample, t, n, k). Times are independent.
    """

    what: ClassVar[str] = "that was truncated"

    start: Tensor
    means: Tensor
    metric: Tensor
    factors: Tensor | None
    onto: Target
    spread: Tensor

    @property
    def couples_times(self) -> bool:
        """False."""
        return False

    @property
    def shape(self) -> torch.Size:
        """(draw, sample, t, n)."""
        return self.start.shape

    def variance(self) -> Tensor:
        """As the chains had it."""
        return self.spread

    def sample(self, generator: torch.Generator) -> Tensor:
        """One sample for every batch entry, a chain each, less the mean."""
        chain, begin = _prepared(self.start, self.metric, self.onto, self.factors)
        last = next(islice(chain.states(begin, generator), chain.sweeps - 1, None))
        return _exact(last[..., : self.start.shape[-1]], self.onto, self.metric) - self.means

    def take(self, index: Tensor) -> "Truncated":
        """Entries of the first batch dimension."""
        return Truncated(
            self.start[index], self.means[index], self.metric[index],
            None if self.factors is None else self.factors[index], self.onto, self.spread[index],
        )  # fmt: skip


def truncated(means: Tensor, metric: Tensor, onto: Target, factors: Tensor | None = None) -> Truncated:
    """The truncated law, its mean and variance taken from `CHAINS` chains of fixed seed.

    The mean is lawful, being an average of lawful states. Raises `ValueError` for shapes other than bounds, and
    `InfeasibleError` where rows and bounds cannot hold together.
    """
    if onto.phases is not None or onto.variation is not None or onto.curved or onto.limits.order is not None:
        raise ValueError(
            "Truncation is to rows and bounds; for orders, phases, variation and curved equalities use "
            '`Condition(inequalities="projected")`.'
        )
    draws, n = len(means), means.shape[-1]
    chain, begin = _prepared(means, metric, onto, factors)
    generator = Shared().manual_seed(0)
    first = second = torch.zeros_like(means)
    rounds = -(-CHAINS // draws)
    for _ in range(rounds):
        for state in islice(chain.states(begin, generator), chain.sweeps, 2 * chain.sweeps):
            off = state[..., :n] - means
            first, second = first + off, second + off.square()
    count = rounds * chain.sweeps
    mean = _exact(means + first / count, onto, metric)
    spread = (second / count - (first / count).square()).clamp_min(0.0)
    return Truncated(means, mean, metric, factors, onto, spread)


def _exact(states: Tensor, onto: Target, metric: Tensor) -> Tensor:
    """What round-off of many sweeps has left in the exact rows, taken off within the bounds."""
    if onto.rows is None:
        return states
    exact = torch.where(onto.rows.noise > 0.0, torch.inf, 0.0)
    return nearest(states, (metric > 0.0).double(), onto.rows._replace(noise=exact), onto.limits).values


def _prepared(means: Tensor, metric: Tensor, onto: Target, factors: Tensor | None) -> tuple[Chain, Tensor]:
    """The chain, with a slack point for each row that is not exact, and where it starts."""
    begin = nearest_admissible(means, metric, onto, factors).values
    shape = begin.shape
    lower, upper = (
        (
            torch.full(shape, side, dtype=begin.dtype, device=begin.device)
            if end is None
            else end.expand(shape)
        )
        for end, side in ((onto.limits.lower, -torch.inf), (onto.limits.upper, torch.inf))
    )
    rows = onto.rows or Equalities(begin.new_zeros(0, shape[-1]), begin.new_zeros(0), begin.new_zeros(0))
    noise = rows.noise.expand(*shape[:-1], len(rows.weights))
    soft = (noise > 0.0).flatten(0, -2).any(0)
    slack = torch.eye(len(rows.weights), dtype=begin.dtype, device=begin.device)[:, soft]
    off = ((begin @ rows.weights.mT) - rows.rhs)[..., soft]
    infinite = torch.full_like(off, torch.inf)
    exact = noise[..., soft] == 0.0
    chain = Chain(
        torch.cat([means, torch.zeros_like(off)], -1),
        torch.cat([metric, noise[..., soft]], -1),
        torch.cat([rows.weights, -slack], -1),
        torch.cat([lower, torch.where(exact, 0.0, -infinite)], -1),
        torch.cat([upper, torch.where(exact, 0.0, infinite)], -1),
        factors if factors is None else torch.cat([factors, factors.new_zeros(*off.shape, factors.shape[-1])], -2),
    )  # fmt: skip
    return chain, torch.cat([begin, torch.where(exact, 0.0, off)], -1)
