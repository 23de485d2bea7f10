"""Closed forms of the three members of the generalized porous medium equation, and of their masses.

Each gives point values, cell averages (the integral over a cell, divided by its width) and the mass
∫u dx; the latter two by antiderivative, so nothing here rests on quadrature.
Formulas: Hansen, Maddix, Alizadeh, Gupta, Mahoney, ICML 2023, arXiv:2302.11002, appendix.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import erf, erfcx

FloatArray = NDArray[np.float64]


class ExactSolution(Protocol):
    """A solution known in closed form."""

    def __call__(self, t: float, x: ArrayLike) -> FloatArray:
        """u(t, x)."""
        ...

    def integral(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """∫u dx from the left end of the domain to x; t and x broadcast."""
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

    def integral(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """e^{−kt} (1 − cos x)."""
        return np.asarray(np.exp(-self.k * np.asarray(t)) * 2.0 * np.sin(np.asarray(x) / 2.0) ** 2)

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

    def __post_init__(self) -> None:
        if not (np.isfinite(self.m) and self.m > 0.0):
            raise ValueError(f"{self} has no front; it needs a finite m > 0.")

    def __call__(self, t: float, x: ArrayLike) -> FloatArray:
        """u(t, x)."""
        return np.asarray((self.m * np.maximum(t - np.asarray(x), 0.0)) ** (1.0 / self.m))

    def integral(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """m^{1/m} · m/(m+1) · (t^{1+1/m} − (t − x)₊^{1+1/m})."""
        power = 1.0 + 1.0 / self.m
        remaining = np.maximum(np.asarray(t) - np.asarray(x), 0.0) ** power
        return np.asarray(self.m**power / (self.m + 1.0) * (np.asarray(t) ** power - remaining))

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
    For k_min > 0 it is u_star erfc(x / 2√(k_min t)) / erfc(α / 2√k_min) ahead, with u and the flux continuous
    (on x ≥ 0 unbounded).
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
        """Flux into the front minus what it takes up, with e^{z²} divided out; falls through 0 at the front."""
        root = np.sqrt(self.k_min / self.k_max)
        arriving = (1.0 - self.u_star) * np.exp(-z * z) / (np.sqrt(np.pi) * erf(z))
        # root / (√π erfcx(z / root)) tends to z as k_min goes to 0.
        leaving = z if root == 0.0 else root / (np.sqrt(np.pi) * erfcx(z / root))
        return float(arriving - self.u_star * leaving)

    @property
    def c1(self) -> float:
        """c₁ = (1 − u_star) / erf(α / 2√k_max)."""
        return float((1.0 - self.u_star) / erf(self.alpha / (2.0 * np.sqrt(self.k_max))))

    def __call__(self, t: float, x: ArrayLike) -> FloatArray:
        """u(t, x)."""
        x = np.asarray(x, dtype=np.float64)
        if t <= 0.0:
            return np.where(x <= 0.0, 1.0, 0.0)
        behind = 1.0 - self.c1 * erf(x / (2.0 * np.sqrt(self.k_max * t)))
        ahead = self._ahead(t, x, erfcx) if self.k_min > 0.0 else 0.0
        return np.where(x <= self.front(t), behind, ahead)

    def integral(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """By ∫ erf(y) dy = y erf(y) + e^{−y²}/√π, in two pieces."""
        started = np.asarray(t) > 0.0
        t, x = np.where(started, t, 1.0), np.asarray(x, dtype=np.float64)
        front = self.alpha * np.sqrt(t)
        s = 2.0 * np.sqrt(self.k_max * t)
        y = np.minimum(x, front) / s
        behind = np.minimum(x, front) - self.c1 * s * (y * erf(y) + (np.exp(-(y**2)) - 1.0) / np.sqrt(np.pi))
        if self.k_min == 0.0:
            return np.where(started, behind, 0.0)

        def tail(w: ArrayLike) -> FloatArray:
            """e^{w²} ∫ erfc from w to ∞."""
            return np.asarray(1.0 / np.sqrt(np.pi) - w * erfcx(w))

        r = 2.0 * np.sqrt(self.k_min * t)
        return np.where(started, behind + r * (self._ahead(t, 0.0, tail) - self._ahead(t, x, tail)), 0.0)

    def _ahead(self, t: ArrayLike, x: ArrayLike, scaled: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """u_star e^{−w²} scaled(w) / erfc(y), w = max(x, front) / 2√(k_min t), y the front's w.

        erfc(y) itself underflows once k_min is below some 10⁻³ k_max; scaled by e^{y²} nothing does.
        """
        y = self.alpha / (2.0 * np.sqrt(self.k_min))
        w = np.maximum(np.asarray(x) / (2.0 * np.sqrt(self.k_min * np.asarray(t))), y)
        return np.asarray(self.u_star * np.exp((y - w) * (y + w)) * scaled(w) / erfcx(y))

    def front(self, t: float) -> float:
        """x = α√t."""
        return float(self.alpha * np.sqrt(max(t, 0.0)))

    def front_time(self, x: float) -> float:
        """t = (x / α)²."""
        return (x / self.alpha) ** 2
