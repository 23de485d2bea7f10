"""How compiled code evaluates a coefficient: Φ(u) and k(u) of a number or of a row of cells.

Each is declared once and has one body for each class of coefficient, chosen while compiling.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Coefficient, Constant, Custom, Phases, Power, Step, Tabulated
from lawbound.solvers.compiled import chosen_by_type, compiled, compiled_for_a_user, values_of
from lawbound.solvers.power import power, powers

FloatArray = NDArray[np.float64]

_INTERVALS = 4096


def potential(coefficient: Coefficient, u: float) -> float:
    """Φ(u) = ∫₀ᵘ k(v) dv; the flux is F = −Φ(u)_x."""
    raise TypeError(
        f"No potential is known for {type(coefficient).__name__}; add it to solvers/potential.py."
    )


def conductivity(coefficient: Coefficient, u: float) -> float:
    """k(u)."""
    raise TypeError(
        f"No conductivity is known for {type(coefficient).__name__}; add it to solvers/potential.py."
    )


def fill_potential(coefficient: Coefficient, u: FloatArray, phi: FloatArray) -> None:
    """phi[i] = Φ(u[i])."""
    raise TypeError(
        f"No potential is known for {type(coefficient).__name__}; add it to solvers/potential.py."
    )


def fill_potential_of_sum(coefficient: Coefficient, u: FloatArray, more: FloatArray, phi: FloatArray) -> None:
    """phi[i] = Φ(u[i] + more[i])."""
    raise TypeError(
        f"No potential is known for {type(coefficient).__name__}; add it to solvers/potential.py."
    )


def fill_both(coefficient: Coefficient, u: FloatArray, phi: FloatArray, k: FloatArray) -> None:
    """phi[i] = Φ(u[i]) and k[i] = k(u[i])."""
    raise TypeError(
        f"No potential is known for {type(coefficient).__name__}; add it to solvers/potential.py."
    )


def of_sample(batch: Coefficient, sample: int) -> Coefficient:
    """The coefficient of one sample of a batch."""
    raise TypeError(f"{type(batch).__name__} cannot be batched; add it to solvers/potential.py.")


# Constant


def _constant_potential(coefficient: Constant, u: float) -> float:
    return coefficient.k * u


def _constant_conductivity(coefficient: Constant, u: float) -> float:
    return coefficient.k


def _constant_fill(coefficient: Constant, u: FloatArray, phi: FloatArray) -> None:
    for i in range(u.size):
        phi[i] = coefficient.k * u[i]


def _constant_fill_sum(coefficient: Constant, u: FloatArray, more: FloatArray, phi: FloatArray) -> None:
    for i in range(u.size):
        phi[i] = coefficient.k * (u[i] + more[i])


def _constant_fill_both(coefficient: Constant, u: FloatArray, phi: FloatArray, k: FloatArray) -> None:
    for i in range(u.size):
        phi[i] = coefficient.k * u[i]
        k[i] = coefficient.k


def _constant_of_sample(batch, sample):  # type: ignore[no-untyped-def]  # fields are arrays here
    return Constant(batch.k[sample])


# Power. Small integer exponents are products; others go through a power that works on whole rows.


@compiled
def _small_power(a: float, m: int) -> float:
    square = a * a
    if m == 1:
        return a
    if m == 2:
        return square
    if m == 3:
        return square * a
    if m == 4:
        return square * square
    if m == 5:
        return square * square * a
    return square * square * square


@compiled
def _is_small_integer(m: float) -> bool:
    return m == np.floor(m) and 1.0 <= m <= 6.0


def _power_conductivity(coefficient: Power, u: float) -> float:
    a, m = abs(u), coefficient.m
    if _is_small_integer(m):
        return _small_power(a, int(m))
    return power(a, m)


_power_k = compiled(_power_conductivity)


def _power_potential(coefficient: Power, u: float) -> float:
    return _power_k(coefficient, u) * (u * (1.0 / (coefficient.m + 1.0)))


@compiled
def _fill_small_power(u: FloatArray, k: FloatArray, m: int) -> None:
    # One loop an exponent: a choice inside the loop would keep it from using vector instructions.
    if m == 1:
        for i in range(u.size):
            k[i] = abs(u[i])
    elif m == 2:
        for i in range(u.size):
            k[i] = u[i] * u[i]
    elif m == 3:
        for i in range(u.size):
            k[i] = u[i] * u[i] * abs(u[i])
    elif m == 4:
        for i in range(u.size):
            k[i] = (u[i] * u[i]) * (u[i] * u[i])
    elif m == 5:
        for i in range(u.size):
            k[i] = (u[i] * u[i]) * (u[i] * u[i]) * abs(u[i])
    else:
        for i in range(u.size):
            k[i] = (u[i] * u[i]) * (u[i] * u[i]) * (u[i] * u[i])


@compiled
def _fill_power(m: float, u: FloatArray, k: FloatArray) -> None:
    if _is_small_integer(m):
        _fill_small_power(u, k, int(m))
    else:
        powers(u, m, k)


def _power_fill(coefficient: Power, u: FloatArray, phi: FloatArray) -> None:
    _fill_power(coefficient.m, u, phi)
    share = 1.0 / (coefficient.m + 1.0)
    for i in range(u.size):
        phi[i] = phi[i] * (u[i] * share)


def _power_fill_both(coefficient: Power, u: FloatArray, phi: FloatArray, k: FloatArray) -> None:
    _fill_power(coefficient.m, u, k)
    share = 1.0 / (coefficient.m + 1.0)
    for i in range(u.size):
        phi[i] = k[i] * (u[i] * share)


def _power_of_sample(batch, sample):  # type: ignore[no-untyped-def]
    return Power(batch.m[sample])


# Step


def _step_potential(coefficient: Step, u: float) -> float:
    below = coefficient.k_min * min(u, coefficient.u_star)
    return below + coefficient.k_max * max(u - coefficient.u_star, 0.0)


def _step_conductivity(coefficient: Step, u: float) -> float:
    return coefficient.k_max if u >= coefficient.u_star else coefficient.k_min


def _step_fill(coefficient: Step, u: FloatArray, phi: FloatArray) -> None:
    u_star, k_max, k_min = coefficient.u_star, coefficient.k_max, coefficient.k_min
    if k_min == 0.0:
        for i in range(u.size):
            phi[i] = k_max * max(u[i] - u_star, 0.0)
    else:
        for i in range(u.size):
            phi[i] = k_min * min(u[i], u_star) + k_max * max(u[i] - u_star, 0.0)


def _step_fill_sum(coefficient: Step, u: FloatArray, more: FloatArray, phi: FloatArray) -> None:
    u_star, k_max, k_min = coefficient.u_star, coefficient.k_max, coefficient.k_min
    if k_min == 0.0:
        for i in range(u.size):
            phi[i] = k_max * max((u[i] + more[i]) - u_star, 0.0)
    else:
        for i in range(u.size):
            phi[i] = k_min * min(u[i] + more[i], u_star) + k_max * max((u[i] + more[i]) - u_star, 0.0)


def _step_fill_both(coefficient: Step, u: FloatArray, phi: FloatArray, k: FloatArray) -> None:
    u_star, k_max, k_min = coefficient.u_star, coefficient.k_max, coefficient.k_min
    for i in range(u.size):
        phi[i] = k_min * min(u[i], u_star) + k_max * max(u[i] - u_star, 0.0)
        k[i] = k_max if u[i] >= u_star else k_min


def _step_of_sample(batch, sample):  # type: ignore[no-untyped-def]
    return Step(batch.u_star[sample], batch.k_max[sample], batch.k_min[sample])


# Phases: a step for each jump. Φ(0) = 0 does not matter, only differences of Φ enter.


def _phases_potential(coefficient, u):  # type: ignore[no-untyped-def]
    total = coefficient.k[0] * min(u, coefficient.jumps[0])
    last = coefficient.jumps.size - 1
    for j in range(last):
        part = min(u, coefficient.jumps[j + 1]) - coefficient.jumps[j]
        total += coefficient.k[j + 1] * max(part, 0.0)
    return total + coefficient.k[last + 1] * max(u - coefficient.jumps[last], 0.0)


def _phases_conductivity(coefficient, u):  # type: ignore[no-untyped-def]
    k = coefficient.k[0]
    for j in range(coefficient.jumps.size):
        if u >= coefficient.jumps[j]:
            k = coefficient.k[j + 1]
    return k


def _phases_of_sample(batch, sample):  # type: ignore[no-untyped-def]
    return Phases(batch.jumps[sample], batch.k[sample])


# Custom, and what it becomes without its integral


def _custom_potential(coefficient, u):  # type: ignore[no-untyped-def]
    return coefficient.potential(u)


def _custom_conductivity(coefficient, u):  # type: ignore[no-untyped-def]
    return coefficient.k(u)


def _custom_of_sample(batch, sample):  # type: ignore[no-untyped-def]
    return batch


def _table_place(coefficient, u):  # type: ignore[no-untyped-def]
    place = (u - coefficient.low) / coefficient.spacing
    i = min(max(int(place), 0), coefficient.phi.size - 2)
    return i, place - i


_place = compiled(_table_place)


def _table_potential(coefficient, u):  # type: ignore[no-untyped-def]
    # Cubic Hermite, so that k is the derivative of Φ at the points, and straight on beyond the ends.
    i, s = _place(coefficient, u)  # type: ignore[no-untyped-call]
    k0, k1 = coefficient.k[i] * coefficient.spacing, coefficient.k[i + 1] * coefficient.spacing
    if s < 0.0:
        return coefficient.phi[i] + s * k0
    if s > 1.0:
        return coefficient.phi[i + 1] + (s - 1.0) * k1
    rise = coefficient.phi[i + 1] - coefficient.phi[i]
    return coefficient.phi[i] + s * (k0 + s * (3.0 * rise - 2.0 * k0 - k1 + s * (k0 + k1 - 2.0 * rise)))


def _table_conductivity(coefficient, u):  # type: ignore[no-untyped-def]
    i, s = _place(coefficient, u)  # type: ignore[no-untyped-call]
    k0, k1 = coefficient.k[i], coefficient.k[i + 1]
    if s < 0.0:
        return k0
    if s > 1.0:
        return k1
    rise = (coefficient.phi[i + 1] - coefficient.phi[i]) / coefficient.spacing
    return max(k0 + s * (2.0 * (3.0 * rise - 2.0 * k0 - k1) + 3.0 * s * (k0 + k1 - 2.0 * rise)), 0.0)


def _table_of_sample(batch, sample):  # type: ignore[no-untyped-def]
    return Tabulated(batch.low[sample], batch.spacing[sample], batch.phi[sample], batch.k[sample])


_SCALAR_POTENTIAL: dict[type, Callable[..., Any]] = {
    Constant: _constant_potential,
    Power: _power_potential,
    Step: _step_potential,
    Phases: _phases_potential,
    Custom: _custom_potential,
    Tabulated: _table_potential,
}
chosen_by_type(potential, _SCALAR_POTENTIAL)
chosen_by_type(
    conductivity,
    {
        Constant: _constant_conductivity,
        Power: _power_conductivity,
        Step: _step_conductivity,
        Phases: _phases_conductivity,
        Custom: _custom_conductivity,
        Tabulated: _table_conductivity,
    },
)


def _fill_one_by_one(coefficient: Coefficient, u: FloatArray, phi: FloatArray) -> None:
    for i in range(u.size):
        phi[i] = potential(coefficient, u[i])


def _fill_sum(coefficient: Coefficient, u: FloatArray, more: FloatArray, phi: FloatArray) -> None:
    total = np.empty(u.size)
    for i in range(u.size):
        total[i] = u[i] + more[i]
    fill_potential(coefficient, total, phi)


def _fill_both_one_by_one(coefficient: Coefficient, u: FloatArray, phi: FloatArray, k: FloatArray) -> None:
    for i in range(u.size):
        phi[i] = potential(coefficient, u[i])
        k[i] = conductivity(coefficient, u[i])


_one_by_one = dict.fromkeys((Phases, Custom, Tabulated), _fill_one_by_one)
_both_one_by_one = dict.fromkeys((Phases, Custom, Tabulated), _fill_both_one_by_one)
chosen_by_type(
    fill_potential, {Constant: _constant_fill, Power: _power_fill, Step: _step_fill, **_one_by_one}
)
chosen_by_type(
    fill_potential_of_sum,
    {
        Constant: _constant_fill_sum,
        Step: _step_fill_sum,
        **dict.fromkeys((Power, Phases, Custom, Tabulated), _fill_sum),
    },
)
chosen_by_type(
    fill_both, {Constant: _constant_fill_both, Power: _power_fill_both, Step: _step_fill_both, **_both_one_by_one}
)  # fmt: skip
chosen_by_type(
    of_sample,
    {
        Constant: _constant_of_sample,
        Power: _power_of_sample,
        Step: _step_of_sample,
        Phases: _phases_of_sample,
        Custom: _custom_of_sample,
        Tabulated: _table_of_sample,
    },
)


def ready(coefficient: Coefficient, low: float, high: float) -> Coefficient:
    """A coefficient that compiled code can take: a user's functions compiled, or tabulated over [low, high] and more.

    Raises `ValueError` where k(u) is negative or not finite in [low, high].
    """
    if not isinstance(coefficient, Custom):
        return coefficient
    coefficient.largest(low, high)
    if coefficient.potential is not None:
        return Custom(compiled_for_a_user(coefficient.k), compiled_for_a_user(coefficient.potential))
    margin = 0.5 * (high - low) or 0.5 * max(abs(high), 1.0)
    low, high = coefficient.reach or (low - margin, high + margin)
    u, spacing = np.linspace(low, high, _INTERVALS + 1, retstep=True)
    # Five-point Gauss-Legendre in each interval. Where the margin holds values that make no sense, nothing conducts.
    at, weight = np.polynomial.legendre.leggauss(5)
    inner = u[:-1, None] + 0.5 * spacing * (at + 1.0)
    k, within = (_allowed(values_of(coefficient.k, points)) for points in (u, inner))
    phi = np.concatenate([[0.0], np.cumsum(0.5 * spacing * (within @ weight))])
    return Tabulated(float(low), float(spacing), phi - np.interp(0.0, u, phi), k)


def _allowed(k: FloatArray) -> FloatArray:
    return np.where(np.isfinite(k) & (k > 0.0), k, 0.0)
