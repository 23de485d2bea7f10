"""Conductivities k(u) of the generalized porous medium equation, each with its integral Φ(u) = ∫₀ᵘ k(v) dv.

A coefficient is a named tuple of numbers, or of arrays with one entry a sample, so that it can be printed,
compared, and handed to compiled code as it is.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lawbound.solvers.compiled import chosen_by_type


class Constant(NamedTuple):
    """k(u) = k: linear diffusion."""

    k: float

    def largest(self, low: ArrayLike, high: ArrayLike) -> NDArray[np.float64]:
        """max k(u) over low ≤ u ≤ high."""
        return np.broadcast_to(
            np.asarray(self.k, dtype=np.float64), np.broadcast_shapes(np.shape(low), np.shape(high))
        )


class Power(NamedTuple):
    """k(u) = |u|^m, m > 0 real: the porous medium equation, degenerate where u = 0."""

    m: float

    def largest(self, low: ArrayLike, high: ArrayLike) -> NDArray[np.float64]:
        """max k(u) over low ≤ u ≤ high."""
        return np.asarray(np.maximum(np.abs(low), np.abs(high)) ** self.m)


class Step(NamedTuple):
    """k(u) = k_max where u ≥ u_star, k_min below: the Stefan problem. k_min = 0 makes the front a jump."""

    u_star: float
    k_max: float = 1.0
    k_min: float = 0.0

    def largest(self, low: ArrayLike, high: ArrayLike) -> NDArray[np.float64]:
        """max k(u) over low ≤ u ≤ high."""
        above = np.where(np.asarray(high) >= self.u_star, self.k_max, self.k_min)
        return np.asarray(np.maximum(above, np.where(np.asarray(low) < self.u_star, self.k_min, self.k_max)))


Coefficient = Constant | Power | Step


def check_coefficient(coefficient: Coefficient) -> None:
    """Raise `ValueError` unless k(u) ≥ 0 is finite and, for `Power`, m > 0."""
    values = coefficient._asdict()
    if not all(np.isfinite(value) for value in values.values()):
        raise ValueError(f"{coefficient} has a parameter that is not finite; give finite numbers.")
    negative = [f"{name}={value}" for name, value in values.items() if name.startswith("k") and value < 0]
    if negative:
        raise ValueError(
            f"{coefficient} has {', '.join(negative)} < 0; a negative conductivity is ill-posed, use k ≥ 0."
        )
    if isinstance(coefficient, Power) and coefficient.m <= 0:
        raise ValueError(f"{coefficient} has m={coefficient.m}; k(u) = |u|^m needs m > 0, or use `Constant`.")


def batch_of(coefficients: Sequence[Coefficient]) -> Coefficient:
    """One coefficient whose parameters are arrays over the samples; all must be of one class."""
    kinds = {type(coefficient) for coefficient in coefficients}
    if len(kinds) != 1:
        names = sorted(kind.__name__ for kind in kinds)
        raise ValueError(f"A batch got coefficients of kinds {names}; solve each kind in a batch of its own.")
    columns = np.asarray(coefficients, dtype=np.float64).T.copy()
    return kinds.pop()(*columns)


# Declarations for compiled code; `chosen_by_type` below supplies one body for each class.


def potential(coefficient: Coefficient, argument: float) -> float:
    """Φ(u) = ∫₀ᵘ k(v) dv at u = `argument`; the flux is F = −Φ(u)_x."""
    raise TypeError(
        f"No potential is known for {type(coefficient).__name__}; add it to solvers/coefficient.py."
    )


def of_sample(batch: Coefficient, argument: int) -> Coefficient:
    """The coefficient of sample number `argument` of a batch."""
    raise TypeError(f"{type(batch).__name__} cannot be batched; add it to solvers/coefficient.py.")


def _constant_potential(coefficient: Constant, argument: float) -> float:
    return coefficient.k * argument


def _power_potential(coefficient: Power, argument: float) -> float:
    # Ahead of a front u is exactly 0, and a comparison is far cheaper than a power.
    if argument == 0.0:
        return 0.0
    return float(abs(argument) ** coefficient.m * argument / (coefficient.m + 1.0))


def _step_potential(coefficient: Step, argument: float) -> float:
    below = coefficient.k_min * min(argument, coefficient.u_star)
    return below + coefficient.k_max * max(argument - coefficient.u_star, 0.0)


def _constant_of_sample(coefficient, argument):  # type: ignore[no-untyped-def]  # fields are arrays here
    return Constant(coefficient.k[argument])


def _power_of_sample(coefficient, argument):  # type: ignore[no-untyped-def]
    return Power(coefficient.m[argument])


def _step_of_sample(coefficient, argument):  # type: ignore[no-untyped-def]
    return Step(coefficient.u_star[argument], coefficient.k_max[argument], coefficient.k_min[argument])


chosen_by_type(potential, {Constant: _constant_potential, Power: _power_potential, Step: _step_potential})
chosen_by_type(of_sample, {Constant: _constant_of_sample, Power: _power_of_sample, Step: _step_of_sample})
