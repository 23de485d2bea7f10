"""Rows that need hold only within a tolerance: the nearest state with |G u − b| ≤ tolerance, beside bounds and chains.

Each row gets a slack z, G u − |g| z = b, |z| ≤ tolerance / |g|, that moves a million times more easily than the row itself.
That finds which rows are on an edge of their slab; then those are equalities, there, and the others are none.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from lawbound.constraints.projection import Equalities, Limits
from lawbound.constraints.target import Found, Target

_EASE = 1e6  # variance of a slack, of that of its row
_EDGE = 1e-6  # of its slab: what a slack may be off an edge and count as there
_ROUND_OFF = 1e-12


def nearest_in_slab(
    target: Tensor,
    metric: Tensor,
    onto: Target,
    factors: Tensor | None,
    nearest: Callable[[Tensor, Tensor, Target, Tensor | None], Found],
) -> Found:
    """The nearest states within the slabs `onto.slab` about its rows; what holds already within them is left alone."""
    rows, slab = onto.rows, onto.slab
    assert rows is not None and slab is not None
    rough = _with_slacks(target, metric, onto, rows, slab, factors, nearest)
    gap = rough.values @ rows.weights.mT - rows.rhs
    width = slab.expand(gap.shape)
    edge = (gap.abs() >= width * (1.0 - _EDGE)) & torch.isfinite(rows.noise)
    told = Equalities(
        rows.weights,
        rows.rhs + torch.where(edge, width * gap.sign(), 0.0),
        torch.where(edge, rows.noise, torch.inf),
    )
    exact = nearest(target, metric, replace(onto, rows=told, slab=None), factors)
    off = (exact.values @ rows.weights.mT - rows.rhs).abs()
    size = exact.values.abs() @ rows.weights.abs().mT + rows.rhs.abs()
    fine = ((off <= width + _ROUND_OFF * size) | ~torch.isfinite(rows.noise)).all(-1, keepdim=True)
    return Found(
        torch.where(fine, exact.values, rough.values),
        torch.where(fine, exact.multipliers, rough.multipliers),
        torch.where(fine[..., 0], exact.bound, rough.bound),
    )


def _with_slacks(
    target: Tensor,
    metric: Tensor,
    onto: Target,
    rows: Equalities,
    slab: Tensor,
    factors: Tensor | None,
    nearest: Callable[[Tensor, Tensor, Target, Tensor | None], Found],
) -> Found:
    n = target.shape[-1]
    length = rows.weights.norm(dim=-1).clamp_min(1e-300)
    most = slab / length
    # It starts from where the row is, so that nothing moves where nothing must.
    start = ((target @ rows.weights.mT - rows.rhs) / length).clamp(-most, most)
    ease = _EASE * (metric @ rows.weights.square().mT) / length**2
    limits = onto.limits
    shape = (*target.shape[:-1], n)
    low, high = (
        torch.full(shape, side, dtype=target.dtype, device=target.device)
        if end is None
        else end.expand(shape)
        for end, side in ((limits.lower, -torch.inf), (limits.upper, torch.inf))
    )
    wide = replace(
        onto,
        rows=rows._replace(weights=torch.cat([rows.weights, -torch.diag(length)], -1)),
        limits=Limits(
            torch.cat([low, (-most).expand(start.shape)], -1), torch.cat([high, most.expand(start.shape)], -1), limits.order
        ),
        slab=None,
    )  # fmt: skip
    found = nearest(
        torch.cat([target, start], -1),
        torch.cat([metric.expand(shape), ease.expand(start.shape)], -1),
        wide,
        None if factors is None else torch.cat([factors, factors.new_zeros(*start.shape, factors.shape[-1])], -2),
    )  # fmt: skip
    return Found(found.values[..., :n], found.multipliers, found.bound)
