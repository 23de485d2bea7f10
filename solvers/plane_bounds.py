"""The range that a step on a plane of cells cannot leave, and the blend of two schemes that keeps it: compiled.

Where the accurate scheme leaves the range, its fluxes are blended with those of a bounded one, as far as needed and
no further (Zalesak, J. Comput. Phys. 31, 1979, (10)-(14)).
"""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled import compiled
from lawbound.solvers.plane_arithmetic import stretched
from lawbound.solvers.plane_walls import PlaneWalls, walls_at
from lawbound.solvers.wall_flux import DIRICHLET, NEUMANN, PERIODIC, ROBIN

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@compiled
def allowed_on_plane(
    u: FloatArray,
    walls: PlaneWalls,  # at two stages
    source: FloatArray,  # (0 or more stages, ny, nx)
    sides: FloatArray,  # (4, 2) work
) -> tuple[float, float]:
    """The range that a step cannot leave: what was there and what the walls show, unless something pours in."""
    low, high = stretched(u, u[0, 0], u[0, 0])
    for stage in range(2):
        _side_ranges(walls_at(walls, stage), sides)
        for side in range(4):
            least, most = sides[side, 0], sides[side, 1]
            if walls.kinds[side] == DIRICHLET or walls.kinds[side] == ROBIN:
                low, high = min(low, least), max(high, most)
            elif walls.kinds[side] == NEUMANN:
                low, high = -np.inf if least < 0.0 else low, np.inf if most > 0.0 else high
    for stage in range(len(source)):
        least, most = stretched(source[stage], 0.0, 0.0)
        low, high = -np.inf if least < 0.0 else low, np.inf if most > 0.0 else high
    return low, high


@compiled
def size_at_walls(walls: PlaneWalls, sides: FloatArray) -> float:
    """The largest |value| that walls show at one time."""
    size = 0.0
    _side_ranges(walls, sides)
    for side in range(4):
        if walls.kinds[side] == DIRICHLET or walls.kinds[side] == ROBIN:
            size = max(size, max(abs(sides[side, 0]), abs(sides[side, 1])))
    return size


@compiled
def _side_ranges(walls: PlaneWalls, sides: FloatArray) -> None:
    for side in range(4):
        x, y = walls.x_values, walls.y_values
        values = x[side : side + 1] if side < 2 else y[side - 2 : side - 1]
        sides[side, 0], sides[side, 1] = stretched(values, values[0, 0], values[0, 0])


@compiled
def blend_on_plane(
    u: FloatArray,  # (ny, nx) the bounded solution, replaced by the blend
    phi: FloatArray,  # (ny + 2, nx + 2) its Φ, replaced by the blend's at the walls
    wanted: FloatArray,  # (ny + 2, nx + 2) the accurate one's Φ, used up
    low: float,
    high: float,
    kinds: IntArray,
    cx: float,
    cy: float,
    share: FloatArray,  # (2, ny + 2, nx + 2) work
) -> None:
    """u + what limited differences of the two schemes' face fluxes bring; conservative, within [low, high]."""
    ny, nx = u.shape
    gain, loss, more = share[0], share[1], wanted
    for j in range(ny + 2):
        for i in range(nx + 2):
            more[j, i] -= phi[j, i]
    _shares(u, more, low, high, cx, cy, gain, loss)
    _across_periods(gain, kinds)
    _across_periods(loss, kinds)
    for j in range(1, ny + 1):
        for i in range(1, nx + 1):
            left = _limited(more, gain, loss, j, i, j, i - 1)
            right = _limited(more, gain, loss, j, i, j, i + 1)
            below = _limited(more, gain, loss, j, i, j - 1, i)
            above = _limited(more, gain, loss, j, i, j + 1, i)
            u[j - 1, i - 1] += cx * (left + right) + cy * (below + above)
            if i == 1:
                phi[j, 0] += left
            if i == nx:
                phi[j, nx + 1] += right
            if j == 1:
                phi[0, i] += below
            if j == ny:
                phi[ny + 1, i] += above


@compiled
def _shares(
    u: FloatArray,
    more: FloatArray,  # framed difference of the two schemes' Φ
    low: float,
    high: float,
    cx: float,
    cy: float,
    gain: FloatArray,  # framed, out
    loss: FloatArray,  # framed, out
) -> None:
    """How much of all that would raise, and of all that would lower each cell there is room for, from 0 to 1."""
    gain[:], loss[:] = 1.0, 1.0
    for j in range(1, u.shape[0] + 1):
        for i in range(1, u.shape[1] + 1):
            mid, now = more[j, i], u[j - 1, i - 1]
            left, right = cx * (more[j, i - 1] - mid), cx * (more[j, i + 1] - mid)
            below, above = cy * (more[j - 1, i] - mid), cy * (more[j + 1, i] - mid)
            rises = (max(left, 0.0) + max(right, 0.0)) + (max(below, 0.0) + max(above, 0.0))
            falls = (max(-left, 0.0) + max(-right, 0.0)) + (max(-below, 0.0) + max(-above, 0.0))
            if rises > 0.0:
                gain[j, i] = min(1.0, max(high - now, 0.0) / rises)
            if falls > 0.0:
                loss[j, i] = min(1.0, max(now - low, 0.0) / falls)


@compiled
def _across_periods(framed: FloatArray, kinds: IntArray) -> None:
    ny, nx = framed.shape[0] - 2, framed.shape[1] - 2
    if kinds[0] == PERIODIC:
        for j in range(1, ny + 1):
            framed[j, 0], framed[j, nx + 1] = framed[j, nx], framed[j, 1]
    if kinds[2] == PERIODIC:
        for i in range(1, nx + 1):
            framed[0, i], framed[ny + 1, i] = framed[ny, i], framed[1, i]


@compiled
def _limited(
    more: FloatArray, gain: FloatArray, loss: FloatArray, j: int, i: int, j_from: int, i_from: int
) -> float:
    """What of the difference in flux from one cell into (j, i) neither of the two forbids."""
    flux = more[j_from, i_from] - more[j, i]
    if flux > 0.0:
        return float(flux * min(gain[j, i], loss[j_from, i_from]))
    return float(flux * min(loss[j, i], gain[j_from, i_from]))
