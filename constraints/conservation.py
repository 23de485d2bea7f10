"""Conservation of the total: the integral over the domain, or over a part of it, is known at every time."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lawbound.constraints import mass as known_mass
from lawbound.constraints.constraint import Constraint, known_everywhere, right_hand_side
from lawbound.constraints.geometry import Line
from lawbound.constraints.mass import Region
from lawbound.constraints.sets import Rows
from lawbound.datasets import schema
from lawbound.datasets.layout import Layout

FloatArray = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Conservation(Constraint):
    """Σ_x w_x u(t, x) = b(t), with the quadrature weights w of the grid and a known mass b.

    field: u, or several fields whose sum has the mass. region: (a, b) of x, on a plane ((a, b) of x, (a, b) of y); None:
    all of the domain. mass: where b comes from,
    "law": the right-hand side of the dataset's law `conservation`, sources included;
    "walls": the initial state's mass and what entered since, b(t) = Σ w u(t_0) + ∫ Σ fluxes dt, the fluxes being the
    variables `fluxes` (rates over (sample, t), positive where they enter or produce), by default those that Neumann walls
    prescribe; `flux_noise` is the standard deviation of each step's mean flux, so that the variance grows in time,
    Var b(t_n) = Σ_{i ≤ n} (flux_noise Δt_i)² for each flux;
    "quadrature": Σ w u of the dataset's own field; any other name: the variable of that name, (sample, t).

    tolerance: the standard deviation of b. On cell averages the sum is the integral, and "auto" is exactly. At points it
    is a quadrature, which misses a jump [u] by up to ½ h [u]; "auto" is what the law's `law_conservation_quadrature` says
    (from_arrays: that estimate, taken over the initial state), else what its `law_conservation_tolerance` allows (a solver's own),
    or where b comes from elsewhere that estimate. "exact" imposes b through the quadrature as
    if it were the integral, as the originals do.
    Hansen et al., ICML 2023, arXiv:2302.11002, section 3. Raises `ValueError` where b or what it is made of is missing
    or not finite, and for a region whose ends are between faces or points.
    """

    field: str | tuple[str, ...] = "u"
    tolerance: float | Literal["auto", "exact"] = "auto"
    region: Region | None = None
    mass: str = "law"
    fluxes: tuple[str, ...] | None = None
    flux_noise: float = 0.0

    def __post_init__(self) -> None:
        if self.tolerance not in ("auto", "exact") and not (
            isinstance(self.tolerance, int | float) and 0.0 <= self.tolerance < np.inf
        ):
            raise ValueError(
                f"`Conservation` got tolerance={self.tolerance}; give a standard deviation ≥ 0 (0 means exactly), "
                '"auto" or "exact".'
            )
        if not 0.0 <= self.flux_noise < np.inf:
            raise ValueError(
                f"`Conservation` got flux_noise={self.flux_noise}; give a standard deviation ≥ 0."
            )
        if self.region is not None and self.mass == "law":
            raise ValueError(
                '`Conservation` on a region needs its mass: the law speaks of the whole domain. Give mass="walls" with the '
                "region's `fluxes`, or the name of a variable over (sample, t)."
            )
        if (self.fluxes is not None or self.flux_noise) and self.mass != "walls":
            raise ValueError('`Conservation` takes `fluxes` and `flux_noise` with mass="walls" only.')
        if self.region is not None and self.mass == "walls" and self.fluxes is None:
            raise ValueError(
                "`Conservation` on a region needs `fluxes`: what enters through its ends, by name."
            )
        if self.tolerance == "exact" and self.flux_noise:
            raise ValueError("`Conservation` cannot be exact about noisy fluxes; leave out one of the two.")

    @property
    def name(self) -> str:
        """`conservation`."""
        return "conservation"

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields whose total is known."""
        return (self.field,) if isinstance(self.field, str) else self.field

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the mass and its tolerance are read from."""
        auto = self.tolerance == "auto"
        start = tuple(f"{field} at the start" for field in self.fields)
        if self.mass == "law":
            tolerance = tuple(f"{name} at points" for name in self._stored) if auto else ()
            return (schema.law_variable(self.name, "rhs"), *tolerance)
        if self.mass == "walls":
            walls = tuple(schema.wall_variable(field, "*") for field in self.fields)
            return (*start, *(walls if self.fluxes is None else self.fluxes))
        if self.mass == "quadrature":
            return self.fields
        return (self.mass, *(start if auto else ()))

    @property
    def _stored(self) -> tuple[str, ...]:
        """Where a dataset says how far its quadrature may be off: known beforehand, or else what a solver's error allows."""
        return tuple(schema.law_variable(self.name, what) for what in ("quadrature", "tolerance"))

    def rows(self, data: xr.Dataset) -> Rows:
        """One row for each time."""
        Layout.of(data, self.fields)
        weights = known_mass.weights(data, self.region)
        rhs, noise = self._mass(data, weights)
        tolerance = np.hypot(noise, self._quadrature(data, noise))[..., None]
        what = " + ".join(self.fields)
        where = "" if self.region is None else f" over {self.region}"
        return Rows(
            np.tile(weights.ravel(), len(self.fields))[None],
            rhs[..., None],
            tolerance,
            (f"∫{what if len(self.fields) == 1 else f'({what})'} dx{where}",),
        )

    def _mass(self, data: xr.Dataset, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """b and the standard deviation of what entered, (sample, t) both."""
        if self.mass == "law":
            rhs = right_hand_side(data, self.name)
        elif self.mass == "quadrature":
            state = Layout.of(data, self.fields).state(data)
            rhs = state @ np.tile(weights.ravel(), len(self.fields))
        elif self.mass == "walls":
            rhs, integration = known_mass.by_fluxes(data, self.fields, weights, self.fluxes, self.flux_noise)
            return rhs, (np.zeros_like(rhs) if self.tolerance == "exact" else integration)
        else:
            if self.mass not in data:
                raise ValueError(
                    f'`conservation` reads its mass from `{self.mass}`, which the dataset does not carry; say "law", "walls" '
                    'or "quadrature", or add a variable over (sample, t).'
                )
            if set(data[self.mass].dims) != {schema.SAMPLE, schema.TIME}:
                raise ValueError(
                    f"`conservation` reads its mass from `{self.mass}`, which has dimensions {data[self.mass].dims}; it "
                    "needs (sample, t)."
                )
            rhs = known_everywhere(data, self.mass)
        return rhs, np.zeros_like(rhs)

    def _quadrature(self, data: xr.Dataset, like: FloatArray) -> FloatArray:
        """The standard deviation that the quadrature, or the user, gives b, (sample, t)."""
        if not isinstance(self.tolerance, str):
            return np.full(like.shape, float(self.tolerance))
        averages = all(Line.of(data, axis).faces is not None for axis in schema.axes(data))
        if self.tolerance == "exact" or averages or self.mass == "quadrature":
            return np.zeros_like(like)
        if self.mass == "law":
            stored = next((name for name in self._stored if name in data), None)
            if stored is None:
                raise ValueError(
                    f"`conservation` at points needs `{self._stored[1]}` (or _quadrature), how far the quadrature may be from the integral; give a "
                    'number as `tolerance`, or "exact" to ignore it as the originals do.'
                )
            return known_everywhere(data, stored)
        jumps = [known_mass.jump_error(data, field, self.name) for field in self.fields]
        return np.broadcast_to(np.sum(jumps, axis=0)[:, None], like.shape)
