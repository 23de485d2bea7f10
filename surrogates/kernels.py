"""Correlations along one axis: what a kernel formula is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np
import torch
from torch import Tensor


@final
@dataclass(frozen=True)
class Correlation:
    """A positive semidefinite function of the distance along one axis, 1 at distance 0.

    parameters: names of its positive numbers, the length first. value: (distance, *parameters) → correlation.
    """

    parameters: tuple[str, ...]
    value: Callable[..., Tensor]


def rbf(distance: Tensor, length: Tensor | float) -> Tensor:
    """exp(−r² / 2ℓ²), Rasmussen and Williams 2006, eq. 4.9."""
    return torch.exp(-0.5 * (distance / length) ** 2)


def matern(distance: Tensor, smoothness: float) -> Tensor:
    """Matérn correlation of r / ℓ for ν = 1/2, 3/2, 5/2 (Rasmussen and Williams 2006, eq. 4.17)."""
    scaled = np.sqrt(2.0 * smoothness) * distance
    decay = torch.exp(-scaled)
    if smoothness == 0.5:
        return decay
    if smoothness == 1.5:
        return (1.0 + scaled) * decay
    return (1.0 + scaled + scaled**2 / 3.0) * decay


def periodic(distance: Tensor, length: Tensor | float, period: Tensor | float) -> Tensor:
    """exp(−2 sin²(π r / p) / ℓ²), ℓ without a unit (Rasmussen and Williams 2006, eq. 4.31)."""
    return torch.exp(-2.0 * (torch.sin(np.pi * distance / period) / length) ** 2)


def _matern(smoothness: float, distance: Tensor, length: Tensor | float) -> Tensor:
    return matern(distance / length, smoothness)


CORRELATIONS: Mapping[str, Correlation] = {
    "rbf": Correlation(("length",), rbf),
    "matern-1/2": Correlation(("length",), partial(_matern, 0.5)),
    "matern-3/2": Correlation(("length",), partial(_matern, 1.5)),
    "matern-5/2": Correlation(("length",), partial(_matern, 2.5)),
    "periodic": Correlation(("length", "period"), periodic),
}
