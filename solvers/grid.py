"""Grids: where the unknowns sit and how they are integrated. A grid knows no state."""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.chebyshev import clenshaw_curtis, nodes


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


class _Points:
    """What grids of points on an interval share."""

    n: int

    @property
    def shape(self) -> tuple[int]:
        """(n,)."""
        return (self.n,)


@dataclass(frozen=True)
class Nodes(_Points):
    """`n` equally spaced points on [lower, upper], both ends included; an unknown is a point value.

    `order` is that of the quadrature for smooth u: 2 is the trapezoidal rule, more adds Gregory's end corrections at
    order − 1 points on either side. At a jump every order is first order. Raises `ValueError` for an order that the
    points do not carry.

    >>> Nodes(0.0, 1.0, 5).weights
    array([0.125, 0.25 , 0.25 , 0.25 , 0.125])
    """

    lower: float
    upper: float
    n: int
    order: int = 2

    def __post_init__(self) -> None:
        _check(self.lower, self.upper, self.n, least=2)
        # With nine corrected points a weight is negative, and a sum of positive values could be below zero.
        most = min(9, self.n // 2 + 1) if self.n > 3 else 2
        if not 2 <= self.order <= most:
            raise ValueError(
                f"order={self.order} is none of a quadrature on {self.n} equally spaced points; use 2 … {most}, or more points."
            )

    @property
    def points(self) -> NDArray[np.float64]:
        """The n positions."""
        return np.linspace(self.lower, self.upper, self.n)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Quadrature weights: Σ weights · values is ∫u dx up to h^order."""
        inside = np.ones(self.n)
        corrections = _gregory(self.order - 1)
        inside[: corrections.size] += corrections
        inside[-corrections.size :] += corrections[::-1]
        return np.asarray(inside * ((self.upper - self.lower) / (self.n - 1)))


@dataclass(frozen=True)
class PeriodicNodes(_Points):
    """`n` equally spaced points on [lower, upper), the right end being the left one again.

    >>> PeriodicNodes(0.0, 1.0, 4).points
    array([0.  , 0.25, 0.5 , 0.75])
    """

    lower: float
    upper: float
    n: int

    def __post_init__(self) -> None:
        _check(self.lower, self.upper, self.n, least=2)

    @property
    def points(self) -> NDArray[np.float64]:
        """The n positions."""
        return np.linspace(self.lower, self.upper, self.n, endpoint=False)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Equal weights: Σ weights · values is ∫u dx, exactly for all waves that the points carry."""
        return np.full(self.n, (self.upper - self.lower) / self.n)


@dataclass(frozen=True)
class ChebyshevNodes(_Points):
    """The `n` extrema of a Chebyshev polynomial on [lower, upper], increasing, both ends included.

    >>> ChebyshevNodes(0.0, 1.0, 3).weights * 6
    array([1., 4., 1.])
    """

    lower: float
    upper: float
    n: int

    def __post_init__(self) -> None:
        _check(self.lower, self.upper, self.n, least=2)

    @property
    def points(self) -> NDArray[np.float64]:
        """The n positions."""
        at = 0.5 * (self.lower + self.upper) + 0.5 * (self.upper - self.lower) * nodes(self.n)
        at[[0, -1]] = self.lower, self.upper
        return np.asarray(at)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Clenshaw–Curtis weights: Σ weights · values is ∫u dx, exactly for polynomials of degree < n."""
        return np.asarray(0.5 * (self.upper - self.lower) * clenshaw_curtis(self.n))


#: Points on an interval.
Points = Nodes | PeriodicNodes | ChebyshevNodes


@dataclass(frozen=True)
class Rectangle:
    """The points of `x` times those of `y`; an unknown is a point value, stored (y, x).

    >>> Rectangle(Nodes(0.0, 1.0, 4), ChebyshevNodes(0.0, 1.0, 3)).shape
    (3, 4)
    """

    x: Points
    y: Points

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx)."""
        return (self.y.n, self.x.n)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Quadrature weights, (ny, nx)."""
        return np.multiply.outer(self.y.weights, self.x.weights)


#: Where an unknown can sit: averages over cells, or values at points.
Grid = Cells | Boxes | Nodes | PeriodicNodes | ChebyshevNodes | Rectangle


def on_plane(grid: Grid) -> bool:
    """Whether a grid has two dimensions."""
    return isinstance(grid, Boxes | Rectangle)


def of_points(grid: Grid) -> bool:
    """Whether a grid's unknowns are values at points, as spectral solvers have them."""
    return not isinstance(grid, Cells | Boxes)


@lru_cache
def _gregory(points: int) -> NDArray[np.float64]:
    """Corrections of the weights 1, 1, 1, … at the first points, in units of the spacing.

    −Σ_k G_{k+1} Δ^k with the numbers of Gregory, z / log(1 + z) = Σ G_k z^k. E. T. Whittaker, G. Robinson, The
    Calculus of Observations, 1924, section 72.
    """
    numbers = [Fraction(1)]
    for k in range(1, points + 1):
        numbers.append(
            -sum((numbers[j] * Fraction((-1) ** (k - j), k - j + 1) for j in range(k)), Fraction(0))
        )
    corrections = [
        -sum((numbers[k + 1] * (-1) ** (k - j) * comb(k, j) for k in range(j, points)), Fraction(0))
        for j in range(points)
    ]
    return np.array([float(c) for c in corrections])
