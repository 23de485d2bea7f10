"""Explicit conservative steps on a plane of cells, with a ledger of the four walls and the source: compiled."""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Coefficient
from lawbound.solvers.compiled import compiled
from lawbound.solvers.ledger import Ledger, ledger_of_sample, produce
from lawbound.solvers.plane_walls import PlaneWalls, enter_plane, frame_potential, walls_at, walls_of_sample
from lawbound.solvers.potential import fill_potential, of_sample
from lawbound.solvers.wall_flux import DIRICHLET, ROBIN

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@compiled
def _raise_row(
    state: FloatArray,  # (nx,), changed in place
    carry: FloatArray,  # (nx,) what rounding left out of it, changed in place
    left: FloatArray,
    phi: FloatArray,
    right: FloatArray,
    below: FloatArray,
    above: FloatArray,
    source: FloatArray,
    x_ratio: float,
    y_ratio: float,
    dt: float,
) -> None:
    """state += x_ratio · δ²Φ along x + y_ratio · δ²Φ along y + Δt s, with Kahan's compensation.

    A difference across a face is computed twice with the same bits: what leaves one cell enters the next.
    """
    for i in range(state.size):
        along_x = x_ratio * ((left[i] - phi[i]) - (phi[i] - right[i]))
        along_y = y_ratio * ((below[i] - phi[i]) - (phi[i] - above[i]))
        wanted = ((along_x + along_y) + dt * source[i]) + carry[i]
        old = state[i]
        new = old + wanted
        state[i] = new
        carry[i] = wanted - (new - old)


@compiled
def _within(values: FloatArray, low: float, high: float) -> bool:
    outside = 0
    for i in range(values.size):
        outside += 0 if low <= values[i] <= high else 1
    return outside == 0


@compiled
def _all_within(state: FloatArray, walls: PlaneWalls, low: float, high: float) -> bool:
    for j in range(state.shape[0]):
        if not _within(state[j], low, high):
            return False
    for side in range(4):
        if walls.kinds[side] == DIRICHLET or walls.kinds[side] == ROBIN:
            values = walls.x_values[side] if side < 2 else walls.y_values[side - 2]
            if not _within(values, low, high):
                return False
    return True


@compiled
def _raise(
    state: FloatArray,  # (ny, nx)
    carry: FloatArray,  # (ny, nx)
    phi: FloatArray,  # (ny + 2, nx + 2)
    source: FloatArray,  # (0 or 1 or steps, ny, nx)
    step: int,
    dt: float,
    widths: FloatArray,
    none: FloatArray,  # (nx,) zeros
) -> float:
    """One step of all rows; returns Σ s."""
    ny, nx = state.shape
    x_ratio, y_ratio = dt / (widths[0] * widths[0]), dt / (widths[1] * widths[1])
    made = 0.0
    for j in range(ny):
        row = source[min(step, len(source) - 1), j] if len(source) > 0 else none
        left, mid, right = phi[j + 1, :nx], phi[j + 1, 1 : nx + 1], phi[j + 1, 2:]
        below, above = phi[j, 1 : nx + 1], phi[j + 2, 1 : nx + 1]
        _raise_row(state[j], carry[j], left, mid, right, below, above, row, x_ratio, y_ratio, dt)
        if len(source) > 0:
            for i in range(nx):
                made += row[i]
    return made


@compiled
def _march(
    coefficient: Coefficient,
    walls: PlaneWalls,  # at the start of each step, or of the first for all
    source: FloatArray,  # (0 or 1 or steps, ny, nx) at the start of each step
    guard: FloatArray,  # (2,) the range that the length of the steps allows for
    watch: bool,  # whether the guard can be left at all
    steps: int,
    dt: float,
    state: FloatArray,  # (ny, nx), changed in place, as all that follows
    carry: FloatArray,  # (ny, nx)
    ledger: Ledger,
) -> int:
    """Forward Euler, at most so many steps; stops, between two steps, where a value leaves the guard."""
    ny, nx = state.shape
    phi, none = np.empty((ny + 2, nx + 2)), np.zeros(nx)
    net, gross, widths = np.empty(4), np.empty(4), walls.widths
    for step in range(steps):
        now = walls_at(walls, step)
        if watch and not _all_within(state, now, guard[0], guard[1]):
            return step
        for j in range(ny):
            fill_potential(coefficient, state[j], phi[j + 1, 1 : nx + 1])
        frame_potential(coefficient, now, state, phi)
        made = _raise(state, carry, phi, source, step, dt, widths, none)
        enter_plane(phi, dt, widths, net, gross, ledger)
        if len(source) > 0:
            produce(ledger, dt * widths[0] * widths[1] * made)
    return steps


@compiled
def march_plane(
    begin: int,
    end: int,
    coefficient: Coefficient,  # arrays over samples, as all that follows
    walls: PlaneWalls,
    source: FloatArray,
    guard: FloatArray,
    watch: NDArray[np.bool_],
    steps: IntArray,
    dt: FloatArray,
    state: FloatArray,
    carry: FloatArray,
    ledger: Ledger,
    done: IntArray,
) -> None:
    """Advance the samples from `begin` up to, not including, `end` by equal steps; `done` says how many were taken."""
    for i in range(begin, end):
        done[i] = _march(
            of_sample(coefficient, i), walls_of_sample(walls, i), source[i], guard[i], watch[i], steps[i], dt[i],
            state[i], carry[i], ledger_of_sample(ledger, i),
        )  # fmt: skip
