"""Closed forms of the wave equation: a string held at both ends, and a square drum with free sides."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class StandingWaves:
    """u = Σ a_m sin(mπx) cos(mπct) on [0, 1], m = 1, 2, …: a string held at both ends, let go from rest."""

    c: float
    amplitudes: tuple[float, ...]

    def _numbers(self) -> FloatArray:
        return np.asarray(np.pi * np.arange(1, len(self.amplitudes) + 1))

    def start(self, x: ArrayLike) -> FloatArray:
        """u at t = 0."""
        return np.asarray(
            np.sin(np.multiply.outer(np.asarray(x), self._numbers())) @ np.array(self.amplitudes)
        )

    def __call__(self, t: float, x: ArrayLike) -> FloatArray:
        """u(t, x)."""
        now = np.array(self.amplitudes) * np.cos(self._numbers() * self.c * t)
        return np.asarray(np.sin(np.multiply.outer(np.asarray(x), self._numbers())) @ now)

    def integral(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """∫ u dx from 0 to x; t and x broadcast."""
        when, at = np.asarray(t)[..., None], np.asarray(x)[..., None]
        kappa = self._numbers()
        return np.asarray(
            (
                np.array(self.amplitudes) * np.cos(kappa * self.c * when) * (1.0 - np.cos(kappa * at)) / kappa
            ).sum(axis=-1)
        )

    def front(self, t: float) -> float | None:
        """There is none."""
        return None

    def front_time(self, x: float) -> float:
        """Never."""
        return float(np.inf)


@dataclass(frozen=True)
class Drum:
    """u = Σ a_mn cos(mπx) cos(nπy) cos(π√(m² + n²) ct) on the unit square: free sides, let go from rest.

    amplitudes: a_mn, one row for each n, m and n = 0, 1, ….
    """

    c: float
    amplitudes: tuple[tuple[float, ...], ...]

    def start(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """u at t = 0, at points that broadcast."""
        return self.at(0.0, x, y)

    def at(self, t: float, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """u(t, x, y), at points that broadcast."""
        n, m = (np.pi * np.arange(count) for count in np.shape(self.amplitudes))
        now = np.array(self.amplitudes) * np.cos(np.hypot.outer(n, m) * self.c * t)
        waves_y, waves_x = (
            np.cos(np.multiply.outer(np.asarray(y), n)),
            np.cos(np.multiply.outer(np.asarray(x), m)),
        )
        return np.asarray(np.einsum("...n,nm,...m->...", waves_y, now, waves_x))
