"""Local conservation: what leaves a cell enters its neighbour, by fluxes that are trusted up to a standard deviation.

Given the masses at two times, fluxes that turn one into the other always exist on an interval: they are differences of
prefix masses. Local conservation therefore says no more than the total does, unless fluxes are tied to something; here it
is a model of the flux, and the tie couples all times of a sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, final

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from lawbound.constraints import geometry
from lawbound.constraints.conservation import Conservation
from lawbound.constraints.constraint import Constraint
from lawbound.constraints.fluxes import KINDS, conducted, conductivity, potential
from lawbound.constraints.geometry import Line
from lawbound.constraints.over_times import single_times
from lawbound.constraints.sets import Balance, Given, Rows
from lawbound.datasets import schema

FloatArray = NDArray[np.float64]

#: σ_F where nothing is said, as a share of the flux that the range of u would drive across the domain.
_SHARE = 0.1
#: Linearisations, and how many columns of the variances are solved for at once.
_STEPS, _CHUNK = 120, 512
#: A mean that moves by less, relative to its size, stays.
_STAYS = 1e-9


class Fluxes(NamedTuple):
    """F at the faces, (nt, n + 1), and its derivatives by the cell before and the cell behind each, both (nt, n + 1)."""

    values: FloatArray
    by_left: FloatArray
    by_right: FloatArray


@final
@dataclass(frozen=True)
class FluxConservation(Constraint):
    """h (u_i(t + Δt) − u_i(t)) + Δt (F_{i+1} − F_i) = 0 with F = −∂Φ(u)/∂x + σ_F ε, Φ = ∫ k du, ε ~ N(0, 1).

    In prefix masses M_i = ∫_0^{x_i} u: M_i(t + Δt) − M_i(t) = Δt (F_0 − F_i). The cells' balances are hard rows over (u, ε),
    the fluxes' errors ε are independent of each other; fluxes are weighted means of those at both ends of a step, `implicit`
    for the later one. Dirichlet walls are half a cell from the nearest average, Neumann walls let in what they prescribe, both
    up to σ_F. With `total` the law's mass is a hard row at every time.
    flux_noise → ∞ is `condition` on the mass alone; flux_noise → 0 is the implicit finite-volume scheme.

    flux_noise: "auto" is a tenth of (Φ(most) − Φ(least)) / L for each sample, u's range being that of the initial state and of the
    walls' values; σ_F also stands for what fluxes at stored times only say of those between.
    conductivity: "constant" (k = parameter), "power" (k = u^parameter), "step" (k = 1 where u ≥ parameter, else 0), or "auto", what
    the dataset says; parameter: a number or a variable's name. Nonlinear fluxes are linearised about the mean until it stays (Gauss–Newton).
    Hansen et al., ICML 2023, arXiv:2302.11002, for the limit of infinite noise; F. Lindgren, H. Rue, J. Lindström,
    J. R. Stat. Soc. B 73, 2011, for sparse conditioning. Raises `ValueError` for data that are not cell averages on an
    interval, for walls of other kinds, for flux_noise ≤ 0, and where the iteration does not settle.
    """

    flux_noise: float | Literal["auto"] = "auto"
    conductivity: Literal["auto", "constant", "power", "step"] = "auto"
    parameter: float | str = "k"
    total: bool = True
    implicit: float = 1.0
    field: str = "u"

    def __post_init__(self) -> None:
        if self.flux_noise != "auto" and not (
            isinstance(self.flux_noise, int | float) and 0.0 < self.flux_noise < np.inf
        ):
            raise ValueError(
                f"`FluxConservation` got flux_noise={self.flux_noise}; give a standard deviation > 0, such as a hundredth of a "
                "typical flux. Small values are the finite-volume scheme, large ones the mass alone."
            )
        if self.conductivity not in ("auto", *KINDS):
            raise ValueError(
                f'`FluxConservation` got conductivity={self.conductivity!r}; say "auto", "constant", "power" or "step".'
            )
        if not 0.0 <= self.implicit <= 1.0:
            raise ValueError(f"`FluxConservation` got implicit={self.implicit}; give a weight from 0 to 1.")

    @property
    def name(self) -> str:
        """`flux-conservation`."""
        return "flux-conservation"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The walls, the conductivity's parameter and the mass."""
        own = self.conductivity != "auto" and isinstance(self.parameter, str)
        parameter = (
            ("the conductivity's parameter",) if self.conductivity == "auto" else (str(self.parameter),) * own
        )
        mass = (schema.law_variable("conservation", "rhs"),) if self.total else ()
        start = (f"{self.field} at the start",) if self.flux_noise == "auto" else ()
        return (schema.wall_variable(self.field, "*"), *parameter, *mass, *start)

    @property
    def fields(self) -> tuple[str, ...]:
        """The field that is conserved."""
        return (self.field,)

    def rows(self, data: xr.Dataset) -> Rows | None:
        """The mass, with `total`."""
        return Conservation(self.field, tolerance="exact").rows(data) if self.total else None

    def balance(self, data: xr.Dataset) -> Balance:
        """The cells' balances between times; variances given them cost (nt n)² a sample."""
        problem = _Problem.of(self, data)
        return Balance(problem.solve, problem.unbalanced, f"balance of {self.field} in each cell")

    def _model(self, data: xr.Dataset) -> tuple[str, float | str]:
        """Kind of conductivity and its parameter, where "auto" is what the dataset says."""
        if self.conductivity != "auto":
            return self.conductivity, self.parameter
        if schema.FLUX in data.attrs:
            raise ValueError(
                f"`flux-conservation` knows fluxes that are conducted; this one is carried, too ({schema.FLUX}="
                f"{data.attrs[schema.FLUX]!r}). Use `conservation`, or train with `pde:penalty`."
            )
        said = str(data.attrs.get(schema.CONDUCTIVITY, "")).split()
        if len(said) != 2 or said[0] not in KINDS:
            raise ValueError(
                f"`flux-conservation` needs a model of the flux, and the dataset has none ({schema.CONDUCTIVITY}); say one, such as "
                'conductivity="power", parameter="m".'
            )
        return said[0], float(said[1]) if said[1] not in data else said[1]


@final
@dataclass(frozen=True, eq=False)
class _Problem:
    """What a law needs of a dataset: cells, steps, walls by their kind, and the numbers of each sample."""

    law: FluxConservation
    data: xr.Dataset
    width: float
    steps: FloatArray
    low: geometry.Wall
    high: geometry.Wall
    kind: str
    parameter: FloatArray
    noise: FloatArray

    @classmethod
    def of(cls, law: FluxConservation, data: xr.Dataset) -> "_Problem":
        line = Line.of(data, schema.X)
        if schema.Y in data.dims or line.faces is None or np.ptp(np.diff(line.faces)) > 1e-9 * line.length:
            raise ValueError(
                "`flux-conservation` is about averages over equal cells of an interval; these data are not."
            )
        walls = [geometry.wall_of(data, law.field, side) for side in ("x_lo", "x_hi")]
        for wall in walls:
            if wall.kind not in ("dirichlet", "neumann"):
                raise ValueError(
                    f"`flux-conservation` has no flux for the {wall.side} wall, which is {wall.kind}; dirichlet and neumann "
                    "walls have one."
                )
        kind, said = law._model(data)
        parameter = geometry.number_or_parameter(data, said, law.name, "conductivity's parameter")
        steps = np.diff(np.asarray(data[schema.TIME].values, dtype=np.float64))
        if steps.size == 0:
            raise ValueError("`flux-conservation` couples times; these data have one. Use `Conservation`.")
        low, high = walls
        width = line.length / line.points.size
        if law.flux_noise == "auto":
            start = geometry.initial_state(data, law.field, law.name)
            noise = _typical(start, walls, kind, parameter) * _SHARE / line.length
        else:
            noise = np.full(len(parameter), float(law.flux_noise))
        return cls(law, data, width, steps, low, high, kind, parameter, noise)

    def solve(self, sample: int, mean: FloatArray, variance: FloatArray, beside: Rows | None) -> Given:
        """u given the balances and the rows beside them, which hold at single times."""
        u, scale = mean, float(np.abs(mean).max()) + 1e-300
        hard = single_times(beside, sample, mean, variance)
        damping = 1.0
        for step in range(_STEPS):
            rows, rhs, noise = self._rows(sample, u)
            count = len(rhs)
            rows = sparse.vstack([rows, hard.weights], format="csr")
            rhs = np.concatenate([rhs, hard.rhs])
            noise = (
                sparse.block_diag([noise, sparse.diags(hard.noise)], format="csr") if len(hard.rhs) else noise
            )
            # Conditioning (u, ε) on the rows: A λ = rhs − G m, with A = G D Gᵀ + the part of ε.
            spread = rows.multiply(variance.ravel())
            system = (spread @ rows.T + noise).tocsc()
            factor = splu(system)
            gap = rhs - rows @ mean.ravel()
            pull = _refined(factor, system, gap)
            updated = mean + (spread.T @ pull).reshape(mean.shape)
            moved = float(np.abs(updated - u).max())
            u = u + damping * (updated - u)
            if moved <= _STAYS * scale:
                multipliers = np.zeros(hard.shape)
                multipliers[hard.where] = -pull[count:]
                return Given(u, self._variance(rows, spread, factor, variance), multipliers)
            # A conductivity that jumps can make the iteration go back and forth between two fronts.
            damping = 1.0 if step < 15 else 0.5 if step < 30 else 0.25 if step < 60 else 0.1
        raise ValueError(
            f"`flux-conservation` does not settle for sample {int(self.data[schema.SAMPLE].values[sample])}: the mean still moves by "
            f"{moved:.2g} after {_STEPS} linearisations. Give another flux_noise, a larger one first."
        )

    def unbalanced(self, values: FloatArray) -> FloatArray:
        """The largest imbalance of a cell between a time and the one before, as a flux, (..., sample, t, 1)."""
        law, dt = self.law, self.steps[:, None]
        out = np.zeros((*values.shape[:-1], 1))
        for index in np.ndindex(*values.shape[:-2]):
            u = values[index]
            flux = self._fluxes(index[-1], u).values
            mean_flux = (1.0 - law.implicit) * flux[:-1] + law.implicit * flux[1:]
            gap = self.width * np.diff(u, axis=0) / dt + np.diff(mean_flux, axis=1)
            out[index][1:, 0] = np.abs(gap).max(axis=1)
        return out

    @staticmethod
    def _variance(
        rows: "sparse.csr_matrix", spread: "sparse.csr_matrix", factor: object, variance: FloatArray
    ) -> FloatArray:
        columns = spread.tocsc()
        explained = np.empty(variance.size)
        for first in range(0, variance.size, _CHUNK):
            part = columns[:, first : first + _CHUNK].toarray()
            explained[first : first + _CHUNK] = (part * factor.solve(part)).sum(axis=0)  # type: ignore[attr-defined]
        return np.maximum(variance - explained.reshape(variance.shape), 0.0)

    def _rows(
        self, sample: int, u: FloatArray
    ) -> tuple["sparse.csr_matrix", FloatArray, "sparse.csr_matrix"]:
        """Rows G over u (nt n), what they are, and the covariance that the fluxes' errors give them."""
        nt, n = u.shape
        law, h, dt = self.law, self.width, self.steps
        flux = self._fluxes(sample, u)
        faces = np.arange(nt * (n + 1)).reshape(nt, n + 1)
        cells = np.arange(nt * n).reshape(nt, n)
        slopes = sparse.csr_matrix(
            (
                np.concatenate([flux.by_left[:, 1:].ravel(), flux.by_right[:, :-1].ravel()]),
                (np.concatenate([faces[:, 1:].ravel(), faces[:, :-1].ravel()]), np.tile(cells.ravel(), 2)),
            ),
            shape=(faces.size, cells.size),
        )
        before, after = sparse.eye(nt - 1, nt, format="csr"), sparse.eye(nt - 1, nt, k=1, format="csr")
        leaving = sparse.eye(n, n + 1, k=1, format="csr") - sparse.eye(n, n + 1, format="csr")
        averaged = sparse.diags(dt) @ ((1.0 - law.implicit) * before + law.implicit * after)
        out = sparse.kron(averaged, leaving, format="csr")
        rows = sparse.kron(after - before, h * sparse.eye(n), format="csr") + out @ slopes
        rhs = out @ (slopes @ u.ravel() - flux.values.ravel())
        noise = sparse.kron(sparse.diags((self.noise[sample] * dt) ** 2), leaving @ leaving.T, format="csr")
        return rows, rhs, noise

    def _fluxes(self, sample: int, u: FloatArray) -> Fluxes:
        """F_i = −(Φ(u_i) − Φ(u_{i−1})) / h, by half a cell at Dirichlet walls, and its derivatives."""
        h, p = self.width, self.parameter[sample][:, None]
        phi, k = potential(self.kind, u, p), conductivity(self.kind, u, p)
        low, high = (potential(self.kind, wall.values[sample], p) for wall in (self.low, self.high))
        values = np.concatenate(conducted(phi, low, high, h), axis=1)
        by_left, by_right = np.zeros_like(values), np.zeros_like(values)
        by_left[:, 1:-1], by_right[:, 1:-1] = k[:, :-1] / h, -k[:, 1:] / h
        if self.low.kind == "dirichlet":
            by_right[:, 0] = -2.0 * k[:, 0] / h
        else:
            values[:, 0] = self.low.values[sample, :, 0]
        if self.high.kind == "dirichlet":
            by_left[:, -1] = 2.0 * k[:, -1] / h
        else:
            values[:, -1] = -self.high.values[sample, :, 0]
        return Fluxes(values, by_left, by_right)


def _typical(
    start: FloatArray, walls: Sequence[geometry.Wall], kind: str, parameter: FloatArray
) -> FloatArray:
    """Φ(most) − Φ(least) over the initial state and the walls' values, (sample,)."""
    seen = [start, *(wall.values[..., 0] for wall in walls if wall.kind == "dirichlet")]
    ends = (
        np.max([values.max(axis=1) for values in seen], axis=0),
        np.min([values.min(axis=1) for values in seen], axis=0),
    )
    most, least = (potential(kind, end, parameter.max(axis=1)) for end in ends)
    if not (most > least).all():
        raise ValueError(
            "`flux-conservation` cannot tell what a typical flux is: no flow follows from the initial state and the walls' "
            "values of a sample. Give flux_noise."
        )
    return np.asarray(most - least)


def _refined(factor: object, system: "sparse.csc_matrix", gap: FloatArray) -> FloatArray:
    """A⁻¹ gap with one step of iterative refinement: the masses are to hold to round-off."""
    solution = factor.solve(gap)  # type: ignore[attr-defined]
    return np.asarray(solution + factor.solve(gap - system @ solution))  # type: ignore[attr-defined]
