"""Steps of the cavity's flow: diffusion implicit, advection explicit, fourth order, all in one compiled loop over samples.

The unknown C of the clamped modes and the walls' data w make ψ = C + w, and with M, B of `cavity_stokes`

    (M ψ)' = N(ψ) − ν B ψ,    N_i(ψ) = ∫ ω (u·∇Φ_i) dA,    ω = −Δψ, u = (ψ_y, −ψ_x).

M ψ is stepped as one quantity, so that walls that move in time cost no order. N gives no energy whatever the quadrature,
since u·∇ψ = 0 at every point. Scheme: ARK4(3)6L[2]SA of C. A. Kennedy, M. H. Carpenter, Appl. Numer. Math. 44, 2003, appendix C.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.cavity_basis import ClampedBasis
from lawbound.solvers.cavity_stokes import apply, factorize, solve_factored
from lawbound.solvers.compiled import compiled

FloatArray = NDArray[np.float64]

STAGES = 6
GAMMA = 0.25
#: Times of the stages within a step.
NODES = np.array([0.0, 1 / 2, 83 / 250, 31 / 50, 17 / 20, 1.0])
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
def product(left, right, out):  # type: ignore[no-untyped-def]
    """out = left @ right, in bands of rows that the library of matrices handles on this very thread."""
    rows = left.shape[0]
    band = max(4, _SMALL_PRODUCT // (left.shape[1] * right.shape[1]))
    for first in range(0, rows, band):
        last = min(rows, first + band)
        np.dot(left[first:last], right, out[first:last])


@compiled
def advection(psi, scales, tables, out):  # type: ignore[no-untyped-def]
    """out_i = ∫ ω (u·∇Φ_i) dA, (n, n); returns ∫ ω² dA and ∫ u² + v² dA."""
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
    enstrophy, speed = 0.0, 0.0
    for j in range(points):
        row_omega, row_speed = 0.0, 0.0
        for i in range(points):
            o = -(sy * sy * omega[j, i] + sx * sx * more[j, i])
            p, q = sy * u[j, i], -sx * v[j, i]
            row_omega += weights[i] * o * o
            row_speed += weights[i] * (p * p + q * q)
            u[j, i] = o * p / sy
            v[j, i] = o * q / sx
        enstrophy += weights[j] * row_omega
        speed += weights[j] * row_speed
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
    area = 1.0 / (sx * sy)
    return enstrophy * area, speed * area


@compiled
def _weighted(values, weights):  # type: ignore[no-untyped-def]
    for j in range(values.shape[0]):
        for i in range(values.shape[1]):
            values[j, i] *= weights[i]


@compiled
def of_walls(rows, columns, scales, products, mass, stokes):  # type: ignore[no-untyped-def]
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
def put_walls(psi, rows, columns):  # type: ignore[no-untyped-def]
    """Write the walls' data into the coefficients of ψ."""
    n = psi.shape[0] - 2
    for k in range(2):
        psi[n + k] = rows[k]
        for j in range(n):
            psi[j, n + k] = columns[k, j]


@compiled
def lid_power(psi, rows, columns, scales, ends, gram):  # type: ignore[no-untyped-def]
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
def _combine(base, dt, count, explicit, implicit, advected, diffused, out):  # type: ignore[no-untyped-def]
    n = out.shape[0]
    for j in range(n):
        for i in range(n):
            total = 0.0
            for k in range(count):
                total += explicit[k] * advected[k, j, i] - implicit[k] * diffused[k, j, i]
            out[j, i] = base[j, i] + dt * total


@compiled
def march(first, last, nus, steps, counts, scales, tables, rows, columns, still, psis, worst, done):  # type: ignore[no-untyped-def]
    """Advance samples `first` … `last` by `counts` steps of length `steps`.

    rows, columns: the walls' data at all stages, (sample, 5 · steps + 1, 2, functions). still: factors of M alone, as
    (across, along, inverses). psis: ψ before and after, (sample, functions, functions). worst: the largest estimate of a
    step's error, as the root of ∫ u² dA, (sample,). done: ∫ power dt and ∫ dissipation dt of these steps, (sample, 2).
    """
    a, r, even = tables.a, tables.r, tables.even
    n = a.size
    m_across, m_along, m_inverses = still
    across, along, inverses = np.empty((n, n)), np.empty((2, n)), np.zeros(m_inverses.shape)
    advected, diffused = np.empty((STAGES, n, n)), np.empty((STAGES, n, n))
    start, right, modes, moved = np.empty((n, n)), np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    wall_mass, wall_stokes = np.empty((n, n)), np.empty((n, n))
    zero, spare = np.zeros((n, n)), np.zeros(STAGES)
    for s in range(first, last):
        nu, dt, psi = nus[s], steps[s], psis[s]
        worst[s], done[s, 0], done[s, 1] = 0.0, 0.0, 0.0
        if counts[s] == 0:
            continue
        kappa = GAMMA * dt * nu
        factorize(1.0, kappa, scales, a, r, even, across, along, inverses)
        for step in range(counts[s]):
            at = 5 * step
            modes[:] = psi[:n, :n]
            put_walls(psi, rows[s, at], columns[s, at])
            of_walls(rows[s, at], columns[s, at], scales, tables.products, wall_mass, wall_stokes)
            apply(1.0, 0.0, scales, a, r, even, modes, start)
            apply(0.0, nu, scales, a, r, even, modes, diffused[0])
            for j in range(n):
                for i in range(n):
                    start[j, i] += wall_mass[j, i]
                    diffused[0, j, i] += nu * wall_stokes[j, i]
            for stage in range(STAGES):
                row, column = rows[s, at + stage], columns[s, at + stage]
                if stage > 0:
                    _combine(start, dt, stage, _EXPLICIT[stage], _IMPLICIT[stage], advected, diffused, right)
                    put_walls(psi, row, column)
                    of_walls(row, column, scales, tables.products, wall_mass, wall_stokes)
                    for j in range(n):
                        for i in range(n):
                            right[j, i] -= wall_mass[j, i]
                            modes[j, i] = right[j, i] - kappa * wall_stokes[j, i]
                    solve_factored(across, along, r, even, inverses, modes, modes)
                    psi[:n, :n] = modes
                    apply(1.0, 0.0, scales, a, r, even, modes, moved)
                    for j in range(n):
                        for i in range(n):
                            diffused[stage, j, i] = (right[j, i] - moved[j, i]) / (GAMMA * dt)
                enstrophy, _ = advection(psi, scales, tables, advected[stage])
                power = lid_power(psi, row, column, scales, tables.ends, tables.gram)
                done[s, 0] += dt * _WEIGHTS[stage] * nu * power
                done[s, 1] += dt * _WEIGHTS[stage] * nu * enstrophy
            # The last stage has the walls and the diffusion of the new state already, and another advection.
            _combine(zero, dt, STAGES, _WEIGHTS - _EXPLICIT[5], spare, advected, diffused, right)
            solve_factored(m_across, m_along, r, even, m_inverses, right, right)
            for j in range(n):
                for i in range(n):
                    psi[j, i] += right[j, i]
            gap = _WEIGHTS - _THIRD_ORDER
            _combine(zero, dt, STAGES, gap, gap, advected, diffused, right)
            solve_factored(across, along, r, even, inverses, right, right)
            apply(1.0, 0.0, scales, a, r, even, right, moved)
            square = 0.0
            for j in range(n):
                for i in range(n):
                    square += right[j, i] * moved[j, i]
            error = np.sqrt(abs(square))
            if not error <= 1e100:
                worst[s] = np.inf
                break
            worst[s] = max(worst[s], error)
