"""Explicit conservative steps on a plane of cells, with a ledger of the four walls and the source: compiled.

The potential Φ stands in an array with a frame one cell wide. Across a wall the frame holds the cell's Φ plus what
the wall lets in, so a step is one and the same sum of differences in every cell.
"""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Coefficient
from lawbound.solvers.compiled import compiled
from lawbound.solvers.finite_volume import add_compensated
from lawbound.solvers.potential import fill_potential, of_sample
from lawbound.solvers.wall_flux import DIRICHLET, PERIODIC, ROBIN, entering

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Walls are numbered in the order x_lo, x_hi, y_lo, y_hi.


@compiled
def wrap(framed: FloatArray, kinds: IntArray) -> None:
    """The frame is what lies across a periodic wall, and the cell itself, so that nothing flows, at others."""
    ny, nx = framed.shape[0] - 2, framed.shape[1] - 2
    left, right = (nx, 1) if kinds[0] == PERIODIC else (1, nx)
    below, above = (ny, 1) if kinds[2] == PERIODIC else (1, ny)
    for j in range(1, ny + 1):
        framed[j, 0], framed[j, nx + 1] = framed[j, left], framed[j, right]
    for i in range(1, nx + 1):
        framed[0, i], framed[ny + 1, i] = framed[below, i], framed[above, i]


@compiled
def wall_cell(side: int, place: int, ny: int, nx: int) -> tuple[int, int]:
    """(j, i) of a cell at a wall."""
    if side < 2:
        return place, 0 if side == 0 else nx - 1
    return 0 if side == 2 else ny - 1, place


@compiled
def frame_potential(
    coefficient: Coefficient,
    kinds: IntArray,  # (4,)
    transfers: FloatArray,  # (4,)
    x_values: FloatArray,  # (2, ny) values at x_lo and x_hi
    y_values: FloatArray,  # (2, nx)
    widths: FloatArray,  # (2,)
    u: FloatArray,  # (ny, nx)
    phi: FloatArray,  # (ny + 2, nx + 2), filled inside; its frame is filled here
) -> None:
    """Fill the frame of Φ from the walls."""
    ny, nx = u.shape
    wrap(phi, kinds)
    for side in range(4):
        values, along = (x_values[side], ny) if side < 2 else (y_values[side - 2], nx)
        for place in range(along):
            j, i = wall_cell(side, place, ny, nx)
            out_j, out_i = (j, 2 * (side % 2) - 1 + i) if side < 2 else (2 * (side % 2) - 1 + j, i)
            phi[out_j + 1, out_i + 1] += entering(
                coefficient, kinds[side], transfers[side], values[place], u[j, i], phi[j + 1, i + 1],
                widths[side // 2],
            )  # fmt: skip


@compiled
def wall_sums(framed: FloatArray, net: FloatArray, gross: FloatArray) -> None:
    """net[side] = Σ of what enters along a wall in units of Φ, gross[side] = Σ of its absolute values."""
    ny, nx = framed.shape[0] - 2, framed.shape[1] - 2
    net[:], gross[:] = 0.0, 0.0
    for j in range(1, ny + 1):
        low, high = framed[j, 0] - framed[j, 1], framed[j, nx + 1] - framed[j, nx]
        net[0] += low
        net[1] += high
        gross[0] += abs(low)
        gross[1] += abs(high)
    for i in range(1, nx + 1):
        low, high = framed[0, i] - framed[1, i], framed[ny + 1, i] - framed[ny, i]
        net[2] += low
        net[3] += high
        gross[2] += abs(low)
        gross[3] += abs(high)


@compiled
def enter_ledger(
    net: FloatArray,  # (4,)
    gross: FloatArray,  # (4,)
    dt: float,
    widths: FloatArray,
    inflow: FloatArray,  # (4,) changed in place, as all that follows
    traffic: FloatArray,  # (4,)
    lost: FloatArray,  # (5,) low-order parts of inflow and produced
) -> None:
    """Add ∫∫ flux over the walls and a step to the ledger."""
    for side in range(4):
        across, along = (widths[0], widths[1]) if side < 2 else (widths[1], widths[0])
        share = dt * along / across
        add_compensated(inflow, lost, side, share * net[side])
        traffic[side] += share * gross[side]


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
def _all_within(
    state: FloatArray, kinds: IntArray, x_values: FloatArray, y_values: FloatArray, low: float, high: float
) -> bool:
    for j in range(state.shape[0]):
        if not _within(state[j], low, high):
            return False
    for side in range(4):
        if kinds[side] == DIRICHLET or kinds[side] == ROBIN:
            values = x_values[side] if side < 2 else y_values[side - 2]
            if not _within(values, low, high):
                return False
    return True


@compiled
def _march(
    coefficient: Coefficient,
    kinds: IntArray,  # (4,)
    transfers: FloatArray,  # (4,)
    x_values: FloatArray,  # (1 or steps, 2, ny) at the start of each step
    y_values: FloatArray,  # (1 or steps, 2, nx)
    source: FloatArray,  # (0 or 1 or steps, ny, nx) at the start of each step
    guard: FloatArray,  # (2,) the range that the length of the steps allows for
    watch: bool,  # whether the guard can be left at all
    steps: int,
    dt: float,
    widths: FloatArray,  # (2,)
    state: FloatArray,  # (ny, nx), changed in place, as all that follows
    carry: FloatArray,  # (ny, nx)
    inflow: FloatArray,  # (4,)
    traffic: FloatArray,  # (4,)
    produced: FloatArray,  # (1,)
    lost: FloatArray,  # (5,)
) -> int:
    """Forward Euler, at most so many steps; stops, between two steps, where a value leaves the guard."""
    ny, nx = state.shape
    phi, none = np.empty((ny + 2, nx + 2)), np.zeros(nx)
    net, gross = np.empty(4), np.empty(4)
    x_ratio, y_ratio = dt / (widths[0] * widths[0]), dt / (widths[1] * widths[1])
    for step in range(steps):
        x_now, y_now = x_values[min(step, len(x_values) - 1)], y_values[min(step, len(y_values) - 1)]
        if watch and not _all_within(state, kinds, x_now, y_now, guard[0], guard[1]):
            return step
        for j in range(ny):
            fill_potential(coefficient, state[j], phi[j + 1, 1 : nx + 1])
        frame_potential(coefficient, kinds, transfers, x_now, y_now, widths, state, phi)
        made = 0.0
        for j in range(ny):
            row = source[min(step, len(source) - 1), j] if len(source) > 0 else none
            _raise_row(
                state[j],
                carry[j],
                phi[j + 1, :nx],
                phi[j + 1, 1 : nx + 1],
                phi[j + 1, 2:],
                phi[j, 1 : nx + 1],
                phi[j + 2, 1 : nx + 1],
                row,
                x_ratio,
                y_ratio,
                dt,
            )
            if len(source) > 0:
                for i in range(nx):
                    made += row[i]
        wall_sums(phi, net, gross)
        enter_ledger(net, gross, dt, widths, inflow, traffic, lost)
        if len(source) > 0:
            add_compensated(produced, lost[4:], 0, dt * widths[0] * widths[1] * made)
    return steps


@compiled
def march_plane(
    begin: int,
    end: int,
    coefficient: Coefficient,  # arrays over samples, as all that follows
    kinds: IntArray,
    transfers: FloatArray,
    x_values: FloatArray,
    y_values: FloatArray,
    source: FloatArray,
    guard: FloatArray,
    watch: NDArray[np.bool_],
    steps: IntArray,
    dt: FloatArray,
    widths: FloatArray,  # (2,)
    state: FloatArray,
    carry: FloatArray,
    inflow: FloatArray,
    traffic: FloatArray,
    produced: FloatArray,
    lost: FloatArray,
    done: IntArray,
) -> None:
    """Advance the samples from `begin` up to, not including, `end` by equal steps; `done` says how many were taken."""
    for sample in range(begin, end):
        done[sample] = _march(
            of_sample(coefficient, sample),
            kinds[sample],
            transfers[sample],
            x_values[sample],
            y_values[sample],
            source[sample],
            guard[sample],
            watch[sample],
            steps[sample],
            dt[sample],
            widths,
            state[sample],
            carry[sample],
            inflow[sample],
            traffic[sample],
            produced[sample],
            lost[sample],
        )
