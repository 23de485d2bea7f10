"""Sums of waves on [0, 1]: periodic, sine, cosine and quarter-wave series, each with a fast transform.

A series is a real array of amplitudes, its waves being known by `Basis`: their second derivatives are −(wavenumber)²
times themselves, so what is done to a mode is one multiplication. J. P. Boyd, Chebyshev and Fourier Spectral Methods,
2nd ed., Dover 2001, chapters 2 and 4.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

#: What happens at the lower and at the upper end: the value vanishes, or the slope does, or the ends are one.
Kind = Literal["dirichlet", "neumann", "dirichlet-neumann", "neumann-dirichlet", "periodic"]


def coefficients(values: FloatArray) -> ComplexArray:
    """c with u(x) = Re Σ_m c_m exp(2πi m x), m = 0 … n/2, from values at x = j/n along the last axis."""
    n = values.shape[-1]
    c = np.asarray(fft.rfft(values)) * (2.0 / n)
    c[..., 0] *= 0.5
    if n % 2 == 0:
        c[..., -1] *= 0.5
    return np.asarray(c)


def values(c: ComplexArray, n: int) -> FloatArray:
    """u at x = j/n along the last axis, from coefficients of waves that n points carry; missing ones are 0."""
    scaled = (0.5 * n) * c
    scaled[..., 0] *= 2.0
    if n % 2 == 0 and c.shape[-1] == n // 2 + 1:
        scaled[..., -1] *= 2.0
    return np.asarray(fft.irfft(scaled, n=n))


def evaluate(c: ComplexArray, x: FloatArray) -> FloatArray:
    """u(x) = Re Σ_m c_m exp(2πi m x) at any points, (..., points)."""
    angles = np.multiply.outer(np.arange(c.shape[-1]), 2.0 * np.pi * np.asarray(x))
    return np.asarray(c.real @ np.cos(angles) - c.imag @ np.sin(angles))


@dataclass(frozen=True)
class Basis:
    """The first waves of a kind on [0, 1], as many as `n` points carry.

    periodic: 1, cos 2πx, sin 2πx, …; dirichlet: sin mπx, m ≥ 1; neumann: cos mπx, m ≥ 0; dirichlet-neumann:
    sin (m+½)πx; neumann-dirichlet: cos (m+½)πx. `points` are where a function is sampled, (n,).
    """

    kind: Kind
    n: int

    @property
    def points(self) -> FloatArray:
        """Where a function is sampled, (n,)."""
        n = self.n
        first, intervals = {
            "dirichlet": (1, n + 1),
            "neumann": (0, n - 1),
            "dirichlet-neumann": (1, n),
            "neumann-dirichlet": (0, n),
            "periodic": (0, n),
        }[self.kind]
        return np.asarray(np.arange(first, first + n) / intervals)

    @property
    def wavenumbers(self) -> FloatArray:
        """κ ≥ 0 of each wave, (n,)."""
        return _wavenumbers(self.kind, self.n)

    @property
    def norms(self) -> FloatArray:
        """∫ wave² dx over [0, 1], (n,): 1 for the constant, ½ for all others."""
        return np.where(self.wavenumbers == 0.0, 1.0, 0.5)

    @property
    def means(self) -> FloatArray:
        """∫ wave dx over [0, 1], (n,)."""
        kappa = self.wavenumbers
        some = np.where(kappa > 0.0, kappa, 1.0)
        if self.kind == "dirichlet":
            return np.asarray((1.0 - np.cos(kappa)) / some)
        if self.kind == "dirichlet-neumann":
            return np.asarray(1.0 / some)
        if self.kind == "neumann-dirichlet":
            return np.asarray(np.sin(kappa) / some)
        return np.where(kappa == 0.0, 1.0, 0.0)

    def amplitudes(self, values: FloatArray) -> FloatArray:
        """Amplitudes of the waves through values at `points`, along the last axis."""
        n = self.n
        if self.kind == "periodic":
            return _real(coefficients(values), n)
        if self.kind == "dirichlet":
            return np.asarray(fft.dst(values, type=1)) / (n + 1)
        if self.kind == "dirichlet-neumann":
            return np.asarray(fft.dst(values, type=3)) / n
        if self.kind == "neumann-dirichlet":
            return np.asarray(fft.dct(values, type=3)) / n
        a = np.asarray(fft.dct(values, type=1)) / (n - 1)
        a[..., [0, -1]] *= 0.5
        return a

    def values(self, amplitudes: FloatArray) -> FloatArray:
        """Values at `points` of a sum of waves, along the last axis; amplitudes that are missing at its end are 0."""
        n = self.n
        if self.kind == "periodic":
            return values(_complex(amplitudes), n)
        if self.kind == "dirichlet":
            return np.asarray(fft.dst(0.5 * amplitudes, type=1, n=n, overwrite_x=True))
        if self.kind == "dirichlet-neumann":
            return np.asarray(fft.dst(0.5 * amplitudes, type=2, n=n, overwrite_x=True))
        if self.kind == "neumann-dirichlet":
            return np.asarray(fft.dct(0.5 * amplitudes, type=2, n=n, overwrite_x=True))
        a = 0.5 * amplitudes
        a[..., 0] *= 2.0
        if a.shape[-1] == n:
            a[..., -1] *= 2.0
        return np.asarray(fft.dct(a, type=1, n=n, overwrite_x=True))

    def evaluate(self, amplitudes: FloatArray, x: FloatArray) -> FloatArray:
        """Values of a sum of waves at any points of [0, 1], (..., points)."""
        return np.asarray(amplitudes @ self.waves(x))

    def waves(self, x: FloatArray) -> FloatArray:
        """Each wave at each point, (n, points)."""
        angles = np.multiply.outer(self.wavenumbers, np.asarray(x))
        if self.kind == "periodic":
            waves = np.cos(angles)
            waves[2::2] = np.sin(angles[2::2])
            return np.asarray(waves)
        return np.asarray(np.sin(angles) if self.kind.startswith("dirichlet") else np.cos(angles))


@lru_cache(maxsize=64)
def _wavenumbers(kind: Kind, n: int) -> FloatArray:
    m = np.arange(n)
    kappa = {
        "dirichlet": np.pi * (m + 1),
        "neumann": np.pi * m,
        "periodic": 2.0 * np.pi * ((m + 1) // 2),
    }.get(kind, np.pi * (m + 0.5))
    kappa.flags.writeable = False
    return np.asarray(kappa)


def _real(c: ComplexArray, n: int) -> FloatArray:
    """1, cos, sin, cos, sin, … from Re Σ c_m exp(2πi m x); the last sine of an even number of points is not carried."""
    a = np.empty((*c.shape[:-1], n))
    a[..., 0] = c[..., 0].real
    a[..., 1::2] = c[..., 1:].real
    a[..., 2::2] = -c[..., 1 : (n + 1) // 2].imag
    return a


def _complex(a: FloatArray) -> ComplexArray:
    n = a.shape[-1]
    c = np.zeros((*a.shape[:-1], n // 2 + 1), dtype=np.complex128)
    c[..., 0] = a[..., 0]
    c.real[..., 1:] = a[..., 1::2]
    c.imag[..., 1 : (n + 1) // 2] = -a[..., 2::2]
    return c
