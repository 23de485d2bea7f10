"""The Barenblatt–Pattle solution of u_t = ∇·(u^m ∇u): a dome that spreads from a point and keeps its mass.

In d dimensions, with β = 1/(d m + 2), κ = m β / 2 and r the distance from the origin,

    u(t, r) = t^{−dβ} (C − κ r² t^{−2β})₊^{1/m}

Source: Vázquez, The Porous Medium Equation, Oxford 2007, eq. (1.8); its exponent is m + 1 here, and its time is
ours divided by m + 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import beta, betainc, gamma

FloatArray = NDArray[np.float64]

#: Gauss points across a row of boxes.
_POINTS = 20


@dataclass(frozen=True)
class Barenblatt:
    """u = t^{−dβ} (C − κ r² t^{−2β})₊^{1/m} in d dimensions, C = `scale` = u^m at the origin and t = 1.

    The front is at r = √(C/κ) t^β; the mass M = C^{1/m + d/2} (π/κ)^{d/2} Γ(1/m + 1) / Γ(1/m + 1 + d/2) does not change.
    Raises `ValueError` unless m > 0, C > 0 and d is 1 or more.

    >>> Barenblatt(2.0).front(1.0)
    2.0
    """

    m: float
    dimension: int = 1
    scale: float = 1.0

    def __post_init__(self) -> None:
        finite = np.isfinite(self.m) and np.isfinite(self.scale)
        if not (finite and self.m > 0.0 and self.scale > 0.0 and self.dimension >= 1):
            raise ValueError(f"{self} has no front; it needs finite m > 0 and scale > 0, and dimension ≥ 1.")

    @classmethod
    def with_front(cls, m: float, radius: float, t: float, dimension: int = 1) -> "Barenblatt":
        """The solution whose front is at r = `radius` at time t; raises `ValueError` unless both are > 0."""
        if not (radius > 0.0 and t > 0.0):
            raise ValueError(f"radius={radius} at t={t} is not a front; give a radius > 0 at a time > 0.")
        unit = cls(m, dimension)
        return cls(m, dimension, unit._kappa * radius**2 * t ** (-2.0 * unit.beta))

    @property
    def beta(self) -> float:
        """β = 1/(d m + 2): the front grows like t^β."""
        return 1.0 / (self.dimension * self.m + 2.0)

    @property
    def _kappa(self) -> float:
        return 0.5 * self.m * self.beta

    @property
    def mass(self) -> float:
        """∫u over all space."""
        power, half = 1.0 / self.m, 0.5 * self.dimension
        ball = (np.pi / self._kappa) ** half * gamma(power + 1.0) / gamma(power + 1.0 + half)
        return float(self.scale ** (power + half) * ball)

    def __call__(self, t: float, x: ArrayLike) -> FloatArray:
        """u(t, x), x being the distance from the origin, of either sign."""
        inner = self.scale - self._kappa * (np.asarray(x) * t**-self.beta) ** 2
        return np.asarray(t ** (-self.dimension * self.beta) * np.maximum(inner, 0.0) ** (1.0 / self.m))

    def integral(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """Mass left of the point x or, in more dimensions, of the plane through x: M/2 (1 ± I_{z²}(½, 1/m + (d+1)/2)).

        I is the regularised incomplete beta function, z = x / r(t), and the sign that of x. At the right end of
        a domain that holds the front it is the mass.
        """
        z = np.asarray(x) / (self._radius * np.asarray(t) ** self.beta)
        share = _odd_share(z, 1.0 / self.m + 0.5 * (self.dimension - 1))
        return np.asarray(self.mass * 0.5 * (1.0 + share))

    @property
    def _radius(self) -> float:
        return float(np.sqrt(self.scale / self._kappa))

    def front(self, t: float) -> float:
        """r = √(C/κ) t^β."""
        return float(self._radius * t**self.beta)

    def front_time(self, x: float) -> float:
        """t = (|x| / √(C/κ))^{1/β}."""
        return float((abs(x) / self._radius) ** (1.0 / self.beta))


def box_averages(exact: Barenblatt, t: float, x_faces: ArrayLike, y_faces: ArrayLike) -> FloatArray:
    """Averages of the two-dimensional solution over boxes, (ny, nx); within 1e-12 of the largest u on 128² boxes.

    Exact along one axis, by antiderivative. Along the other it is exact where a face lies ahead of the front, and
    20 Gauss points elsewhere, crowded at the ends since the integrand goes like (y* − y)^{1/m + 1} where the front
    crosses a face. Raises `ValueError` unless the solution has dimension 2 and t > 0.
    """
    if exact.dimension != 2:
        raise ValueError(
            f"{exact} has dimension {exact.dimension}; boxes in a plane need Barenblatt(m, dimension=2)."
        )
    if not t > 0.0:
        raise ValueError(f"At t={t} all of {exact} is in one point; give a time > 0.")
    front, p = exact.front(t), 1.0 / exact.m
    x, y = np.asarray(x_faces, np.float64) / front, np.asarray(y_faces, np.float64) / front
    # Where the front runs along a row, its crossings of the faces are crowded; there go along the columns.
    steep = np.abs(x[1:] + x[:-1]) >= np.abs(y[1:] + y[:-1])[:, None]
    integrals = np.where(steep, _dome_integrals(x, y, p), _dome_integrals(y, x, p).T)
    averages = exact(t, 0.0) * integrals / np.outer(np.diff(y), np.diff(x))
    return np.asarray(np.maximum(averages, 0.0))


def _dome_integrals(x: FloatArray, y: FloatArray, p: float) -> FloatArray:
    """∫∫ (1 − x² − y²)₊^p dx dy over boxes, (ny, nx); in a row the front is at s = √(1 − y²)."""
    crossing = np.sqrt(np.maximum(1.0 - x**2, 0.0))
    low, high = y[:-1, None], y[1:, None]
    near = np.clip(low, -crossing, crossing), np.clip(high, -crossing, crossing)
    # ∫ s^{2p+1} dy over the part of a row in which the face x is ahead of the front.
    ahead = _odd_integral(high, p + 0.5) - _odd_integral(low, p + 0.5)
    ahead = ahead - (_odd_integral(near[1], p + 0.5) - _odd_integral(near[0], p + 0.5))
    left = ahead * (0.5 * beta(0.5, p + 1.0)) * np.sign(x) + _behind(x, *near, p)
    return np.asarray(np.diff(left, axis=1))


def _behind(x: FloatArray, low: FloatArray, high: FloatArray, p: float) -> FloatArray:
    """∫ ∫₀ˣ (1 − ξ² − y²)^p dξ dy over low ≤ y ≤ high, where x lies behind the front; (ny, nx + 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(_POINTS)
    v, w = 0.5 * (nodes + 1.0), 0.5 * weights
    # A polynomial that takes [0, 1] to itself and is flat at both ends: it crowds the points there.
    place, share = v**3 * (10.0 - 15.0 * v + 6.0 * v**2), w * 30.0 * (v * (1.0 - v)) ** 2
    rows, faces = np.nonzero(high > low)
    start, length = low[rows, faces][:, None], (high - low)[rows, faces][:, None]
    at = start + length * place
    s = np.sqrt(np.maximum((1.0 - at) * (1.0 + at), 1e-100))
    values = s ** (2.0 * p + 1.0) * _odd_integral(x[faces][:, None] / s, p)
    result = np.zeros_like(low)
    result[rows, faces] = length[:, 0] * (values @ share)
    return result


def _odd_integral(z: ArrayLike, p: float) -> FloatArray:
    """∫₀ᶻ (1 − y²)₊^p dy."""
    return np.asarray(0.5 * beta(0.5, p + 1.0) * _odd_share(z, p))


def _odd_share(z: ArrayLike, p: float) -> FloatArray:
    """∫₀ᶻ (1 − y²)₊^p dy as a share of the integral to 1."""
    return np.asarray(np.sign(z) * betainc(0.5, p + 1.0, np.minimum(np.square(z), 1.0)))
