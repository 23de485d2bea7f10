"""Closed forms of Burgers' equation with viscosity, and of their masses.

u = −2ν (log φ)_x turns u_t + (u²/2)_x = ν u_xx into φ_t = ν φ_xx: J. D. Cole, Quart. Appl. Math. 9, 1951, pp. 225-236, (7) and (9);
E. Hopf, Comm. Pure Appl. Math. 3, 1950, pp. 201-230, (8). The integral over the line is done by the trapezoidal rule, which
converges exponentially there, with the largest exponent taken out; masses are differences of log φ.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logsumexp

FloatArray = NDArray[np.float64]

# Terms below e^{−45} of the largest are not seen in double precision; four points to a standard deviation leave e^{−300}.
_NEGLIGIBLE, _POINTS_PER_WIDTH = 45.0, 4.0


@dataclass(frozen=True)
class ColeHopf:
    """Burgers' equation on the line from u(0, y) = dΨ/dy: u = ∫ (η/t) e^{−G/2ν} dη / ∫ e^{−G/2ν} dη, G = Ψ(x − η) + η²/2t.

    `potential` is Ψ, an antiderivative of the initial state u0, and `initial` u0 itself, both of arrays. `swing` bounds
    max Ψ − min Ψ, `slope` bounds |du0/dy|: they choose the points of the quadrature. Raises `ValueError` unless ν > 0, both bounds
    are finite and t ≥ 0.
    """

    nu: float
    initial: Callable[[FloatArray], ArrayLike]
    potential: Callable[[FloatArray], ArrayLike]
    swing: float
    slope: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.nu) and self.nu > 0.0):
            raise ValueError(f"{self} has nu={self.nu}; give a finite nu > 0.")
        if not (np.isfinite([self.swing, self.slope]).all() and min(self.swing, self.slope) >= 0.0):
            raise ValueError(
                f"swing={self.swing} and slope={self.slope} bound nothing; give finite bounds ≥ 0."
            )

    def __call__(self, t: float, x: ArrayLike) -> FloatArray:
        """u(t, x)."""
        at = np.asarray(x, dtype=np.float64)
        if t == 0.0:
            return np.asarray(self.initial(at), dtype=np.float64)
        eta, exponents = self._exponents(t, at)
        shares = np.exp(exponents - exponents.max(axis=-1, keepdims=True))
        return np.asarray((shares @ (eta / t)) / shares.sum(axis=-1))

    def integral(self, t: float, x: ArrayLike) -> FloatArray:
        """∫₀ˣ u dx = −2ν log(φ(x) / φ(0))."""
        at = np.asarray(x, dtype=np.float64)
        if t == 0.0:
            return np.asarray(self.potential(at) - np.asarray(self.potential(np.zeros(()))))
        logs = [logsumexp(self._exponents(t, place)[1], axis=-1) for place in (at, np.zeros(()))]
        return np.asarray(-2.0 * self.nu * (logs[0] - logs[1]))

    def front(self, t: float) -> None:
        """None is told apart."""
        return

    def front_time(self, x: float) -> float:
        """Never."""
        return float("inf")

    def _exponents(self, t: float, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """η, (points,), and −G/2ν, (..., points)."""
        if not t > 0.0:
            raise ValueError(f"t={t} lies before the start; give t ≥ 0.")
        reach = np.sqrt(2.0 * t * (self.swing + 2.0 * self.nu * _NEGLIGIBLE))
        width = np.sqrt(2.0 * self.nu / (1.0 / t + self.slope))
        half = int(np.ceil(_POINTS_PER_WIDTH * reach / width))
        eta = np.linspace(-reach, reach, 2 * half + 1)
        potential = np.asarray(self.potential(x[..., None] - eta), dtype=np.float64)
        return eta, -(potential + eta**2 / (2.0 * t)) / (2.0 * self.nu)


def cole_hopf_sine(nu: float, amplitude: float = 1.0) -> ColeHopf:
    """Burgers' equation on a period [0, 1] from u(0, x) = amplitude · sin 2πx; with a mean m it is m + u(t, x − mt).

    >>> exact = cole_hopf_sine(0.01)
    >>> bool(abs(exact(1.0, 0.5)) < 1e-14)
    True
    """
    turn, size = 2.0 * np.pi, float(amplitude)

    def initial(x: FloatArray) -> FloatArray:
        return np.asarray(size * np.sin(turn * x))

    def potential(x: FloatArray) -> FloatArray:
        return np.asarray(-size / turn * np.cos(turn * x))

    return ColeHopf(nu, initial, potential, 2.0 * abs(size) / turn, turn * abs(size))


@dataclass(frozen=True)
class BurgersFront:
    """u = right + (left − right) / (1 + e^z), z = (left − right)(x − at − st) / 2ν, s = (left + right)/2: a front that travels.

    G. B. Whitham, Linear and Nonlinear Waves, 1974, (4.23). Its flux is F = s u − left · right / 2. Raises `ValueError`
    unless left > right and ν > 0.
    """

    left: float
    right: float
    at: float
    nu: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.left, self.right, self.at]).all() and self.left > self.right):
            raise ValueError(f"{self} has no front that keeps its shape; it needs finite left > right.")
        if not (np.isfinite(self.nu) and self.nu > 0.0):
            raise ValueError(f"{self} has nu={self.nu}; give a finite nu > 0.")

    @property
    def speed(self) -> float:
        """s = (left + right) / 2."""
        return 0.5 * (self.left + self.right)

    def __call__(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """u(t, x); t and x broadcast."""
        return np.asarray(self.right + (self.left - self.right) * expit(-self._z(t, x)))

    def integral(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """∫₀ˣ u dx = right · x − 2ν [log(1 + e^{−z})]₀ˣ."""
        logs = np.logaddexp(0.0, -self._z(t, x)) - np.logaddexp(0.0, -self._z(t, 0.0))
        return np.asarray(self.right * np.asarray(x) - 2.0 * self.nu * logs)

    def flux(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """F = u²/2 − ν u_x."""
        return np.asarray(self.speed * self(t, x) - 0.5 * self.left * self.right)

    def passed(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """∫₀ᵗ F(τ, x) dτ, what went through x to the right; s ∫u dτ is what was between x − st and x at the start."""
        behind = np.asarray(x) - self.speed * np.asarray(t)
        return np.asarray(
            self.integral(0.0, x) - self.integral(0.0, behind) - 0.5 * self.left * self.right * np.asarray(t)
        )

    def front(self, t: float) -> float:
        """x = at + st, where u is half-way."""
        return self.at + self.speed * t

    def front_time(self, x: float) -> float:
        """t = (x − at) / s; inf if the front stands or goes the other way."""
        ahead = x - self.at
        return ahead / self.speed if ahead * self.speed > 0.0 else (0.0 if ahead == 0.0 else float("inf"))

    def _z(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        ahead = np.asarray(x) - self.at - self.speed * np.asarray(t)
        return np.asarray((self.left - self.right) * ahead / (2.0 * self.nu))
