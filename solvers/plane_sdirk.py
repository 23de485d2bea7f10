"""One implicit step on a plane of cells: backward Euler, the SDIRK method of `sdirk` and a blend of both; compiled."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Coefficient
from lawbound.solvers.compiled import compiled
from lawbound.solvers.plane_arithmetic import combined, copy
from lawbound.solvers.plane_bounds import blend_on_plane
from lawbound.solvers.plane_stage import solve_plane_stage
from lawbound.solvers.plane_walls import PlaneWalls, walls_at
from lawbound.solvers.step_control import ERROR_CONSTANT, GAMMA, NEWTON, NEWTON_TIGHT, Progress, Step

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Work(NamedTuple):
    """What a step leaves behind; a framed Φ has a row or column more at each end."""

    b: FloatArray  # (ny, nx) right-hand side of a stage
    one: FloatArray  # (ny, nx) the first stage, later the blend
    two: FloatArray  # (ny, nx) the last one
    last: FloatArray  # (ny, nx) u_t at the end
    error: FloatArray  # (ny, nx)
    phi_one: FloatArray  # (ny + 2, nx + 2) Φ whose differences are the fluxes of the first stage
    phi_two: FloatArray  # (ny + 2, nx + 2) those of the last one, later those of the step
    framed: FloatArray  # (3, ny + 2, nx + 2)
    planes: FloatArray  # (8, ny, nx)
    sides: FloatArray  # (4, 2)
    sums: FloatArray  # (2, 4)


@compiled
def work_for_plane(ny: int, nx: int) -> Work:
    """Room for the steps of one sample."""
    planes, framed = np.empty((13, ny, nx)), np.zeros((5, ny + 2, nx + 2))
    return Work(
        planes[0], planes[1], planes[2], planes[3], planes[4], framed[0], framed[1], framed[2:], planes[5:],
        np.empty((4, 2)), np.empty((2, 4)),
    )  # fmt: skip


@compiled
def poured(source: FloatArray, stage: int, dt: float, b: FloatArray) -> None:
    """b += dt s."""
    if len(source) > 0:
        rows = source[min(stage, len(source) - 1)]
        for j in range(b.shape[0]):
            row, into = rows[j], b[j]
            for i in range(into.size):
                into[i] += dt * row[i]


@compiled
def _solved(
    coefficient: Coefficient,
    walls: PlaneWalls,  # at the time of the stage
    dt: float,  # the stage's share of Δt
    b: FloatArray,
    low: float,
    high: float,
    newton: float,
    scale: float,
    u: FloatArray,  # guess, replaced by the solution
    phi: FloatArray,  # out
    work: Work,
    counts: IntArray,
) -> bool:
    """Solve a stage; whether that was possible."""
    steps = solve_plane_stage(
        coefficient, walls, dt, b, low, high, newton, scale, u, phi, work.planes, work.framed[0]
    )
    counts[NEWTON] += abs(steps)
    return bool(steps > 0)


@compiled
def _first_stage(
    coefficient: Coefficient,
    walls: PlaneWalls,
    source: FloatArray,
    step: Step,
    now: Progress,
    work: Work,
) -> bool:
    """Solve for the SDIRK method's first stage, then guess the second: u + (one − u)/γ."""
    span = GAMMA * step.dt
    copy(now.u, work.b)
    poured(source, 0, span, work.b)
    combined(now.u, 1.0, now.rate, span, step.low, step.high, work.one)
    if not _solved(
        coefficient, walls_at(walls, 0), span, work.b, step.low, step.high, step.newton, step.scale,
        work.one, work.phi_one, work, now.counts,
    ):  # fmt: skip
        return False
    slope = 1.0 / GAMMA
    combined(now.u, 2.0 - slope, work.one, slope - 1.0, -np.inf, np.inf, work.b)
    combined(now.u, 1.0 - slope, work.one, slope, step.low, step.high, work.two)
    return True


@compiled
def _last_stage(
    coefficient: Coefficient,
    walls: PlaneWalls,
    source: FloatArray,
    span: float,  # the stage's share of Δt
    low: float,
    high: float,
    step: Step,
    counts: IntArray,
    work: Work,
) -> bool:
    """Solve for the state at the end from b and a guess, and fill in u_t there: the schemes are stiffly accurate."""
    copy(work.b, work.error)
    poured(source, 1, span, work.b)
    if not _solved(
        coefficient, walls_at(walls, 1), span, work.b, low, high, step.newton, step.scale, work.two,
        work.phi_two, work, counts,
    ):  # fmt: skip
        return False
    combined(work.two, 1.0 / span, work.error, -1.0 / span, -np.inf, np.inf, work.last)
    return True


@compiled
def plane_euler(
    coefficient: Coefficient,
    walls: PlaneWalls,
    source: FloatArray,
    step: Step,
    now: Progress,
    work: Work,
) -> bool:
    """Fill in the new state, its Φ, u_t there and the error ½ Δt² u_tt."""
    copy(now.u, work.b)
    combined(now.u, 1.0, now.rate, step.dt, step.low, step.high, work.two)
    if not _last_stage(coefficient, walls, source, step.dt, step.low, step.high, step, now.counts, work):
        return False
    combined(work.last, 0.5 * step.dt, now.rate, -0.5 * step.dt, -np.inf, np.inf, work.error)
    return True


@compiled
def plane_sdirk(
    coefficient: Coefficient,
    walls: PlaneWalls,
    source: FloatArray,
    step: Step,
    now: Progress,
    work: Work,
) -> bool:
    """Fill in both stages and their Φ, u_t at the end, and the error."""
    if not _first_stage(coefficient, walls, source, step, now, work):
        return False
    span = GAMMA * step.dt
    if not _last_stage(coefficient, walls, source, span, -np.inf, np.inf, step, now.counts, work):
        return False
    _third_derivative(now, step.dt, work)
    combined(work.phi_one, 1.0 - GAMMA, work.phi_two, GAMMA, -np.inf, np.inf, work.phi_two)
    return True


@compiled
def _third_derivative(now: Progress, dt: float, work: Work) -> None:
    """The scheme's error: dt³ u_ttt from the second divided difference of u_t at t, t + γ dt and t + dt."""
    bend, error = 2.0 * ERROR_CONSTANT, work.error
    first, last = -bend / (1.0 - GAMMA) - bend / GAMMA, bend * dt / (1.0 - GAMMA)
    combined(work.one, 1.0 / GAMMA, now.u, -1.0 / GAMMA, -np.inf, np.inf, error)
    combined(error, first, work.last, last, -np.inf, np.inf, error)
    combined(error, 1.0, now.rate, bend * dt / GAMMA, -np.inf, np.inf, error)


@compiled
def plane_blended(
    coefficient: Coefficient,
    walls: PlaneWalls,
    source: FloatArray,
    step: Step,
    now: Progress,
    work: Work,
) -> bool:
    """Blend the new state with backward Euler's; whether that could be solved."""
    dt, widths = step.dt, walls.widths
    # The accurate scheme's source, so that the two differ by fluxes only.
    copy(now.u, work.b)
    poured(source, 0, (1.0 - GAMMA) * dt, work.b)
    poured(source, 1, GAMMA * dt, work.b)
    combined(work.two, 1.0, work.two, 0.0, step.low, step.high, work.one)
    if not _solved(
        coefficient, walls_at(walls, 1), dt, work.b, step.low, step.high, NEWTON_TIGHT * step.scale,
        step.scale, work.one, work.phi_one, work, now.counts,
    ):  # fmt: skip
        return False
    cx, cy = dt / (widths[0] * widths[0]), dt / (widths[1] * widths[1])
    blend_on_plane(
        work.one, work.phi_one, work.phi_two, step.low, step.high, walls.kinds, cx, cy, work.framed[1:]
    )
    copy(work.one, work.two)
    copy(work.phi_one, work.phi_two)
    return True
