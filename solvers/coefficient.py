"""Conductivities k(u) of the generalized porous medium equation, each with its integral Φ(u) = ∫₀ᵘ k(v) dv.

A coefficient is a named tuple of numbers, or of arrays with one entry a sample, so that it can be printed,
compared, and handed to compiled code as it is. How compiled code evaluates one stands in `potential.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lawbound.solvers.compiled import values_of

FloatArray = NDArray[np.float64]

#: How finely a user's function is looked at for its maximum and for values that are not allowed.
_LOOKS = 2049


class Constant(NamedTuple):
    """k(u) = k: linear diffusion."""

    k: float

    def largest(self, low: ArrayLike, high: ArrayLike) -> FloatArray:
        """max k(u) over low ≤ u ≤ high."""
        return np.broadcast_to(
            np.asarray(self.k, dtype=np.float64), np.broadcast_shapes(np.shape(low), np.shape(high))
        )


class Power(NamedTuple):
    """k(u) = |u|^m, m > 0 real: the porous medium equation, degenerate where u = 0."""

    m: float

    def largest(self, low: ArrayLike, high: ArrayLike) -> FloatArray:
        """max k(u) over low ≤ u ≤ high."""
        return np.asarray(np.maximum(np.abs(low), np.abs(high)) ** self.m)


class Step(NamedTuple):
    """k(u) = k_max where u ≥ u_star, k_min below: the Stefan problem. k_min = 0 makes the front a jump."""

    u_star: float
    k_max: float = 1.0
    k_min: float = 0.0

    def largest(self, low: ArrayLike, high: ArrayLike) -> FloatArray:
        """max k(u) over low ≤ u ≤ high."""
        above = np.where(np.asarray(high) >= self.u_star, self.k_max, self.k_min)
        return np.asarray(np.maximum(above, np.where(np.asarray(low) < self.u_star, self.k_min, self.k_max)))


class Phases(NamedTuple):
    """k(u) = k[i] where jumps[i − 1] ≤ u < jumps[i]: several phases, one more conductivity than jumps.

    >>> Phases(jumps=(0.3, 0.6), k=(0.0, 0.1, 1.0)).largest(0.0, 0.5)
    array(0.1)
    """

    jumps: tuple[float, ...]
    k: tuple[float, ...]

    def largest(self, low: ArrayLike, high: ArrayLike) -> FloatArray:
        """max k(u) over low ≤ u ≤ high."""
        jumps, k = np.atleast_2d(self.jumps), np.atleast_2d(self.k)
        lower = np.concatenate([np.full((len(jumps), 1), -np.inf), jumps], axis=1)
        upper = np.concatenate([jumps, np.full((len(jumps), 1), np.inf)], axis=1)
        met = (lower <= np.asarray(high)[..., None]) & (np.asarray(low)[..., None] < upper)
        result = np.where(met, k, -np.inf).max(axis=-1)
        return np.asarray(result if np.ndim(low) or np.ndim(high) else result.reshape(()))


class Custom(NamedTuple):
    """Any k(u) ≥ 0, a function of one float that numba can compile, with or without its integral Φ.

    `potential` is Φ(u) = ∫₀ᵘ k(v) dv if you know it; it is then used as it is. Without it Φ is tabulated over
    `reach`, or over the range of the data widened by half; a jump of k is then smoothed over 1/4096 of it.
    A run that leaves the table stops and says so.

    >>> Custom(lambda u: 1.0 + u * u, lambda u: u + u**3 / 3.0).largest(0.0, 2.0)
    array(5.)
    """

    k: Callable[[float], float]
    potential: Callable[[float], float] | None = None
    reach: tuple[float, float] | None = None

    def largest(self, low: ArrayLike, high: ArrayLike) -> FloatArray:
        """max k(u) over low ≤ u ≤ high, as far as 2049 looks a range can tell; raises `ValueError` for a k < 0."""
        pairs = np.broadcast_arrays(np.asarray(low, np.float64), np.asarray(high, np.float64))
        found = [
            self._looks(float(a), float(b)).max() for a, b in zip(pairs[0].flat, pairs[1].flat, strict=True)
        ]
        return np.asarray(np.reshape(found, pairs[0].shape), dtype=np.float64)

    def _looks(self, low: float, high: float) -> FloatArray:
        u = np.linspace(low, high, _LOOKS)
        k = values_of(self.k, u)
        bad = ~(np.isfinite(k) & (k >= 0.0))
        if bad.any():
            raise ValueError(
                f"k(u) = {k[bad][0]} at u = {u[bad][0]:.6g}, within the range [{low:.4g}, {high:.4g}] that the problem "
                "reaches; a conductivity must be finite and ≥ 0 there."
            )
        return k


class Tabulated(NamedTuple):
    """Φ and k at equally spaced u: what a `Custom` without its integral becomes. Cubic between the points."""

    low: float
    spacing: float
    phi: FloatArray
    k: FloatArray

    def largest(self, low: ArrayLike, high: ArrayLike) -> FloatArray:
        """max k(u) over low ≤ u ≤ high, the table being constant beyond its ends."""
        k, low_, spacing = np.atleast_2d(self.k), np.atleast_1d(self.low), np.atleast_1d(self.spacing)
        lows, highs = np.atleast_1d(low), np.atleast_1d(high)
        found = []
        for i in range(max(lows.size, highs.size)):
            row, a, b = k[i % len(k)], lows[i % lows.size], highs[i % highs.size]
            ends = (np.array([a, b]) - low_[i % len(low_)]) / spacing[i % len(spacing)]
            first, last = np.clip([np.floor(ends[0]), np.ceil(ends[1])], 0, row.size - 1).astype(int)
            found.append(row[first : last + 1].max())
        result = np.array(found)
        return result if np.ndim(low) or np.ndim(high) else result.reshape(())


Coefficient = Constant | Power | Step | Phases | Custom | Tabulated


def check_coefficient(coefficient: Coefficient) -> None:
    """Raise `ValueError` unless k(u) ≥ 0 is finite and, for `Power`, m > 0."""
    if isinstance(coefficient, Custom):
        _check_custom(coefficient)
        return
    if isinstance(coefficient, Phases):
        _check_phases(coefficient)
    values = {name: np.asarray(value, dtype=np.float64) for name, value in coefficient._asdict().items()}
    if not all(np.isfinite(value).all() for value in values.values()):
        raise ValueError(f"{coefficient} has a parameter that is not finite; give finite numbers.")
    negative = [
        f"{name}={coefficient._asdict()[name]}"
        for name, value in values.items()
        if name.startswith("k") and (value < 0).any()
    ]
    if negative:
        raise ValueError(
            f"{coefficient} has {', '.join(negative)} < 0; a negative conductivity is ill-posed, use k ≥ 0."
        )
    if isinstance(coefficient, Power) and coefficient.m <= 0:
        raise ValueError(f"{coefficient} has m={coefficient.m}; k(u) = |u|^m needs m > 0, or use `Constant`.")


def _check_phases(phases: Phases) -> None:
    if len(phases.k) != len(phases.jumps) + 1 or not phases.jumps:
        raise ValueError(
            f"{phases} has {len(phases.jumps)} jumps and {len(phases.k)} conductivities; "
            "give at least one jump and one more conductivity than jumps."
        )
    if any(b <= a for a, b in zip(phases.jumps, phases.jumps[1:], strict=False)):
        raise ValueError(f"{phases} has jumps that do not increase; sort them.")


def _check_custom(custom: Custom) -> None:
    if not callable(custom.k) or not (custom.potential is None or callable(custom.potential)):
        raise ValueError(f"{custom} needs k(u), and its integral if given, as functions of one float.")
    if custom.reach is not None:
        low, high = custom.reach
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise ValueError(f"reach={custom.reach} is not a range; give (low, high) with low < high.")


def batch_of(coefficients: Sequence[Coefficient]) -> Any:
    """One coefficient whose parameters are arrays over the samples; all must be of one class (and size)."""
    kinds = {type(coefficient) for coefficient in coefficients}
    if len(kinds) != 1:
        names = sorted(kind.__name__ for kind in kinds)
        raise ValueError(f"A batch got coefficients of kinds {names}; solve each kind in a batch of its own.")
    kind = kinds.pop()
    if kind is Custom:
        if len(set(coefficients)) != 1:
            raise ValueError("A batch got several user functions k(u); solve each in a batch of its own.")
        return coefficients[0]
    if kind is Phases and len({len(coefficient.k) for coefficient in coefficients}) != 1:  # type: ignore[union-attr,arg-type]
        raise ValueError(
            "A batch got several numbers of phases; solve each number of phases in a batch of its own."
        )
    columns: Any = [np.array(column, dtype=np.float64) for column in zip(*coefficients, strict=True)]
    return kind(*columns)
