"""Linear systems of the streamfunction, (M + κ B) C = F, solved directly: a diagonal and a correction of low rank.

With s_x = 2 / L_x, s_y = 2 / L_y and C of shape (mode in y, mode in x),

    M ~ ∫ ∇Φ·∇ψ  = (s_x/s_y) m C a + (s_y/s_x) a C m,          m = a² + r^T r,
    B ~ ∫ ΔΦ Δψ  = (s_x³/s_y) m C + 2 s_x s_y a C a + (s_y³/s_x) C m.

Both are diagonal but for r^T r, whose 2 vectors of each parity make a system of 2 (even or odd) modes in x plus 2 in y for
each of the four parities of C (Woodbury's formula). Factors cost O(n³) and hold for one κ, a solution costs O(n²).
"""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled import compiled

FloatArray = NDArray[np.float64]


@compiled
def invert(
    matrix: FloatArray,
) -> None:
    """Replace a symmetric positive definite matrix by its inverse: Gauss–Jordan, which needs no pivots here."""
    n = matrix.shape[0]
    for k in range(n):
        pivot = 1.0 / matrix[k, k]
        row = matrix[k]
        for j in range(n):
            row[j] *= pivot
        row[k] = pivot
        for i in range(n):
            if i != k:
                other = matrix[i]
                factor = other[k]
                other[k] = 0.0
                for j in range(n):
                    other[j] -= factor * row[j]


@compiled
def capacitance(
    of_y: tuple[int, int],
    of_x: tuple[int, int],
    across: FloatArray,
    along: FloatArray,
    ry: FloatArray,
    rx: FloatArray,
    out: FloatArray,
) -> None:
    """Fill I + U^T D⁻¹ U for one parity: `of_y`, `of_x` are the ranges of modes, `across` = 1 / D, `along` the weights of r^T r.

    `along[0]` weighs r^T r in y by the mode in x, `along[1]` that in x by the mode in y.
    """
    ni, nj = of_x[1] - of_x[0], of_y[1] - of_y[0]
    for row in range(2 * ni + 2 * nj):
        for column in range(2 * ni + 2 * nj):
            out[row, column] = 1.0 if row == column else 0.0
    for j in range(nj):
        for i in range(ni):
            inverse = across[of_y[0] + j, of_x[0] + i]
            alpha, beta = along[0, of_x[0] + i], along[1, of_y[0] + j]
            mixed = np.sqrt(alpha * beta) * inverse
            for p in range(2):
                for q in range(2):
                    out[p * ni + i, q * ni + i] += alpha * inverse * ry[p, j] * ry[q, j]
                    out[2 * ni + p * nj + j, 2 * ni + q * nj + j] += beta * inverse * rx[p, i] * rx[q, i]
                    out[p * ni + i, 2 * ni + q * nj + j] += mixed * ry[p, j] * rx[q, i]
                    out[2 * ni + q * nj + j, p * ni + i] += mixed * ry[p, j] * rx[q, i]


@compiled
def factorize(
    mass: float,
    kappa: float,
    scales: FloatArray,
    a: FloatArray,
    r: FloatArray,
    even: int,
    across: FloatArray,
    along: FloatArray,
    inverses: FloatArray,
) -> None:
    """Factors of `mass` · M + `kappa` · B: 1 / D (n, n), weights of r^T r (2, n), inverses (4, 4 ⌈n/2⌉, 4 ⌈n/2⌉)."""
    sx, sy = scales[0], scales[1]
    n = a.size
    for k in range(n):
        along[0, k] = sx / sy * (mass * a[k] + kappa * sx * sx)
        along[1, k] = sy / sx * (mass * a[k] + kappa * sy * sy)
    for j in range(n):
        for i in range(n):
            diagonal = along[0, i] * a[j] * a[j] + along[1, j] * a[i] * a[i]
            across[j, i] = 1.0 / (diagonal + 2.0 * kappa * sx * sy * a[i] * a[j])
    ends = (0, even, n)
    for parity in range(4):
        y, x = parity // 2, parity % 2
        of_y, of_x = (ends[y], ends[y + 1]), (ends[x], ends[x + 1])
        size = 2 * (of_y[1] - of_y[0] + of_x[1] - of_x[0])
        inverse = np.empty((size, size))
        capacitance(of_y, of_x, across, along, r[:, of_y[0] : of_y[1]], r[:, of_x[0] : of_x[1]], inverse)
        invert(inverse)
        for j in range(size):
            for i in range(size):
                inverses[parity, j, i] = inverse[j, i]


@compiled
def solve_factored(
    across: FloatArray,
    along: FloatArray,
    r: FloatArray,
    even: int,
    inverses: FloatArray,
    right: FloatArray,
    out: FloatArray,
) -> None:
    """C with (M + κ B) C = right, (n, n); `out` may be `right`."""
    n = right.shape[0]
    ends = (0, even, n)
    for j in range(n):
        for i in range(n):
            out[j, i] = right[j, i] * across[j, i]
    known, wanted = np.empty(2 * n + 4), np.empty(2 * n + 4)
    for parity in range(4):
        y, x = parity // 2, parity % 2
        j0, i0 = ends[y], ends[x]
        nj, ni = ends[y + 1] - j0, ends[x + 1] - i0
        size = 2 * (ni + nj)
        known[:size] = 0.0
        for j in range(nj):
            part = out[j0 + j, i0 : i0 + ni]
            ry0, ry1 = r[0, j0 + j], r[1, j0 + j]
            rx0, rx1 = r[0, i0 : i0 + ni], r[1, i0 : i0 + ni]
            s0, s1 = 0.0, 0.0
            for i in range(ni):
                known[i] += ry0 * part[i]
                known[ni + i] += ry1 * part[i]
                s0 += rx0[i] * part[i]
                s1 += rx1[i] * part[i]
            root = np.sqrt(along[1, j0 + j])
            known[2 * ni + j] = s0 * root
            known[2 * ni + nj + j] = s1 * root
        for i in range(ni):
            root = np.sqrt(along[0, i0 + i])
            known[i] *= root
            known[ni + i] *= root
        # A matrix that is symmetric: combining its rows keeps the loop in memory's order.
        wanted[:size] = 0.0
        for k in range(size):
            row, factor = inverses[parity, k], known[k]
            for m in range(size):
                wanted[m] += factor * row[m]
        for i in range(ni):
            root = np.sqrt(along[0, i0 + i])
            wanted[i] *= root
            wanted[ni + i] *= root
        for j in range(nj):
            root = np.sqrt(along[1, j0 + j])
            t0, t1 = wanted[2 * ni + j] * root, wanted[2 * ni + nj + j] * root
            ry0, ry1 = r[0, j0 + j], r[1, j0 + j]
            part, inverse = out[j0 + j, i0 : i0 + ni], across[j0 + j, i0 : i0 + ni]
            rx0, rx1 = r[0, i0 : i0 + ni], r[1, i0 : i0 + ni]
            for i in range(ni):
                change = ry0 * wanted[i] + ry1 * wanted[ni + i] + t0 * rx0[i] + t1 * rx1[i]
                part[i] -= change * inverse[i]


@compiled
def apply(
    mass: float,
    kappa: float,
    scales: FloatArray,
    a: FloatArray,
    r: FloatArray,
    even: int,
    c: FloatArray,
    out: FloatArray,
) -> None:
    """out = (`mass` · M + `kappa` · B) c of modes, (n, n)."""
    sx, sy = scales[0], scales[1]
    n = a.size
    across = np.zeros((2, 2, n))  # Σ_j r_q(j) c(j, i) for either parity of j
    for j in range(n):
        p = 0 if j < even else 1
        for q in range(2):
            factor, total, row = r[q, j], across[p, q], c[j]
            for i in range(n):
                total[i] += factor * row[i]
    ends = (0, even, n)
    for j in range(n):
        p = 0 if j < even else 1
        beta = sy / sx * (mass * a[j] + kappa * sy * sy)
        for parity in range(2):
            low, high = ends[parity], ends[parity + 1]
            s0, s1 = 0.0, 0.0
            for i in range(low, high):
                s0 += r[0, i] * c[j, i]
                s1 += r[1, i] * c[j, i]
            for i in range(low, high):
                alpha = sx / sy * (mass * a[i] + kappa * sx * sx)
                in_y = a[j] * a[j] * c[j, i] + r[0, j] * across[p, 0, i] + r[1, j] * across[p, 1, i]
                in_x = a[i] * a[i] * c[j, i] + s0 * r[0, i] + s1 * r[1, i]
                out[j, i] = alpha * in_y + beta * in_x + 2.0 * kappa * sx * sy * a[i] * a[j] * c[j, i]


class Stokes:
    """Factors of (mass · M + κ B) for NumPy's side: `solve` and, for its own sake, `apply`."""

    def __init__(self, mass: float, kappa: float, scales: FloatArray, a: FloatArray, r: FloatArray) -> None:
        n = a.size
        size = 4 * ((n + 1) // 2)
        self._system = (mass, kappa, scales, a, r, (n + 1) // 2)
        self.across, self.along = np.empty((n, n)), np.empty((2, n))
        self.inverses = np.zeros((4, size, size))
        factorize(*self._system, self.across, self.along, self.inverses)

    def solve(self, right: FloatArray) -> FloatArray:
        """C with (mass · M + κ B) C = right, (n, n)."""
        out = np.empty_like(self.across)
        solve_factored(self.across, self.along, self._system[4], self._system[5], self.inverses, right, out)
        return out

    def apply(self, c: FloatArray) -> FloatArray:
        """(mass · M + κ B) c, (n, n)."""
        out = np.empty_like(self.across)
        apply(*self._system, c, out)
        return out
