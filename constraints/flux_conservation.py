"""Local conservation: what leaves a cell enters its neighbour, by fluxes that are trusted up to a standard deviation.

Given the masses at two times, fluxes that turn one into the other always exist on an interval: they are differences of
prefix masses. Local conservation therefore says no more than the total does, unless fluxes are tied to something; here it
is a model of the flux, and the tie couples all times of a sample.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, final

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from lawbound.constraints import geometry
from lawbound.constraints.constraint import right_hand_side
from lawbound.constraints.geometry import Line
from lawbound.datasets import schema
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction

FloatArray = NDArray[np.float64]

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
class FluxConservation:
    """h (u_i(t + Δt) − u_i(t)) + Δt (F_{i+1} − F_i) = 0 with F = −∂Φ(u)/∂x + σ_F ε, Φ = ∫ k du, ε ~ N(0, 1).

    In prefix masses M_i = ∫_0^{x_i} u: M_i(t + Δt) − M_i(t) = Δt (F_0 − F_i). The cells' balances are hard rows over (u, ε),
    the fluxes' errors ε are independent of each other; fluxes are weighted means of those at both ends of a step, `implicit`
    for the later one. Dirichlet walls are half a cell from the nearest average, Neumann walls let in what they prescribe, both
    up to σ_F. With `total` the law's mass is a hard row at every time.
    flux_noise → ∞ is `condition` on the mass alone; flux_noise → 0 is the implicit finite-volume scheme.

    conductivity: "constant" (k = parameter), "power" (k = u^parameter) or "step" (k = 1 where u ≥ parameter, else 0);
    parameter: a number or a variable's name. Nonlinear fluxes are linearised about the mean until it stays (Gauss–Newton).
    Hansen et al., ICML 2023, arXiv:2302.11002, for the limit of infinite noise; F. Lindgren, H. Rue, J. Lindström,
    J. R. Stat. Soc. B 73, 2011, for sparse conditioning. Raises `ValueError` for data that are not cell averages on an
    interval, for walls of other kinds, for flux_noise ≤ 0, and where the iteration does not settle.
    """

    flux_noise: float
    conductivity: Literal["constant", "power", "step"] = "constant"
    parameter: float | str = "k"
    total: bool = True
    implicit: float = 1.0
    field: str = "u"

    def __post_init__(self) -> None:
        if not 0.0 < self.flux_noise < np.inf:
            raise ValueError(
                f"`FluxConservation` got flux_noise={self.flux_noise}; give a standard deviation > 0, such as a hundredth of a "
                "typical flux. Small values are the finite-volume scheme, large ones the mass alone."
            )
        if self.conductivity not in ("constant", "power", "step"):
            raise ValueError(
                f'`FluxConservation` got conductivity={self.conductivity!r}; say "constant", "power" or "step".'
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
        parameter = (self.parameter,) if isinstance(self.parameter, str) else ()
        mass = (schema.law_variable("conservation", "rhs"),) if self.total else ()
        return (schema.wall_variable(self.field, "*"), *parameter, *mass)

    def impose(self, prediction: Prediction) -> Prediction:
        """The mean and the marginal variances given the fluxes, each draw and sample by itself, over all times at once.

        Correlations between points are used inside and not kept. Work grows as (nt n)² for the variances.
        """
        data = prediction.inputs
        if prediction.fields != (self.field,):
            raise ValueError(
                f"`flux-conservation` is about {self.field}, the prediction about {', '.join(prediction.fields)}."
            )
        problem = _Problem.of(self, data)
        means = prediction.means.numpy()
        variance = np.broadcast_to(prediction.covariance.variance().numpy(), means.shape)
        new_means, new_variance = np.empty_like(means), np.empty_like(means)
        for draw, sample in np.ndindex(*means.shape[:2]):
            new_means[draw, sample], new_variance[draw, sample] = problem.solve(
                sample, means[draw, sample], variance[draw, sample]
            )
        covariance = Diagonal(torch.from_numpy(new_variance))
        return Prediction(torch.from_numpy(new_means), covariance, data, prediction.fields)

    def _potential(self, u: FloatArray, p: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Φ(u) = ∫_0^u k and k(u)."""
        if self.conductivity == "constant":
            return p * u, np.broadcast_to(p, u.shape)
        if self.conductivity == "step":
            return np.maximum(u - p, 0.0), (u >= p).astype(np.float64)
        # The conductivity of a density is 0 where a linearisation takes it below 0.
        positive = np.maximum(u, 0.0)
        return positive ** (p + 1.0) / (p + 1.0), positive**p


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
    parameter: FloatArray
    mass: FloatArray | None

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
        parameter = geometry.number_or_parameter(data, law.parameter, law.name, "conductivity's parameter")
        mass = right_hand_side(data, "conservation") if law.total else None
        steps = np.diff(np.asarray(data[schema.TIME].values, dtype=np.float64))
        if steps.size == 0:
            raise ValueError("`flux-conservation` couples times; these data have one. Use `Conservation`.")
        low, high = walls
        return cls(law, data, line.length / line.points.size, steps, low, high, parameter, mass)

    def solve(self, sample: int, mean: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of u given the rows, (nt, n) both."""
        u, scale = mean, float(np.abs(mean).max()) + 1e-300
        damping = 1.0
        for step in range(_STEPS):
            rows, rhs, noise = self._rows(sample, u)
            # Conditioning (u, ε) on the rows: A λ = rhs − G m, with A = G D Gᵀ + the part of ε.
            spread = rows.multiply(variance.ravel())
            system = (spread @ rows.T + noise).tocsc()
            factor = splu(system)
            gap = rhs - rows @ mean.ravel()
            updated = mean + (spread.T @ _refined(factor, system, gap)).reshape(mean.shape)
            moved = float(np.abs(updated - u).max())
            u = u + damping * (updated - u)
            if moved <= _STAYS * scale:
                return u, self._variance(rows, spread, factor, variance)
            # A conductivity that jumps can make the iteration go back and forth between two fronts.
            damping = 1.0 if step < 15 else 0.5 if step < 30 else 0.25 if step < 60 else 0.1
        raise ValueError(
            f"`flux-conservation` does not settle for sample {int(self.data[schema.SAMPLE].values[sample])}: the mean still moves by "
            f"{moved:.2g} after {_STEPS} linearisations. Give another flux_noise, a larger one first."
        )

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
        noise = sparse.kron(sparse.diags((law.flux_noise * dt) ** 2), leaving @ leaving.T, format="csr")
        if self.mass is not None:
            rows = sparse.vstack([rows, sparse.kron(sparse.eye(nt), np.full((1, n), h))], format="csr")
            rhs = np.concatenate([rhs, self.mass[sample]])
            noise = sparse.block_diag([noise, sparse.csr_matrix((nt, nt))], format="csr")
        return rows, rhs, noise

    def _fluxes(self, sample: int, u: FloatArray) -> Fluxes:
        """F_i = −(Φ(u_i) − Φ(u_{i−1})) / h, by half a cell at Dirichlet walls, and its derivatives."""
        h, p = self.width, self.parameter[sample][:, None]
        phi, k = self.law._potential(u, p)
        values, by_left, by_right = (np.zeros((len(u), u.shape[1] + 1)) for _ in range(3))
        values[:, 1:-1] = -np.diff(phi, axis=1) / h
        by_left[:, 1:-1], by_right[:, 1:-1] = k[:, :-1] / h, -k[:, 1:] / h
        low, high = self.low.values[sample, :, 0], self.high.values[sample, :, 0]
        if self.low.kind == "dirichlet":
            values[:, 0] = -2.0 * (phi[:, 0] - self.law._potential(low[:, None], p)[0][:, 0]) / h
            by_right[:, 0] = -2.0 * k[:, 0] / h
        else:
            values[:, 0] = low
        if self.high.kind == "dirichlet":
            values[:, -1] = -2.0 * (self.law._potential(high[:, None], p)[0][:, 0] - phi[:, -1]) / h
            by_left[:, -1] = 2.0 * k[:, -1] / h
        else:
            values[:, -1] = -high
        return Fluxes(values, by_left, by_right)


def _refined(factor: object, system: "sparse.csc_matrix", gap: FloatArray) -> FloatArray:
    """A⁻¹ gap with one step of iterative refinement: the masses are to hold to round-off."""
    solution = factor.solve(gap)  # type: ignore[attr-defined]
    return np.asarray(solution + factor.solve(gap - system @ solution))  # type: ignore[attr-defined]
