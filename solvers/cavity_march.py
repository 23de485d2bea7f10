"""Steps of the cavity's flow: diffusion implicit, advection explicit, fourth order, all in one compiled loop over samples.

The unknown C of the clamped modes and the walls' data w make ψ = C + w, and with M, B of `cavity_stokes`

    (M ψ)' = N(ψ) − ν B ψ,    N_i(ψ) = ∫ ω (u·∇Φ_i) dA,    ω = −Δψ, u = (ψ_y, −ψ_x).

N gives no energy whatever the quadrature, since u·∇ψ = 0 at every point. M ψ is stepped as one quantity by the backward
differences of order 4 with N extrapolated (U. M. Ascher, S. J. Ruuth, B. T. R. Wetton, SIAM J. Numer. Anal. 32, 1995,
section 4.4), which keep their order in the wall's vorticity too; Runge–Kutta methods lose two there when walls move. One of
them is left to make the first three steps: ARK4(3)6L[2]SA of C. A. Kennedy, M. H. Carpenter, Appl. Numer. Math. 44, 2003,
appendix C.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.cavity_rates import (
    Tables,
    advection,
    copy,
    lid_power,
    of_walls,
    put_modes,
    put_walls,
    walls_in,
)
from lawbound.solvers.cavity_stokes import apply, factorize, solve_factored
from lawbound.solvers.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
#: 1 / D, weights of r^T r, inverses: see `cavity_stokes.factorize`.
Factors = tuple[FloatArray, FloatArray, FloatArray]

#: How many states are kept, the newest included: as many as doubling the step needs, and one.
KEPT = 8
#: Steps after which backward differences take over, and the inner stages of one before that.
FIRST_STEPS, INNER = 3, 4
#: Times of the inner stages within a step; the first stage is at its start, the last at its end.
INNER_NODES = np.array([1 / 2, 83 / 250, 31 / 50, 17 / 20])
_STAGES = 6
_GAMMA = 0.25
# Backward differences: α z_{n+1} + Σ α_j z_{n−j} = h (Σ β_j N_{n−j} − ν B ψ_{n+1}), divided by α = 25/12.
_ALPHA = 25 / 12
_PAST = np.array([4.0, -3.0, 4 / 3, -1 / 4]) / _ALPHA
_EXTRAPOLATED = np.array([4.0, -6.0, 4.0, -1.0]) / _ALPHA
# ∫ over the newest step through four values (Adams and Moulton), the newest first.
_NEWEST = np.array([9.0, 19.0, -5.0, 1.0]) / 24
_WEIGHTS = np.array([82889 / 524892, 0.0, 15625 / 83664, 69875 / 102672, -2260 / 8211, 1 / 4])
_THIRD_ORDER = np.array(
    [
        4586570599 / 29645900160, 0.0, 178811875 / 945068544,
        814220225 / 1159782912, -3700637 / 11593932, 61727 / 225920,
    ]
)  # fmt: skip
_EXPLICIT = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [1 / 2, 0.0, 0.0, 0.0, 0.0, 0.0],
        [13861 / 62500, 6889 / 62500, 0.0, 0.0, 0.0, 0.0],
        [-116923316275 / 2393684061468, -2731218467317 / 15368042101831, 9408046702089 / 11113171139209, 0.0, 0.0, 0.0],
        [
            -451086348788 / 2902428689909, -2682348792572 / 7519795681897, 12662868775082 / 11960479115383,
            3355817975965 / 11060851509271, 0.0, 0.0,
        ],
        [
            647845179188 / 3216320057751, 73281519250 / 8382639484533, 552539513391 / 3454668386233,
            3354512671639 / 8306763924573, 4040 / 17871, 0.0,
        ],
    ]
)  # fmt: skip
_IMPLICIT = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [1 / 4, 1 / 4, 0.0, 0.0, 0.0, 0.0],
        [8611 / 62500, -1743 / 31250, 1 / 4, 0.0, 0.0, 0.0],
        [5012029 / 34652500, -654441 / 2922500, 174375 / 388108, 1 / 4, 0.0, 0.0],
        [15267082809 / 155376265600, -71443401 / 120774400, 730878875 / 902184768, 2285395 / 8070912, 1 / 4, 0.0],
        [82889 / 524892, 0.0, 15625 / 83664, 69875 / 102672, -2260 / 8211, 1 / 4],
    ]
)  # fmt: skip


class Past(NamedTuple):
    """The last 8 M ψ and N (8, modes, modes), power and dissipation (8, 2), in a ring; which is the newest, and how many (2,)."""

    zs: FloatArray
    ns: FloatArray
    fs: FloatArray
    mark: IntArray


class Motion(NamedTuple):
    """One sample's viscosity and step, and what all samples share."""

    nu: float
    dt: float
    scales: FloatArray
    tables: Tables


@compiled
def _combine(
    dt: float,
    count: int,
    explicit: FloatArray,
    implicit: FloatArray,
    advected: FloatArray,
    diffused: FloatArray,
    out: FloatArray,
) -> None:
    """out += dt Σ explicit · advected − implicit · diffused."""
    for k in range(count):
        _add(dt * explicit[k], advected[k], out)
        _add(-dt * implicit[k], diffused[k], out)


@compiled
def _add(factor: float, values: FloatArray, out: FloatArray) -> None:
    for j in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[j, i] += factor * values[j, i]


@compiled
def _rms(c: FloatArray, motion: Motion) -> float:
    """(∫ u² dA)^½ of modes."""
    moved, tables = np.empty(c.shape), motion.tables
    apply(1.0, 0.0, motion.scales, tables.a, tables.r, tables.even, c, moved)
    square = 0.0
    for j in range(c.shape[0]):
        for i in range(c.shape[1]):
            square += c[j, i] * moved[j, i]
    return float(np.sqrt(abs(square)))


@compiled
def _rates(psi: FloatArray, motion: Motion, advected: FloatArray) -> tuple[float, float]:
    """N(ψ); returns the power of the walls and the dissipation."""
    nu, scales, tables = motion.nu, motion.scales, motion.tables
    enstrophy = advection(psi, scales, tables, advected)
    rows, columns = walls_in(psi)
    return nu * lid_power(psi, rows, columns, scales, tables.ends, tables.gram), nu * enstrophy


@compiled
def _push(psi: FloatArray, motion: Motion, mass: FloatArray, past: Past) -> None:
    """Make M ψ = `mass` and the rates of ψ the newest of the states kept."""
    mark = past.mark
    mark[0] = (mark[0] + 1) % KEPT
    mark[1] = min(mark[1] + 1, KEPT)
    copy(mass, past.zs[mark[0]])
    past.fs[mark[0], 0], past.fs[mark[0], 1] = _rates(psi, motion, past.ns[mark[0]])


@compiled
def _begin(psi: FloatArray, motion: Motion, past: Past) -> None:
    """Make ψ the first state kept."""
    tables = motion.tables
    n = tables.a.size
    modes, mass, wall_mass, unused = np.empty((n, n)), np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    copy(psi, modes)
    apply(1.0, 0.0, motion.scales, tables.a, tables.r, tables.even, modes, mass)
    rows, columns = walls_in(psi)
    of_walls(rows, columns, motion.scales, tables.products, wall_mass, unused)
    _add(1.0, wall_mass, mass)
    _push(psi, motion, mass, past)


@compiled
def _first_step(
    psi: FloatArray,
    motion: Motion,
    rows: FloatArray,  # (walls, 2, functions): the inner stages from `inner` on, and the end of the step
    columns: FloatArray,
    inner: int,
    end: int,
    factors: Factors,
    still: Factors,
    past: Past,
    done: FloatArray,  # (2,) changed in place, as are `psi` and `past`
) -> float:
    """One step by Runge–Kutta; returns the estimate of its error."""
    nu, dt, scales, tables = motion.nu, motion.dt, motion.scales, motion.tables
    a, r, even, products = tables.a, tables.r, tables.even, tables.products
    n, kappa, newest = a.size, _GAMMA * dt * nu, past.mark[0]
    across, along, inverses = factors
    advected, diffused = np.empty((_STAGES, n, n)), np.empty((_STAGES, n, n))
    right, modes, moved = np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    wall_mass, wall_stokes = np.empty((n, n)), np.empty((n, n))
    copy(past.ns[newest], advected[0])
    row, column = walls_in(psi)
    of_walls(row, column, scales, products, wall_mass, wall_stokes)
    copy(psi, modes)
    apply(0.0, nu, scales, a, r, even, modes, diffused[0])
    _add(nu, wall_stokes, diffused[0])
    power, loss = past.fs[newest, 0] * _WEIGHTS[0], past.fs[newest, 1] * _WEIGHTS[0]
    for stage in range(1, _STAGES):
        at = inner + stage - 1 if stage <= INNER else end
        put_walls(psi, rows[at], columns[at])
        of_walls(rows[at], columns[at], scales, products, wall_mass, wall_stokes)
        copy(past.zs[newest], right)
        _combine(dt, stage, _EXPLICIT[stage], _IMPLICIT[stage], advected, diffused, right)
        _add(-1.0, wall_mass, right)
        copy(right, modes)
        _add(-kappa, wall_stokes, modes)
        solve_factored(across, along, r, even, inverses, modes, modes)
        put_modes(modes, psi)
        apply(1.0, 0.0, scales, a, r, even, modes, moved)
        for j in range(n):
            for i in range(n):
                diffused[stage, j, i] = (right[j, i] - moved[j, i]) / (_GAMMA * dt)
        work, friction = _rates(psi, motion, advected[stage])
        power += _WEIGHTS[stage] * work
        loss += _WEIGHTS[stage] * friction
    done[0] += dt * power
    done[1] += dt * loss
    # The last stage has the walls and the diffusion of the new state already, and another advection.
    change, gap, none = np.zeros((n, n)), np.zeros((n, n)), np.zeros(_STAGES)
    _combine(dt, _STAGES, _WEIGHTS - _EXPLICIT[5], none, advected, diffused, change)
    _add(1.0, wall_mass, moved)
    _add(1.0, change, moved)
    solve_factored(still[0], still[1], r, even, still[2], change, change)
    _add(1.0, change, modes)
    put_modes(modes, psi)
    _combine(dt, _STAGES, _WEIGHTS - _THIRD_ORDER, _WEIGHTS - _THIRD_ORDER, advected, diffused, gap)
    solve_factored(across, along, r, even, inverses, gap, gap)
    _push(psi, motion, moved, past)
    return _rms(gap, motion)


@compiled
def _next_step(
    psi: FloatArray,
    motion: Motion,
    row: FloatArray,  # (2, functions): the walls at the end of the step
    column: FloatArray,
    factors: Factors,
    past: Past,
    done: FloatArray,
) -> float:
    """One step by backward differences; returns the error of the formula of order 3."""
    dt, scales, tables = motion.dt, motion.scales, motion.tables
    r, even, newest = tables.r, tables.even, past.mark[0]
    n = tables.a.size
    modes, moved, gap = np.zeros((n, n)), np.empty((n, n)), np.zeros((n, n))
    wall_mass, wall_stokes = np.empty((n, n)), np.empty((n, n))
    put_walls(psi, row, column)
    of_walls(row, column, scales, tables.products, wall_mass, wall_stokes)
    # (∇⁴ z / 4 − h ∇³ N) / α: by how much the formula of order 3 is not fulfilled.
    fourth, third = (-1.0, 1.5, -1.0, 0.25), (1.0, -3.0, 3.0, -1.0)
    for k in range(4):
        z, advected = past.zs[(newest - k) % KEPT], past.ns[(newest - k) % KEPT]
        _add(_PAST[k], z, modes)
        _add(dt * _EXTRAPOLATED[k], advected, modes)
        _add(fourth[k] / _ALPHA, z, gap)
        _add(-dt * third[k] / _ALPHA, advected, gap)
    _add(-1.0, wall_mass, modes)
    _add(-dt * motion.nu / _ALPHA, wall_stokes, modes)
    solve_factored(factors[0], factors[1], r, even, factors[2], modes, modes)
    put_modes(modes, psi)
    apply(1.0, 0.0, scales, tables.a, r, even, modes, moved)
    _add(1.0, wall_mass, moved)
    _add(0.25 / _ALPHA, moved, gap)
    solve_factored(factors[0], factors[1], r, even, factors[2], gap, gap)
    _push(psi, motion, moved, past)
    for which in range(2):
        for k in range(4):
            done[which] += dt * _NEWEST[k] * past.fs[(past.mark[0] - k) % KEPT, which]
    return _rms(gap, motion)


@compiled
def _steps(
    count: int,
    psi: FloatArray,
    motion: Motion,
    rows: FloatArray,
    columns: FloatArray,
    factors: Factors,
    still: Factors,
    past: Past,
    done: FloatArray,
) -> float:
    """So many steps of one sample; returns the largest estimate of an error, infinite if it is not finite."""
    scales, tables, worst = motion.scales, motion.tables, 0.0
    across, along, inverses = factors
    if past.mark[1] == 0:
        _begin(psi, motion, past)
    slow = max(0, min(count, FIRST_STEPS + 1 - past.mark[1]))
    for step in range(count):
        if step == 0 or step == slow:
            share = _GAMMA if step < slow else 1.0 / _ALPHA
            kappa = share * motion.dt * motion.nu
            factorize(1.0, kappa, scales, tables.a, tables.r, tables.even, across, along, inverses)
        end = FIRST_STEPS * INNER + step
        if step < slow:
            error = _first_step(psi, motion, rows, columns, step * INNER, end, factors, still, past, done)
        else:
            error = _next_step(psi, motion, rows[end], columns[end], factors, past, done)
        if not error <= 1e100:
            return np.inf
        worst = max(worst, error)
    return worst


@compiled
def march(
    first: int,
    last: int,
    nus: FloatArray,  # (sample,)
    steps: FloatArray,  # (sample,)
    counts: IntArray,  # (sample,)
    scales: FloatArray,  # (2,)
    tables: Tables,
    rows: FloatArray,  # (sample, 12 + steps, 2, functions): walls at 4 inner stages of 3 first steps, then at ends of steps
    columns: FloatArray,
    still: Factors,  # of M alone
    psis: FloatArray,  # (sample, functions, functions), changed in place, as all that follows
    zs: FloatArray,  # (sample, 8, modes, modes), as `Past` has them
    ns: FloatArray,
    fs: FloatArray,
    marks: IntArray,
    worst: FloatArray,  # (sample,) the largest estimate of a step's error, (∫ u² dA)^½
    done: FloatArray,  # (sample, 2) ∫ power dt and ∫ dissipation dt, added to
) -> None:
    """Advance samples `first` … `last` by `counts` steps of length `steps`."""
    n = tables.a.size
    factors = (np.empty((n, n)), np.empty((2, n)), np.zeros(still[2].shape))
    for s in range(first, last):
        motion = Motion(nus[s], steps[s], scales, tables)
        past = Past(zs[s], ns[s], fs[s], marks[s])
        worst[s] = _steps(counts[s], psis[s], motion, rows[s], columns[s], factors, still, past, done[s])
