"""What the spectral solvers and their peers are timed on, each with its exact solution."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Spectral:
    """A problem on [0, length] until `end`; w5 is held at both ends, the others are periodic."""

    name: str
    length: float
    end: float
    start: Callable[[FloatArray], FloatArray]
    exact: Callable[[FloatArray], FloatArray]
    nu: float = 0.0

    def error(self, u: FloatArray) -> float:
        """Relative L1 error of values at equally spaced points, with the right end only where it is a wall."""
        n = u.size - 1 if self.name.startswith("w5") else u.size
        truth = self.exact(self.length * np.arange(u.size) / n)
        return float(np.abs(u - truth).sum() / np.abs(truth).sum())


def _bump(x: FloatArray) -> FloatArray:
    return np.exp(np.sin(x))


def _bump_later(x: FloatArray) -> FloatArray:
    n = np.arange(1, 40)[:, None]
    waves = ive(n, 1.0) * np.e * np.exp(-(n**2.0)) * np.cos(n * (x - np.pi / 2.0))
    return np.asarray(ive(0, 1.0) * np.e + 2.0 * waves.sum(axis=0))


def _sine(x: FloatArray) -> FloatArray:
    return np.sin(2.0 * np.pi * x)


def cole_hopf(nu: float, t: float, x: FloatArray) -> FloatArray:
    """u of the start sin 2πx: a ratio of integrals of exp(−potential/2ν), by the trapezoidal rule on the heat kernel.

    E. Hopf, Comm. Pure Appl. Math. 3, 1950; exponents are shifted so that nothing overflows.
    """
    z, spread = np.linspace(-14.0, 14.0, 20001), np.sqrt(4.0 * nu * t)
    u = np.empty_like(x)
    for i, at in enumerate(x):
        foot = at - spread * z
        exponent = -z * z + (np.cos(2.0 * np.pi * foot) - 1.0) / (4.0 * np.pi * nu)
        weight = np.exp(exponent - exponent.max())
        u[i] = (weight * spread * z).sum() / (t * weight.sum())
    return u


def _string(x: FloatArray) -> FloatArray:
    return np.asarray(np.sin(np.pi * x) + 0.5 * np.sin(3.0 * np.pi * x))


def _string_later(x: FloatArray) -> FloatArray:
    return np.asarray(
        np.sin(np.pi * x) * np.cos(1.3 * np.pi) + 0.5 * np.sin(3.0 * np.pi * x) * np.cos(3.9 * np.pi)
    )


def workload(name: str) -> Spectral:
    """w1: heat; "w4, 0.01": Burgers with that viscosity; w5: a string."""
    if name == "w1":
        return Spectral(name, 2.0 * np.pi, 1.0, _bump, _bump_later)
    if name == "w5":
        return Spectral(name, 1.0, 1.3, _string, _string_later)
    nu = float(name.split(",")[1])
    return Spectral(name, 1.0, 1.0, _sine, lambda x: cole_hopf(nu, 1.0, x), nu)
