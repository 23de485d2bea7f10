"""The walls of a plane of cells, as compiled code sees them.

The potential Φ stands in an array with a frame one cell wide. Across a wall the frame holds the cell's Φ plus what
the wall lets in, so a step is one and the same sum of differences in every cell.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Coefficient
from lawbound.solvers.compiled import compiled
from lawbound.solvers.ledger import Ledger, enter
from lawbound.solvers.wall_flux import PERIODIC, entering, resistance

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class PlaneWalls(NamedTuple):
    """The four walls in the order x_lo, x_hi, y_lo, y_hi; samples, then times first, but for `widths`."""

    kinds: IntArray  # (4,)
    transfers: FloatArray  # (4,)
    x_values: FloatArray  # (2, ny) values at x_lo and x_hi
    y_values: FloatArray  # (2, nx)
    widths: FloatArray  # (2,) of a cell


@compiled
def walls_of_sample(walls: PlaneWalls, i: int) -> PlaneWalls:
    """The walls of one sample of a batch, at all of its times."""
    return PlaneWalls(walls.kinds[i], walls.transfers[i], walls.x_values[i], walls.y_values[i], walls.widths)


@compiled
def walls_at(walls: PlaneWalls, place: int) -> PlaneWalls:
    """The walls of a sample at one of its times; the last one stands for all that follow."""
    x_values, y_values = walls.x_values, walls.y_values
    return PlaneWalls(
        walls.kinds,
        walls.transfers,
        x_values[min(place, len(x_values) - 1)],
        y_values[min(place, len(y_values) - 1)],
        walls.widths,
    )


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
    walls: PlaneWalls,
    u: FloatArray,  # (ny, nx)
    phi: FloatArray,  # (ny + 2, nx + 2), filled inside; its frame is filled here
) -> None:
    """Fill the frame of Φ from the walls."""
    ny, nx = u.shape
    wrap(phi, walls.kinds)
    for side in range(4):
        values, along = (walls.x_values[side], ny) if side < 2 else (walls.y_values[side - 2], nx)
        for place in range(along):
            j, i = wall_cell(side, place, ny, nx)
            out_j, out_i = (j, 2 * (side % 2) - 1 + i) if side < 2 else (2 * (side % 2) - 1 + j, i)
            phi[out_j + 1, out_i + 1] += entering(
                coefficient, walls.kinds[side], walls.transfers[side], values[place], u[j, i], phi[j + 1, i + 1],
                walls.widths[side // 2],
            )  # fmt: skip


@compiled
def resist(
    coefficient: Coefficient,
    walls: PlaneWalls,
    u: FloatArray,
    phi: FloatArray,
    resisting: FloatArray,  # (4, longest side) out
) -> None:
    """−d (what enters) / dΦ of the cell, along each wall."""
    ny, nx = u.shape
    for side in range(4):
        values, along = (walls.x_values[side], ny) if side < 2 else (walls.y_values[side - 2], nx)
        for place in range(along):
            j, i = wall_cell(side, place, ny, nx)
            resisting[side, place] = resistance(
                coefficient, walls.kinds[side], walls.transfers[side], values[place], u[j, i],
                phi[j + 1, i + 1], 1.0, walls.widths[side // 2],
            )  # fmt: skip


@compiled
def _wall_sums(framed: FloatArray, net: FloatArray, gross: FloatArray) -> None:
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
def enter_plane(
    framed: FloatArray,  # (ny + 2, nx + 2) Φ whose differences are the fluxes of the step
    dt: float,
    widths: FloatArray,  # (2,)
    net: FloatArray,  # (4,) work
    gross: FloatArray,  # (4,) work
    ledger: Ledger,
) -> None:
    """Add ∫∫ flux over the walls and a step to the ledger."""
    _wall_sums(framed, net, gross)
    for side in range(4):
        across, along = (widths[0], widths[1]) if side < 2 else (widths[1], widths[0])
        share = dt * along / across
        enter(ledger, side, share * net[side], share * gross[side])
