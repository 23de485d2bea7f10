"""The nearest state of limited total variation: a search for the price at which it varies just so much."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lawbound.constraints.projection import Nearest, nearest
from lawbound.constraints.sets import Variation
from lawbound.constraints.target import Found, Target, found_by

_SEARCH = 80  # steps of the search for the price of variation
_FIRST_PRICE = 0.1  # in units of the spread of the state over the largest D
_LEFT = 1e4  # times the round-off of a variation


def nearest_of_variation(target: Tensor, metric: Tensor, admissible: Target, factors: Tensor | None) -> Found:
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
        return found_by(solution)
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
    return found_by(solution)


def _too_little(variation: Variation, left: Tensor) -> ValueError:
    return ValueError(
        f"No state that obeys the other constraints varies so little: {variation.label} leaves "
        f"{float(left.max()):.3g} too much. Give a larger limit, or leave one of the constraints out."
    )
