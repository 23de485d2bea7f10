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

from lawbound.solvers.cavity_basis import ClampedBasis
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

# OpenBLAS starts threads of its own beyond rows · columns · depth = 2^18; ours are over samples.
_SMALL_PRODUCT = 200_000


class Tables(NamedTuple):
    """What a basis gives to compiled code; functions are the modes and the two slope cubics, points are Gauss's.

    at: functions and two derivatives, (3, points, functions). turned: the same, transposed. tested: modes and first
    derivatives times the weights, transposed, (2, modes, points). modes: modes and first derivatives, (2, points, modes).
    products: `ClampedBasis.products` of 0, 1, 2, transposed, (3, functions, modes). ends: second derivatives at both
    ends, (2, functions). gram: ∫ of products of functions, (functions, functions).
    """

    weights: FloatArray
    at: FloatArray
    turned: FloatArray
    tested: FloatArray
    modes: FloatArray
    products: FloatArray
    ends: FloatArray
    gram: FloatArray
    a: FloatArray
    r: FloatArray
    even: int


def tables_of(basis: ClampedBasis, points: int) -> Tables:
    """Tables with a quadrature of so many points."""
    where, weights = np.polynomial.legendre.leggauss(points)
    n = basis.modes
    at = np.ascontiguousarray([basis.values(where, d)[:, : n + 2] for d in range(3)])
    tested = at[:2, :, :n].transpose(0, 2, 1) * weights
    products = np.array([basis.products(d).T for d in range(3)])
    ends = np.ascontiguousarray(basis.values(np.array([-1.0, 1.0]), 2)[:, : n + 2])
    gram = at[0].T @ (weights[:, None] * at[0])
    return Tables(
        weights, at, at.transpose(0, 2, 1).copy(), np.ascontiguousarray(tested), at[:2, :, :n].copy(),
        np.ascontiguousarray(products), ends, gram, basis.a, basis.r, basis.even,
    )  # fmt: skip


@compiled
def product(
    left: FloatArray,
    right: FloatArray,
    out: FloatArray,
) -> None:
    """out = left @ right, in bands of rows that the library of matrices handles on this very thread."""
    rows = left.shape[0]
    band = max(4, _SMALL_PRODUCT // (left.shape[1] * right.shape[1]))
    for first in range(0, rows, band):
        last = min(rows, first + band)
        np.dot(left[first:last], right, out[first:last])


@compiled
def advection(
    psi: FloatArray,
    scales: FloatArray,
    tables: Tables,
    out: FloatArray,
) -> float:
    """out_i = ∫ ω (u·∇Φ_i) dA, (n, n); returns ∫ ω² dA."""
    sx, sy = scales[0], scales[1]
    at, turned, weights = tables.at, tables.turned, tables.weights
    points, functions = at.shape[1], at.shape[2]
    n = out.shape[0]
    along_x = np.empty((functions, points))
    u, v, omega, more = (
        np.empty((points, points)), np.empty((points, points)), np.empty((points, points)), np.empty((points, points)),
    )  # fmt: skip
    product(psi, turned[0], along_x)
    product(at[1], along_x, u)
    product(at[2], along_x, omega)
    product(psi, turned[1], along_x)
    product(at[0], along_x, v)
    product(psi, turned[2], along_x)
    product(at[0], along_x, more)
    enstrophy = 0.0
    for j in range(points):
        row_omega = 0.0
        for i in range(points):
            o = -(sy * sy * omega[j, i] + sx * sx * more[j, i])
            p, q = sy * u[j, i], -sx * v[j, i]
            row_omega += weights[i] * o * o
            u[j, i] = o * p / sy
            v[j, i] = o * q / sx
        enstrophy += weights[j] * row_omega
    along_y, across = np.empty((n, points)), np.empty((n, n))
    product(tables.tested[0], u, along_y)
    _weighted(along_y, weights)
    product(along_y, tables.modes[1], out)
    product(tables.tested[1], v, along_y)
    _weighted(along_y, weights)
    product(along_y, tables.modes[0], across)
    for j in range(n):
        for i in range(n):
            out[j, i] += across[j, i]
    return float(enstrophy / (sx * sy))


@compiled
def _weighted(
    values: FloatArray,
    weights: FloatArray,
) -> None:
    for j in range(values.shape[0]):
        for i in range(values.shape[1]):
            values[j, i] *= weights[i]


@compiled
def of_walls(
    rows: FloatArray,
    columns: FloatArray,
    scales: FloatArray,
    products: FloatArray,
    mass: FloatArray,
    stokes: FloatArray,
) -> None:
    """Fill M w and B w, (n, n), of the walls' data: rows and columns of ψ's slopes, (2, functions)."""
    sx, sy = scales[0], scales[1]
    functions, n = products.shape[1], products.shape[2]
    left, right = np.zeros((3, n, 4)), np.zeros((3, 4, n))
    for d in range(3):
        table = products[d]
        for k in range(2):
            for f in range(functions):
                for i in range(n):
                    right[d, k, i] += rows[k, f] * table[f, i]
            for f in range(n):
                for i in range(n):
                    left[d, i, 2 + k] += columns[k, f] * table[f, i]
            for i in range(n):
                left[d, i, k] = table[n + k, i]
                right[d, 2 + k, i] = table[n + k, i]
    for j in range(n):
        for i in range(n):
            s01, s10, s02, s11, s20 = 0.0, 0.0, 0.0, 0.0, 0.0
            for k in range(4):
                s01 += left[0, j, k] * right[1, k, i]
                s10 += left[1, j, k] * right[0, k, i]
                s02 += left[0, j, k] * right[2, k, i]
                s11 += left[1, j, k] * right[1, k, i]
                s20 += left[2, j, k] * right[0, k, i]
            mass[j, i] = sx / sy * s01 + sy / sx * s10
            stokes[j, i] = sx**3 / sy * s02 + 2.0 * sx * sy * s11 + sy**3 / sx * s20


@compiled
def put_walls(
    psi: FloatArray,
    rows: FloatArray,
    columns: FloatArray,
) -> None:
    """Write the walls' data into the coefficients of ψ."""
    n = psi.shape[0] - 2
    for k in range(2):
        psi[n + k] = rows[k]
        for j in range(n):
            psi[j, n + k] = columns[k, j]


@compiled
def lid_power(
    psi: FloatArray,
    rows: FloatArray,
    columns: FloatArray,
    scales: FloatArray,
    ends: FloatArray,
    gram: FloatArray,
) -> float:
    """∮ (tangential speed) ∂(tangential speed)/∂n ds: times ν, what the walls do to the fluid in a unit of time."""
    sx, sy = scales[0], scales[1]
    size = psi.shape[0]
    total = 0.0
    for k in range(2):
        sign = -1.0 if k == 0 else 1.0
        for f in range(size):
            speed_y, speed_x, bend_y, bend_x = 0.0, 0.0, 0.0, 0.0
            for g in range(size):
                speed_y += gram[f, g] * rows[k, g]
                speed_x += gram[f, g] * columns[k, g]
                bend_y += ends[k, g] * psi[g, f]
                bend_x += ends[k, g] * psi[f, g]
            total += sign * (sy**3 / sx * speed_y * bend_y + sx**3 / sy * speed_x * bend_x)
    return total


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
    n = out.shape[0]
    for k in range(count):
        e, m = dt * explicit[k], dt * implicit[k]
        for j in range(n):
            for i in range(n):
                out[j, i] += e * advected[k, j, i] - m * diffused[k, j, i]


@compiled
def _add(
    factor: float,
    values: FloatArray,
    out: FloatArray,
) -> None:
    for j in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[j, i] += factor * values[j, i]


@compiled
def _rms(
    c: FloatArray,
    scales: FloatArray,
    a: FloatArray,
    r: FloatArray,
    even: int,
) -> float:
    """(∫ u² dA)^½ of modes."""
    moved = np.empty(c.shape)
    apply(1.0, 0.0, scales, a, r, even, c, moved)
    square = 0.0
    for j in range(c.shape[0]):
        for i in range(c.shape[1]):
            square += c[j, i] * moved[j, i]
    return float(np.sqrt(abs(square)))


@compiled
def _rates(
    psi: FloatArray,
    nu: float,
    scales: FloatArray,
    tables: Tables,
    advected: FloatArray,
) -> tuple[float, float]:
    """N(ψ); returns the power of the walls and the dissipation."""
    n = psi.shape[0] - 2
    enstrophy = advection(psi, scales, tables, advected)
    rows, columns = np.ascontiguousarray(psi[n:]), np.ascontiguousarray(psi[:, n:].T)
    return nu * lid_power(psi, rows, columns, scales, tables.ends, tables.gram), nu * enstrophy


@compiled
def _push(
    psi: FloatArray,
    nu: float,
    scales: FloatArray,
    tables: Tables,
    mass: FloatArray,
    zs: FloatArray,
    ns: FloatArray,
    fs: FloatArray,
    mark: IntArray,
) -> None:
    """Make M ψ = `mass` and the rates of ψ the newest of the states kept."""
    mark[0] = (mark[0] + 1) % KEPT
    mark[1] = min(mark[1] + 1, KEPT)
    zs[mark[0]] = mass
    fs[mark[0], 0], fs[mark[0], 1] = _rates(psi, nu, scales, tables, ns[mark[0]])


@compiled
def _first_step(
    psi: FloatArray,
    nu: float,
    dt: float,
    scales: FloatArray,
    tables: Tables,
    rows: FloatArray,
    columns: FloatArray,
    factors: Factors,
    still: Factors,
    zs: FloatArray,
    ns: FloatArray,
    fs: FloatArray,
    mark: IntArray,
    done: FloatArray,
) -> float:
    """One step by Runge–Kutta; rows, columns: the walls at the inner stages and at the end. Returns the error's estimate."""
    a, r, even = tables.a, tables.r, tables.even
    n = a.size
    across, along, inverses = factors
    kappa = _GAMMA * dt * nu
    advected, diffused = np.empty((_STAGES, n, n)), np.empty((_STAGES, n, n))
    right, modes, moved = np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    wall_mass, wall_stokes = np.empty((n, n)), np.empty((n, n))
    start = zs[mark[0]]
    advected[0] = ns[mark[0]]
    of_walls(
        np.ascontiguousarray(psi[n:]),
        np.ascontiguousarray(psi[:, n:].T),
        scales,
        tables.products,
        wall_mass,
        wall_stokes,
    )
    modes[:] = psi[:n, :n]
    apply(0.0, nu, scales, a, r, even, modes, diffused[0])
    _add(nu, wall_stokes, diffused[0])
    power, loss = fs[mark[0], 0] * _WEIGHTS[0], fs[mark[0], 1] * _WEIGHTS[0]
    for stage in range(1, _STAGES):
        put_walls(psi, rows[stage - 1], columns[stage - 1])
        of_walls(rows[stage - 1], columns[stage - 1], scales, tables.products, wall_mass, wall_stokes)
        right[:] = start
        _combine(dt, stage, _EXPLICIT[stage], _IMPLICIT[stage], advected, diffused, right)
        _add(-1.0, wall_mass, right)
        modes[:] = right
        _add(-kappa, wall_stokes, modes)
        solve_factored(across, along, r, even, inverses, modes, modes)
        psi[:n, :n] = modes
        apply(1.0, 0.0, scales, a, r, even, modes, moved)
        for j in range(n):
            for i in range(n):
                diffused[stage, j, i] = (right[j, i] - moved[j, i]) / (_GAMMA * dt)
        at_stage = _rates(psi, nu, scales, tables, advected[stage])
        power += _WEIGHTS[stage] * at_stage[0]
        loss += _WEIGHTS[stage] * at_stage[1]
    done[0] += dt * power
    done[1] += dt * loss
    # The last stage has the walls and the diffusion of the new state already, and another advection.
    change = np.zeros((n, n))
    _combine(dt, _STAGES, _WEIGHTS - _EXPLICIT[5], np.zeros(_STAGES), advected, diffused, change)
    _add(1.0, wall_mass, moved)
    _add(1.0, change, moved)
    solve_factored(still[0], still[1], r, even, still[2], change, change)
    for j in range(n):
        for i in range(n):
            psi[j, i] += change[j, i]
    right[:] = 0.0
    _combine(dt, _STAGES, _WEIGHTS - _THIRD_ORDER, _WEIGHTS - _THIRD_ORDER, advected, diffused, right)
    solve_factored(across, along, r, even, inverses, right, right)
    _push(psi, nu, scales, tables, moved, zs, ns, fs, mark)
    return _rms(right, scales, a, r, even)


@compiled
def _next_step(
    psi: FloatArray,
    nu: float,
    dt: float,
    scales: FloatArray,
    tables: Tables,
    row: FloatArray,
    column: FloatArray,
    factors: Factors,
    zs: FloatArray,
    ns: FloatArray,
    fs: FloatArray,
    mark: IntArray,
    done: FloatArray,
) -> float:
    """One step by backward differences to the walls `row` and `column`; returns the error of the formula of order 3."""
    a, r, even = tables.a, tables.r, tables.even
    n = a.size
    across, along, inverses = factors
    modes, moved, gap = np.zeros((n, n)), np.empty((n, n)), np.zeros((n, n))
    wall_mass, wall_stokes = np.empty((n, n)), np.empty((n, n))
    put_walls(psi, row, column)
    of_walls(row, column, scales, tables.products, wall_mass, wall_stokes)
    newest = mark[0]
    # ∇⁴ z / 4 − h ∇³ N: by how much the formula of order 3 is not fulfilled.
    fourth, third = (-1.0, 1.5, -1.0, 0.25), (1.0, -3.0, 3.0, -1.0)
    for k in range(4):
        back = (newest - k) % KEPT
        _add(_PAST[k], zs[back], modes)
        _add(dt * _EXTRAPOLATED[k], ns[back], modes)
        _add(fourth[k], zs[back], gap)
        _add(-dt * third[k], ns[back], gap)
    _add(-1.0, wall_mass, modes)
    _add(-dt * nu / _ALPHA, wall_stokes, modes)
    solve_factored(across, along, r, even, inverses, modes, modes)
    psi[:n, :n] = modes
    apply(1.0, 0.0, scales, a, r, even, modes, moved)
    _add(1.0, wall_mass, moved)
    _add(0.25, moved, gap)
    for j in range(n):
        for i in range(n):
            gap[j, i] /= _ALPHA
    solve_factored(across, along, r, even, inverses, gap, gap)
    _push(psi, nu, scales, tables, moved, zs, ns, fs, mark)
    for which in range(2):
        for k in range(4):
            done[which] += dt * _NEWEST[k] * fs[(mark[0] - k) % KEPT, which]
    return _rms(gap, scales, a, r, even)


@compiled
def march(
    first: int,
    last: int,
    nus: FloatArray,
    steps: FloatArray,
    counts: IntArray,
    scales: FloatArray,
    tables: Tables,
    rows: FloatArray,
    columns: FloatArray,
    still: Factors,
    psis: FloatArray,
    zs: FloatArray,
    ns: FloatArray,
    fs: FloatArray,
    marks: IntArray,
    worst: FloatArray,
    done: FloatArray,
) -> None:
    """Advance samples `first` … `last` by `counts` steps of length `steps`, in place.

    rows, columns: the walls' data at the 4 inner stages of up to 3 first steps, then at the ends of all steps, (sample,
    12 + steps, 2, functions). still: factors of M alone. psis: ψ, (sample, functions, functions). zs, ns, fs: the last 8 M ψ, N
    (sample, 8, modes, modes), power and dissipation (sample, 8, 2), in a ring. marks: which is the newest, and how many there
    are, (sample, 2). worst: the largest estimate of a step's error, as (∫ u² dA)^½; infinite if it is not finite.
    done: ∫ power dt and ∫ dissipation dt, added to, (sample, 2).
    """
    a, r, even = tables.a, tables.r, tables.even
    n = a.size
    factors = (np.empty((n, n)), np.empty((2, n)), np.zeros(still[2].shape))
    modes, mass, unused = np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    for s in range(first, last):
        nu, dt, psi, mark = nus[s], steps[s], psis[s], marks[s]
        worst[s] = 0.0
        if counts[s] == 0:
            continue
        if mark[1] == 0:
            modes[:] = psi[:n, :n]
            apply(1.0, 0.0, scales, a, r, even, modes, mass)
            wall_mass = np.empty((n, n))
            of_walls(
                np.ascontiguousarray(psi[n:]),
                np.ascontiguousarray(psi[:, n:].T),
                scales,
                tables.products,
                wall_mass,
                unused,
            )
            _add(1.0, wall_mass, mass)
            _push(psi, nu, scales, tables, mass, zs[s], ns[s], fs[s], mark)
        slow = min(counts[s], FIRST_STEPS + 1 - mark[1])
        if slow > 0:
            factorize(1.0, _GAMMA * dt * nu, scales, a, r, even, factors[0], factors[1], factors[2])
        for step in range(counts[s]):
            end = FIRST_STEPS * INNER + step
            if step < slow:
                at = np.empty((INNER + 1, 2, n + 2))
                beside = np.empty((INNER + 1, 2, n + 2))
                at[:INNER], beside[:INNER] = (
                    rows[s, step * INNER : (step + 1) * INNER],
                    columns[s, step * INNER : (step + 1) * INNER],
                )
                at[INNER], beside[INNER] = rows[s, end], columns[s, end]
                error = _first_step(
                    psi,
                    nu,
                    dt,
                    scales,
                    tables,
                    at,
                    beside,
                    factors,
                    still,
                    zs[s],
                    ns[s],
                    fs[s],
                    mark,
                    done[s],
                )
            else:
                if step == max(slow, 0):
                    factorize(1.0, dt * nu / _ALPHA, scales, a, r, even, factors[0], factors[1], factors[2])
                error = _next_step(
                    psi,
                    nu,
                    dt,
                    scales,
                    tables,
                    rows[s, end],
                    columns[s, end],
                    factors,
                    zs[s],
                    ns[s],
                    fs[s],
                    mark,
                    done[s],
                )
            if not error <= 1e100:
                worst[s] = np.inf
                break
            worst[s] = max(worst[s], error)
