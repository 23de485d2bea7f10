"""A surrogate that obeys, whatever it wraps."""

from dataclasses import dataclass, field
from typing import final

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lawbound.constraints.constraint import Constraint
from lawbound.constraints.enforcement import Condition, Enforcement, enforce
from lawbound.surrogates.prediction import Prediction
from lawbound.surrogates.surrogate import Origin, Surrogate


@final
@dataclass(frozen=True)
class Constrained:
    """A surrogate whose every prediction has a constraint imposed on it; itself a surrogate."""

    surrogate: Surrogate
    constraint: Constraint
    how: Enforcement = field(default_factory=Condition)

    @property
    def origin(self) -> Origin:
        """As the wrapped surrogate's."""
        return self.surrogate.origin

    def predict(self, inputs: xr.Dataset, *, times: NDArray[np.int64] | None = None) -> Prediction:
        """Predict, then enforce; raises what either raises."""
        return enforce(self.surrogate.predict(inputs, times=times), self.constraint, self.how).prediction

    def tensors(self) -> dict[str, Tensor]:
        """As the wrapped surrogate's: a constraint learns nothing."""
        return self.surrogate.tensors()
