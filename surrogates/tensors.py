"""From labelled arrays to tensors."""

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lawbound.datasets import schema


def field_tensor(data: xr.Dataset, name: str) -> Tensor:
    """A field as a float64 tensor (sample, t, x)."""
    return torch.from_numpy(
        np.ascontiguousarray(data[name].transpose(*schema.FIELD_DIMS).values, dtype=np.float64)
    )


def coordinate_tensor(data: xr.Dataset, name: str) -> Tensor:
    """A coordinate or another one-dimensional variable as a float64 tensor."""
    return _copied(data[name].values)


def _copied(values: np.ndarray) -> Tensor:
    # A copy: xarray's arrays may be read-only, which torch cannot express.
    return torch.from_numpy(np.array(values, dtype=np.float64, order="C"))
