"""What changes a streamfunction: advection, the walls' data, and what walls and friction do to the energy."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.cavity_basis import ClampedBasis
from lawbound.solvers.cavity_products import product
from lawbound.solvers.compiled import compiled

FloatArray = NDArray[np.float64]


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
def copy(values: FloatArray, out: FloatArray) -> None:
    """out[...] = values: numba takes seconds to compile that, for the sake of its error message."""
    for j in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[j, i] = values[j, i]


@compiled
def put_modes(modes: FloatArray, psi: FloatArray) -> None:
    """Write the clamped modes into the coefficients of ψ."""
    for j in range(modes.shape[0]):
        for i in range(modes.shape[1]):
            psi[j, i] = modes[j, i]


@compiled
def put_walls(
    psi: FloatArray,
    rows: FloatArray,
    columns: FloatArray,
) -> None:
    """Write the walls' data into the coefficients of ψ."""
    n = psi.shape[0] - 2
    for k in range(2):
        for i in range(n + 2):
            psi[n + k, i] = rows[k, i]
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
def walls_in(psi: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The walls' data in the coefficients of ψ: rows and columns, (2, functions) each."""
    size = psi.shape[0]
    rows, columns = np.empty((2, size)), np.empty((2, size))
    for k in range(2):
        for i in range(size):
            rows[k, i] = psi[size - 2 + k, i]
            columns[k, i] = psi[i, size - 2 + k]
    return rows, columns
