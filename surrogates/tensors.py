"""Labels off, labels on."""

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
    return torch.from_numpy(np.ascontiguousarray(data[name].values, dtype=np.float64))


def labelled(values: Tensor, like: xr.Dataset, attributes: dict[str, str]) -> xr.DataArray:
    """A (sample, t, x) tensor with the coordinates of `like`."""
    coordinates = {dim: like[dim] for dim in schema.FIELD_DIMS}
    return xr.DataArray(values.detach().cpu().numpy(), coordinates, schema.FIELD_DIMS, attrs=attributes)
