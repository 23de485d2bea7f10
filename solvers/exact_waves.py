"""Closed forms of advection and of the inviscid Burgers equation, and of their masses.

As in `exact.py`, point values, cell averages and masses come from antiderivatives and never from quadrature.
Advected step and Burgers ramp: Hansen, Maddix, Alizadeh, Gupta, Mahoney, ICML 2023, arXiv:2302.11002, appendix.
The others follow from characteristics and the Rankine–Hugoniot condition (LeVeque, Finite Volume Methods for
Hyperbolic Problems, 2002, chapter 11).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

_TURN = 2.0 * np.pi
_MOST_ITERATIONS = 100


@dataclass(frozen=True)
class AdvectedStep:
    """u = 1 where x ≤ 1/2 + βt, else 0, on [0, 1]: u_t + β u_x = 0 with inflow u(t, 0) = 1; mass 1/2 + βt.

    The mass holds until the front leaves at t = 1/(2β). Raises `ValueError` unless β > 0.
    """

    beta: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.beta) and self.beta > 0.0):
            raise ValueError(f"{self} has no inflow at x = 0; it needs a finite beta > 0.")

    def __call__(self, t: float, x: ArrayLike) -> FloatArray:
        """u(t, x)."""
        return np.where(np.asarray(x) <= self.front(t), 1.0, 0.0)

    def integral(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """min(x, 1/2 + βt)."""
        return np.asarray(np.minimum(x, 0.5 + self.beta * np.asarray(t)))

    def front(self, t: float) -> float:
        """x = 1/2 + βt."""
        return 0.5 + self.beta * t

    def front_time(self, x: float) -> float:
        """t = (x − 1/2) / β."""
        return (x - 0.5) / self.beta


@dataclass(frozen=True)
class BurgersRamp:
    """A ramp from a at x = −1 down to 0 at x = 0 that steepens and breaks at t = 1/a, on [−1, 1]; inflow u(t, −1) = a.

    u = a where x ≤ at − 1, a x / (at − 1) up to x = 0, then 0; after breaking u = a where x ≤ (at − 1)/2, else 0.
    Half the height is at (at − 1)/2 at all times. Mass (a/2)(1 + at) until the shock leaves at t = 3/a. Raises `ValueError`
    unless a > 0.
    """

    a: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.a) and self.a > 0.0):
            raise ValueError(f"{self} has no front; it needs a finite a > 0.")

    def __call__(self, t: float, x: ArrayLike) -> FloatArray:
        """u(t, x)."""
        x, foot = np.asarray(x, dtype=np.float64), 1.0 - self.a * t
        if foot <= 0.0:
            return np.where(x <= self.front(t), self.a, 0.0)
        return np.asarray(self.a * np.clip(-x / foot, 0.0, 1.0))

    def integral(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """a (1 − p + (p² − y²) / 2p) with p = 1 − at and y = −x kept in [0, p] on the ramp; a (min(x, front) + 1) after."""
        x, foot = np.asarray(x, dtype=np.float64), 1.0 - self.a * np.asarray(t, dtype=np.float64)
        smooth = foot > 0.0
        p = np.where(smooth, foot, 1.0)
        y = np.clip(-x, 0.0, p)
        ramp = np.minimum(x, -p) + 1.0 + (p - y) * (p + y) / (2.0 * p)
        return np.asarray(self.a * np.where(smooth, ramp, np.minimum(x, -0.5 * foot) + 1.0))

    def front(self, t: float) -> float:
        """x = (at − 1)/2: where u is a/2, and after breaking the shock."""
        return 0.5 * (self.a * t - 1.0)

    def front_time(self, x: float) -> float:
        """t = (2x + 1)/a."""
        return (2.0 * x + 1.0) / self.a


@dataclass(frozen=True)
class AdvectedSine:
    """u = mean + amplitude · sin 2π(x − βt), of period 1: u_t + β u_x = 0."""

    beta: float
    mean: float = 0.0
    amplitude: float = 1.0

    def __call__(self, t: float, x: ArrayLike) -> FloatArray:
        """u(t, x)."""
        return np.asarray(self.mean + self.amplitude * np.sin(_TURN * (np.asarray(x) - self.beta * t)))

    def integral(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """mean · x + amplitude · sin(πx) sin(π(x − 2βt)) / π, from 0."""
        x = np.asarray(x, dtype=np.float64)
        wave = np.sin(0.5 * _TURN * x) * np.sin(0.5 * _TURN * (x - 2.0 * self.beta * np.asarray(t)))
        return np.asarray(self.mean * x + self.amplitude * 2.0 / _TURN * wave)

    def front(self, t: float) -> None:
        """There is none."""
        return

    def front_time(self, x: float) -> float:
        """Never."""
        return float("inf")


@dataclass(frozen=True)
class BurgersSine:
    """u_t + (u²/2)_x = 0 from v(x) = mean + amplitude · sin 2πx, of period 1, until it breaks at t = 1/(2π |amplitude|).

    u(t, x) = v(ξ) where the characteristic from ξ arrives, x = ξ + t v(ξ). Raises `ValueError` at or after breaking.
    """

    mean: float = 0.0
    amplitude: float = 1.0

    @property
    def breaks(self) -> float:
        """The time at which characteristics first meet."""
        return 1.0 / (_TURN * abs(self.amplitude)) if self.amplitude != 0.0 else float("inf")

    def __call__(self, t: float, x: ArrayLike) -> FloatArray:
        """u(t, x)."""
        return self._start(self.foot(t, x))

    def integral(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """By dx = (1 + t v') dξ: ∫u dx = V + t v²/2 between the feet of 0 and x, V being the antiderivative of v."""
        t, x = np.broadcast_arrays(np.asarray(t, dtype=np.float64), np.asarray(x, dtype=np.float64))
        begin, end = self.foot(t, np.zeros_like(x)), self.foot(t, x)
        wave = np.sin(0.5 * _TURN * (end - begin)) * np.sin(0.5 * _TURN * (end + begin))
        grown = self.mean * (end - begin) + self.amplitude * 2.0 / _TURN * wave
        return np.asarray(grown + 0.5 * t * (self._start(end) ** 2 - self._start(begin) ** 2))

    def foot(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """ξ with ξ + t v(ξ) = x: Newton's method, kept between bounds that a mean |amplitude| away must respect."""
        t, x = np.broadcast_arrays(np.asarray(t, dtype=np.float64), np.asarray(x, dtype=np.float64))
        if not (t < self.breaks).all():
            raise ValueError(
                f"{self} breaks at t={self.breaks:.6g}, and t={t.max():.6g} is not before; give an earlier time."
            )
        low = x - t * (self.mean + abs(self.amplitude))
        high = x - t * (self.mean - abs(self.amplitude))
        foot = 0.5 * (low + high)
        for _ in range(_MOST_ITERATIONS):
            gap = foot - x + t * self._start(foot)
            low, high = np.where(gap < 0.0, foot, low), np.where(gap < 0.0, high, foot)
            new = foot - gap / (1.0 + t * self.amplitude * _TURN * np.cos(_TURN * foot))
            new = np.where((low <= new) & (new <= high), new, 0.5 * (low + high))
            done = abs(new - foot) <= 1e-16 * (1.0 + abs(foot))
            foot = new
            if done.all():
                break
        return foot

    def _start(self, x: FloatArray) -> FloatArray:
        return np.asarray(self.mean + self.amplitude * np.sin(_TURN * x))

    def front(self, t: float) -> None:
        """There is none before breaking."""
        return

    def front_time(self, x: float) -> float:
        """Never, before breaking."""
        return float("inf")


@dataclass(frozen=True)
class BurgersRiemann:
    """u_t + (scale · u²/2)_x = 0 from u = left where x ≤ at, else right; integrals start at `lower`.

    left > right: a shock of speed scale · (left + right)/2. left < right: a fan u = (x − at)/(scale · t) between.
    """

    left: float
    right: float
    at: float = 0.0
    lower: float = 0.0
    scale: float = 1.0

    def __call__(self, t: float, x: ArrayLike) -> FloatArray:
        """u(t, x)."""
        x = np.asarray(x, dtype=np.float64)
        if t <= 0.0 or self.left >= self.right:
            return np.where(x <= self.front(t), self.left, self.right)
        return np.asarray(np.clip((x - self.at) / (self.scale * t), self.left, self.right))

    def integral(self, t: ArrayLike, x: ArrayLike) -> FloatArray:
        """∫u dx from `lower` to x, in two or three pieces."""
        t, x = np.asarray(t, dtype=np.float64), np.asarray(x, dtype=np.float64)
        return np.asarray(self._from_centre(t, x) - self._from_centre(t, np.asarray(self.lower)))

    def _from_centre(self, t: FloatArray, x: FloatArray) -> FloatArray:
        """The same from the shock, or from where the fan began."""
        if self.left >= self.right:
            y = x - self.at - 0.5 * self.scale * (self.left + self.right) * t
            return np.asarray(self.left * np.minimum(y, 0.0) + self.right * np.maximum(y, 0.0))
        y, rate = x - self.at, self.scale * t
        slow, fast = self.left * rate, self.right * rate
        inside = np.clip(y, slow, fast)
        # ∫ y dy / rate over the fan up to 0, with t = 0, an empty fan, kept apart.
        fan = 0.5 * inside**2 / np.where(rate > 0.0, rate, 1.0)
        return np.asarray(
            fan + self.left * np.minimum(y - slow, 0.0) + self.right * np.maximum(y - fast, 0.0)
        )

    def front(self, t: float) -> float:
        """The shock, or where half the height of the fan is: both move at speed scale · (left + right)/2."""
        return self.at + 0.5 * self.scale * (self.left + self.right) * t

    def front_time(self, x: float) -> float:
        """The time at which it reaches x, inf if it moves away or stands."""
        pace = 0.5 * self.scale * (self.left + self.right)
        return float("inf") if pace == 0.0 or (x - self.at) / pace < 0.0 else (x - self.at) / pace
