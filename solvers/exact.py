"""Closed forms of the three members of the generalized porous medium equation, and of their masses.

Each gives point values, cell averages (the integral over a cell, divided by its width) and the mass
∫u dx; the latter two by antiderivative, so nothing here rests on quadrature.
Formulas: Hansen, Maddix, Alizadeh, Gupta, Mahoney, ICML 2023, arXiv:2302.11002, appendix.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import erf, erfc

FloatArray = NDArray[np.float64]


class ExactSolution(Protocol):
    """A solution known in closed form."""

    def __call__(self, t: float, x: ArrayLike) -> FloatArray:
        """u(t, x)."""
        ...

    def integral(self, t: float, x: ArrayLike) -> FloatArray:
        """∫u dx from the left end of the domain to x."""
        ...

    def front(self, t: float) -> float | None:
        """Position of the front, None where there is none."""
        ...

    def front_time(self, x: float) -> float:
        """Time at which the front reaches x; inf if never or without a front."""
        ...


def cell_averages(exact: ExactSolution, t: float, faces: ArrayLike) -> FloatArray:
    """Averages of the exact solution over the cells between `faces`."""
    faces = np.asarray(faces, dtype=np.float64)
    return np.asarray(np.diff(exact.integral(t, faces)) / np.diff(faces))


@dataclass(frozen=True)
class DecayingSine:
    """u = e^{−kt} sin x on [0, 2π]: linear diffusion with u = 0 at both ends."""

    k: float

    def __call__(self, t: float, x: ArrayLike) -> FloatArray:
        """u(t, x)."""
        return np.asarray(np.exp(-self.k * t) * np.sin(x))

    def integral(self, t: float, x: ArrayLike) -> FloatArray:
        """e^{−kt} (1 − cos x)."""
        return np.asarray(np.exp(-self.k * t) * 2.0 * np.sin(np.asarray(x) / 2.0) ** 2)

    def front(self, t: float) -> None:
        """There is none."""
        return

    def front_time(self, x: float) -> float:
        """Never."""
        return float("inf")


@dataclass(frozen=True)
class PorousMediumWave:
    """u = (m (t − x)₊)^{1/m} on [0, 1]: k(u) = u^m, inflow u(t, 0) = (m t)^{1/m}, front at x = t.

    The front moves at speed 1 and is infinitely steep for m > 1. Mass m^{1+1/m} t^{1+1/m} / (m + 1).
    """

    m: float

    def __call__(self, t: float, x: ArrayLike) -> FloatArray:
        """u(t, x)."""
        return np.asarray((self.m * np.maximum(t - np.asarray(x), 0.0)) ** (1.0 / self.m))

    def integral(self, t: float, x: ArrayLike) -> FloatArray:
        """m^{1/m} · m/(m+1) · (t^{1+1/m} − (t − x)₊^{1+1/m})."""
        power = 1.0 + 1.0 / self.m
        remaining = np.maximum(t - np.asarray(x), 0.0) ** power
        return np.asarray(self.m**power / (self.m + 1.0) * (t**power - remaining))

    def front(self, t: float) -> float:
        """x = t."""
        return t

    def front_time(self, x: float) -> float:
        """t = x."""
        return x


@dataclass(frozen=True)
class StefanSimilarity:
    """Stefan's problem: k = k_max where u ≥ u_star, k_min below; u(t, 0) = 1, u(0, x) = 0, front at α√t.

    Behind the front u = 1 − c₁ erf(x / 2√(k_max t)). For k_min = 0 it is 0 ahead, u jumps by u_star, and with
    z = α / 2√k_max the Rankine–Hugoniot condition reads u_star erf(z) z e^{z²} = (1 − u_star) / √π.
    For k_min > 0 it is c₂ erfc(x / 2√(k_min t)) ahead, with u and the flux continuous (on x ≥ 0 unbounded).
    """

    u_star: float
    k_max: float = 1.0
    k_min: float = 0.0

    def __post_init__(self) -> None:
        if not (0.0 < self.u_star < 1.0 and 0.0 <= self.k_min < self.k_max):
            raise ValueError(f"{self} has no front; it needs 0 < u_star < 1 and 0 ≤ k_min < k_max.")

    @cached_property
    def alpha(self) -> float:
        """Front speed constant: the front is at α√t."""
        root = 2.0 * np.sqrt(self.k_max)
        return float(root * brentq(self._imbalance, 1e-12, 30.0, xtol=1e-15, rtol=4 * np.finfo(float).eps))

    def _imbalance(self, z: float) -> float:
        """Flux into the front minus what it takes up, scaled by e^{z²}; falls through 0 at the front."""
        u_star, ratio = self.u_star, self.k_min / self.k_max
        arriving = (1.0 - u_star) / (np.sqrt(np.pi) * erf(z))
        if ratio == 0.0:
            return float(arriving - u_star * z * np.exp(min(z * z, 700.0)))
        y = z / np.sqrt(ratio)
        # erfcx-like ratio, written so that e^{z² − y²} / erfc(y) stays finite for large y.
        leaving = (
            np.exp(z * z - y * y) / erfc(y) if y < 25.0 else np.exp(min(z * z, 700.0)) * y * np.sqrt(np.pi)
        )
        return float(arriving - u_star * np.sqrt(ratio / np.pi) * leaving)

    @property
    def c1(self) -> float:
        """c₁ = (1 − u_star) / erf(α / 2√k_max)."""
        return float((1.0 - self.u_star) / erf(self.alpha / (2.0 * np.sqrt(self.k_max))))

    @property
    def c2(self) -> float:
        """c₂ = u_star / erfc(α / 2√k_min), 0 for k_min = 0."""
        return (
            0.0 if self.k_min == 0.0 else float(self.u_star / erfc(self.alpha / (2.0 * np.sqrt(self.k_min))))
        )

    def __call__(self, t: float, x: ArrayLike) -> FloatArray:
        """u(t, x)."""
        x = np.asarray(x, dtype=np.float64)
        if t <= 0.0:
            return np.where(x <= 0.0, 1.0, 0.0)
        behind = 1.0 - self.c1 * erf(x / (2.0 * np.sqrt(self.k_max * t)))
        ahead = self.c2 * erfc(x / (2.0 * np.sqrt(self.k_min * t))) if self.k_min > 0.0 else 0.0
        return np.where(x <= self.front(t), behind, ahead)

    def integral(self, t: float, x: ArrayLike) -> FloatArray:
        """By ∫ erf(y) dy = y erf(y) + e^{−y²}/√π, in two pieces."""
        x = np.asarray(x, dtype=np.float64)
        if t <= 0.0:
            return np.zeros_like(x)
        front = self.front(t)
        s = 2.0 * np.sqrt(self.k_max * t)
        y = np.minimum(x, front) / s
        behind = np.minimum(x, front) - self.c1 * s * (y * erf(y) + (np.exp(-(y**2)) - 1.0) / np.sqrt(np.pi))
        if self.k_min == 0.0:
            return np.asarray(behind)
        r = 2.0 * np.sqrt(self.k_min * t)

        def beyond(position: ArrayLike) -> FloatArray:
            w = np.asarray(position) / r
            return np.asarray(r * (w * erfc(w) - np.exp(-(w**2)) / np.sqrt(np.pi)))

        return np.asarray(behind + self.c2 * (beyond(np.maximum(x, front)) - beyond(front)))

    def front(self, t: float) -> float:
        """x = α√t."""
        return float(self.alpha * np.sqrt(max(t, 0.0)))

    def front_time(self, x: float) -> float:
        """t = (x / α)²."""
        return (x / self.alpha) ** 2
