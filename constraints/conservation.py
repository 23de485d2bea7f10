"""Conservation of the total: ∫u dx is known at every time."""

from dataclasses import dataclass
from typing import final

import numpy as np
import xarray as xr

from lawbound.constraints.constraint import Constraint, right_hand_side
from lawbound.constraints.sets import Rows
from lawbound.datasets import schema


@final
@dataclass(frozen=True)
class Conservation(Constraint):
    """Σ_x w_x u(t, x) = b(t), with the dataset's quadrature weights w and right-hand side b.

    On cell averages the sum is the integral, exactly. On nodes it is a quadrature, and b, if it is the true
    integral, misses a jump by up to half a cell of it: `tolerance` (a standard deviation σ_G, absolute) says
    how far b is trusted. Hansen et al., ICML 2023, arXiv:2302.11002, section 3.
    """

    field: str = "u"
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.tolerance) and self.tolerance >= 0.0):
            raise ValueError(
                f"`Conservation` got tolerance={self.tolerance}; give a standard deviation ≥ 0 (0 means exactly)."
            )

    @property
    def name(self) -> str:
        """`conservation`."""
        return "conservation"

    @property
    def fields(self) -> tuple[str, ...]:
        """The field whose total is known."""
        return (self.field,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The right-hand side."""
        return (schema.law_variable(self.name, "rhs"),)

    def rows(self, data: xr.Dataset) -> Rows:
        """One row for each time."""
        rhs = right_hand_side(data, self.name)[..., None]
        return Rows(
            schema.weights(data).reshape(1, -1),
            rhs,
            np.full(rhs.shape, self.tolerance),
            (f"∫{self.field} dx",),
        )
