"""Implicit steps in time on one row of cells, their length controlled by an error estimate: compiled.

Backward Euler (order 1) keeps bounds and monotonicity at any step; SDIRK (order 2) is blended with it where it
would leave the range that the data allow.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.bounds import allowed, brought, range_of
from lawbound.solvers.coefficient import Coefficient
from lawbound.solvers.compiled import compiled
from lawbound.solvers.ledger import Ledger, enter, ledger_of_sample, produce
from lawbound.solvers.potential import of_sample
from lawbound.solvers.sdirk import Surroundings, Work, backward_euler, blended, sdirk, work_for
from lawbound.solvers.step_control import (
    ARRIVED,
    ATTEMPTED,
    GAMMA,
    NEWTON_TIGHT,
    NOT_FINITE,
    ROUND_OFF,
    SCALE,
    STEP,
    STUCK,
    TIME,
    Progress,
    Step,
    found_nothing,
    planned_step,
    progress_of_sample,
    step_factor,
    took,
    was_refused,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_NEWTON_SHARE = 1e-1  # of the step tolerance, for stages whose error is measured anyway

# Places in `forms`, (3,), of a wall value known to compiled code: kind, and its numbers.
CONSTANT, POWER_OF_TIME, GIVEN = 0, 1, 2


class Control(NamedTuple):
    """What the user asks for."""

    order: int
    tolerance: float  # of a step: mean |error| relative to the scale of u; inf takes every step
    longest: float


@compiled
def _wall_value(form: FloatArray, time: float, given: float) -> float:
    if form[0] == CONSTANT:
        return float(form[1])
    if form[0] == POWER_OF_TIME:
        return float((form[1] * time) ** form[2])
    return given


@compiled
def _produced(source: FloatArray, stage: int) -> float:
    total = 0.0
    if source.shape[0] > 0:
        row = source[min(stage, source.shape[0] - 1)]
        for i in range(row.size):
            total += row[i]
    return total


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
def _planned(
    around: Surroundings, control: Control, now: Progress, shown: FloatArray, gamma: float, stop: float
) -> Step:
    """The step to try, with the wall values at its stages filled in."""
    time, clock = now.clock[TIME], now.clock
    dt = planned_step(time, min(clock[STEP], control.longest), stop)
    for side in range(2):
        shown[0, side] = _wall_value(around.forms[side], time + gamma * dt, around.given[0, side])
        shown[1, side] = _wall_value(around.forms[side], time + dt, around.given[1, side])
    least, most = range_of(now.u)
    low, high = allowed(least, most, around.kinds, shown, around.source)
    clock[SCALE] = max(clock[SCALE], max(abs(least), abs(most)))
    scale = max(clock[SCALE], brought(around.kinds, shown[1], around.source, dt, around.width))
    newton = NEWTON_TIGHT * scale
    # Where every step is taken nothing measures the stages' error, so it must not be there.
    if control.order == 2 and np.isfinite(control.tolerance):
        newton = _NEWTON_SHARE * min(control.tolerance, 1e-3) * scale
    return Step(dt, low, high, scale, newton)


@compiled
def _leaves(u: FloatArray, step: Step) -> bool:
    least, most = range_of(u)
    slack = ROUND_OFF * step.scale
    return bool(least < step.low - slack or most > step.high + slack)


@compiled
def _settle(now: Progress, work: Work, order: int, dt: float, end: FloatArray) -> None:
    """u = end, and u_t there from the last stage: the schemes are stiffly accurate."""
    u, rate, one, two = now.u, now.rate, work.one, work.two
    if order == 2:
        slope = 1.0 / GAMMA
        for i in range(u.size):
            rate[i] = ((two[i] - u[i]) - (slope - 1.0) * (one[i] - u[i])) / (GAMMA * dt)
    else:
        for i in range(u.size):
            rate[i] = (two[i] - u[i]) / dt
    for i in range(u.size):
        u[i] = end[i]


@compiled
def _take_down(around: Surroundings, order: int, dt: float, entered: FloatArray, ledger: Ledger) -> None:
    for side in range(2):
        enter(ledger, side, around.width * entered[side], around.width * abs(entered[side]))
    made = _produced(around.source, 1)
    if order == 2:
        made = (1.0 - GAMMA) * _produced(around.source, 0) + GAMMA * made
    produce(ledger, around.width * (dt * made))


@compiled
def advance(
    coefficient: Coefficient,
    around: Surroundings,
    control: Control,
    stop: float,
    attempts: int,
    now: Progress,  # changed in place
    ledger: Ledger,  # changed in place
    work: Work,
) -> int:
    """Step from the clock's time towards `stop`, at most `attempts` steps, rejected ones included."""
    order = control.order
    gamma = GAMMA if order == 2 else 1.0
    for _ in range(attempts):
        if now.clock[TIME] >= stop:
            return ARRIVED
        step = _planned(around, control, now, work.shown, gamma, stop)
        if order == 2:
            settled = sdirk(coefficient, around, step, now, work)
        else:
            settled = backward_euler(coefficient, around, step, now, work)
        if not settled:
            if not found_nothing(now, step.dt):
                return STUCK
            continue
        size = _mean_size(work.error)
        if not np.isfinite(size):
            return NOT_FINITE
        wrong = size / (control.tolerance * step.scale) if step.scale > 0.0 else 0.0
        factor = step_factor(wrong, order)
        if was_refused(now, step.dt, wrong, factor):
            continue
        leaves = order == 2 and _leaves(work.two, step)
        if leaves and not blended(coefficient, around, step, now, work):
            if not found_nothing(now, step.dt):
                return STUCK
            continue
        _settle(now, work, order, step.dt, work.bounded if leaves else work.two)
        _take_down(around, order, step.dt, work.entered, ledger)
        took(now, step.dt, stop, min(now.clock[STEP], control.longest), factor)
    return ARRIVED if now.clock[TIME] >= stop else ATTEMPTED


@compiled
def _surroundings_of_sample(around: Surroundings, i: int) -> Surroundings:
    return Surroundings(
        around.kinds[i], around.transfers[i], around.forms[i], around.given[i], around.source[i], around.width
    )


@compiled
def advance_all(
    first: int,
    last: int,
    coefficient: Coefficient,  # arrays over samples; all that follows has samples first
    around: Surroundings,
    control: Control,  # one for all
    stop: float,
    attempts: int,
    progress: Progress,
    ledger: Ledger,
    status: IntArray,
) -> None:
    """`advance` samples first … last − 1, each on its own steps, where they have not yet arrived."""
    work = work_for(progress.u.shape[1])
    for sample in range(first, last):
        now = progress_of_sample(progress, sample)
        if now.clock[TIME] < stop:
            around_it = _surroundings_of_sample(around, sample)
            status[sample] = advance(
                of_sample(coefficient, sample), around_it, control, stop, attempts, now,
                ledger_of_sample(ledger, sample), work,
            )  # fmt: skip
