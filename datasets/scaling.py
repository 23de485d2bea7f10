"""Statistics that normalise: of a field or a parameter, over all samples, in one pass through a few samples at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from lawbound.datasets import schema

FloatArray = NDArray[np.float64]

#: Bytes read at a time.
BLOCK = 64 << 20


@dataclass(frozen=True)
class Scaling:
    """Number, mean, standard deviation (of the population) and range of values; all float64."""

    count: int
    mean: float
    std: float
    low: float
    high: float

    def apply(self, values: ArrayLike) -> FloatArray:
        """(values − mean) / std; where nothing varies, values − mean."""
        return (np.asarray(values, np.float64) - self.mean) / (self.std or 1.0)

    def undo(self, values: ArrayLike) -> FloatArray:
        """What `apply` was given."""
        return np.asarray(values, np.float64) * (self.std or 1.0) + self.mean

    def joined(self, other: "Scaling") -> "Scaling":
        """The statistics of both sets of values together (Chan, Golub and LeVeque 1983)."""
        count = self.count + other.count
        gap = other.mean - self.mean
        squares = self.count * self.std**2 + other.count * other.std**2
        squares += gap**2 * self.count * other.count / count
        return Scaling(
            count,
            self.mean + gap * other.count / count,
            float(np.sqrt(squares / count)),
            min(self.low, other.low),
            max(self.high, other.high),
        )


def scaling_of(values: ArrayLike) -> Scaling:
    """Statistics of an array; raises `ValueError` if it is empty or not finite.

    >>> scaling_of([1.0, 3.0])
    Scaling(count=2, mean=2.0, std=1.0, low=1.0, high=3.0)
    """
    array = np.asarray(values, np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(
            f"Statistics of {array.size} values, all of which must be finite, were asked for; look at them with `lawbound check`."
        )
    return Scaling(
        array.size, float(array.mean()), float(array.std()), float(array.min()), float(array.max())
    )


def scalings(data: xr.Dataset, names: Sequence[str] | None = None) -> dict[str, Scaling]:
    """Statistics of variables over the samples of a dataset, fields and parameters if no `names` are given.

    A lazily opened dataset is read once, `BLOCK` bytes at a time. Take the training split alone
    (`lawbound.datasets.split.of_split`), so that nothing is learnt from the others.
    """
    chosen = (
        [*schema.state_variables(data), *schema.by_role(data, schema.PARAMETER)] if names is None else names
    )
    return {name: _streamed(data[name]) for name in chosen}


def _streamed(variable: xr.DataArray) -> Scaling:
    samples = variable.sizes[schema.SAMPLE]
    step = max(1, BLOCK * samples // max(1, variable.nbytes))
    found: Scaling | None = None
    for start in range(0, samples, step):
        part = scaling_of(variable.isel({schema.SAMPLE: slice(start, start + step)}).values)
        found = part if found is None else found.joined(part)
    return found if found is not None else scaling_of([])
