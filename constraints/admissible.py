"""The nearest state of a whole admissible set: the kernel, and what goes around it for sets that are not convex."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from lawbound.constraints.constraint import Admissible
from lawbound.constraints.projection import Equalities, InfeasibleError, Limits, Nearest, nearest
from lawbound.constraints.sets import Curved, Phases, Variation

_SEARCH = 80  # steps of the search for the price of variation
_FIRST_PRICE = 0.1  # in units of the spread of the state over the largest D
_STEPS = 60  # linearisations of curved equalities
_CLOSE = 1e-13  # of a curved equality, in units of its size
_LEFT = 1e4  # times the round-off of a variation
_STILL = 1e-11  # of the state's size: steps so small have arrived
_PAIRS = 2**24  # numbers in one batch of candidate fronts


@final
@dataclass(frozen=True, eq=False)
class Target:
    """An admissible set in tensors: rows and limits of the kernel, and the parts that need more."""

    rows: Equalities | None
    limits: Limits
    phases: Phases | None
    variation: Variation | None
    curved: tuple[Curved, ...]

    @classmethod
    def of(cls, admissible: Admissible, device: torch.device) -> "Target":
        """The set's numbers, float64, on this device."""

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64)).to(device)

        rows, box = admissible.rows, admissible.box
        return cls(
            rows and Equalities(tensor(rows.weights), tensor(rows.rhs), tensor(rows.tolerance**2)),
            Limits(box and tensor(box.lower), box and tensor(box.upper), admissible.order),
            admissible.phases,
            admissible.variation,
            admissible.curved,
        )

    def others(self) -> tuple[Limits, Phases | None, Variation | None, tuple[Curved, ...]]:
        """All but the rows."""
        return self.limits, self.phases, self.variation, self.curved

    def perturbed(self, generator: torch.Generator, shape: Sequence[int]) -> "Target":
        """The same with right-hand sides drawn within their tolerance, for states of this shape (..., t, n)."""
        if self.rows is None or not bool((self.rows.noise > 0.0).any()):
            return self
        rows = self.rows
        noise = torch.where(torch.isfinite(rows.noise), rows.noise, 0.0)
        size = (*shape[:-1], rows.rhs.shape[-1])
        drawn = torch.randn(size, dtype=torch.float64, generator=generator).to(rows.rhs.device)
        return replace(self, rows=rows._replace(rhs=rows.rhs + noise.sqrt() * drawn))


class Found(NamedTuple):
    """values: (..., t, n); multipliers of the rows, curved ones last, (..., t, q); bound: share of points on a bound."""

    values: Tensor
    multipliers: Tensor
    bound: Tensor


def nearest_admissible(
    target: Tensor, metric: Tensor, admissible: Target, factors: Tensor | None = None
) -> Found:
    """The nearest admissible states to `target` (..., sample, t, n) in the metric D + U Uᵀ.

    Nearest among all for convex sets and for two phases (every place of the front is tried); for curved
    equalities a point where the distance is stationary. Raises `InfeasibleError` where there is none.
    """
    if admissible.phases is not None and (admissible.variation or admissible.curved):
        raise ValueError(
            "Two phases cannot be stacked with a limit on variation or with curved equalities; leave one out."
        )
    batch = np.broadcast_shapes(target.shape[:-1], metric.shape[:-1])
    if 0 in batch:
        rows = 0 if admissible.rows is None else admissible.rows.rhs.shape[-1]
        count = rows + sum(len(part.labels) for part in admissible.curved)
        none = target.new_zeros(batch, dtype=torch.float64)
        return Found(target.double().expand(*batch, -1), none.unsqueeze(-1).expand(*batch, count), none)
    if admissible.phases is not None:
        return _two_phases(target, metric, admissible, factors)
    if admissible.curved:
        return _curved(target, metric, admissible, factors)
    if admissible.variation is not None:
        return _limited(target, metric, admissible, factors)
    return _found(nearest(target, metric, admissible.rows, admissible.limits, factors))


def _found(solution: Nearest) -> Found:
    return Found(solution.values, solution.multipliers, 1.0 - solution.free.double().mean(-1))


def _limited(target: Tensor, metric: Tensor, admissible: Target, factors: Tensor | None) -> Found:
    """Total variation at most so much: the price at which it is just that, by regula falsi (Illinois)."""
    variation = admissible.variation
    assert variation is not None
    chains = (variation.starts, variation.stops)
    most = torch.from_numpy(np.ascontiguousarray(variation.most)).to(target.device)

    def at(strength: Tensor, *, strict: bool = False) -> tuple[Nearest, Tensor]:
        limits = replace(admissible.limits, strength=strength, chains=chains)
        solution = nearest(target, metric, admissible.rows, limits, factors, strict=strict)
        total = sum(
            solution.values[..., i:j].diff(dim=-1).abs().sum(-1) for i, j in zip(*chains, strict=True)
        )
        return solution, torch.as_tensor(total) - most

    shape = np.broadcast_shapes(target.shape[:-1], metric.shape[:-1], most.shape)
    low = target.new_zeros(shape, dtype=torch.float64)
    solution, excess = at(low, strict=True)
    slack = 1e-12 * (most.abs() + solution.values.abs().amax(-1))
    if not bool((excess > slack).any()):
        return _found(solution)
    # Prices are in units of 1 / D times differences of u. They grow until all entries vary little enough.
    open_ = excess > slack
    high = torch.where(open_, _FIRST_PRICE * (target.amax(-1) - target.amin(-1)) / metric.amax(-1), 0.0)
    high = high.expand(shape).clone()
    above, below = excess, at(high)[1]
    # At a price so high that nothing can move no state is found (NaN): as if less varied than may.
    for _ in range(_SEARCH):
        short = below > slack
        if not bool(short.any()):
            break
        low, above = torch.where(short, high, low), torch.where(short, below, above)
        high = torch.where(short, 4.0 * high, high)
        below = at(high)[1]
    else:
        raise _too_little(variation, below)
    below = torch.where(below.isnan(), -above, below)
    for _ in range(_SEARCH):
        middle = torch.where(open_, low + (high - low) * above / (above - below).clamp_min(1e-300), 0.0)
        middle = torch.minimum(torch.maximum(middle, low), high)
        solution, now = at(middle)
        now = torch.where(now.isnan(), -above, now)
        under = now <= 0.0
        if bool(((now.abs() <= slack) | (excess <= slack)).all()):
            break
        low, above = torch.where(under, low, middle), torch.where(under, 0.5 * above, now)
        high, below = torch.where(under, middle, high), torch.where(under, now, 0.5 * below)
    left = (variation.measure(solution.values.detach().cpu().numpy()) - variation.most).max()
    if not left <= _LEFT * float(slack.max()):
        raise _too_little(variation, above)
    return _found(solution)


def _too_little(variation: Variation, left: Tensor) -> ValueError:
    return ValueError(
        f"No state that obeys the other constraints varies so little: {variation.label} leaves "
        f"{float(left.max()):.3g} too much. Give a larger limit, or leave one of the constraints out."
    )


def _curved(target: Tensor, metric: Tensor, admissible: Target, factors: Tensor | None) -> Found:
    """Sequential quadratic programming on the kernel: linearise, project the *target*, again.

    The linearised row is H u = rhs − h(u_k) + H u_k, H = ∂h/∂u. What is left at the end is taken off by
    projecting the last state itself, which converges quadratically.
    """
    plain = replace(admissible, curved=())
    found = nearest_admissible(target, metric, plain, factors)
    parts = [
        (part, torch.from_numpy(np.ascontiguousarray(part.rhs)).to(target.device))
        for part in admissible.curved
    ]
    active = [
        (part, rhs)
        for part, rhs in parts
        if not part.at_most or bool((part.function(found.values) > rhs).any())
    ]
    if not active:
        return found
    values, last = found.values, None
    for step in range(_STEPS):
        gap, slopes, size = _linearised(values, active)
        # What is left of h falls with the square of a step: by itself it would stop halfway to the nearest state.
        still = last is not None and bool(((values - last).abs() <= _STILL * values.abs().amax()).all())
        if bool((gap.abs() <= _CLOSE * size).all()) and (still or step > _STEPS // 2):
            break
        own = _stacked(admissible.rows, slopes, (slopes @ values.unsqueeze(-1)).squeeze(-1) - gap)
        start = target if step < _STEPS // 2 else values
        last = values
        found = nearest_admissible(start, metric, replace(plain, rows=own), factors)
        values = found.values
    gap, _, size = _linearised(values, active)
    if bool((gap.abs() > 1e-9 * size).any()):
        raise ValueError(
            f"{', '.join(label for part, _ in active for label in part.labels)} could not be met: "
            f"{float(gap.abs().max()):.3g} is left after {_STEPS} linearisations. Is the prediction near such a state?"
        )
    return found


def _linearised(values: Tensor, parts: Sequence[tuple[Curved, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """h − rhs, ∂h/∂u and the size of h, over all curved parts."""
    gaps, slopes, sizes = [], [], []
    for part, rhs in parts:
        with torch.enable_grad():
            u = values.detach().requires_grad_()
            h = part.function(u)
            rows = [torch.autograd.grad(h[..., i].sum(), u, retain_graph=True)[0] for i in range(h.shape[-1])]
        h = h.detach()
        gap = h - rhs
        # An inequality that holds asks for nothing.
        idle = (gap < 0.0) & part.at_most
        gaps.append(torch.where(idle, 0.0, gap))
        slopes.append(torch.where(idle.unsqueeze(-1), 0.0, torch.stack(rows, dim=-2)))
        sizes.append(h.abs() + rhs.abs())
    return torch.cat(gaps, -1), torch.cat(slopes, -2), torch.cat(sizes, -1)


def _stacked(rows: Equalities | None, slopes: Tensor, rhs: Tensor) -> Equalities:
    """Linear rows above linearised ones; a row of zeros is taken out."""
    idle = (slopes == 0.0).all(-1)
    noise = torch.where(idle, torch.inf, 0.0)
    if rows is None:
        return Equalities(slopes, rhs, noise)
    shape = rhs.shape[:-1]
    return Equalities(
        torch.cat([rows.weights.expand(*shape, *rows.weights.shape[-2:]), slopes], dim=-2),
        torch.cat([rows.rhs.expand(*shape, -1), rhs], dim=-1),
        torch.cat([rows.noise.expand(*shape, -1), noise], dim=-1),
    )


def _two_phases(target: Tensor, metric: Tensor, admissible: Target, factors: Tensor | None) -> Found:
    """Every place of the front that rows and bounds allow is tried; the nearest state wins."""
    n, device = target.shape[-1], target.device
    batch = np.broadcast_shapes(target.shape[:-1], metric.shape[:-1])
    z, d = (tensor.double().expand(*batch, n).reshape(-1, n) for tensor in (target, metric))
    u = None if factors is None else factors.double().expand(*batch, *factors.shape[-2:]).flatten(0, -3)
    rows, limits = admissible.rows, admissible.limits

    def flat(tensor: Tensor) -> Tensor:
        return tensor.expand(*batch, tensor.shape[-1]).reshape(-1, tensor.shape[-1])

    phases = admissible.phases
    assert phases is not None
    level, low, high = (
        flat(torch.from_numpy(np.ascontiguousarray(a)).to(device)[..., None])
        for a in (phases.level, phases.lower, phases.upper)
    )
    floor = None if limits.lower is None else flat(limits.lower)
    ceiling = None if limits.upper is None else flat(limits.upper)
    own = None if rows is None else Equalities(rows.weights, flat(rows.rhs), flat(rows.noise))
    at = torch.arange(n, device=device)

    def box(entries: Tensor, fronts: Tensor) -> tuple[Tensor, Tensor]:
        behind, ahead = at < fronts[:, None], at >= fronts[:, None] + phases.mixed_cell
        lower = torch.where(behind, level[entries], low[entries])
        upper = torch.where(behind, high[entries], torch.where(ahead, low[entries], level[entries]))
        if floor is not None and ceiling is not None:
            lower, upper = torch.maximum(lower, floor[entries]), torch.minimum(upper, ceiling[entries])
        return lower, upper

    def cuts(fronts: Tensor) -> Tensor | None:
        # Bounds order the phases; within the first, chains do.
        edge = (at == fronts[:, None]) | (at == fronts[:, None] + phases.mixed_cell)
        return edge if limits.order is not None else None

    best = z.new_full((len(z),), torch.inf)
    values = torch.full_like(z, torch.nan)
    multipliers = z.new_zeros(len(z), 0 if own is None else own.rhs.shape[-1])
    bound = z.new_zeros(len(z))
    for entries in torch.split(torch.arange(len(z), device=device), max(1, _PAIRS // (n * n))):
        pairs = torch.cartesian_prod(entries, torch.arange(n + 1, device=device))
        lower, upper = box(*pairs.unbind(-1))
        fits = (lower <= upper).all(-1)
        if own is not None:
            reach = [
                torch.where(own.weights.unsqueeze(-3) > 0, a.unsqueeze(-2), b.unsqueeze(-2))
                for a, b in ((lower, upper), (upper, lower))
            ]
            least, most = ((own.weights * side).sum(-1) for side in reach)
            exact = own.noise[pairs[:, 0]] == 0.0
            gap = 1e-12 * (1.0 + own.rhs[pairs[:, 0]].abs())
            fits &= (
                ~exact | ((least <= own.rhs[pairs[:, 0]] + gap) & (most >= own.rhs[pairs[:, 0]] - gap))
            ).all(-1)
        pairs, lower, upper = pairs[fits], lower[fits], upper[fits]
        who = pairs[:, 0]
        solution = nearest(
            z[who], d[who],
            None if own is None else Equalities(own.weights, own.rhs[who], own.noise[who]),
            Limits(lower, upper, limits.order, cuts(pairs[:, 1])), None if u is None else u[who], strict=False,
        )  # fmt: skip
        cost = _distance(solution.values - z[who], d[who], None if u is None else u[who])
        if own is not None:
            noise = own.noise[who]
            left = solution.values @ own.weights.mT - own.rhs[who]
            soft = (noise > 0.0) & torch.isfinite(noise)
            cost = cost + torch.where(soft, left.square() / torch.where(soft, noise, 1.0), 0.0).sum(-1)
        cost = torch.where(torch.isfinite(cost), cost, torch.inf)
        lowest = best.scatter_reduce(0, who, cost, "amin")
        won = (cost == lowest[who]) & torch.isfinite(cost)
        values[who[won]], multipliers[who[won]] = solution.values[won], solution.multipliers[won]
        bound[who[won]] = 1.0 - solution.free[won].double().mean(-1)
        best = lowest
    if not bool(torch.isfinite(best).all()):
        first = int(torch.nonzero(~torch.isfinite(best))[0])
        raise InfeasibleError(
            tuple(int(i) for i in np.unravel_index(first, batch)), torch.ones(multipliers.shape[-1])
        )
    return Found(
        values.reshape(target.shape if target.shape[:-1] == batch else (*batch, n)),
        multipliers.reshape(*batch, -1),
        bound.reshape(batch),
    )


def _distance(off: Tensor, metric: Tensor, factors: Tensor | None) -> Tensor:
    """offᵀ (D + U Uᵀ)⁻¹ off, by Woodbury's identity; a point that may not move costs nothing."""
    inverse = torch.where(metric > 0.0, 1.0 / metric.clamp_min(1e-300), 0.0)
    plain = (off.square() * inverse).sum(-1)
    if factors is None:
        return plain
    inner = factors.mT @ (factors * inverse.unsqueeze(-1))
    inner = inner + torch.eye(factors.shape[-1], dtype=off.dtype, device=off.device)
    seen = (factors.mT @ (off * inverse).unsqueeze(-1)).squeeze(-1)
    return plain - (seen * torch.linalg.solve(inner, seen.unsqueeze(-1)).squeeze(-1)).sum(-1)
