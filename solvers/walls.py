"""Wall conditions: what is known at an end of the domain."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

#: A wall value: a number, or a function that takes an array of times and returns an array of values. On a plane
#: the function takes times (nt, 1) and tangential coordinates (n,) and returns (nt, n), or what broadcasts to it.
WallValue = float | Callable[..., ArrayLike]


class _Valued:
    """What wall conditions with a value share."""

    value: WallValue

    def values(self, times: ArrayLike, along: ArrayLike | None = None) -> FloatArray:
        """The value at each time, (nt,), or at each time and tangential coordinate, (nt, n).

        Raises `ValueError` where it is not finite or of the wrong shape.
        """
        when = np.asarray(times, dtype=np.float64)
        where = () if along is None else (np.asarray(along, dtype=np.float64),)
        shape = np.shape(when) + tuple(a.size for a in where)
        if not callable(self.value):
            return np.full(shape, float(self.value))
        given = np.asarray(self.value(when[..., None] if where else when, *where), dtype=np.float64)
        try:
            values = np.array(np.broadcast_to(given, shape))
        except ValueError:
            values = None
        if values is None or (not where and given.shape not in ((), shape)):
            raise ValueError(
                f"{self} gives values of shape {given.shape} for times of shape {np.shape(when)}"
                f"{f' and {where[0].size} positions' if where else ''}; "
                f"return one value for each time{f' and position, {shape}' if where else ''}."
            )
        if not np.isfinite(values).all():
            bad = np.nonzero(~np.isfinite(values))[0]
            moment = when.flat[bad[0]] if when.ndim else float(when)
            raise ValueError(
                f"{self} gives a value that is not finite at t={moment}; give a finite wall value."
            )
        return values

    def _check(self) -> None:
        if not callable(self.value) and not np.isfinite(self.value):
            raise ValueError(
                f"{self} has a value that is not finite; give a finite number or a function of time."
            )


@dataclass(frozen=True)
class Dirichlet(_Valued):
    """u = value at the wall; the value is constant or a function of time.

    >>> Dirichlet(1.0).values(np.array([0.0, 0.5]))
    array([1., 1.])
    """

    value: WallValue
    kind: ClassVar[str] = "dirichlet"

    def __post_init__(self) -> None:
        self._check()


@dataclass(frozen=True)
class Neumann(_Valued):
    """The flux through the wall is `value`, counted positive when it enters: k ∂u/∂n = value, n outward.

    Constant or a function of time; 0 insulates.
    """

    value: WallValue = 0.0
    kind: ClassVar[str] = "neumann"

    def __post_init__(self) -> None:
        self._check()


@dataclass(frozen=True)
class Robin(_Valued):
    """The wall exchanges with surroundings at `value`: k ∂u/∂n = transfer · (value − u), n outward, transfer > 0.

    The surroundings' value is constant or a function of time. Raises `ValueError` unless transfer > 0.
    """

    transfer: float
    value: WallValue
    kind: ClassVar[str] = "robin"

    def __post_init__(self) -> None:
        self._check()
        if not (np.isfinite(self.transfer) and self.transfer > 0.0):
            raise ValueError(
                f"{self} has transfer={self.transfer}; it needs a finite transfer > 0. For an insulated wall say Neumann(0)."
            )


@dataclass(frozen=True)
class Periodic:
    """What leaves through this wall enters through the opposite one."""

    kind: ClassVar[str] = "periodic"

    def values(self, times: ArrayLike, along: ArrayLike | None = None) -> FloatArray:
        """Zeros: there is no wall value."""
        return np.zeros(np.shape(times) + (() if along is None else np.shape(along)))


@dataclass(frozen=True)
class Outflow:
    """Waves leave and nothing comes in: u continues constant beyond the wall. For first-order equations."""

    kind: ClassVar[str] = "outflow"

    def values(self, times: ArrayLike, along: ArrayLike | None = None) -> FloatArray:
        """Zeros: there is no wall value."""
        return np.zeros(np.shape(times) + (() if along is None else np.shape(along)))


@dataclass(frozen=True)
class NoSlip(_Valued):
    """Fluid sticks to a wall that moves along itself with velocity `value`: u on y walls, v on x walls; nothing passes.

    Constant or a function of time and of the coordinate along the wall.
    """

    value: WallValue = 0.0
    kind: ClassVar[str] = "no-slip"

    def __post_init__(self) -> None:
        self._check()


Wall = Dirichlet | Neumann | Robin | Periodic | Outflow | NoSlip

_PAIRS = (("x_lo", "x_hi"), ("y_lo", "y_hi"))


@dataclass(frozen=True)
class Walls:
    """The ends of an interval, or of a rectangle with `y_lo` and `y_hi`; a flux through any is positive when it enters.

    Raises `ValueError` where only one of two opposite walls is periodic.
    """

    x_lo: Wall
    x_hi: Wall
    y_lo: Wall | None = None
    y_hi: Wall | None = None

    def __post_init__(self) -> None:
        for low, high in _PAIRS:
            pair = (getattr(self, low), getattr(self, high))
            if (pair[0] is None) != (pair[1] is None):
                raise ValueError(
                    f"Walls got only one of {low} and {high}; give both, or neither on an interval."
                )
            if isinstance(pair[0], Periodic) != isinstance(pair[1], Periodic):
                raise ValueError(
                    f"Walls got {low}={pair[0]} and {high}={pair[1]}; a period needs both to be Periodic()."
                )

    @property
    def sides(self) -> dict[str, Wall]:
        """Names and conditions, in the order x_lo, x_hi, y_lo, y_hi."""
        named: dict[str, Any] = {side: getattr(self, side) for pair in _PAIRS for side in pair}
        return {side: wall for side, wall in named.items() if wall is not None}
