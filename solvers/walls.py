"""Wall conditions: what is known at an end of the domain."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: A wall value: a number, or a function that takes an array of times and returns an array of values.
WallValue = float | Callable[[NDArray[np.float64]], ArrayLike]


@dataclass(frozen=True)
class PowerOfTime:
    """The function g(t) = (scale · t)^exponent; a value, so problems that use it can be compared and printed.

    >>> PowerOfTime(scale=2.0, exponent=0.5)(np.array([0.0, 2.0]))
    array([0., 2.])
    """

    scale: float
    exponent: float

    def __call__(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """g at each time."""
        return np.asarray((self.scale * np.asarray(times)) ** self.exponent)


@dataclass(frozen=True)
class Dirichlet:
    """u = value at the wall; the value is constant or a function of time.

    >>> Dirichlet(1.0).values(np.array([0.0, 0.5]))
    array([1., 1.])
    """

    value: WallValue

    def __post_init__(self) -> None:
        if not callable(self.value) and not np.isfinite(self.value):
            raise ValueError(
                f"{self} has a value that is not finite; give a finite number or a function of time."
            )

    def values(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The wall value at each time; raises `ValueError` where it is not finite or of the wrong shape."""
        if not callable(self.value):
            return np.full(np.shape(times), float(self.value))
        given = np.asarray(self.value(times), dtype=np.float64)
        if given.shape not in ((), np.shape(times)):
            raise ValueError(
                f"{self} gives values of shape {given.shape} for times of shape {np.shape(times)}; "
                "return one value for each time."
            )
        values = np.array(np.broadcast_to(given, np.shape(times)))
        if not np.isfinite(values).all():
            when = np.asarray(times)[~np.isfinite(values)].flat[0]
            raise ValueError(
                f"{self} gives a value that is not finite at t={when}; give a finite wall value."
            )
        return values


@dataclass(frozen=True)
class Walls:
    """The two ends of an interval; a flux through either is counted positive when it enters the domain."""

    x_lo: Dirichlet
    x_hi: Dirichlet
