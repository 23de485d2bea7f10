"""Velocity, vorticity and pressure of a polynomial streamfunction, and what they add up to."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from lawbound.solvers import chebyshev
from lawbound.solvers.cavity_basis import ClampedBasis
from lawbound.solvers.cavity_products import between

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Flow:
    """ψ, u = ψ_y, v = −ψ_x and ω = v_x − u_y on a grid of points, (..., ny, nx)."""

    psi: FloatArray
    u: FloatArray
    v: FloatArray
    omega: FloatArray

    def __add__(self, other: "Flow") -> "Flow":
        return Flow(self.psi + other.psi, self.u + other.u, self.v + other.v, self.omega + other.omega)


def flow_at(basis: ClampedBasis, scales: FloatArray, psi: FloatArray, x: FloatArray, y: FloatArray) -> Flow:
    """The flow of coefficients (..., k, k) at points of [−1, 1], x (nx,) and y (ny,); k leaves out the last functions."""
    sx, sy = scales
    k = psi.shape[-1]
    of_x = [basis.values(x, d)[:, :k].T * sx**d for d in range(3)]
    of_y = [basis.values(y, d)[:, :k] * sy**d for d in range(3)]
    psi_yy, psi_xx = between(of_y[2], psi, of_x[0]), between(of_y[0], psi, of_x[2])
    return Flow(
        between(of_y[0], psi, of_x[0]),
        between(of_y[1], psi, of_x[0]),
        -between(of_y[0], psi, of_x[1]),
        -psi_yy - psi_xx,
    )


@dataclass(frozen=True)
class Quadrature:
    """Gauss's points on [−1, 1] and the weights of their products, (points, points)."""

    points: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, points: int) -> "Quadrature":
        """With so many points in either direction."""
        where, weights = legendre.leggauss(points)
        return cls(where, weights)

    def integral(self, values: FloatArray, scales: FloatArray) -> FloatArray:
        """∫ values dA over the rectangle, (...)."""
        return np.asarray((values @ self.weights) @ self.weights / (scales[0] * scales[1]))


@lru_cache(maxsize=16)
def _insulated(degree: int) -> tuple[FloatArray, FloatArray]:
    """Orthonormal polynomials p_i with ∫ p_i' p_j' = λ_i δ_ij: λ (N + 1,), Legendre coefficients (N + 1, N + 1).

    The first is constant, and its λ is 0.
    """
    norms = np.sqrt(np.arange(degree + 1) + 0.5)
    slopes = legendre.legder(np.diag(norms), axis=0)
    weights = 2.0 / (2.0 * np.arange(degree) + 1.0)
    values, vectors = np.linalg.eigh(slopes.T @ (weights[:, None] * slopes))
    values[0] = 0.0
    return values, norms[:, None] * vectors


def total_head(
    degree: int,
    scales: FloatArray,
    nu: float,
    quadrature: Quadrature,
    flow: Flow,
    at_walls: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
) -> FloatArray:
    """Coefficients of H = p + |u|²/2 with mean 0, (..., N + 1, N + 1), from the flow at the quadrature's points.

    In weak form the acceleration drops out, as u_t has no divergence and does not pass the walls:

        ∫ ∇H·∇q = ∫ ω (v q_x − u q_y) dA − ν ([∫ ω q_x dx] − [∫ ω q_y dy])    for all polynomials q,

    the brackets being the difference between y_hi and y_lo, and between x_hi and x_lo. `at_walls` is ω at the quadrature's
    points of x_lo, x_hi, y_lo, y_hi, (..., points).
    """
    sx, sy = scales
    eigenvalues, series = _insulated(degree)
    at = legendre.legvander(quadrature.points, degree) @ series
    slope = legendre.legval(quadrature.points, legendre.legder(series, axis=0)).T
    low, high = (legendre.legvander(np.array([end]), degree)[0] @ series for end in (-1.0, 1.0))
    w = quadrature.weights
    tested, steep = at.T * w, slope.T * w
    right = between(tested, flow.omega * flow.v, steep.T) / sy
    right -= between(steep, flow.omega * flow.u, tested.T) / sx
    x_lo, x_hi, y_lo, y_hi = (wall @ steep.T for wall in at_walls)
    right -= nu * (high[:, None] * y_hi[..., None, :] - low[:, None] * y_lo[..., None, :])
    right += nu * (x_hi[..., :, None] * high - x_lo[..., :, None] * low)
    stiffness = (sx / sy) * eigenvalues[None, :] + (sy / sx) * eigenvalues[:, None]
    stiffness[0, 0] = 1.0
    head = right / stiffness
    head[..., 0, 0] = 0.0
    return np.asarray(head)


def head_at(head: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """H at points of [−1, 1], (..., ny, nx)."""
    degree = head.shape[-1] - 1
    series = _insulated(degree)[1]
    of_x, of_y = legendre.legvander(x, degree) @ series, legendre.legvander(y, degree) @ series
    return between(of_y, head, of_x.T)


def divergence_of(flow: Flow, scales: FloatArray) -> FloatArray:
    """The largest |u_x + v_y| of a flow at Chebyshev nodes, by the differentiation matrix of these nodes, (...)."""
    along = chebyshev.differentiation_matrix(flow.u.shape[-1])
    across = chebyshev.differentiation_matrix(flow.v.shape[-2])
    return np.asarray(np.abs(scales[0] * flow.u @ along.T + scales[1] * across @ flow.v).max(axis=(-2, -1)))


def spectrum_tail(flow: Flow) -> FloatArray:
    """How large the last Chebyshev coefficients of the velocity are, in x or y, against the largest at any time, (...).

    `flow` is at Chebyshev nodes. Coefficients are compared by their sums over the other direction; the last eighth counts.
    """
    last, largest = [], []
    for turned in (False, True):
        total = np.zeros(())
        for field in (flow.u, flow.v):
            values = np.swapaxes(field, -1, -2) if turned else field
            total = total + (chebyshev.coefficients(values) ** 2).sum(axis=-2)
        size = np.sqrt(total)
        last.append(size[..., -max(2, size.shape[-1] // 8) :].max(axis=-1))
        largest.append(size.max())
    return np.asarray(np.maximum(*last) / (max(largest) or 1.0))
