"""Random functions for initial fields and wall series: values that can be compared, printed and sent to workers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

#: Waves in a random function.
WAVES = 24


@dataclass(frozen=True)
class RandomFunction:
    """f(s) = √(2/n) Σ_j cos(w_j s/ℓ + φ_j): a smooth function of mean 0 and variance 1 that changes over lengths ℓ.

    With w ~ N(0, 1) and φ ~ U[0, 2π] it approaches the Gaussian process of covariance exp(−(s − s')²/(2ℓ²)) (A. Rahimi,
    B. Recht, Random features for large-scale kernel machines, NIPS 2007).
    """

    length: float
    frequencies: tuple[float, ...]
    phases: tuple[float, ...]

    @classmethod
    def drawn(cls, random: np.random.Generator, length: float) -> "RandomFunction":
        """A new one, of 24 waves."""
        frequencies, phases = random.normal(size=WAVES), random.uniform(0.0, 2.0 * np.pi, size=WAVES)
        return cls(length, tuple(frequencies.tolist()), tuple(phases.tolist()))

    def __call__(self, s: ArrayLike) -> FloatArray:
        """f at any points."""
        angles = (
            np.multiply.outer(np.asarray(s, dtype=np.float64) / self.length, self.frequencies) + self.phases
        )
        return np.asarray(np.sqrt(2.0 / len(self.phases)) * np.cos(angles).sum(axis=-1))


@dataclass(frozen=True)
class Between:
    """low + (high − low) · ½ (1 + tanh f): a random function kept between two values."""

    function: RandomFunction
    low: float
    high: float

    def __call__(self, s: ArrayLike) -> FloatArray:
        """The value at any points."""
        return np.asarray(self.low + (self.high - self.low) * 0.5 * (1.0 + np.tanh(self.function(s))))


@dataclass(frozen=True)
class Bridge:
    """4 y (1 − y) f(x) + (1 − y) left + y right on [0, 1], y = x: a random field that starts and ends where it should."""

    field: RandomFunction
    left: float
    right: float

    def __call__(self, x: ArrayLike) -> FloatArray:
        """The value at any points."""
        y = np.asarray(x, dtype=np.float64)
        return np.asarray(4.0 * y * (1.0 - y) * self.field(y) + (1.0 - y) * self.left + y * self.right)


@dataclass(frozen=True)
class PeriodicField:
    """Σ_n a_n cos 2πnx + b_n sin 2πnx, n = 1, 2, …: a random field on a circle of length 1."""

    cosines: tuple[float, ...]
    sines: tuple[float, ...]

    @classmethod
    def drawn(cls, random: np.random.Generator, sigma: float, tau: float, waves: int) -> "PeriodicField":
        """A field from N(0, σ² (−Δ + τ² I)⁻²) without its mean: amplitudes N(0, 2σ² ((2πn)² + τ²)⁻²)."""
        deviation = np.sqrt(2.0) * sigma / ((2.0 * np.pi * np.arange(1, waves + 1)) ** 2 + tau**2)
        cosines, sines = random.normal(size=(2, waves)) * deviation
        return cls(tuple(cosines.tolist()), tuple(sines.tolist()))

    def __call__(self, x: ArrayLike) -> FloatArray:
        """The value at any points."""
        n = np.arange(1, len(self.cosines) + 1)
        angles = 2.0 * np.pi * np.multiply.outer(np.asarray(x, dtype=np.float64), n)
        return np.asarray(np.cos(angles) @ np.array(self.cosines) + np.sin(angles) @ np.array(self.sines))


@dataclass(frozen=True)
class Lid:
    """U(t) · (1 − e^{−(t/ramp)⁴}) · 16 x² (1 − x)²: a lid that starts smoothly and stands still at its ends.

    At the start it and its first three derivatives in time are 0, as is the fluid, so that nothing is impulsive; at
    the corners velocity and shear vanish, so that the vorticity stays finite there.
    """

    speed: Between
    ramp: float

    def __call__(self, times: ArrayLike, x: ArrayLike) -> FloatArray:
        """The lid's velocity; times and positions broadcast."""
        t, at = np.asarray(times, dtype=np.float64), np.asarray(x, dtype=np.float64)
        started = -np.expm1(-((t / self.ramp) ** 4))
        return np.asarray(self.speed(t) * started * 16.0 * at**2 * (1.0 - at) ** 2)


def averages(function: RandomFunction | Between, faces: FloatArray) -> FloatArray:
    """Averages over the cells between `faces`, by Gauss's rule with five points."""
    points, weights = np.polynomial.legendre.leggauss(5)
    width = np.diff(faces)[:, None]
    return np.asarray(function(faces[:-1, None] + width * 0.5 * (points + 1.0)) @ (0.5 * weights))
