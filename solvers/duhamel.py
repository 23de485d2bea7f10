"""What a mode that decays at a rate λ makes of a forcing f(t): c' = −λ c + f, exact for polynomials in time.

On a panel of length h the forcing is its Chebyshev sum, and c(h) = e^{−λh} c(0) + h Σ_k f_k m_k(λh) with the moments
m_k(z) = ∫₀¹ e^{−z(1−τ)} T_k(2τ−1) dτ: exponential quadrature (M. Hochbruck, A. Ostermann, Acta Numerica 19, 2010,
section 2.4), of an order that no data need notice. Nothing is stepped, so nothing is stiff.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers import chebyshev
from lawbound.solvers.eigenmodes import gauss_legendre

FloatArray = NDArray[np.float64]

#: Where a forcing is looked at on a panel, and how large the last of its Chebyshev coefficients may be.
STAGES, RESOLVED = 17, 1e-14
#: A panel is halved this often at most; a kink in a wall's value is then known to within 2^{−24} of an output interval.
DEEPEST = 24
_NODES = 0.5 * (chebyshev.nodes(STAGES) + 1.0)
_DERIVATIVE = np.vstack([np.polynomial.chebyshev.chebder(np.eye(STAGES)), np.zeros(STAGES)])
#: e^{−z} no longer counts from here on.
_GONE = 40.0


@dataclass(frozen=True)
class Panel:
    """A stretch of time with the Chebyshev coefficients of what happens there: forcing (STAGES, channels)."""

    start: float
    length: float
    forcing: FloatArray

    @property
    def rate(self) -> FloatArray:
        """Chebyshev coefficients of the forcing's derivative in time, (STAGES, channels)."""
        return np.asarray((2.0 / self.length) * (_DERIVATIVE @ self.forcing))

    @property
    def integral(self) -> FloatArray:
        """∫ of the forcing over the panel, (channels,)."""
        even = np.arange(0, STAGES, 2)
        return np.asarray((self.length / (1.0 - even**2.0)) @ self.forcing[::2])


def panels(
    forcing: Callable[[FloatArray], FloatArray], times: FloatArray, scale: FloatArray
) -> list[list[Panel]]:
    """For each interval between `times` panels on which polynomials of degree 16 are the forcing, up to 1e-14 of `scale`.

    `forcing` takes times (n,) and returns (n, channels); `scale` has one size a channel. Panels are halved where needed,
    so one at which the forcing jumps or bends is short.
    """
    looks = times[:-1, None] + np.diff(times)[:, None] * _NODES
    seen = forcing(looks.ravel()).reshape(*looks.shape, -1)
    sums = chebyshev.coefficients(seen.swapaxes(1, 2)).swapaxes(1, 2)
    return [
        _halved(forcing, a, b, c, scale, 0)
        for a, b, c in zip(times[:-1].tolist(), times[1:].tolist(), sums, strict=True)
    ]


def _halved(
    forcing: Callable[[FloatArray], FloatArray],
    start: float,
    stop: float,
    coefficients: FloatArray,
    scale: FloatArray,
    depth: int,
) -> list[Panel]:
    if depth == DEEPEST or (np.abs(coefficients[-3:]) <= RESOLVED * scale).all():
        return [Panel(start, stop - start, coefficients)]
    middle = 0.5 * (start + stop)
    found = []
    for a, b in ((start, middle), (middle, stop)):
        half = chebyshev.coefficients(forcing(a + (b - a) * _NODES).T).T
        found += _halved(forcing, a, b, half, scale, depth + 1)
    return found


def moments(z: FloatArray) -> FloatArray:
    """m_k(z) = ∫₀¹ e^{−z(1−τ)} T_k(2τ−1) dτ, (modes, STAGES), for z ≥ 0."""
    # Only the last 40/z of the panel is remembered; there, e to the power of a small number is integrated exactly.
    points, gauss = gauss_legendre(64)
    reach = np.minimum(1.0, _GONE / np.maximum(z, 1e-300))
    before = reach[:, None] * points
    kept = np.exp(-z[:, None] * before) * (gauss * reach[:, None])
    return _chebyshev_sums(1.0 - 2.0 * before, kept)


def integrals_of_moments(z: FloatArray, moments_of_z: FloatArray) -> FloatArray:
    """∫₀¹ of what the forcing has built up by then: n_k(z) = ∫₀¹ (1 − e^{−z(1−τ)})/z T_k(2τ−1) dτ, (modes, STAGES)."""
    even = np.zeros(STAGES)
    even[::2] = 1.0 / (1.0 - np.arange(0, STAGES, 2) ** 2.0)
    points, gauss = gauss_legendre(64)
    small = z < 1.0
    grown = (
        gauss
        * -np.expm1(-np.where(small, z, 1.0)[:, None] * points)
        / np.where(small & (z > 0), z, 1.0)[:, None]
    )
    grown = np.where((z == 0.0)[:, None], gauss * points, grown)
    near = _chebyshev_sums(np.broadcast_to(1.0 - 2.0 * points, grown.shape), grown)
    far = (even - moments_of_z) / np.where(small, 1.0, z)[:, None]
    return np.where(small[:, None], near, far)


def decayed(z: FloatArray) -> FloatArray:
    """(1 − e^{−z})/z, 1 at z = 0: the mean of e^{−zτ} over a panel."""
    return np.where(z > 0.0, -np.expm1(-z) / np.where(z > 0.0, z, 1.0), 1.0)


def _chebyshev_sums(x: FloatArray, weights: FloatArray) -> FloatArray:
    """Σ_q weights T_k(x) for each k, (modes, STAGES)."""
    sums = np.empty((weights.shape[0], STAGES))
    below, here = np.ones_like(x), np.array(x)
    sums[:, 0] = weights.sum(axis=1)
    for k in range(1, STAGES):
        sums[:, k] = np.einsum("zq,zq->z", weights, here)
        below, here = here, 2.0 * x * here - below
    return sums
