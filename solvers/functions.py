"""Functions as values, for walls and initial states: they can be compared, printed and sent to worker processes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

#: Anything that gives u(t, x), such as a closed form.
Solution = Callable[..., ArrayLike]


@dataclass(frozen=True)
class PowerOfTime:
    """The function g(t) = (scale · t)^exponent.

    >>> PowerOfTime(scale=2.0, exponent=0.5)(np.array([0.0, 2.0]))
    array([0., 2.])
    """

    scale: float
    exponent: float

    def __call__(self, times: ArrayLike) -> FloatArray:
        """g at each time."""
        return np.asarray((self.scale * np.asarray(times)) ** self.exponent)


@dataclass(frozen=True)
class SineOfTime:
    """The function g(t) = scale · sin(frequency · t)."""

    scale: float
    frequency: float

    def __call__(self, times: ArrayLike) -> FloatArray:
        """g at each time."""
        return np.asarray(self.scale * np.sin(self.frequency * np.asarray(times)))


@dataclass(frozen=True)
class AtTime:
    """A solution at one time, a function of the position."""

    solution: Solution
    time: float

    def __call__(self, *where: ArrayLike) -> FloatArray:
        """u at each position."""
        return np.asarray(self.solution(self.time, *where))


@dataclass(frozen=True)
class AtPoint:
    """A solution at one point, a function of time."""

    solution: Solution
    where: float

    def __call__(self, times: ArrayLike) -> FloatArray:
        """u at each time."""
        return np.asarray(self.solution(np.asarray(times), self.where))
