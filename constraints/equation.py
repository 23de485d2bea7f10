"""The equation itself as a wish: the finite-volume residual between stored times, for the loss and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, final, get_args

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lawbound.constraints import geometry
from lawbound.constraints.constraint import Constraint
from lawbound.constraints.fluxes import CARRIED, KINDS, carried, conducted, potential
from lawbound.constraints.geometry import FloatArray, Line
from lawbound.constraints.sets import Evolution
from lawbound.datasets import schema

Form = Literal["cells", "integral"]

#: Walls whose flux is known: what they prescribe, a gradient of 0, or what leaves at the other end.
_WALLS = ("dirichlet", "neumann", "outflow", "periodic")


@final
@dataclass(frozen=True)
class Equation(Constraint):
    """r_i = (u_i(t + Δt) − u_i(t)) / Δt + (F_{i+1} − F_i) / h = 0 with F = f(u) − ∂Φ(u)/∂x, Φ = ∫ k du.

    F is a weighted mean of the fluxes at both ends of the step, `implicit` for the later one (1/2: the trapezoidal rule), and
    told by the dataset: k in
    `lawbound_conductivity`, f in `lawbound_flux`. f has van Leer's slopes and Godunov's flux, Φ the integral mean of k at
    a face, as in the schemes that make such data. Dirichlet walls are half a cell from the nearest average, Neumann walls let in
    what they prescribe, outflow walls let all out; a period is a ring of cells around uniform nodes.
    form: `cells` as above; `integral` takes R_i = h Σ_{j ≤ i} r_j, which stays bounded at a jump as h → 0, where r_i does not.
    after: steps that begin before this time do not count; near a jump in the initial data the flux is no line between two stored times.

    A term of a loss (`penalty`) is in units of u_t of the training data, root mean square (for `integral` of its integral).
    No stored solution obeys it to round-off, so nothing else imposes it. Hansen et al., ICML 2023, arXiv:2302.11002,
    section 3 (SoftC), there in differential form. Raises `ValueError` for data whose flux is not told or has no such
    form: planes, uneven or unknown cells, walls of other kinds, one time.
    """

    form: Form = "integral"
    implicit: float = 0.5
    after: float | None = None
    field: str = "u"

    def __post_init__(self) -> None:
        if self.after is not None and np.isnan(self.after):
            raise ValueError("`pde` got after=nan; give a time.")
        if not 0.0 <= self.implicit <= 1.0:
            raise ValueError(f"`pde` got implicit={self.implicit}; give a weight from 0 to 1.")
        if self.form not in get_args(Form):
            raise ValueError(f"`pde` got form={self.form!r}; give {' or '.join(get_args(Form))}.")

    @property
    def name(self) -> str:
        """`pde`."""
        return "pde"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The walls and the parameters of the flux."""
        return (schema.wall_variable(self.field, "*"), "the flux's parameters")

    @property
    def fields(self) -> tuple[str, ...]:
        """The field that evolves."""
        return (self.field,)

    def evolution(self, data: xr.Dataset) -> Evolution:
        """Residuals in each cell between neighbouring stored times."""
        line = _line(data)
        walls = [_wall(data, self.field, side) for side in ("x_lo", "x_hi")]
        if (walls[0].kind == "periodic") != (line.faces is None) or line.repeats:
            raise ValueError(
                "`pde` is about averages over cells, or nodes of a period stored once; these are points between walls, whose fluxes "
                "are not told. Take a finite-volume family, or `conservation` and the walls' own constraints."
            )
        after = -np.inf if self.after is None else self.after
        if float(data[schema.TIME].values[-2]) < after:
            raise ValueError(
                f"`pde` got after={after:g}, and no stored step begins then; the last time is {float(data[schema.TIME].values[-1]):g}."
            )
        terms = _terms(data)
        times = np.broadcast_to(
            data[schema.TIME].values, (data.sizes[schema.SAMPLE], data.sizes[schema.TIME])
        )
        series = [times, *(wall.values[..., 0] for wall in walls)]
        series += [np.broadcast_to(term.parameter, times.shape) for term in terms]
        width = line.length / line.points.size
        scheme = _Scheme(tuple(terms), (walls[0].kind, walls[1].kind), width, self.form, self.implicit, after)
        return Evolution(
            scheme,
            tuple(np.asarray(one, dtype=np.float64)[..., None] for one in series),
            f"equation of {self.field}" + (", integrated" if self.form == "integral" else ""),
        )


class _Term(NamedTuple):
    """k(u) or f(u) by its name, and its parameter, (sample, 1); unused if it has none."""

    kind: str
    parameter: FloatArray


@final
@dataclass(frozen=True)
class _Scheme:
    """(states (…, t, n), series (…, t, 1)) → residuals and u_t, (…, t − 1, n); series: times, walls, parameters."""

    terms: tuple[_Term, ...]
    walls: tuple[str, str]
    width: float
    form: Form
    implicit: float
    after: float

    def __call__(self, u: Tensor, series: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        # Times first: in single precision their differences would be lost.
        steps = series[0].diff(dim=-2).to(u)
        low, high, *parameters = (one.to(u) for one in series[1:])
        rate = u.diff(dim=-2) / steps
        flux = self._flux(u, low, high, parameters)
        leaving = flux.diff(dim=-1) / self.width
        residual = rate + torch.lerp(leaving[..., :-1, :], leaving[..., 1:, :], self.implicit)
        if self.form == "integral":
            residual, rate = residual.cumsum(-1) * self.width, rate.cumsum(-1) * self.width
        counts = (series[0][..., :-1, :] >= self.after).to(u)
        return counts * residual, counts * rate

    def _flux(self, u: Tensor, low: Tensor, high: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """At all faces, (…, t, n + 1)."""
        flux = u.new_zeros(())
        for term, p in zip(self.terms, parameters, strict=True):
            flux = flux + (
                self._conducted(term.kind, u, low, high, p)
                if term.kind in KINDS
                else carried(term.kind, self._continued(u, low, high), p)
            )
        inner = flux[..., 1:-1]
        first = low if self.walls[0] == "neumann" else flux[..., :1]
        last = -high if self.walls[1] == "neumann" else flux[..., -1:]
        lead = inner.shape[:-1]
        return torch.cat([first.expand(*lead, 1), inner, last.expand(*lead, 1)], dim=-1)

    def _conducted(self, kind: str, u: Tensor, low: Tensor, high: Tensor, p: Tensor) -> Tensor:
        phi = potential(kind, u, p)
        first, inner, last = conducted(phi, potential(kind, low, p), potential(kind, high, p), self.width)
        if self.walls[0] == "periodic":
            first = last = (phi[..., -1:] - phi[..., :1]) / self.width
        # What an outflow wall lets out is carried there.
        first = torch.zeros_like(first) if self.walls[0] == "outflow" else first
        last = torch.zeros_like(last) if self.walls[1] == "outflow" else last
        return torch.cat([first, inner, last], dim=-1)

    def _continued(self, u: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Two cells more at each end, (…, t, n + 4)."""
        if self.walls[0] == "periodic":
            return torch.cat([u[..., -2:], u, u[..., :2]], dim=-1)
        before = low.expand(*u.shape[:-1], 1) if self.walls[0] == "dirichlet" else u[..., :1]
        behind = high.expand(*u.shape[:-1], 1) if self.walls[1] == "dirichlet" else u[..., -1:]
        return torch.cat([before, before, u, behind, behind], dim=-1)


def _line(data: xr.Dataset) -> Line:
    if schema.Y in data.dims:
        raise ValueError("`pde` is about an interval; these data are about a plane, whose fluxes it lacks.")
    if data.sizes[schema.TIME] < 2:
        raise ValueError("`pde` needs two stored times or more; these data have one.")
    line = Line.of(data, schema.X)
    gaps = np.diff(line.points if line.faces is None else line.faces)
    if np.ptp(gaps) > 1e-9 * line.length:
        raise ValueError(
            "`pde` needs cells of one width, or uniform nodes of a period; the points of these data are uneven."
        )
    if line.points.size < 4:
        raise ValueError(f"`pde` needs four cells or more; these data have {line.points.size}.")
    return line


def _wall(data: xr.Dataset, field: str, side: str) -> geometry.Wall:
    kind = geometry.kind_of(data, field, side)
    if kind not in _WALLS:
        raise ValueError(
            f"`pde` has no flux for the {side} wall, which is {kind or 'not given'}; {', '.join(_WALLS)} walls have one."
        )
    if kind in ("outflow", "periodic"):  # they prescribe nothing
        shape = data.sizes[schema.SAMPLE], data.sizes[schema.TIME], 1
        return geometry.Wall(field, side, kind, np.zeros(shape))
    return geometry.wall_of(data, field, side)


def _terms(data: xr.Dataset) -> list[_Term]:
    """What the dataset says of k(u) and of f(u)."""
    found = []
    for attribute, known in ((schema.CONDUCTIVITY, KINDS), (schema.FLUX, CARRIED)):
        if attribute not in data.attrs:
            continue
        kind, *said = str(data.attrs[attribute]).split()
        if kind not in known or len(said) != (kind != "square"):
            raise ValueError(
                f"`pde` cannot read {attribute}={data.attrs[attribute]!r}; it knows {', '.join(known)}, with a number or a "
                "variable's name behind all but `square`."
            )
        value = 0.0 if not said else said[0] if said[0] in data else _number(said[0])
        what = "flux's parameter" if attribute == schema.FLUX else "conductivity's parameter"
        found.append(_Term(kind, geometry.number_or_parameter(data, value, "pde", what)))
    if not found:
        raise ValueError(
            f'`pde` needs the flux of the equation, and the dataset tells none: no {schema.CONDUCTIVITY} (such as "power m"), no '
            f'{schema.FLUX} (such as "linear beta"). Set the attributes that hold, or use `conservation`.'
        )
    return found


def _number(said: str) -> float | str:
    try:
        return float(said)
    except ValueError:
        return said
