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
from lawbound.solvers.compiled import compiled
from lawbound.solvers.explicit_plane import enter_ledger, frame_potential, wall_cell, wall_sums, wrap
from lawbound.solvers.finite_volume import add_compensated
from lawbound.solvers.potential import fill_both, of_sample
from lawbound.solvers.step_control import (
    ARRIVED,
    ATTEMPTED,
    ERROR_CONSTANT,
    GAMMA,
    LEAST,
    NEWTON,
    NEWTON_TIGHT,
    NOT_FINITE,
    REJECTED,
    ROUND_OFF,
    SCALE,
    STEP,
    STUCK,
    TAKEN,
    TIME,
    next_step,
    planned_step,
    step_factor,
)
from lawbound.solvers.wall_flux import DIRICHLET, NEUMANN, PERIODIC, ROBIN, resistance

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MOST_ITERATIONS = 40
_NEWTON_SHARE = 1e-2  # of the step tolerance, for stages whose error is measured anyway
# How far a linear system is solved far from and near the end, relative to its right-hand side.
_LOOSE, _CLOSE = 0.1, 1e-3


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


# Loops instead of `a[:] = b`, whose check of shapes takes longer to compile than all of the mathematics.


@compiled
def _copy(a: FloatArray, out: FloatArray) -> None:
    for j in range(a.shape[0]):
        row, result = a[j], out[j]
        for i in range(row.size):
            result[i] = row[i]


@compiled
def _add_products(a: FloatArray, b: FloatArray, sums: FloatArray) -> None:
    """sums[0, i] + sums[1, i] += a[i] b[i] as if in twice the digits (Knuth's two-sum)."""
    total, lost = sums[0], sums[1]
    for i in range(a.size):
        term, old = a[i] * b[i], total[i]
        new = old + term
        kept = new - old
        lost[i] += (old - (new - kept)) + (term - kept)
        total[i] = new


@compiled
def _sum_of(sums: FloatArray) -> float:
    """The sum, rounded once: it does not depend on the order, so a mirrored plane takes the mirrored steps."""
    total, lost = 0.0, 0.0
    for i in range(sums.shape[1]):
        term = sums[0, i]
        new = total + term
        kept = new - total
        lost += ((total - (new - kept)) + (term - kept)) + sums[1, i]
        total = new
    return total + lost


@compiled
def _dot(a: FloatArray, b: FloatArray) -> float:
    sums = np.zeros((2, a.shape[1]))
    for j in range(a.shape[0]):
        _add_products(a[j], b[j], sums)
    return _sum_of(sums)


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
    sums = np.zeros((2, nx))
    for j in range(ny):
        left, mid, right = framed[j + 1, :nx], framed[j + 1, 1 : nx + 1], framed[j + 1, 2:]
        below, above = framed[j, 1 : nx + 1], framed[j + 2, 1 : nx + 1]
        row, a, s, more, found = z[j], share[j], root[j], extra[j], out[j]
        for i in range(nx):
            along_x = cx * ((mid[i] - left[i]) + (mid[i] - right[i]))
            along_y = cy * ((mid[i] - below[i]) + (mid[i] - above[i]))
            found[i] = a[i] * row[i] + s[i] * ((along_x + along_y) + more[i] * mid[i])
        _add_products(row, found, sums)
    return _sum_of(sums)


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
    _copy(residual, direction)
    size = _dot(residual, residual)
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
        old, size = size, _dot(residual, residual)
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
        values, along = (x_values[side], ny) if side < 2 else (y_values[side - 2], nx)
        for place in range(along):
            j, i = wall_cell(side, place, ny, nx)
            resisting[side, place] = resistance(
                coefficient, kinds[side], transfers[side], values[place], u[j, i], phi[j + 1, i + 1], 1.0,
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
def _linearised(phi: FloatArray, w: FloatArray, resisting: FloatArray, kinds: IntArray) -> None:
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
        change = _largest_change(u, new, low, high)
        if not np.isfinite(change):
            return -1
        if change <= tolerance:
            _copy(new, u)
            return iteration + 1
        relative = min(max(change / scale, _CLOSE), _LOOSE) if scale > 0.0 else _CLOSE
    return -1


@compiled
def _stretched(values: FloatArray, low: float, high: float) -> tuple[float, float]:
    """The smallest range around [low, high] and the values, (rows, n)."""
    for j in range(values.shape[0]):
        row = values[j]
        for i in range(row.size):
            low, high = min(low, row[i]), max(high, row[i])
    return low, high


@compiled
def _allowed(
    u: FloatArray,
    kinds: IntArray,
    x_values: FloatArray,
    y_values: FloatArray,
    source: FloatArray,
    sides: FloatArray,  # (4, 2) work
) -> tuple[float, float]:
    """The range that a step cannot leave: what was there and what the walls show, unless something pours in."""
    low, high = _stretched(u, u[0, 0], u[0, 0])
    for stage in range(2):
        _side_ranges(x_values[stage], y_values[stage], sides)
        for side in range(4):
            if kinds[side] == DIRICHLET or kinds[side] == ROBIN:
                low, high = min(low, sides[side, 0]), max(high, sides[side, 1])
            elif kinds[side] == NEUMANN:
                low = -np.inf if sides[side, 0] < 0.0 else low
                high = np.inf if sides[side, 1] > 0.0 else high
    for stage in range(len(source)):
        least, most = _stretched(source[stage], 0.0, 0.0)
        low = -np.inf if least < 0.0 else low
        high = np.inf if most > 0.0 else high
    return low, high


@compiled
def _side_ranges(x_values: FloatArray, y_values: FloatArray, sides: FloatArray) -> None:
    for side in range(4):
        values = x_values[side : side + 1] if side < 2 else y_values[side - 2 : side - 1]
        sides[side, 0], sides[side, 1] = _stretched(values, values[0, 0], values[0, 0])


@compiled
def _wall_size(kinds: IntArray, x_values: FloatArray, y_values: FloatArray, sides: FloatArray) -> float:
    size = 0.0
    _side_ranges(x_values, y_values, sides)
    for side in range(4):
        if kinds[side] == DIRICHLET or kinds[side] == ROBIN:
            size = max(size, max(abs(sides[side, 0]), abs(sides[side, 1])))
    return size


@compiled
def _combined(
    a: FloatArray, p: float, b: FloatArray, q: float, low: float, high: float, out: FloatArray
) -> None:
    """out = p a + q b, kept in [low, high]."""
    for j in range(a.shape[0]):
        x, y, result = a[j], b[j], out[j]
        for i in range(x.size):
            result[i] = min(max(p * x[i] + q * y[i], low), high)


@compiled
def _poured(source: FloatArray, stage: int, dt: float, b: FloatArray) -> float:
    """b += dt s; returns Σ s."""
    if len(source) == 0:
        return 0.0
    rows, total = source[min(stage, len(source) - 1)], 0.0
    for j in range(b.shape[0]):
        row, into = rows[j], b[j]
        for i in range(into.size):
            into[i] += dt * row[i]
            total += row[i]
    return total


@compiled
def _mean_size(a: FloatArray) -> float:
    sums, sizes, ones = np.zeros((2, a.shape[1])), np.empty(a.shape[1]), np.ones(a.shape[1])
    for j in range(a.shape[0]):
        row = a[j]
        for i in range(row.size):
            sizes[i] = abs(row[i])
        _add_products(sizes, ones, sums)
    return _sum_of(sums) / a.size


@compiled
def _blend(
    u: FloatArray,  # (ny, nx) the bounded solution, replaced by the blend
    phi: FloatArray,  # (ny + 2, nx + 2) its Φ, replaced by the blend's at the walls
    wanted: FloatArray,  # (ny + 2, nx + 2) the accurate one's Φ
    low: float,
    high: float,
    kinds: IntArray,
    cx: float,
    cy: float,
    share: FloatArray,  # (2, ny + 2, nx + 2) work
) -> None:
    """u + what limited differences of the two schemes' face fluxes bring; conservative, within [low, high]."""
    ny, nx = u.shape
    gain, loss = share[0], share[1]
    gain[:], loss[:] = 1.0, 1.0
    for j in range(ny + 2):
        for i in range(nx + 2):
            wanted[j, i] -= phi[j, i]
    for j in range(1, ny + 1):
        for i in range(1, nx + 1):
            mid = wanted[j, i]
            left, right = cx * (wanted[j, i - 1] - mid), cx * (wanted[j, i + 1] - mid)
            below, above = cy * (wanted[j - 1, i] - mid), cy * (wanted[j + 1, i] - mid)
            rises = (max(left, 0.0) + max(right, 0.0)) + (max(below, 0.0) + max(above, 0.0))
            falls = (max(-left, 0.0) + max(-right, 0.0)) + (max(-below, 0.0) + max(-above, 0.0))
            if rises > 0.0:
                gain[j, i] = min(1.0, max(high - u[j - 1, i - 1], 0.0) / rises)
            if falls > 0.0:
                loss[j, i] = min(1.0, max(u[j - 1, i - 1] - low, 0.0) / falls)
    _across_periods(gain, kinds)
    _across_periods(loss, kinds)
    for j in range(1, ny + 1):
        for i in range(1, nx + 1):
            left = _limited(wanted, gain, loss, j, i, j, i - 1)
            right = _limited(wanted, gain, loss, j, i, j, i + 1)
            below = _limited(wanted, gain, loss, j, i, j - 1, i)
            above = _limited(wanted, gain, loss, j, i, j + 1, i)
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
    wanted: FloatArray, gain: FloatArray, loss: FloatArray, j: int, i: int, j_from: int, i_from: int
) -> float:
    """What of the difference in flux from one cell into (j, i) neither of the two forbids."""
    flux = wanted[j_from, i_from] - wanted[j, i]
    if flux > 0.0:
        return float(flux * min(gain[j, i], loss[j_from, i_from]))
    return float(flux * min(loss[j, i], gain[j_from, i_from]))


@compiled
def _first_rate(
    coefficient: Coefficient,
    kinds: IntArray,
    transfers: FloatArray,
    x_values: FloatArray,
    y_values: FloatArray,
    source: FloatArray,
    widths: FloatArray,
    u: FloatArray,
    phi: FloatArray,  # (ny + 2, nx + 2) work
    zeros: FloatArray,  # (ny, nx) work
    rate: FloatArray,  # out
) -> None:
    """rate = u_t, from the walls and the source of the first stage."""
    ny, nx = u.shape
    for j in range(ny):
        fill_both(coefficient, u[j], phi[j + 1, 1 : nx + 1], zeros[j])
    frame_potential(coefficient, kinds, transfers, x_values, y_values, widths, u, phi)
    zeros[:] = 0.0
    _spread(phi, 1.0 / (widths[0] * widths[0]), 1.0 / (widths[1] * widths[1]), zeros, rate)
    _poured(source, 0, 1.0, rate)


@compiled
def advance_plane(
    coefficient: Coefficient,
    kinds: IntArray,  # (4,)
    transfers: FloatArray,  # (4,)
    x_values: FloatArray,  # (2, 2, ny) stage, side, cell: wall values at the stages of the step to come
    y_values: FloatArray,  # (2, 2, nx)
    source: FloatArray,  # (0 none or 1 steady or 2 stages, ny, nx)
    widths: FloatArray,  # (2,)
    order: int,
    tolerance: float,  # of a step: mean |error| relative to the scale of u
    stop: float,
    attempts: int,
    u: FloatArray,  # (ny, nx) changed in place, as all that follows
    rate: FloatArray,  # (ny, nx) u_t at the current time
    clock: FloatArray,  # (4,) of stepping's places
    counts: IntArray,  # (3,)
    inflow: FloatArray,  # (4,)
    traffic: FloatArray,  # (4,)
    produced: FloatArray,  # (1,)
    lost: FloatArray,  # (5,)
) -> int:
    """Step from the clock's time towards `stop`, at most `attempts` steps, rejected ones included."""
    if clock[TIME] >= stop:
        return ARRIVED
    ny, nx = u.shape
    work, framed = np.empty((8, ny, nx)), np.zeros((5, ny + 2, nx + 2))
    b, one, two, error = np.empty((ny, nx)), np.empty((ny, nx)), np.empty((ny, nx)), np.empty((ny, nx))
    phi_one, phi_two, spare, shares = framed[0], framed[1], framed[2], framed[3:]
    net, gross, sides = np.empty(4), np.empty(4), np.empty((4, 2))
    gamma = GAMMA if order == 2 else 1.0
    if counts[TAKEN] + counts[REJECTED] == 0:
        _first_rate(
            coefficient, kinds, transfers, x_values[0], y_values[0], source, widths, u, phi_one, b, rate
        )
    for _ in range(attempts):
        if clock[TIME] >= stop:
            return ARRIVED
        dt = planned_step(clock[TIME], clock[STEP], stop)
        low, high = _allowed(u, kinds, x_values, y_values, source, sides)
        clock[SCALE] = max(clock[SCALE], _wall_size(kinds, x_values[1], y_values[1], sides))
        # Where something pours into an empty plane, the size of u is what it will be.
        _combined(u, 1.0, rate, dt, low, high, two)
        least, most = _stretched(two, -clock[SCALE], clock[SCALE])
        scale = max(most, -least)
        newton = NEWTON_TIGHT * scale if order == 1 else _NEWTON_SHARE * min(tolerance, 1e-3) * scale
        made = 0.0
        settled = True
        if order == 2:
            _copy(u, b)
            made += (1.0 - gamma) * _poured(source, 0, gamma * dt, b)
            _combined(u, 1.0, rate, gamma * dt, low, high, one)
            steps = solve_plane_stage(
                coefficient, kinds, transfers, x_values[0], y_values[0], widths, gamma * dt, b, low, high,
                newton, scale, one, phi_one, work, spare,
            )  # fmt: skip
            counts[NEWTON] += abs(steps)
            settled = steps > 0
        # The second stage starts from b = u + (1 − γ)/γ (one − u); backward Euler is that stage alone.
        if order == 2 and settled:
            slope = 1.0 / gamma
            _combined(u, 2.0 - slope, one, slope - 1.0, -np.inf, np.inf, b)
            _combined(u, 1.0 - slope, one, slope, low, high, two)
        else:
            _copy(u, b)
            _combined(u, 1.0, rate, dt, low, high, two)
        if settled:
            _copy(b, error)
            made += gamma * _poured(source, 1, gamma * dt, b)
            bounds = (low, high) if order == 1 else (-np.inf, np.inf)
            steps = solve_plane_stage(
                coefficient, kinds, transfers, x_values[1], y_values[1], widths, gamma * dt, b, bounds[0],
                bounds[1], newton, scale, two, phi_two, work, spare,
            )  # fmt: skip
            counts[NEWTON] += abs(steps)
            settled = steps > 0
        if not settled:
            counts[REJECTED] += 1
            clock[STEP] = 0.25 * dt
            if clock[STEP] < clock[LEAST]:
                return STUCK
            continue
        # From here on b is u_t at the end, from the last stage: the scheme is stiffly accurate.
        _combined(two, 1.0 / (gamma * dt), error, -1.0 / (gamma * dt), -np.inf, np.inf, b)
        if order == 1:
            _combined(b, 0.5 * dt, rate, -0.5 * dt, -np.inf, np.inf, error)
        else:
            # dt³ u_ttt from the second divided difference of u_t at t, t + γ dt and t + dt.
            bend = 2.0 * ERROR_CONSTANT
            _combined(one, 1.0 / gamma, u, -1.0 / gamma, -np.inf, np.inf, error)
            _combined(
                error,
                -bend / (1.0 - gamma) - bend / gamma,
                b,
                bend * dt / (1.0 - gamma),
                -np.inf,
                np.inf,
                error,
            )
            _combined(error, 1.0, rate, bend * dt / gamma, -np.inf, np.inf, error)
        size = _mean_size(error)
        if not np.isfinite(size):
            return NOT_FINITE
        wrong = size / (tolerance * scale) if scale > 0.0 else 0.0
        factor = step_factor(wrong, order)
        if wrong > 1.0 and dt > clock[LEAST]:
            counts[REJECTED] += 1
            clock[STEP] = max(factor * dt, clock[LEAST])
            continue
        if order == 2:
            _combined(phi_one, 1.0 - gamma, phi_two, gamma, -np.inf, np.inf, phi_two)
            slack = ROUND_OFF * scale
            least, most = _stretched(two, low, high)
            if least < low - slack or most > high + slack:
                # Backward Euler with the accurate scheme's source, so that the two differ by fluxes only.
                _copy(u, error)
                _poured(source, 0, (1.0 - gamma) * dt, error)
                _poured(source, 1, gamma * dt, error)
                _combined(two, 1.0, two, 0.0, low, high, one)
                steps = solve_plane_stage(
                    coefficient, kinds, transfers, x_values[1], y_values[1], widths, dt, error, low, high,
                    NEWTON_TIGHT * scale, scale, one, phi_one, work, spare,
                )  # fmt: skip
                counts[NEWTON] += abs(steps)
                if steps < 0:
                    counts[REJECTED] += 1
                    clock[STEP] = 0.25 * dt
                    if clock[STEP] < clock[LEAST]:
                        return STUCK
                    continue
                cx, cy = dt / (widths[0] * widths[0]), dt / (widths[1] * widths[1])
                _blend(one, phi_one, phi_two, low, high, kinds, cx, cy, shares)
                _copy(one, two)
                _copy(phi_one, phi_two)
        _copy(two, u)
        _copy(b, rate)
        least, most = _stretched(u, -clock[SCALE], clock[SCALE])
        clock[SCALE] = max(most, -least)
        wall_sums(phi_two, net, gross)
        enter_ledger(net, gross, dt, widths, inflow, traffic, lost)
        add_compensated(produced, lost[4:], 0, dt * widths[0] * widths[1] * made)
        counts[TAKEN] += 1
        clock[TIME] = stop if dt == stop - clock[TIME] else clock[TIME] + dt
        clock[STEP] = next_step(dt, clock[STEP], factor)
    return ARRIVED if clock[TIME] >= stop else ATTEMPTED


@compiled
def advance_planes(
    begin: int,
    end: int,
    coefficient: Coefficient,  # arrays over samples, as all that follows
    kinds: IntArray,
    transfers: FloatArray,
    x_values: FloatArray,
    y_values: FloatArray,
    source: FloatArray,
    widths: FloatArray,  # (2,)
    order: int,
    tolerance: float,
    stop: float,
    attempts: IntArray,
    u: FloatArray,
    rate: FloatArray,
    clock: FloatArray,
    counts: IntArray,
    inflow: FloatArray,
    traffic: FloatArray,
    produced: FloatArray,
    lost: FloatArray,
    status: IntArray,
) -> None:
    """Advance the samples from `begin` up to, not including, `end` by at most their numbers of attempts."""
    for sample in range(begin, end):
        status[sample] = advance_plane(
            of_sample(coefficient, sample),
            kinds[sample],
            transfers[sample],
            x_values[sample],
            y_values[sample],
            source[sample],
            widths,
            order,
            tolerance,
            stop,
            attempts[sample],
            u[sample],
            rate[sample],
            clock[sample],
            counts[sample],
            inflow[sample],
            traffic[sample],
            produced[sample],
            lost[sample],
        )
