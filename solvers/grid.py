"""Grids: where the unknowns sit and how they are integrated. A grid knows no state."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def _check(lower: float, upper: float, n: int, least: int) -> None:
    if not (np.isfinite(lower) and np.isfinite(upper) and lower < upper):
        raise ValueError(f"The domain is [{lower}, {upper}]; give finite bounds with lower < upper.")
    if n < least:
        raise ValueError(f"nx={n} is too few points; use nx ≥ {least}.")


@dataclass(frozen=True)
class Cells:
    """`n` equal boxes on [lower, upper]; an unknown is the average of u over its box.

    >>> Cells(0.0, 1.0, 4).centres
    array([0.125, 0.375, 0.625, 0.875])
    """

    lower: float
    upper: float
    n: int

    def __post_init__(self) -> None:
        _check(self.lower, self.upper, self.n, least=2)

    @property
    def shape(self) -> tuple[int]:
        """(n,)."""
        return (self.n,)

    @property
    def width(self) -> float:
        """h = (upper − lower) / n."""
        return (self.upper - self.lower) / self.n

    @property
    def faces(self) -> NDArray[np.float64]:
        """The n + 1 box ends."""
        return np.linspace(self.lower, self.upper, self.n + 1)

    @property
    def centres(self) -> NDArray[np.float64]:
        """The n box centres."""
        faces = self.faces
        return np.asarray(0.5 * (faces[1:] + faces[:-1]))

    @property
    def weights(self) -> NDArray[np.float64]:
        """Quadrature weights: Σ weights · averages is the integral of u, exactly."""
        return np.full(self.n, self.width)


@dataclass(frozen=True)
class Boxes:
    """A rectangle of `x.n` times `y.n` equal boxes; an unknown is the average of u over its box, stored (y, x).

    >>> Boxes(Cells(0.0, 1.0, 4), Cells(0.0, 1.0, 2)).shape
    (2, 4)
    """

    x: Cells
    y: Cells

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx)."""
        return (self.y.n, self.x.n)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Quadrature weights, (ny, nx): Σ weights · averages is the integral of u, exactly."""
        return np.full(self.shape, self.x.width * self.y.width)


@dataclass(frozen=True)
class Nodes:
    """`n` equally spaced points on [lower, upper], both ends included; an unknown is a point value.

    >>> Nodes(0.0, 1.0, 5).weights
    array([0.125, 0.25 , 0.25 , 0.25 , 0.125])
    """

    lower: float
    upper: float
    n: int

    def __post_init__(self) -> None:
        _check(self.lower, self.upper, self.n, least=2)

    @property
    def points(self) -> NDArray[np.float64]:
        """The n positions."""
        return np.linspace(self.lower, self.upper, self.n)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weights of the trapezoidal rule: second order for smooth u, first order at a jump."""
        weights = np.full(self.n, (self.upper - self.lower) / (self.n - 1))
        weights[[0, -1]] *= 0.5
        return weights
