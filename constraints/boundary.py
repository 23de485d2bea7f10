"""What is known at walls, on any grid: values, slopes, and mixtures of both.

At points, a prescribed value is a box without width and a slope a row of a one-sided stencil. Cell averages have no
value at a wall: it is extrapolated from the nearest ones, by rows whose tolerance says how far that is from the truth.
Where two walls meet, the corner belongs to the one that prescribes values, or to the x wall: a second row there
would say the same, or something else.
"""

from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.constraints import geometry, stencils, wall_rows
from lawbound.constraints.constraint import Constraint
from lawbound.constraints.geometry import Line, Wall
from lawbound.constraints.sets import Box, Rows
from lawbound.constraints.wall_rows import WallRows, slope_at
from lawbound.datasets.layout import Layout

FloatArray = NDArray[np.float64]
Sides = tuple[str, ...] | None
#: A standard deviation; "reference": the stencil's error on the dataset's own field; "auto": that on cell averages,
#: exactly at points.
Tolerance = float | Literal["auto", "reference"]
#: A wall, what its values are, and the factor that makes outward slopes slopes along the axis.
Prescribed = tuple[Wall, Literal["dirichlet", "neumann"], float]


@dataclass(frozen=True)
class _AtWalls(Constraint):
    """What constraints at walls share."""

    field: str = "u"
    sides: Sides = None
    accuracy: int | None = None
    tolerance: Tolerance = "auto"

    def __post_init__(self) -> None:
        who = type(self).__name__
        if isinstance(self.sides, str):
            raise ValueError(f"`{who}` got sides={self.sides!r}; give a tuple, such as ({self.sides!r},).")
        wrong = [side for side in self.sides or () if side not in geometry.SIDES]
        if wrong or self.sides == ():
            raise ValueError(f"`{who}` got the sides {self.sides}; there are {', '.join(geometry.SIDES)}.")
        if self.accuracy is not None and not 1 <= self.accuracy <= 8:
            raise ValueError(f"`{who}` got accuracy={self.accuracy}; stencils have the orders 1 … 8.")
        if self.tolerance not in ("auto", "reference") and not (
            isinstance(self.tolerance, int | float) and 0.0 <= self.tolerance < np.inf
        ):
            raise ValueError(
                f'`{who}` got tolerance={self.tolerance!r}; give a standard deviation ≥ 0, "auto" or "reference".'
            )

    @property
    def fields(self) -> tuple[str, ...]:
        """The field at whose walls something is known."""
        return (self.field,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The walls' values, and the field itself where the tolerance is read off it."""
        remarks = {"reference": f"{self.field} for the tolerance"}
        remarks["auto"] = f"{self.field} for the tolerance on cells"
        said = (remarks[self.tolerance],) if isinstance(self.tolerance, str) else ()
        return (*geometry.wall_inputs(self.field, self.sides), *said)

    def _walls(self, data: xr.Dataset, kinds: tuple[str, ...]) -> list[Wall]:
        return geometry.walls_of(data, self.field, kinds, self.sides, self.name)

    def _as_rows(
        self, data: xr.Dataset, layout: Layout, rows: WallRows, applies: NDArray[np.bool_] | None = None
    ) -> Rows:
        """The rows with their tolerance; ∞ for samples that they do not apply to, (sample, 1, q)."""
        cells = Line.of(data, layout.axes[0]).faces is not None
        if self.tolerance == "reference" or (self.tolerance == "auto" and cells):
            off = np.abs(layout.state(data) @ rows.weights.T - rows.rhs)
            # One figure for all samples: what a stencil misses, not what one sample does. Round-off comes on top.
            worst = np.where(True if applies is None else applies, off, 0.0).max(axis=0) * (1.0 + 1e-9)
            tolerance = np.array(np.broadcast_to(worst, rows.rhs.shape))
        else:
            tolerance = np.full(rows.rhs.shape, 0.0 if self.tolerance == "auto" else float(self.tolerance))
        if applies is not None:
            tolerance = np.where(applies, tolerance, np.inf)
        return Rows(rows.weights, rows.rhs, tolerance, rows.labels)


@final
@dataclass(frozen=True)
class Dirichlet(_AtWalls):
    """u = g(t) at a wall, g being the dataset's `bc_<field>_<side>`, of the kinds dirichlet and no-slip.

    At points the values there are fixed (`bounds`, a box without width). On cell averages ū_1, ū_2, … the value is
    that of the polynomial with the `accuracy` nearest averages (1 … 3, default 2), u(wall) ≈ (3 ū_1 − ū_2) / 2, and
    the rows' tolerance is the largest error of that in the dataset at each time (`tolerance="auto"`), or a number;
    the initial state, which need not fit the walls, is not held to them.
    C.-W. Shu, ICASE Report 97-65, 1997, section 2.1, for polynomials with given averages.
    Raises `ValueError` where walls are missing or of another kind, and where two of them contradict each other at a corner.
    """

    @property
    def name(self) -> str:
        """`dirichlet`."""
        return "dirichlet"

    def prescribed(self, data: xr.Dataset) -> list[Prescribed]:
        """The walls and their values."""
        return [(wall, "dirichlet", 1.0) for wall in self._walls(data, wall_rows.VALUES)]

    def bounds(self, data: xr.Dataset) -> Box | None:
        """The fixed values at points."""
        walls = self._walls(data, wall_rows.VALUES)
        wall_rows.refuse_conflict(data, walls)
        layout = Layout.of(data, self.fields)
        if Line.of(data, walls[0].axis).faces is not None:
            return None
        shape = (*walls[0].values.shape[:2], layout.size)
        lower, upper = np.full(shape, -np.inf), np.full(shape, np.inf)
        for wall in walls:
            points = geometry.layers(layout.shape, layout.axes, wall.side, 1)[0]
            lower[..., points] = upper[..., points] = wall.values
        return Box(lower, upper, f"{self.field} at {', '.join(wall.side for wall in walls)}")

    def rows(self, data: xr.Dataset) -> Rows | None:
        """The extrapolated values on cells."""
        walls = self._walls(data, wall_rows.VALUES)
        layout = Layout.of(data, self.fields)
        if Line.of(data, walls[0].axis).faces is None:
            return None
        order = 2 if self.accuracy is None else self.accuracy
        if order > 3:
            raise ValueError(
                f"`dirichlet` got accuracy={order}; averages are extrapolated with order 1, 2 or 3."
            )
        each = []
        for wall in walls:
            stencil = stencils.from_averages(Line.of(data, wall.axis), wall.low, 0, order)
            each.append(wall_rows.along(data, layout, wall, stencil, self.field))
        rows = self._as_rows(data, layout, wall_rows.stacked(each))
        # What was there at the start need not fit the walls: averages that a jump is next to say nothing of it.
        return replace(rows, tolerance=wall_rows.but_at_start(data, rows.tolerance, False))


@final
@dataclass(frozen=True)
class Neumann(_AtWalls):
    """k ∂u/∂n = q(t) at a wall, n outward, q being the flux `bc_<field>_<side>` that enters.

    At points ∂u/∂n is a one-sided stencil of order `accuracy` (default 2, on Chebyshev–Gauss–Lobatto points the polynomial
    through all of them); on cell averages the slope of the polynomial with the `accuracy` + 1 nearest averages, whose
    error the dataset shows (see `Dirichlet`). conductivity: k, a number or a parameter's name; where nothing
    flows it is not read. initially: whether the initial state, which need not fit the walls, is held to it as well.
    Saad et al., ICLR 2023, arXiv:2212.07477, section 3.2, for a stencil; weights after B. Fornberg, SIAM Review 40, 1998.
    Raises `ValueError` where walls are missing or of another kind, and where the slopes of two walls contradict each
    other at a corner.
    """

    conductivity: float | str = "k"
    initially: bool = False

    @property
    def name(self) -> str:
        """`neumann`."""
        return "neumann"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The walls' fluxes, the conductivity, and the field itself where the tolerance is read off it."""
        named = (self.conductivity,) if isinstance(self.conductivity, str) else ()
        return (*super().inputs, *named)

    def prescribed(self, data: xr.Dataset) -> list[Prescribed]:
        """The walls and their slopes, outwards; −1 where that is against the axis."""
        walls = [self._as_slopes(data, wall) for wall in self._walls(data, ("neumann",))]
        return [(wall, "neumann", -1.0 if wall.low else 1.0) for wall in walls]

    def rows(self, data: xr.Dataset) -> Rows | None:
        """One row for each point along the walls."""
        walls = [self._as_slopes(data, wall) for wall in self._walls(data, ("neumann",))]
        layout = Layout.of(data, self.fields)
        ends = [slope_at(Line.of(data, wall.axis), wall.low, self.accuracy) for wall in walls]
        wall_rows.refuse_bent(data, walls, ends, self.name)
        each = [
            wall_rows.along(data, layout, wall, end, f"∂{self.field}/∂n")
            for wall, end in zip(walls, ends, strict=True)
        ]
        rows = self._as_rows(data, layout, wall_rows.stacked(each))
        return replace(rows, tolerance=wall_rows.but_at_start(data, rows.tolerance, self.initially))

    def _as_slopes(self, data: xr.Dataset, wall: Wall) -> Wall:
        if not wall.values.any():
            return wall
        k = geometry.number_or_parameter(data, self.conductivity, self.name, "conductivity")
        if (k <= 0.0).any():
            raise ValueError(f"`neumann` got a conductivity of {k.min():g}; it must be positive.")
        return Wall(wall.field, wall.side, wall.kind, wall.values / k[..., None])


@final
@dataclass(frozen=True)
class Robin(_AtWalls):
    """∂u/∂n + (Bi/L) u = (Bi/L) a(t) at a wall, n outward, a being the surroundings' value `bc_<field>_<side>`.

    L is the length of the domain along the wall's normal. biot: Bi of the lower and of the upper end, numbers or
    parameters' names; a transfer coefficient h over a conductivity k is Bi = h L / k. Stencils and `initially` as
    in `Neumann`. Rows are multiplied by L / Bi, so that they speak in units of u; samples with a Bi of their own
    have rows of their own, which do not apply to the others.
    H. S. Carslaw, J. C. Jaeger, Conduction of Heat in Solids, 2nd ed., Oxford 1959, section 1.9 D.
    Raises `ValueError` where walls are missing or of another kind, and unless Bi > 0.
    """

    biot: tuple[float | str, float | str] = ("biot_lo", "biot_hi")
    initially: bool = False

    @property
    def name(self) -> str:
        """`robin`."""
        return "robin"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The surroundings' values, the Biot numbers, and the field itself where the tolerance is read off it."""
        ends = ("lo", "hi") if self.sides is None else tuple(side[2:] for side in self.sides)
        named = zip(("lo", "hi"), self.biot, strict=True)
        return (*super().inputs, *(biot for end, biot in named if end in ends and isinstance(biot, str)))

    def rows(self, data: xr.Dataset) -> Rows | None:
        """One row for each point along the walls and each Biot number."""
        layout = Layout.of(data, self.fields)
        each, applies = [], []
        for wall in self._walls(data, ("robin",)):
            line = Line.of(data, wall.axis)
            slope = slope_at(line, wall.low, self.accuracy)
            value = (
                np.ones(1) if line.faces is None else stencils.from_averages(line, wall.low, 0, slope.size)
            )
            biot = self._biot(data, wall)
            for one in np.unique(biot):
                end = slope * (line.length / one)
                end[: value.size] += value
                meaning = f"{self.field} + ∂{self.field}/∂n L/{one:.4g}"
                each.append(wall_rows.along(data, layout, wall, end, meaning))
                applies.append(np.repeat((biot == one)[:, None], len(each[-1].labels), axis=1))
        mine = np.concatenate(applies, axis=1)[:, None, :]
        rows = self._as_rows(data, layout, wall_rows.stacked(each), mine)
        return replace(rows, tolerance=wall_rows.but_at_start(data, rows.tolerance, self.initially))

    def _biot(self, data: xr.Dataset, wall: Wall) -> FloatArray:
        given = self.biot[0 if wall.low else 1]
        biot = geometry.number_or_parameter(data, given, self.name, "Biot number")
        if biot.shape[1] != 1:
            raise ValueError(
                f"`robin` reads `{given}`, which changes in time; a Biot number is one per sample."
            )
        if (biot <= 0.0).any():
            raise ValueError(
                f"`robin` got a Biot number of {biot.min():g} at {wall.side}; it must be positive."
            )
        return biot[:, 0]
