"""Burgers between walls: Legendre–Galerkin in the functions that diffuse on their own, with the walls' values lifted out.

On ξ ∈ [−1, 1] the combinations φ_k = (L_k − L_{k+2}) / √(4k + 6) vanish at the walls, have ∫φ'φ' = δ, and a mass matrix of
two tridiagonal halves (J. Shen, SIAM J. Sci. Comput. 15, 1994, (2.6)–(2.8)). Its eigenvectors give ψ_j with ∫ψψ = δ and
∫ψ'ψ' = λ_j δ. The amplitudes are moments of the whole u, y_j = ∫u ψ_j dξ, so that walls enter by value and never by rate:
y' = −ν λ (y − ∫ℓ ψ) + ∫ (u²/2) ψ', where ℓ is the straight line between the walls' values. Products are integrated exactly. Even and odd ψ
are kept apart: half the work, and mirrored problems have mirrored answers.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial.legendre import legvander
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.special import roots_legendre

from lawbound.solvers.compiled import compiled_with_fused_products

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Numbers of polynomials to choose from.
MODES = (24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)


@dataclass(frozen=True)
class Modes:
    """The n functions ψ_j of [−1, 1], even and odd in turn, by rising λ."""

    n: int

    @cached_property
    def halves(self) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
        """λ, (n/2,), and amplitudes of the φ_k in each ψ_j, (k, j), of the even functions and of the odd ones."""
        return _half(self.n, 0), _half(self.n, 1)

    @cached_property
    def eigenvalues(self) -> FloatArray:
        """λ, (n,)."""
        return _in_turn(self.halves[0][0], self.halves[1][0])

    @cached_property
    def moments(self) -> FloatArray:
        """∫ψ_j of the even functions and ∫ξ ψ_j of the odd ones, (n,); the others vanish."""
        (_, even), (_, odd) = self.halves
        return _in_turn(2.0 / np.sqrt(6.0) * even[0], 2.0 / 3.0 / np.sqrt(10.0) * odd[0])

    def at(self, points: FloatArray) -> FloatArray:
        """ψ_j at points, (n, points)."""
        k = np.arange(self.n)[:, None]
        legendre = legvander(points, self.n + 1).T
        phi = (legendre[:-2] - legendre[2:]) / np.sqrt(4.0 * k + 6.0)
        return _in_turn(self.halves[0][1].T @ phi[::2], self.halves[1][1].T @ phi[1::2])

    def slopes_at(self, points: FloatArray) -> FloatArray:
        """dψ_j/dξ at points, (n, points); φ_k' = −(2k + 3) L_{k+1} / √(4k + 6)."""
        k = np.arange(self.n)[:, None]
        slope = -(2.0 * k + 3.0) / np.sqrt(4.0 * k + 6.0) * legvander(points, self.n).T[1:]
        return _in_turn(self.halves[0][1].T @ slope[::2], self.halves[1][1].T @ slope[1::2])

    def of_lift(self, low: Any, high: Any) -> FloatArray:
        """∫ℓ ψ_j of the line from `low` to `high`, (..., n)."""
        parts = np.stack(np.broadcast_arrays(0.5 * (low + high), 0.5 * (high - low)), axis=-1)
        return np.asarray(np.tile(parts, self.n // 2) * self.moments)


@lru_cache(maxsize=16)
def modes(n: int) -> Modes:
    """The modes, made once."""
    return Modes(n)


def _half(n: int, parity: int) -> tuple[FloatArray, FloatArray]:
    k = np.arange(parity, n, 2, dtype=np.float64)
    diagonal = (2.0 / (2.0 * k + 1.0) + 2.0 / (2.0 * k + 5.0)) / (4.0 * k + 6.0)
    beside = (-2.0 / (2.0 * k + 5.0) / np.sqrt((4.0 * k + 6.0) * (4.0 * k + 14.0)))[:-1]
    mu, vectors = eigh_tridiagonal(diagonal, beside)
    mu, vectors = mu[::-1], vectors[:, ::-1]
    vectors = vectors * np.where(vectors[0] < 0.0, -1.0, 1.0)  # so that the signs are nobody's choice
    return 1.0 / mu, np.asarray(vectors / np.sqrt(mu))


def _in_turn(even: FloatArray, odd: FloatArray) -> FloatArray:
    return np.stack([even, odd], axis=1).reshape(2 * even.shape[0], *even.shape[1:])


class Tables(NamedTuple):
    """Matrices between amplitudes and the left half of the quadrature points, for even (0) and odd (1) functions."""

    points: FloatArray  # (p,), ξ < 0
    weights: FloatArray  # (p,)
    values: FloatArray  # (2, n/2, p)
    fluxes: FloatArray  # (2, p, n/2): weight · dψ/dξ
    last: FloatArray  # (2, n/2, r): size of the last φ_k


@lru_cache(maxsize=16)
def tables(n: int) -> Tables:
    """Quadrature that is exact for u² ψ' of n modes."""
    points, weights = roots_legendre(3 * n // 2 + 2)
    half = points.size // 2
    x, w, basis = points[:half].copy(), weights[:half].copy(), modes(n)
    values, slopes = basis.at(x), basis.slopes_at(x) * w
    rows = max(1, n // 16)
    # ‖φ_k‖ in L2: a function that is small there may have large values in a thin layer at a wall, which diffuses at once.
    sizes = [1.0 / np.sqrt(2.0) / (np.arange(parity, n, 2)[-rows:] + 1.5) for parity in (0, 1)]
    last = [
        (vectors[-rows:] * size[:, None]).T for (_, vectors), size in zip(basis.halves, sizes, strict=True)
    ]
    return Tables(
        x,
        w,
        np.stack([values[::2], values[1::2]]),
        np.ascontiguousarray(np.stack([slopes[::2].T, slopes[1::2].T])),
        np.ascontiguousarray(np.stack(last)),
    )


class WallPlan(NamedTuple):
    """What the rate needs: tables, and for each sample its walls' values as polynomials of time, a piece at a time."""

    tables: Tables
    lanes: int  # 1: matrices serve one sample at a time well
    modes: int  # with the one that gathers the flux
    buffers: int
    width: int
    moments: FloatArray  # (n,)
    decay: FloatArray  # ν λ, (sample, n + 1)
    nu: FloatArray  # in units of the interval, ν / length, (sample,)
    length: float
    edges: FloatArray  # (sample, 2, pieces + 1)
    pieces: FloatArray  # (sample, 2, pieces, degree + 1), Chebyshev coefficients


@compiled_with_fused_products
def _wall_value(edges: Any, pieces: Any, time: Any) -> Any:
    low, high = 0, pieces.shape[0]
    while high - low > 1:
        middle = (low + high) // 2
        if edges[middle] < time:
            low = middle
        else:
            high = middle
    c = pieces[low]
    s = (2.0 * time - edges[low] - edges[low + 1]) / (edges[low + 1] - edges[low])
    above, here = 0.0, 0.0
    for k in range(c.size - 1, 0, -1):
        above, here = here, 2.0 * s * here - above + c[k]
    return s * here - above + c[0]


@compiled_with_fused_products
def _add_rows(rows: Any, amounts: Any, first: Any, stride: Any, out: Any) -> None:
    """out += Σ_j amounts[first + stride · j] rows[j], four rows at a time."""
    count, j = rows.shape[0], 0
    while j + 4 <= count:
        i = first + stride * j
        a, b, c, d = amounts[i], amounts[i + stride], amounts[i + 2 * stride], amounts[i + 3 * stride]
        p, q, r, s = rows[j], rows[j + 1], rows[j + 2], rows[j + 3]
        for k in range(out.size):
            out[k] += (a * p[k] + b * q[k]) + (c * r[k] + d * s[k])
        j += 4
    while j < count:
        a, p = amounts[first + stride * j], rows[j]
        for k in range(out.size):
            out[k] += a * p[k]
        j += 1


def rate_between_walls(plan: Any, sample: Any, time: Any, state: Any, out: Any, peak: Any, work: Any) -> None:
    """∫(u²/2)ψ' + νλ∫ℓψ, and in place 0 the mean flux ∫(u²/2 − ν u_x) dx / length."""
    count, t = plan.modes - 1, plan.tables
    low = _wall_value(plan.edges[sample, 0], plan.pieces[sample, 0], time[0])
    high = _wall_value(plan.edges[sample, 1], plan.pieces[sample, 1], time[0])
    half = t.points.size
    inner, even, odd = work[0, : count + 1], work[1, :half], work[2, :half]
    middle, tilt = 0.5 * (low + high), 0.5 * (high - low)
    y, n, decay = state[0], out[0], plan.decay[sample]
    for j in range(count):
        inner[j + 1] = y[j + 1] - plan.moments[j] * (middle if j % 2 == 0 else tilt)
        n[j + 1] = decay[j + 1] * plan.moments[j] * (middle if j % 2 == 0 else tilt)
    for k in range(half):
        even[k] = middle
        odd[k] = tilt * t.points[k]
    _add_rows(t.values[0], inner, 1, 2, even)
    _add_rows(t.values[1], inner, 2, 2, odd)
    mean, most = 0.0, 0.0
    for k in range(half):
        most = max(most, abs(even[k]) + abs(odd[k]))
        both, product = even[k] * even[k] + odd[k] * odd[k], 2.0 * even[k] * odd[k]
        mean += t.weights[k] * both
        even[k], odd[k] = both, product
    peak[:] = most * most
    n[0] = 0.5 * mean - plan.nu[sample] * (high - low)
    # The slope of an even function is odd, and sees the odd part of u²/2.
    for parity in range(2):
        moved = work[3, : count // 2]
        moved[:] = 0.0
        _add_rows(t.fluxes[parity], odd if parity == 0 else even, 0, 1, moved)
        for j in range(count // 2):
            n[1 + 2 * j + parity] += 2.0 / plan.length * moved[j]


def tails_between_walls(plan: Any, state: Any, last: Any, spare: Any, work: Any) -> None:
    """Size of the last eighth of the φ_k of the state whose rate was the last to be evaluated."""
    t = plan.tables
    spare[0], last[0] = np.inf, 0.0
    for parity in range(2):
        ends = work[3, : t.last.shape[2]]
        ends[:] = 0.0
        _add_rows(t.last[parity], work[0, : plan.modes], 1 + parity, 2, ends)
        for k in range(ends.size):
            last[0] = max(last[0], abs(ends[k]))
