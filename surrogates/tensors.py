"""From labelled arrays to tensors."""

import numpy as np
import torch
import xarray as xr
from torch import Tensor


def coordinate_tensor(data: xr.Dataset, name: str) -> Tensor:
    """A coordinate or another one-dimensional variable as a float64 tensor."""
    # A copy: xarray's arrays may be read-only, which torch cannot express.
    return torch.from_numpy(np.array(data[name].values, dtype=np.float64))
