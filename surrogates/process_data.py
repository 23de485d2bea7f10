"""What Gaussian processes see of a dataset: coordinates in units of the training domain, values of order one."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lawbound.datasets import schema
from lawbound.datasets.points import Points, context_points
from lawbound.surrogates.origin import Origin
from lawbound.surrogates.tensors import coordinate_tensor


class Context(NamedTuple):
    """Which points of each function are known: one of `times` equal parts of time each, `positions` anywhere."""

    seed: int
    times: int
    positions: int

    def points(self, data: xr.Dataset) -> Points:
        """Those of every sample."""
        return context_points(data, seed=self.seed, n_times=self.times, n_positions=self.positions)


class Units(NamedTuple):
    """u = offset + scale × a value of order one."""

    offset: float
    scale: float

    @classmethod
    def of(cls, train: xr.Dataset, field: str) -> "Units":
        """Mean and standard deviation of the training data; raises `ValueError` if they do not vary."""
        values = train[field].values
        scale = float(values.std())
        # The standard deviation of equal numbers may be their round-off.
        if scale <= 8 * np.finfo(values.dtype).eps * float(np.abs(values).max()):
            raise ValueError(
                f"`{field}` of the training data is {float(values.flat[0]):g} everywhere; a Gaussian process has nothing to fit "
                "there. Give training data that vary."
            )
        return cls(float(values.mean()), scale)

    def scaled(self, values: NDArray[np.float64], data: xr.Dataset, field: str) -> Tensor:
        """Values (sample, …) of order one; raises `ValueError`, with the sample, for any that are not finite."""
        if not np.isfinite(values).all():
            sample = int(data[schema.SAMPLE].values[np.argwhere(~np.isfinite(values))[0][0]])
            raise ValueError(
                f"`{field}` of sample {sample} is not finite at a context point; run `lawbound check` on the data."
            )
        return torch.from_numpy((values - self.offset) / self.scale)


def domain_axes(origin: Origin, data: xr.Dataset) -> tuple[Tensor, Tensor]:
    """Times and positions in units of the training domain."""
    axes = []
    for name in (schema.TIME, schema.X):
        axis = origin.grid[name]
        axes.append((coordinate_tensor(data, name) - axis.first) / (axis.last - axis.first))
    return axes[0], axes[1]


def periods(origin: Origin) -> Mapping[str, float]:
    """The length of the domain along each axis in those units, where a search for a period begins."""
    return {name: (axis.high - axis.low) / (axis.last - axis.first) for name, axis in origin.grid.items()}
