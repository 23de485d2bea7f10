"""The nearest state that meets nonlinear equalities: sequential quadratic programming on the kernel."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lawbound.constraints.projection import Equalities
from lawbound.constraints.sets import Curved
from lawbound.constraints.target import Found, Target

_STEPS = 60  # linearisations of curved equalities
_CLOSE = 1e-13  # of a curved equality, in units of its size
_STILL = 1e-11  # of the state's size: steps so small have arrived

Nearest = Callable[[Tensor, Tensor, Target, Tensor | None], Found]


def nearest_curved(
    target: Tensor, metric: Tensor, admissible: Target, factors: Tensor | None, nearest_plain: Nearest
) -> Found:
    """Sequential quadratic programming on the kernel: linearise, project the *target*, again.

    The linearised row is H u = rhs − h(u_k) + H u_k, H = ∂h/∂u. What is left at the end is taken off by
    projecting the last state itself, which converges quadratically.
    """
    plain = replace(admissible, curved=())
    found = nearest_plain(target, metric, plain, factors)
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
        found = nearest_plain(start, metric, replace(plain, rows=own), factors)
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
