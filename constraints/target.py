"""An admissible set in tensors, as the kernel takes it, and what it answers with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from lawbound.constraints.constraint import Admissible
from lawbound.constraints.projection import Equalities, Limits, Nearest
from lawbound.constraints.sets import Curved, Phases, Variation
from lawbound.surrogates.covariance import normal


@final
@dataclass(frozen=True, eq=False)
class Target:
    """An admissible set in tensors: rows and limits of the kernel, and the parts that need more.

    slab: (..., q), within which of their right-hand sides rows need hold; None: they hold.
    """

    rows: Equalities | None
    limits: Limits
    phases: Phases | None
    variation: Variation | None
    curved: tuple[Curved, ...]
    slab: Tensor | None = None

    @classmethod
    def of(cls, admissible: Admissible, device: torch.device) -> "Target":
        """The set's numbers, float64, on this device; raises `ValueError` for balances, which no single time obeys."""
        if admissible.balance is not None:
            raise ValueError(f"{admissible.balance.label} couples times; only `condition` takes it.")

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
        drawn = normal(size, rows.rhs.double(), generator)
        return replace(self, rows=rows._replace(rhs=rows.rhs + noise.sqrt() * drawn))


class Found(NamedTuple):
    """values: (..., t, n); multipliers of the rows, curved ones last, (..., t, q); bound: share of points on a bound."""

    values: Tensor
    multipliers: Tensor
    bound: Tensor


def found_by(solution: Nearest) -> Found:
    """What the kernel's solution says."""
    return Found(solution.values, solution.multipliers, 1.0 - solution.free.double().mean(-1))
