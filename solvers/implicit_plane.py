"""Implicit steps in time on a plane of cells, their length controlled by an error estimate: compiled.

One stage solves u − D Φ(u) = b by Newton's method, D being γ Δt times the sum of second differences along x and y. With
K = diag k(u) ≥ 0, a Newton step is (1 − D K) δ = −r. Its symmetric form for z = S⁻¹ K δ, with S² = K / d and d the diagonal
of 1 − D K, has a unit diagonal and holds where k = 0 too; conjugate gradients solve it. The new u is
b + D (Φ + S z) row for row, so what leaves a cell enters the next, however exact z is.
Nothing is split by directions, so steady states are the scheme's own and corners and walls cost no order.
"""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Coefficient
from lawbound.solvers.compiled import compiled, compiled_over_samples, samples_in_parallel
from lawbound.solvers.explicit_plane import enter_ledger, frame_potential, wall_sums, wrap
from lawbound.solvers.finite_volume import add_compensated
from lawbound.solvers.potential import fill_both, of_sample
from lawbound.solvers.stepping import GAMMA, LEAST, NEWTON, REJECTED, SCALE, STEP, TAKEN, TIME, planned_step
from lawbound.solvers.stepping import ARRIVED, ATTEMPTED, NOT_FINITE, STUCK
from lawbound.solvers.wall_flux import DIRICHLET, NEUMANN, PERIODIC, ROBIN, resistance

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: |R(z) − e^z| / |z|³ of the second-order scheme: 3γ² − 2γ³ − 1/6.
_ERROR_CONSTANT = 3.0 * GAMMA**2 - 2.0 * GAMMA**3 - 1.0 / 6.0
_MOST_ITERATIONS = 40
_NEWTON_TIGHT = 1e-11
_NEWTON_SHARE = 1e-2  # of the step tolerance, for stages whose error is measured anyway
_LOOSE, _CLOSE = 0.1, 1e-3  # of its right-hand side, how far a linear system is solved far from and near the end
_SAFETY, _LEAST_FACTOR, _MOST_FACTOR = 0.85, 0.2, 4.0
_ROUND_OFF = 1e-14


@compiled
def _spread(framed: FloatArray, cx: float, cy: float, base: FloatArray, out: FloatArray) -> None:
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
def _applied(
    z: FloatArray,
    share: FloatArray,  # 1 / d
    root: FloatArray,  # S
    extra: FloatArray,  # what walls add to the diagonal of D
    kinds: IntArray,
    cx: float,
    cy: float,
    framed: FloatArray,  # work
    out: FloatArray,
) -> float:
    """out = (1/d − S D S) z; returns z · out."""
    ny, nx = z.shape
    for j in range(ny):
        inner, row, s = framed[j + 1, 1 : nx + 1], z[j], root[j]
        for i in range(nx):
            inner[i] = s[i] * row[i]
    wrap(framed, kinds)
    total = 0.0
    for j in range(ny):
        left, mid, right = framed[j + 1, :nx], framed[j + 1, 1 : nx + 1], framed[j + 1, 2:]
        below, above = framed[j, 1 : nx + 1], framed[j + 2, 1 : nx + 1]
        row, a, s, more, found = z[j], share[j], root[j], extra[j], out[j]
        for i in range(nx):
            along_x = cx * ((mid[i] - left[i]) + (mid[i] - right[i]))
            along_y = cy * ((mid[i] - below[i]) + (mid[i] - above[i]))
            found[i] = a[i] * row[i] + s[i] * ((along_x + along_y) + more[i] * mid[i])
        total += _dot(row, found)
    return total


@compiled
def _dot(a: FloatArray, b: FloatArray) -> float:
    # Eight sums side by side: a single one would wait for each addition.
    parts = np.zeros(8)
    whole = a.size // 8
    for i in range(whole):
        for j in range(8):
            parts[j] += a[8 * i + j] * b[8 * i + j]
    total = 0.0
    for i in range(8 * whole, a.size):
        total += a[i] * b[i]
    for j in range(8):
        total += parts[j]
    return total


@compiled
def _conjugate_gradients(
    share: FloatArray,
    root: FloatArray,
    extra: FloatArray,
    kinds: IntArray,
    cx: float,
    cy: float,
    relative: float,
    residual: FloatArray,  # (ny, nx) the right-hand side, used up
    z: FloatArray,  # (ny, nx) out
    direction: FloatArray,
    image: FloatArray,
    framed: FloatArray,
) -> None:
    """Solve until the residual is `relative` times the right-hand side."""
    ny, nx = z.shape
    z[:] = 0.0
    direction[:] = residual
    size = _dot(residual.ravel(), residual.ravel())
    enough = relative * relative * size
    for _ in range(10 * (nx + ny) + 100):
        if not size > enough:
            return
        step = size / _applied(direction, share, root, extra, kinds, cx, cy, framed, image)
        for j in range(ny):
            r, p, q, found = residual[j], direction[j], image[j], z[j]
            for i in range(nx):
                found[i] += step * p[i]
                r[i] -= step * q[i]
        old, size = size, _dot(residual.ravel(), residual.ravel())
        turn = size / old
        for j in range(ny):
            r, p = residual[j], direction[j]
            for i in range(nx):
                p[i] = r[i] + turn * p[i]


@compiled
def _wall_resistance(
    coefficient: Coefficient,
    kinds: IntArray,
    transfers: FloatArray,
    x_values: FloatArray,
    y_values: FloatArray,
    widths: FloatArray,
    u: FloatArray,
    phi: FloatArray,
    resisting: FloatArray,  # (4, longest side) out
) -> None:
    """−d (what enters) / dΦ of the cell, along each wall."""
    ny, nx = u.shape
    for side in range(4):
        along, values = (ny, x_values[side]) if side < 2 else (nx, y_values[side - 2])
        for n in range(along):
            j, i = n, n
            if side < 2:
                i = 0 if side == 0 else nx - 1
            else:
                j = 0 if side == 2 else ny - 1
            resisting[side, n] = resistance(
                coefficient, kinds[side], transfers[side], values[n], u[j, i], phi[j + 1, i + 1], 1.0,
                widths[side // 2],
            )  # fmt: skip


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
def _linearised(
    phi: FloatArray, w: FloatArray, resisting: FloatArray, kinds: IntArray
) -> None:
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
    for i in range(u.size):
        change = abs(new[i] - u[i])
        largest = change if not change <= largest else largest
        u[i] = min(max(new[i], low), high)
    return largest


@compiled
def solve_plane_stage(
    coefficient: Coefficient,
    kinds: IntArray,  # (4,)
    transfers: FloatArray,  # (4,)
    x_values: FloatArray,  # (2, ny) wall values at the time of the stage
    y_values: FloatArray,  # (2, nx)
    widths: FloatArray,  # (2,)
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
    share, root, extra, residual, z, direction, image, new = (
        work[0], work[1], work[2], work[3], work[4], work[5], work[6], work[7],
    )  # fmt: skip
    resisting = np.empty((4, max(ny, nx)))
    cx, cy = dt / (widths[0] * widths[0]), dt / (widths[1] * widths[1])
    relative = _LOOSE
    for iteration in range(_MOST_ITERATIONS):
        for j in range(ny):
            fill_both(coefficient, u[j], phi[j + 1, 1 : nx + 1], image[j])
        _wall_resistance(coefficient, kinds, transfers, x_values, y_values, widths, u, phi, resisting)
        frame_potential(coefficient, kinds, transfers, x_values, y_values, widths, u, phi)
        _wall_diagonal(resisting, cx, cy, extra)
        _spread(phi, cx, cy, b, new)
        for j in range(ny):
            _scaled(image[j], 2.0 * (cx + cy), extra[j], share[j], root[j])
            right, s, goal, now = residual[j], root[j], new[j], u[j]
            for i in range(nx):
                right[i] = s[i] * (goal[i] - now[i])
        _conjugate_gradients(
            share, root, extra, kinds, cx, cy, relative, residual, z, direction, image, framed
        )
        for j in range(ny):
            inner, s, row = framed[j + 1, 1 : nx + 1], root[j], z[j]
            for i in range(nx):
                inner[i] = s[i] * row[i]
        wrap(framed, kinds)
        _linearised(phi, framed, resisting, kinds)
        _spread(phi, cx, cy, b, new)
        change = _largest_change(u.ravel(), new.ravel(), low, high)
        if not np.isfinite(change):
            return -1
        if change <= tolerance:
            u[:] = new
            return iteration + 1
        relative = min(max(change / scale, _CLOSE), _LOOSE) if scale > 0.0 else _CLOSE
    return -1
