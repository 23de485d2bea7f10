"""One implicit step on a row of cells: backward Euler, the SDIRK method and a blend of both; compiled.

The SDIRK method has two stages, is stiffly accurate and L-stable, with γ = 1 − 1/√2 (Alexander, SIAM J. Numer.
Anal. 14, 1977, (2.2)).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.bounds import blend
from lawbound.solvers.coefficient import Coefficient
from lawbound.solvers.compiled import compiled
from lawbound.solvers.implicit import solve_stage
from lawbound.solvers.step_control import ERROR_CONSTANT, GAMMA, NEWTON, NEWTON_TIGHT, Progress, Step
from lawbound.solvers.wall_flux import PERIODIC

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Surroundings(NamedTuple):
    """What a row of cells has around it; samples first in a batch, but for `width`."""

    kinds: IntArray  # (2,)
    transfers: FloatArray  # (2,)
    forms: FloatArray  # (2, 3) walls whose value compiled code knows
    given: FloatArray  # (2, 2) stage, side: values of the other walls at the stages of the step to come
    source: FloatArray  # (0, n) none, (1, n) steady, (2, n) at the stages of the step to come
    width: float


class Work(NamedTuple):
    """What a step leaves behind, each in one piece, so that loops over it use vector instructions."""

    shown: FloatArray  # (2, 2) stage, side: wall values
    fluxes: FloatArray  # (2, 2) stage, side: what enters, as the stages return it
    entered: FloatArray  # (2,) what entered in the step, per cell width
    b: FloatArray  # (n,) right-hand side of a stage
    one: FloatArray  # (n,) the first stage
    two: FloatArray  # (n,) the last one
    bounded: FloatArray  # (n,) backward Euler's answer, then the blend
    error: FloatArray  # (n,)
    faces: FloatArray  # (n + 1,)
    rows: FloatArray  # (6, n)


@compiled
def work_for(n: int) -> Work:
    """Room for the steps of one sample."""
    return Work(
        np.empty((2, 2)), np.empty((2, 2)), np.empty(2), np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n),
        np.empty(n + 1), np.empty((6, n)),
    )  # fmt: skip


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
def _solved(
    coefficient: Coefficient,
    around: Surroundings,
    stage: int,  # at whose time the walls are seen
    c: float,  # its share of Δt / h²
    low: float,
    high: float,
    newton: float,
    work: Work,
    u: FloatArray,  # guess, replaced by the solution
    counts: IntArray,
) -> bool:
    """Solve a stage for its right-hand side `work.b`; whether that was possible."""
    steps = solve_stage(
        coefficient, around.kinds, around.transfers, work.shown[stage], around.width, c, work.b, low, high,
        newton, u, work.fluxes[stage], work.rows,
    )  # fmt: skip
    counts[NEWTON] += abs(steps)
    return bool(steps > 0)


@compiled
def backward_euler(
    coefficient: Coefficient, around: Surroundings, step: Step, now: Progress, work: Work
) -> bool:
    """Fill in the new state, what entered, and the error ½ Δt² u_tt."""
    u, rate, two, error, dt = now.u, now.rate, work.two, work.error, step.dt
    ratio = dt / (around.width * around.width)
    _predicted(u, rate, dt, step.low, step.high, two)
    _with_source(u, around.source, 1, dt, work.b)
    if not _solved(coefficient, around, 1, ratio, step.low, step.high, step.newton, work, two, now.counts):
        return False
    for i in range(u.size):
        error[i] = 0.5 * ((two[i] - u[i]) - dt * rate[i])
    for side in range(2):
        work.entered[side] = ratio * work.fluxes[1, side]
    return True


@compiled
def sdirk(coefficient: Coefficient, around: Surroundings, step: Step, now: Progress, work: Work) -> bool:
    """Fill in both stages, the second being the new state, what entered, and the error."""
    u, rate, dt = now.u, now.rate, step.dt
    ratio = dt / (around.width * around.width)
    _predicted(u, rate, GAMMA * dt, step.low, step.high, work.one)
    _with_source(u, around.source, 0, GAMMA * dt, work.b)
    c = GAMMA * ratio
    if not _solved(coefficient, around, 0, c, step.low, step.high, step.newton, work, work.one, now.counts):
        return False
    _second_stage(u, rate, work.one, step, work.b, work.two)
    _with_source(work.b, around.source, 1, GAMMA * dt, work.b)
    if not _solved(coefficient, around, 1, c, -np.inf, np.inf, step.newton, work, work.two, now.counts):
        return False
    _third_derivative(u, rate, work.one, work.two, dt, work.error)
    for side in range(2):
        work.entered[side] = ratio * ((1.0 - GAMMA) * work.fluxes[0, side] + GAMMA * work.fluxes[1, side])
    return True


@compiled
def _second_stage(
    u: FloatArray, rate: FloatArray, one: FloatArray, step: Step, b: FloatArray, guess: FloatArray
) -> None:
    """b = u + (1 − γ)/γ (one − u), and a guess at the end that bends u on from its rate."""
    slope = 1.0 / GAMMA
    for i in range(u.size):
        b[i] = u[i] + (slope - 1.0) * (one[i] - u[i])
        first_rate, at_stage = step.dt * rate[i], slope * (one[i] - u[i])
        bent = 0.5 * slope * (at_stage - first_rate)
        guess[i] = min(max(u[i] + first_rate + bent, step.low), step.high)


@compiled
def _third_derivative(
    u: FloatArray, rate: FloatArray, one: FloatArray, two: FloatArray, dt: float, error: FloatArray
) -> None:
    """The scheme's error: dt³ u_ttt from the second divided difference of u_t at t, t + γ dt and t + dt."""
    slope, bend = 1.0 / GAMMA, 2.0 * ERROR_CONSTANT
    for i in range(u.size):
        f1 = (one[i] - u[i]) / GAMMA
        f2 = (two[i] - (u[i] + (slope - 1.0) * (one[i] - u[i]))) / GAMMA
        error[i] = bend * ((f2 - f1) / (1.0 - GAMMA) - (f1 - dt * rate[i]) / GAMMA)


@compiled
def blended(coefficient: Coefficient, around: Surroundings, step: Step, now: Progress, work: Work) -> bool:
    """Fill in a blend of the new state with backward Euler's; whether that could be solved."""
    dt, ratio = step.dt, step.dt / (around.width * around.width)
    # The accurate scheme's source, so that the two differ by fluxes only.
    _with_source(now.u, around.source, 0, (1.0 - GAMMA) * dt, work.b)
    _with_source(work.b, around.source, 1, GAMMA * dt, work.b)
    for i in range(now.u.size):
        work.bounded[i] = min(max(work.two[i], step.low), step.high)
    newton = NEWTON_TIGHT * step.scale
    if not _solved(
        coefficient, around, 1, ratio, step.low, step.high, newton, work, work.bounded, now.counts
    ):
        return False
    wanted = work.fluxes[0]
    for side in range(2):
        wanted[side], work.entered[side] = work.entered[side], ratio * work.fluxes[1, side]
    blend(
        work.bounded, work.two, step.low, step.high, work.entered, wanted, around.kinds[0] == PERIODIC,
        work.faces, work.rows[0], work.rows[1],
    )  # fmt: skip
    return True
