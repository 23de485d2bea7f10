"""The state at one time as a vector: fields one after the other, each flattened, y before x."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.datasets import schema

FloatArray = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Layout:
    """Which part of a state vector is which field; n = fields × points in space."""

    fields: tuple[str, ...]
    axes: tuple[str, ...]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, data: xr.Dataset, fields: Sequence[str]) -> "Layout":
        """The layout of these fields on the dataset's grid; raises `ValueError` for a field named twice."""
        if not fields or len(set(fields)) != len(fields):
            raise ValueError(f"A state of the fields {tuple(fields)}; give at least one, each once.")
        axes = schema.axes(data)
        return cls(tuple(fields), axes, tuple(data.sizes[axis] for axis in axes))

    @property
    def points(self) -> int:
        """Stored points of one field."""
        return prod(self.shape)

    @property
    def size(self) -> int:
        """n, the length of a state vector."""
        return len(self.fields) * self.points

    def part(self, field: str) -> slice:
        """Where a field lies; raises `ValueError` if it is not in the state."""
        if field not in self.fields:
            raise ValueError(f"The state holds {', '.join(self.fields)}, no `{field}`.")
        first = self.fields.index(field) * self.points
        return slice(first, first + self.points)

    def state(self, data: xr.Dataset) -> FloatArray:
        """The dataset's fields as states, (sample, t, n), float64."""
        dims = schema.field_dims(data)
        each = [np.asarray(data[field].transpose(*dims).values, dtype=np.float64) for field in self.fields]
        return np.concatenate([values.reshape(*values.shape[:2], self.points) for values in each], axis=-1)

    def embed(self, weights: FloatArray, fields: Sequence[str]) -> FloatArray:
        """Rows over a smaller state, (q, fields × points), as rows over this one, zero elsewhere."""
        if tuple(fields) == self.fields:
            return weights
        wide = np.zeros((*weights.shape[:-1], self.size))
        for i, field in enumerate(fields):
            wide[..., self.part(field)] = weights[..., i * self.points : (i + 1) * self.points]
        return wide

    def pick(self, values: FloatArray, fields: Sequence[str]) -> FloatArray:
        """The parts of states (..., n) that belong to these fields, in this order."""
        if tuple(fields) == self.fields:
            return values
        return np.concatenate([values[..., self.part(field)] for field in fields], axis=-1)
