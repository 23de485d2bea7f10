"""Flows without divergence."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.constraints import geometry, stencils
from lawbound.constraints.constraint import Constraint
from lawbound.constraints.geometry import Line
from lawbound.constraints.sets import Rows
from lawbound.datasets import schema
from lawbound.datasets.layout import Layout

FloatArray = NDArray[np.float64]

#: Rows are dense, one for each point inside: beyond so many bytes another grid is asked for.
_MOST_BYTES = 1 << 29


@final
@dataclass(frozen=True)
class DivergenceFree(Constraint):
    """∂u/∂x + ∂v/∂y = 0 at the points inside, in the grid's own derivatives.

    On Chebyshev–Gauss–Lobatto points these are the interpolating polynomial's; on other points, equally spaced or not,
    differences of order `accuracy` (default 4, 2 being the central ones), shifted beside walls if they are wide. The walls' points
    have no row: with prescribed velocities there (`Dirichlet("u") & Dirichlet("v")`) nothing is left to move.
    tolerance: a standard deviation, or "reference": at each time the largest divergence that these derivatives see in the
    dataset's own flow. B. Fornberg, SIAM Review 40, 1998; L. N. Trefethen, Spectral Methods in MATLAB, SIAM 2000, chapter 6.
    Raises `ValueError` for data on an interval, on cells, and on grids too large for rows (about 78 × 78 points).
    """

    along_x: str = "u"
    along_y: str = "v"
    accuracy: int | None = None
    tolerance: float | Literal["reference"] = 0.0

    def __post_init__(self) -> None:
        if self.tolerance != "reference" and not (
            isinstance(self.tolerance, int | float) and 0.0 <= self.tolerance < np.inf
        ):
            raise ValueError(
                f'`DivergenceFree` got tolerance={self.tolerance!r}; give a standard deviation ≥ 0, or "reference".'
            )
        if self.accuracy is not None and not 1 <= self.accuracy <= 8:
            raise ValueError(
                f"`DivergenceFree` got accuracy={self.accuracy}; differences have the orders 1 … 8."
            )

    @property
    def name(self) -> str:
        """`divergence-free`."""
        return "divergence-free"

    @property
    def fields(self) -> tuple[str, ...]:
        """The velocities along x and along y."""
        return (self.along_x, self.along_y)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Nothing, or the flow itself where the tolerance is read off it."""
        return tuple(f"{f} for the tolerance" for f in self.fields) if self.tolerance == "reference" else ()

    def rows(self, data: xr.Dataset) -> Rows:
        """One row for each point inside."""
        if schema.Y not in data.dims:
            raise ValueError("`divergence-free` is about flows on a plane; these data are on an interval.")
        geometry.require_fields(data, self.fields, self.name)
        layout = Layout.of(data, self.fields)
        x, y = Line.of(data, schema.X), Line.of(data, schema.Y)
        if x.faces is not None or y.faces is not None:
            raise ValueError(
                "`divergence-free` differentiates at points; averages over cells have fluxes instead."
            )
        nx, ny = x.points.size, y.points.size
        size = 8 * max(nx - 2, 0) * max(ny - 2, 0) * layout.size
        if size > _MOST_BYTES:
            raise ValueError(
                f"`divergence-free` on {ny} × {nx} points has {size / 2**30:.1f} GiB of rows; generate or predict on a coarser grid "
                "(--nx 64)."
            )
        # Differences of order 2 see so much divergence in a flow without any that removing it does harm on coarse grids.
        orders = (
            4 if self.accuracy is None and line.kind != "chebyshev" else self.accuracy for line in (x, y)
        )
        of_x, of_y = (
            stencils.differentiation(line, order) for line, order in zip((x, y), orders, strict=True)
        )
        # Rows (j, i) of the points inside, columns (field, j', i').
        weights = np.zeros((ny - 2, nx - 2, 2, ny, nx))
        along_y, along_x = np.arange(ny - 2), np.arange(nx - 2)
        weights[along_y, :, 0, along_y + 1, :] = of_x[1:-1]
        weights[:, along_x, 1, :, along_x + 1] = of_y[1:-1]
        flat = weights.reshape(-1, layout.size)
        shape = (data.sizes[schema.SAMPLE], data.sizes[schema.TIME], len(flat))
        if self.tolerance == "reference":
            off = np.abs(layout.state(data) @ flat.T)
            tolerance = np.array(np.broadcast_to(off.max(axis=(0, 2), keepdims=True) * (1.0 + 1e-9), shape))
        else:
            tolerance = np.full(shape, float(self.tolerance))
        labels = tuple(f"divergence at x={a:.4g}, y={b:.4g}" for b in y.points[1:-1] for a in x.points[1:-1])
        return Rows(flat, np.zeros(shape), tolerance, labels)
