"""A law of one's own: fields that are their own mirror image, u(a + b − x) = ± u(x) on [a, b]."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from lawbound.constraints import Constraint, Rows


@dataclass(frozen=True)
class Mirror(Constraint):
    """u(a + b − x) = sign · u(x): what starts odd (sign −1) or even (+1) about the middle stays so."""

    sign: int = -1

    @property
    def name(self) -> str:
        """`mirror`."""
        return "mirror"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Nothing is read: the symmetry is the user's knowledge."""
        return ()

    def rows(self, data: xr.Dataset) -> Rows:
        """u_i − sign · u_{n−1−i} = 0 for each pair of points."""
        n = data.sizes["x"]
        pair = np.arange(n // 2)
        weights = np.zeros((pair.size, n))
        weights[pair, pair] = 1.0
        weights[pair, n - 1 - pair] = -self.sign
        zeros = np.zeros((data.sizes["sample"], data.sizes["t"], pair.size))
        return Rows(weights, zeros, zeros, tuple(f"mirror image of x={x:.4g}" for x in data.x.values[pair]))
