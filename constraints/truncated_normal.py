"""Exact draws from the normal law between two limits, far out in its tails too."""

import math

import torch
from torch import Tensor

_FAR = -30.0  # below this the distribution function itself underflows soon; its logarithm does not
_NEWTON = 8


def between(lower: Tensor, upper: Tensor, uniform: Tensor) -> Tensor:
    """The standard normal, given lower ≤ x ≤ upper, at this uniform number in (0, 1), by the inverse of Φ.

    Limits may be infinite. Intervals are mirrored to lie rather on the left, where Φ has all its digits.
    """
    mirrored = lower + upper > 0.0
    low, high = torch.where(mirrored, -upper, lower), torch.where(mirrored, -lower, upper)
    least, most = torch.special.ndtr(low), torch.special.ndtr(high)
    x = torch.special.ndtri(least + uniform * (most - least))
    far = high < _FAR
    if bool(far.any()):
        x[far] = _tail(low[far], high[far], uniform[far])
    x = torch.minimum(torch.maximum(x, low), high)
    return torch.where(mirrored, -x, x)


def _tail(low: Tensor, high: Tensor, uniform: Tensor) -> Tensor:
    """The same far on the left: Newton's method on log Φ, which is concave, from the exponential law that it nears."""
    log_most = torch.special.log_ndtr(high)
    share = torch.exp(torch.special.log_ndtr(low) - log_most)  # Φ(low) / Φ(high)
    wanted = log_most + torch.log(share + uniform * (1.0 - share))
    x = high + (wanted - log_most) / -high
    for _ in range(_NEWTON):
        # φ / Φ = √(2/π) / erfcx(−x/√2)
        slope = math.sqrt(2.0 / math.pi) / torch.special.erfcx(-x / math.sqrt(2.0))
        x = x + (wanted - torch.special.log_ndtr(x)) / slope
    return x
