"""Implicit steps in time on a plane of cells, their length controlled by an error estimate: compiled.

The schemes are those of a row, and so is what is done where the second would leave the range that the data allow.
"""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Coefficient
from lawbound.solvers.compiled import compiled
from lawbound.solvers.ledger import Ledger, ledger_of_sample, produce
from lawbound.solvers.plane_arithmetic import combined, copy, mean_size, stretched
from lawbound.solvers.plane_bounds import allowed_on_plane, size_at_walls
from lawbound.solvers.plane_sdirk import Work, plane_blended, plane_euler, plane_sdirk, poured, work_for_plane
from lawbound.solvers.plane_stage import spread
from lawbound.solvers.plane_walls import PlaneWalls, enter_plane, frame_potential, walls_at, walls_of_sample
from lawbound.solvers.potential import fill_both, of_sample
from lawbound.solvers.step_control import (
    ARRIVED,
    ATTEMPTED,
    GAMMA,
    NEWTON_TIGHT,
    NOT_FINITE,
    REJECTED,
    ROUND_OFF,
    SCALE,
    STEP,
    STUCK,
    TAKEN,
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

_NEWTON_SHARE = 1e-2  # of the step tolerance, for stages whose error is measured anyway


@compiled
def _first_rate(
    coefficient: Coefficient,
    walls: PlaneWalls,
    source: FloatArray,
    u: FloatArray,
    phi: FloatArray,  # (ny + 2, nx + 2) work
    zeros: FloatArray,  # (ny, nx) work
    rate: FloatArray,  # out
) -> None:
    """rate = u_t, from the walls and the source of the first stage."""
    ny, nx = u.shape
    for j in range(ny):
        fill_both(coefficient, u[j], phi[j + 1, 1 : nx + 1], zeros[j])
    frame_potential(coefficient, walls, u, phi)
    zeros[:] = 0.0
    widths = walls.widths
    spread(phi, 1.0 / (widths[0] * widths[0]), 1.0 / (widths[1] * widths[1]), zeros, rate)
    poured(source, 0, 1.0, rate)


@compiled
def _planned(
    walls: PlaneWalls,
    source: FloatArray,
    order: int,
    tolerance: float,
    stop: float,
    now: Progress,
    work: Work,
) -> Step:
    """The step to try."""
    clock = now.clock
    dt = planned_step(clock[TIME], clock[STEP], stop)
    low, high = allowed_on_plane(now.u, walls, source, work.sides)
    clock[SCALE] = max(clock[SCALE], size_at_walls(walls_at(walls, 1), work.sides))
    # Where something pours into an empty plane, the size of u is what it will be.
    combined(now.u, 1.0, now.rate, dt, low, high, work.two)
    least, most = stretched(work.two, -clock[SCALE], clock[SCALE])
    scale = max(most, -least)
    newton = NEWTON_TIGHT * scale if order == 1 else _NEWTON_SHARE * min(tolerance, 1e-3) * scale
    return Step(dt, low, high, scale, newton)


@compiled
def _leaves(u: FloatArray, step: Step) -> bool:
    slack = ROUND_OFF * step.scale
    least, most = stretched(u, step.low, step.high)
    return bool(least < step.low - slack or most > step.high + slack)


@compiled
def _total(source: FloatArray, stage: int) -> float:
    total = 0.0
    if len(source) > 0:
        rows = source[min(stage, len(source) - 1)]
        for j in range(rows.shape[0]):
            for i in range(rows.shape[1]):
                total += rows[j, i]
    return total


@compiled
def _take_down(
    walls: PlaneWalls, source: FloatArray, order: int, dt: float, work: Work, ledger: Ledger
) -> None:
    enter_plane(work.phi_two, dt, walls.widths, work.sums[0], work.sums[1], ledger)
    made = _total(source, 1)
    if order == 2:
        made = (1.0 - GAMMA) * _total(source, 0) + GAMMA * made
    produce(ledger, dt * walls.widths[0] * walls.widths[1] * made)


@compiled
def _settle(now: Progress, work: Work) -> None:
    copy(work.two, now.u)
    copy(work.last, now.rate)
    least, most = stretched(now.u, -now.clock[SCALE], now.clock[SCALE])
    now.clock[SCALE] = max(most, -least)


@compiled
def advance_plane(
    coefficient: Coefficient,
    walls: PlaneWalls,  # at the stages of the step to come
    source: FloatArray,  # (0 none or 1 steady or 2 stages, ny, nx)
    order: int,
    tolerance: float,  # of a step: mean |error| relative to the scale of u
    stop: float,
    attempts: int,
    now: Progress,  # changed in place
    ledger: Ledger,  # changed in place
) -> int:
    """Step from the clock's time towards `stop`, at most `attempts` steps, rejected ones included."""
    if now.clock[TIME] >= stop:
        return ARRIVED
    work = work_for_plane(now.u.shape[0], now.u.shape[1])
    if now.counts[TAKEN] + now.counts[REJECTED] == 0:
        _first_rate(coefficient, walls_at(walls, 0), source, now.u, work.phi_one, work.b, now.rate)
    for _ in range(attempts):
        if now.clock[TIME] >= stop:
            return ARRIVED
        step = _planned(walls, source, order, tolerance, stop, now, work)
        if order == 2:
            settled = plane_sdirk(coefficient, walls, source, step, now, work)
        else:
            settled = plane_euler(coefficient, walls, source, step, now, work)
        if not settled:
            if not found_nothing(now, step.dt):
                return STUCK
            continue
        size = mean_size(work.error)
        if not np.isfinite(size):
            return NOT_FINITE
        wrong = size / (tolerance * step.scale) if step.scale > 0.0 else 0.0
        factor = step_factor(wrong, order)
        if was_refused(now, step.dt, wrong, factor):
            continue
        if (
            order == 2
            and _leaves(work.two, step)
            and not plane_blended(coefficient, walls, source, step, now, work)
        ):
            if not found_nothing(now, step.dt):
                return STUCK
            continue
        _settle(now, work)
        _take_down(walls, source, order, step.dt, work, ledger)
        took(now, step.dt, stop, now.clock[STEP], factor)
    return ARRIVED if now.clock[TIME] >= stop else ATTEMPTED


@compiled
def advance_planes(
    begin: int,
    end: int,
    coefficient: Coefficient,  # arrays over samples, as all that follows
    walls: PlaneWalls,
    source: FloatArray,
    order: int,
    tolerance: float,
    stop: float,
    attempts: IntArray,
    progress: Progress,
    ledger: Ledger,
    status: IntArray,
) -> None:
    """Advance the samples from `begin` up to, not including, `end` by at most their numbers of attempts."""
    for i in range(begin, end):
        status[i] = advance_plane(
            of_sample(coefficient, i), walls_of_sample(walls, i), source[i], order, tolerance, stop,
            attempts[i], progress_of_sample(progress, i), ledger_of_sample(ledger, i),
        )  # fmt: skip
