"""The nearest state of a whole admissible set: which of the ways around the kernel its parts need."""

import numpy as np
import torch
from torch import Tensor

from lawbound.constraints.curved_sets import nearest_curved
from lawbound.constraints.less_variation import nearest_of_variation
from lawbound.constraints.projection import nearest
from lawbound.constraints.slab import nearest_in_slab
from lawbound.constraints.target import Found, Target, found_by
from lawbound.constraints.two_phases import nearest_of_two_phases


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
    if admissible.slab is not None:
        return nearest_in_slab(target, metric, admissible, factors, nearest_admissible)
    if admissible.phases is not None:
        return nearest_of_two_phases(target, metric, admissible, factors)
    if admissible.curved:
        return nearest_curved(target, metric, admissible, factors, nearest_admissible)
    if admissible.variation is not None:
        return nearest_of_variation(target, metric, admissible, factors)
    return found_by(nearest(target, metric, admissible.rows, admissible.limits, factors))
