"""One implicit stage on a plane of cells: u − D Φ(u) = b by Newton's method; compiled.

D is γ Δt times the sum of second differences along x and y. With K = diag k(u) ≥ 0, a Newton step is
(1 − D K) δ = −r. Its symmetric form for z = S⁻¹ K δ, with S² = K / d and d the diagonal of 1 − D K, has a unit diagonal
and holds where k = 0 too; conjugate gradients solve it. The new u is b + D (Φ + S z) row for row, so what leaves a
cell enters the next, however exact z is. Nothing is split by directions, so steady states are the scheme's own and
corners and walls cost no order.
"""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Coefficient
from lawbound.solvers.compiled import compiled
from lawbound.solvers.plane_arithmetic import copy
from lawbound.solvers.plane_gradients import conjugate_gradients
from lawbound.solvers.plane_walls import PlaneWalls, frame_potential, resist, wrap
from lawbound.solvers.potential import fill_both

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MOST_ITERATIONS = 40
# How far a linear system is solved far from and near the end, relative to its right-hand side.
_LOOSE, _CLOSE = 0.1, 1e-3


@compiled
def spread(framed: FloatArray, cx: float, cy: float, base: FloatArray, out: FloatArray) -> None:
    """out = base + cx δ²framed along x + cy δ²framed along y."""
    ny, nx = out.shape
    for j in range(ny):
        left, mid, right = framed[j + 1, :nx], framed[j + 1, 1 : nx + 1], framed[j + 1, 2:]
        below, above, start, row = framed[j, 1 : nx + 1], framed[j + 2, 1 : nx + 1], base[j], out[j]
        for i in range(nx):
            along_x = cx * ((left[i] - mid[i]) - (mid[i] - right[i]))
            along_y = cy * ((below[i] - mid[i]) - (mid[i] - above[i]))
            row[i] = start[i] + (along_x + along_y)


@compiled
def _wall_diagonal(resisting: FloatArray, cx: float, cy: float, extra: FloatArray) -> None:
    ny, nx = extra.shape
    extra[:] = 0.0
    for j in range(ny):
        extra[j, 0] += cx * resisting[0, j]
        extra[j, nx - 1] += cx * resisting[1, j]
    for i in range(nx):
        extra[0, i] += cy * resisting[2, i]
        extra[ny - 1, i] += cy * resisting[3, i]


@compiled
def _linearised(phi: FloatArray, w: FloatArray, resisting: FloatArray) -> None:
    """phi += w inside, and in the frame what the walls then let in; `w` is framed by `wrap`."""
    ny, nx = phi.shape[0] - 2, phi.shape[1] - 2
    for j in range(ny):
        w[j + 1, 0] -= resisting[0, j] * w[j + 1, 1]
        w[j + 1, nx + 1] -= resisting[1, j] * w[j + 1, nx]
    for i in range(nx):
        w[0, i + 1] -= resisting[2, i] * w[1, i + 1]
        w[ny + 1, i + 1] -= resisting[3, i] * w[ny, i + 1]
    for j in range(ny + 2):
        row, more = phi[j], w[j]
        for i in range(nx + 2):
            row[i] += more[i]


@compiled
def _scaled(k: FloatArray, diagonal: float, extra: FloatArray, share: FloatArray, root: FloatArray) -> None:
    for i in range(k.size):
        share[i] = 1.0 / (1.0 + k[i] * (diagonal + extra[i]))
        root[i] = np.sqrt(k[i] * share[i])


@compiled
def _largest_change(u: FloatArray, new: FloatArray, low: float, high: float) -> float:
    """max |new − u|, and u becomes `new` kept in [low, high]; nan where `new` is not finite."""
    largest = 0.0
    for j in range(u.shape[0]):
        now, then = u[j], new[j]
        for i in range(now.size):
            change = abs(then[i] - now[i])
            largest = largest if change <= largest else change
            now[i] = min(max(then[i], low), high)
    return largest


@compiled
def _scaled_system(
    k: FloatArray,  # (ny, nx)
    extra: FloatArray,
    diagonal: float,
    goal: FloatArray,  # b + D Φ
    u: FloatArray,
    share: FloatArray,  # 1 / d, out as all that follows
    root: FloatArray,  # S
    right: FloatArray,  # −S r
) -> None:
    for j in range(u.shape[0]):
        _scaled(k[j], diagonal, extra[j], share[j], root[j])
        out, s, then, now = right[j], root[j], goal[j], u[j]
        for i in range(out.size):
            out[i] = s[i] * (then[i] - now[i])


@compiled
def _products(root: FloatArray, z: FloatArray, kinds: IntArray, framed: FloatArray) -> None:
    """framed = S z."""
    ny, nx = z.shape
    for j in range(ny):
        inner, s, row = framed[j + 1, 1 : nx + 1], root[j], z[j]
        for i in range(nx):
            inner[i] = s[i] * row[i]
    wrap(framed, kinds)


@compiled
def solve_plane_stage(
    coefficient: Coefficient,
    walls: PlaneWalls,  # at the time of the stage
    dt: float,  # γ Δt
    b: FloatArray,  # (ny, nx)
    low: float,  # iterates are kept in [low, high], where the solution is known to be
    high: float,
    tolerance: float,
    scale: float,
    u: FloatArray,  # (ny, nx) guess, replaced by the solution
    phi: FloatArray,  # (ny + 2, nx + 2) out: framed Φ whose differences are the fluxes that made u from b
    work: FloatArray,  # (8, ny, nx)
    framed: FloatArray,  # (ny + 2, nx + 2) work
) -> int:
    """Solve u = b + dt (δ²Φ / h² along x and y); returns the number of Newton steps, −1 if they do not settle."""
    ny, nx = u.shape
    share, root, extra, right, z = work[0], work[1], work[2], work[3], work[4]
    direction, image, new = work[5], work[6], work[7]
    resisting = np.empty((4, max(ny, nx)))
    cx, cy = dt / (walls.widths[0] * walls.widths[0]), dt / (walls.widths[1] * walls.widths[1])
    relative = _LOOSE
    for iteration in range(_MOST_ITERATIONS):
        k = image
        for j in range(ny):
            fill_both(coefficient, u[j], phi[j + 1, 1 : nx + 1], k[j])
        resist(coefficient, walls, u, phi, resisting)
        frame_potential(coefficient, walls, u, phi)
        _wall_diagonal(resisting, cx, cy, extra)
        spread(phi, cx, cy, b, new)
        _scaled_system(k, extra, 2.0 * (cx + cy), new, u, share, root, right)
        conjugate_gradients(
            share, root, extra, walls.kinds, cx, cy, relative, right, z, direction, image, framed
        )
        _products(root, z, walls.kinds, framed)
        _linearised(phi, framed, resisting)
        spread(phi, cx, cy, b, new)
        change = _largest_change(u, new, low, high)
        if not np.isfinite(change):
            return -1
        if change <= tolerance:
            copy(new, u)
            return iteration + 1
        relative = min(max(change / scale, _CLOSE), _LOOSE) if scale > 0.0 else _CLOSE
    return -1
