"""Implicit steps in time on one row of cells, their length controlled by an error estimate: compiled.

Backward Euler (order 1) keeps bounds and monotonicity at any step. The second-order scheme is the two-stage,
stiffly accurate, L-stable SDIRK method with γ = 1 − 1/√2 (Alexander, SIAM J. Numer. Anal. 14, 1977, (2.2));
where it would leave the range that the data allow, its fluxes are blended with backward Euler's, as far
as needed and no further (Zalesak, J. Comput. Phys. 31, 1979, (10)-(14)).
"""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Coefficient
from lawbound.solvers.compiled import compiled
from lawbound.solvers.finite_volume import add_compensated
from lawbound.solvers.implicit import solve_stage
from lawbound.solvers.potential import of_sample
from lawbound.solvers.step_control import (
    ARRIVED,
    ATTEMPTED,
    ERROR_CONSTANT,
    GAMMA,
    LEAST,
    NEWTON,
    NEWTON_TIGHT,
    NOT_FINITE,
    REJECTED,
    ROUND_OFF,
    SCALE,
    STEP,
    STUCK,
    TAKEN,
    TIME,
    next_step,
    planned_step,
    step_factor,
)
from lawbound.solvers.wall_flux import DIRICHLET, NEUMANN, PERIODIC, ROBIN

FloatArray = NDArray[np.float64]

_NEWTON_SHARE = 1e-1  # of the step tolerance, for stages whose error is measured anyway

# Places in `form`, (3,), of a wall value known to compiled code: kind, and its numbers.
CONSTANT, POWER_OF_TIME, GIVEN = 0, 1, 2


@compiled
def _wall_value(form: FloatArray, time: float, given: float) -> float:
    if form[0] == CONSTANT:
        return float(form[1])
    if form[0] == POWER_OF_TIME:
        return float((form[1] * time) ** form[2])
    return given


@compiled
def _range(u: FloatArray) -> tuple[float, float]:
    # Four at a time: a single running extreme would wait for each comparison.
    low = low_1 = low_2 = low_3 = u[0]
    high = high_1 = high_2 = high_3 = u[0]
    quarter = u.size // 4
    a, b, c, d = u[:quarter], u[quarter : 2 * quarter], u[2 * quarter : 3 * quarter], u[3 * quarter :]
    for i in range(quarter):
        low, low_1, low_2, low_3 = min(low, a[i]), min(low_1, b[i]), min(low_2, c[i]), min(low_3, d[i])
        high, high_1, high_2, high_3 = (
            max(high, a[i]), max(high_1, b[i]), max(high_2, c[i]), max(high_3, d[i]),
        )  # fmt: skip
    for i in range(quarter, d.size):
        low_3, high_3 = min(low_3, d[i]), max(high_3, d[i])
    return min(min(low, low_1), min(low_2, low_3)), max(max(high, high_1), max(high_2, high_3))


@compiled
def _allowed(
    low: float,
    high: float,
    kinds: NDArray[np.int64],
    first: FloatArray,
    second: FloatArray,
    source: FloatArray,
) -> tuple[float, float]:
    """The range that a step cannot leave: what was there and what the walls show, unless something pours in."""
    for side in range(2):
        if kinds[side] == DIRICHLET or kinds[side] == ROBIN:
            low = min(low, min(first[side], second[side]))
            high = max(high, max(first[side], second[side]))
        elif kinds[side] == NEUMANN:
            if max(first[side], second[side]) > 0.0:
                high = np.inf
            if min(first[side], second[side]) < 0.0:
                low = -np.inf
    for i in range(source.size):
        if source.flat[i] > 0.0:
            high = np.inf
        elif source.flat[i] < 0.0:
            low = -np.inf
    return low, high


@compiled
def _predicted(
    u: FloatArray, rate: FloatArray, dt: float, low: float, high: float, guess: FloatArray
) -> None:
    for i in range(u.size):
        guess[i] = min(max(u[i] + dt * rate[i], low), high)


@compiled
def _with_source(u: FloatArray, source: FloatArray, stage: int, dt: float, b: FloatArray) -> None:
    if source.shape[0] == 0:
        for i in range(u.size):
            b[i] = u[i]
    else:
        row = source[min(stage, source.shape[0] - 1)]
        for i in range(u.size):
            b[i] = u[i] + dt * row[i]


@compiled
def _produced(source: FloatArray, stage: int) -> float:
    total = 0.0
    if source.shape[0] > 0:
        row = source[min(stage, source.shape[0] - 1)]
        for i in range(row.size):
            total += row[i]
    return total


@compiled
def _blend(
    u: FloatArray,  # (n,) the bounded solution, replaced by the blend
    wanted: FloatArray,  # (n,) the accurate one
    low: float,
    high: float,
    entered: FloatArray,  # (2,) what the bounded one let in through the walls, per cell width; replaced
    wanted_entered: FloatArray,  # (2,)
    periodic: bool,
    flux: FloatArray,  # (n + 1,) work
    gain: FloatArray,  # (n,) work
    loss: FloatArray,  # (n,) work
) -> None:
    """u + what limited differences of the two schemes' face fluxes bring; conservative, within [low, high]."""
    n = u.size
    flux[0] = wanted_entered[0] - entered[0]
    for i in range(n):
        flux[i + 1] = flux[i] - (wanted[i] - u[i])
    if not periodic:
        flux[n] = -(wanted_entered[1] - entered[1])
    for i in range(n):
        rises = max(flux[i], 0.0) + max(-flux[i + 1], 0.0)
        falls = max(-flux[i], 0.0) + max(flux[i + 1], 0.0)
        gain[i] = min(1.0, max(high - u[i], 0.0) / rises) if rises > 0.0 else 1.0
        loss[i] = min(1.0, max(u[i] - low, 0.0) / falls) if falls > 0.0 else 1.0
    for i in range(n + 1):
        left, right = i - 1, i
        if periodic:
            left, right = (i - 1) % n, i % n
        share = 1.0
        if flux[i] > 0.0:
            if right < n:
                share = min(share, gain[right])
            if left >= 0:
                share = min(share, loss[left])
        else:
            if right < n:
                share = min(share, loss[right])
            if left >= 0:
                share = min(share, gain[left])
        flux[i] *= share
    if periodic:
        flux[n] = flux[0]
    for i in range(n):
        u[i] += flux[i] - flux[i + 1]
    entered[0] += flux[0]
    entered[1] -= flux[n]


@compiled
def _brought(
    kinds: NDArray[np.int64], values: FloatArray, source: FloatArray, dt: float, width: float
) -> float:
    """How large u may become in a step by what walls and source bring, where it was nothing before."""
    size = 0.0
    for side in range(2):
        if kinds[side] == NEUMANN:
            size = max(size, abs(values[side]) * dt / width)
        elif kinds[side] != PERIODIC:
            size = max(size, abs(values[side]))
    for s in source.flat:
        size = max(size, dt * abs(s))
    return size


@compiled
def _mean_size(a: FloatArray) -> float:
    quarter = a.size // 4
    p, q, r, s = a[:quarter], a[quarter : 2 * quarter], a[2 * quarter : 3 * quarter], a[3 * quarter :]
    one = two = three = four = 0.0
    for i in range(quarter):
        one, two, three, four = one + abs(p[i]), two + abs(q[i]), three + abs(r[i]), four + abs(s[i])
    for i in range(quarter, s.size):
        four += abs(s[i])
    return (one + two + three + four) / a.size


@compiled
def advance(
    coefficient: Coefficient,
    kinds: NDArray[np.int64],  # (2,)
    transfers: FloatArray,  # (2,)
    forms: FloatArray,  # (2, 3) walls whose value compiled code knows
    given: FloatArray,  # (2, 2) stage, side: values of the other walls at the stages of the step to come
    source: FloatArray,  # (0, n) none, (1, n) steady, (2, n) at the stages of the step to come
    width: float,
    order: int,
    tolerance: float,  # of a step: mean |error| relative to the scale of u; inf takes every step
    longest: float,
    stop: float,
    attempts: int,
    u: FloatArray,  # (n,) changed in place, as all that follows
    rate: FloatArray,  # (n,) u_t at the current time
    clock: FloatArray,
    counts: NDArray[np.int64],
    inflow: FloatArray,  # (2,)
    traffic: FloatArray,  # (2,)
    lost: FloatArray,  # (3,) low-order parts of inflow and produced
    produced: FloatArray,  # (1,)
    work: FloatArray,  # (13, n + 1)
) -> int:
    """Step from the clock's time towards `stop`, at most `attempts` steps, rejected ones included."""
    n = u.size
    b, one, two, low_order, error = work[6, :n], work[7, :n], work[8, :n], work[9, :n], work[10, :n]
    newton_work = np.empty((6, n))
    first, second = np.empty(2), np.empty(2)
    flux_one, flux_two, entered = np.empty(2), np.empty(2), np.empty(2)
    gamma = GAMMA if order == 2 else 1.0
    for _ in range(attempts):
        if clock[TIME] >= stop:
            return ARRIVED
        dt = planned_step(clock[TIME], min(clock[STEP], longest), stop)
        for side in range(2):
            first[side] = _wall_value(forms[side], clock[TIME] + gamma * dt, given[0, side])
            second[side] = _wall_value(forms[side], clock[TIME] + dt, given[1, side])
        least, most = _range(u)
        low, high = _allowed(least, most, kinds, first, second, source)
        ratio = dt / (width * width)
        clock[SCALE] = max(clock[SCALE], max(abs(least), abs(most)))
        scale = max(clock[SCALE], _brought(kinds, second, source, dt, width))
        settled = True
        if order == 1:
            _predicted(u, rate, dt, low, high, two)
            _with_source(u, source, 1, dt, b)
            steps = solve_stage(
                coefficient, kinds, transfers, second, width, ratio, b, low, high,
                NEWTON_TIGHT * scale, two, flux_two, newton_work,
            )  # fmt: skip
            counts[NEWTON] += abs(steps)
            settled = steps > 0
            for i in range(n):
                error[i] = 0.5 * ((two[i] - u[i]) - dt * rate[i])
            for side in range(2):
                entered[side] = ratio * flux_two[side]
            made = dt * _produced(source, 1)
        else:
            # Where every step is taken nothing measures the stages' error, so it must not be there.
            loose = (_NEWTON_SHARE * min(tolerance, 1e-3) if np.isfinite(tolerance) else NEWTON_TIGHT) * scale
            _predicted(u, rate, gamma * dt, low, high, one)
            _with_source(u, source, 0, gamma * dt, b)
            steps = solve_stage(
                coefficient, kinds, transfers, first, width, gamma * ratio, b, low, high,
                loose, one, flux_one, newton_work,
            )  # fmt: skip
            counts[NEWTON] += abs(steps)
            settled = steps > 0
            if settled:
                slope = 1.0 / gamma
                for i in range(n):
                    b[i] = u[i] + (slope - 1.0) * (one[i] - u[i])
                    first_rate, at_stage = dt * rate[i], slope * (one[i] - u[i])
                    bent = 0.5 * slope * (at_stage - first_rate)
                    two[i] = min(max(u[i] + first_rate + bent, low), high)
                _with_source(b, source, 1, gamma * dt, b)
                steps = solve_stage(
                    coefficient, kinds, transfers, second, width, gamma * ratio, b, -np.inf, np.inf,
                    loose, two, flux_two, newton_work,
                )  # fmt: skip
                counts[NEWTON] += abs(steps)
                settled = steps > 0
                # dt³ u_ttt from the second divided difference of u_t at t, t + γ dt and t + dt.
                bend = 2.0 * ERROR_CONSTANT
                for i in range(n):
                    f1 = (one[i] - u[i]) / gamma
                    f2 = (two[i] - (u[i] + (slope - 1.0) * (one[i] - u[i]))) / gamma
                    error[i] = bend * ((f2 - f1) / (1.0 - gamma) - (f1 - dt * rate[i]) / gamma)
                for side in range(2):
                    entered[side] = ratio * ((1.0 - gamma) * flux_one[side] + gamma * flux_two[side])
                made = dt * ((1.0 - gamma) * _produced(source, 0) + gamma * _produced(source, 1))
        if not settled:
            counts[REJECTED] += 1
            clock[STEP] = 0.25 * dt
            if clock[STEP] < clock[LEAST]:
                return STUCK
            continue
        size = _mean_size(error)
        if not np.isfinite(size):
            return NOT_FINITE
        wrong = size / (tolerance * scale) if scale > 0.0 else 0.0
        factor = step_factor(wrong, order)
        if wrong > 1.0 and dt > clock[LEAST]:
            counts[REJECTED] += 1
            clock[STEP] = max(factor * dt, clock[LEAST])
            continue
        blended = False
        if order == 2:
            least, most = _range(two)
            slack = ROUND_OFF * scale
            if least < low - slack or most > high + slack:
                # Backward Euler with the accurate scheme's source, so that the two differ by fluxes only.
                _with_source(u, source, 0, (1.0 - gamma) * dt, b)
                _with_source(b, source, 1, gamma * dt, b)
                for i in range(n):
                    low_order[i] = min(max(two[i], low), high)
                steps = solve_stage(
                    coefficient, kinds, transfers, second, width, ratio, b, low, high,
                    NEWTON_TIGHT * scale, low_order, flux_two, newton_work,
                )  # fmt: skip
                counts[NEWTON] += abs(steps)
                if steps < 0:
                    counts[REJECTED] += 1
                    clock[STEP] = 0.25 * dt
                    if clock[STEP] < clock[LEAST]:
                        return STUCK
                    continue
                flux_one[0], flux_one[1] = entered[0], entered[1]
                entered[0], entered[1] = ratio * flux_two[0], ratio * flux_two[1]
                _blend(
                    low_order, two, low, high, entered, flux_one, kinds[0] == PERIODIC,
                    work[11], work[12, :n], error,
                )  # fmt: skip
                blended = True
        # u_t at the end, from the last stage: the scheme is stiffly accurate.
        for i in range(n):
            last_stage = (two[i] - u[i]) - ((1.0 / gamma - 1.0) * (one[i] - u[i]) if order == 2 else 0.0)
            rate[i] = last_stage / (gamma * dt)
        for i in range(n):
            u[i] = low_order[i] if blended else two[i]
        for side in range(2):
            add_compensated(inflow, lost, side, width * entered[side])
            traffic[side] += width * abs(entered[side])
        add_compensated(produced, lost[2:], 0, width * made)
        counts[TAKEN] += 1
        clock[TIME] = stop if dt == stop - clock[TIME] else clock[TIME] + dt
        clock[STEP] = next_step(dt, min(clock[STEP], longest), factor)
    return ARRIVED if clock[TIME] >= stop else ATTEMPTED


@compiled
def advance_all(
    first: int,
    last: int,
    coefficient: Coefficient,  # arrays over samples; all that follows has samples first
    kinds: NDArray[np.int64],
    transfers: FloatArray,
    forms: FloatArray,
    given: FloatArray,
    source: FloatArray,
    width: float,
    order: int,
    tolerance: float,
    longest: float,
    stop: float,
    attempts: int,
    u: FloatArray,
    rate: FloatArray,
    clock: FloatArray,
    counts: NDArray[np.int64],
    inflow: FloatArray,
    traffic: FloatArray,
    lost: FloatArray,
    produced: FloatArray,
    status: NDArray[np.int64],
) -> None:
    """`advance` samples first … last − 1, each on its own steps, where they have not yet arrived."""
    for sample in range(first, last):
        if clock[sample, TIME] < stop:
            status[sample] = advance(
                of_sample(coefficient, sample),
                kinds[sample],
                transfers[sample],
                forms[sample],
                given[sample],
                source[sample],
                width,
                order,
                tolerance,
                longest,
                stop,
                attempts,
                u[sample],
                rate[sample],
                clock[sample],
                counts[sample],
                inflow[sample],
                traffic[sample],
                lost[sample],
                produced[sample],
                np.empty((13, u.shape[1] + 1)),
            )
