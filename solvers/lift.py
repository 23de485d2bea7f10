"""Walls with values of their own, made homogeneous: u = v + Σ_s p_s(y) γ_s(t), v having homogeneous ends."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.eigenmodes import End
from lawbound.solvers.walls import Dirichlet, Neumann, Robin, Wall

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Lift:
    """Polynomials p_lo and p_hi of degree ≤ 2 on [0, 1], each with the value 1 at its own end's condition and 0 at the other's.

    coefficients: of 1, y, y², (2, 3), lower end first.
    """

    coefficients: tuple[tuple[float, float, float], tuple[float, float, float]]

    @classmethod
    def between(cls, lower: End, upper: End) -> "Lift":
        """The straight lines between two ends, or the parabolas between two Neumann ones, which lines cannot serve."""
        if lower.value == upper.value == 0.0:
            return cls(((0.5, -1.0, 0.5), (0.0, 0.0, 0.5)))
        rows = np.array([[lower.value, -lower.slope], [upper.value, upper.value + upper.slope]])
        (a, b), (c, d) = np.linalg.inv(rows).T.tolist()
        return cls(((a, b, 0.0), (c, d, 0.0)))

    def at(self, y: FloatArray) -> FloatArray:
        """p_lo and p_hi at points, (2, points)."""
        return np.asarray(np.array(self.coefficients) @ np.stack([np.ones_like(y), y, y * y]))

    @property
    def bend(self) -> float:
        """p'', the same for both ends: 1 between Neumann ends, else 0."""
        return 2.0 * self.coefficients[0][2]

    @property
    def means(self) -> FloatArray:
        """∫ p dy, (2,)."""
        return np.asarray(np.array(self.coefficients) @ np.array([1.0, 1.0 / 2.0, 1.0 / 3.0]))

    @property
    def moments(self) -> FloatArray:
        """∫ p y dy, (2,)."""
        return np.asarray(np.array(self.coefficients) @ np.array([1.0 / 2.0, 1.0 / 3.0, 1.0 / 4.0]))


def end_of(wall: Wall, k: float, length: float) -> End:
    """The homogeneous condition of a wall of an interval mapped to [0, 1]."""
    if isinstance(wall, Dirichlet):
        return End(1.0, 0.0)
    if isinstance(wall, Robin):
        return End(wall.transfer * length / k, 1.0)
    return End(0.0, 1.0)


def factor_of(wall: Wall, k: float, length: float) -> float:
    """What turns the wall's value into γ: a flux k ∂u/∂n, or surroundings, into what `end_of` is equal to."""
    if isinstance(wall, Robin):
        return wall.transfer * length / k
    return length / k if isinstance(wall, Neumann) else 1.0
