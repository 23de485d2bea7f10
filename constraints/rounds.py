"""Rounds of Newton's method for bounds and one row, all entries at once, with nothing for the host to wait for.

On a GPU what costs is not arithmetic but launches, and the host's questions in between. Here every entry takes the same fixed number of
steps; each step is a Newton step on the dual, or the middle of where its root is known to be if that leaves it, so that it
only comes nearer. What is not there by then is left to `newton.multipliers`, which asks.
"""

import torch
from torch import Tensor

from lawbound.constraints.piecewise import Problem

ROUNDS = 8  # a front with bounds on both sides takes 3 to 6


def apply(problem: Problem) -> bool:
    """Whether the problem is of the kind: one row for all entries, bounds, no chains and no factors."""
    return (
        problem.shared
        and len(problem.weights) == 1
        and problem.lower is not None
        and problem.order is None
        and problem.chains is None
        and problem.factors is None
    )


def rounds(problem: Problem, y: Tensor, count: int = ROUNDS) -> Tensor:
    """The row's duals, (batch, 1), a number of steps on from y.

    g(λ) = w · clip(m − D w λ) − b − R λ falls in λ; g' = −Σ_free D w² − R. A row that does not apply keeps its λ.
    """
    assert problem.lower is not None and problem.upper is not None
    row = problem.weights[0]
    pull, squares = problem.metric * row, row * row
    live = torch.isfinite(problem.noise[:, 0])
    noise = torch.where(live, problem.noise[:, 0], 1.0)
    whole = problem.metric @ squares + noise
    dual = y[:, 0]
    low, high = torch.full_like(dual, -torch.inf), torch.full_like(dual, torch.inf)
    for _ in range(count):
        shifted = torch.addcmul(problem.target, pull, dual[:, None], value=-1.0)
        values = torch.minimum(torch.maximum(shifted, problem.lower), problem.upper)
        gap = values @ row - problem.rhs[:, 0] - noise * dual
        slope = torch.where(values == shifted, problem.metric, 0.0) @ squares + noise
        low, high = torch.where(gap > 0.0, dual, low), torch.where(gap < 0.0, dual, high)
        # Where bounds hold all that the row could move, the unlimited problem's slope shows the way.
        step = dual + gap / torch.where(slope > 0.0, slope, whole.clamp_min(1e-300))
        inside = (step > low) & (step < high)
        bracketed = torch.isfinite(low) & torch.isfinite(high)
        step = torch.where(inside | ~bracketed, step, 0.5 * (low + high))
        dual = torch.where(live & (gap != 0.0), step, dual)
    return dual[:, None]
