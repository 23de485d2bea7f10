"""The nearest state of two phases: no convex set, so every place of the front is tried."""

import numpy as np
import torch
from torch import Tensor

from lawbound.constraints.projection import Equalities, InfeasibleError, Limits, nearest
from lawbound.constraints.target import Found, Target

_PAIRS = 2**24  # numbers in one batch of candidate fronts


def nearest_of_two_phases(
    target: Tensor, metric: Tensor, admissible: Target, factors: Tensor | None
) -> Found:
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
