"""Closed forms of the heat equation that the spectral solver is judged by: a moving wall, and a heated rod."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class StokesLayer:
    """u = U e^{−κy} cos(κy − ωt), κ = √(ω/2ν): fluid over a wall that moves back and forth (Stokes' second problem).

    u_t = ν u_yy. H. Schlichting, Boundary-Layer Theory, 7th ed., McGraw-Hill 1979, (5.26).
    """

    nu: float
    omega: float
    speed: float = 2.0

    @property
    def decay(self) -> float:
        """κ, the inverse of the layer's thickness."""
        return float(np.sqrt(self.omega / (2.0 * self.nu)))

    def __call__(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """u(t, y) at y = x; t and x broadcast."""
        depth = self.decay * np.asarray(x, dtype=np.float64)
        return np.asarray(self.speed * np.exp(-depth) * np.cos(depth - self.omega * np.asarray(t)))

    def integral(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """∫ u dy from 0 to y = x: U/(2κ) [e^{−κy} (sin − cos)(κy − ωt) + (sin + cos)(ωt)]."""
        depth, turned = self.decay * np.asarray(x, dtype=np.float64), self.omega * np.asarray(t)
        upper = np.exp(-depth) * (np.sin(depth - turned) - np.cos(depth - turned))
        return np.asarray(self.speed / (2.0 * self.decay) * (upper + np.sin(turned) + np.cos(turned)))

    def front(self, t: float) -> float | None:
        """There is none."""
        return None

    def front_time(self, x: float) -> float:
        """Never."""
        return float(np.inf)


@dataclass(frozen=True)
class HeatedRod:
    """u_t = k u_xx on [0, 1] with u_x(0) = 0, u_x(1) = U sin πt and u(0, x) = cos ωπx.

    The time-periodic solution that carries the heater, Im U e^{iπt} cosh(qx)/(q sinh q) with q² = iπ/k, and a rest of
    cosines, each of which decays: Σ (c_n − b_n) e^{−k n²π² t} cos nπx, c_n and b_n being the cosine coefficients of
    cos ωπx and of the carrier at the start. Converges at every t > 0; at t = 0 it gives the initial state.
    """

    omega: float
    k: float = 0.01
    heat: float = 5.0

    #: Terms enough for e^{−k n²π² t} to be gone at t = 1e-5, for k = 0.01.
    terms = 4000

    def _rest(self, t: FloatArray) -> FloatArray:
        """Amplitudes of the cosines, (nt, terms)."""
        n = np.arange(self.terms)
        twice = np.where(n == 0, 1.0, 2.0)
        start = 0.5 * twice * (np.sinc(self.omega - n) + np.sinc(self.omega + n))
        sign = np.where(n % 2 == 0, 1.0, -1.0)
        carried = self.heat * sign * twice / ((n * np.pi) ** 2 + 1j * np.pi / self.k)
        return np.asarray((start - carried.imag) * np.exp(-self.k * (n * np.pi) ** 2 * t[:, None]))

    def _carrier(self, t: FloatArray, x: FloatArray, integrated: bool) -> FloatArray:
        q = np.sqrt(1j * np.pi / self.k)
        sign = -1.0 if integrated else 1.0
        shape = (np.exp(q * (x - 1.0)) + sign * np.exp(-q * (x + 1.0))) / (q * (1.0 - np.exp(-2.0 * q)))
        return np.asarray(
            self.heat * np.imag(np.exp(1j * np.pi * t)[:, None] * (shape / q if integrated else shape))
        )

    def __call__(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """u at one time, (nx,), or at each of several, (nt, nx)."""
        times, at = np.atleast_1d(np.asarray(t, dtype=np.float64)), np.asarray(x, dtype=np.float64)
        waves = np.cos(np.pi * np.multiply.outer(np.arange(self.terms), at))
        u = self._carrier(times, at, integrated=False) + self._rest(times) @ waves
        u[times == 0.0] = np.cos(self.omega * np.pi * at)
        return u if np.ndim(t) else u[0]

    def integral(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """∫ u dx from 0 to x, one x for each t or one for all."""
        times = np.atleast_1d(np.asarray(t, dtype=np.float64))
        at = np.broadcast_to(np.asarray(x, dtype=np.float64), times.shape)
        n = np.arange(1, self.terms)
        rest = self._rest(times)
        waves = np.sin(np.pi * np.multiply.outer(at, n)) / (np.pi * n)
        carried = np.array(
            [self._carrier(times[i : i + 1], at[i : i + 1], True)[0, 0] for i in range(times.size)]
        )
        total = carried + rest[:, 0] * at + (rest[:, 1:] * waves).sum(axis=1)
        return np.asarray(total.reshape(np.broadcast_shapes(np.shape(t), np.shape(x))))

    def front(self, t: float) -> float | None:
        """There is none."""
        return None

    def front_time(self, x: float) -> float:
        """Never."""
        return float(np.inf)
