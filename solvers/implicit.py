"""One implicit stage on a row of cells: u + c · (−Δ Φ(u)) = b by Newton's method, and the flux blend that keeps bounds.

With e = c k(u) and w = e δ the linear system of a Newton step is δ_i + 2 w_i − w_{i−1} − w_{i+1} = −r_i. Its matrix is a
column-diagonally dominant M-matrix for every k ≥ 0, so elimination needs no pivots and does not amplify
rounding. It runs from both ends to the middle: two short chains instead of one long one, and a mirrored
problem has the mirrored answer. δ comes from the row itself, so what leaves a cell enters the next.
"""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Coefficient
from lawbound.solvers.compiled import compiled
from lawbound.solvers.potential import fill_both
from lawbound.solvers.wall_flux import PERIODIC, entering, resistance

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MOST_ITERATIONS = 40


@compiled
def _eliminate(e: FloatArray, r: FloatArray, first: float, last: float, s: FloatArray, w: FloatArray) -> None:
    """w = e δ for the rows of a tridiagonal Newton system whose end rows have diagonals `first` and `last`.

    s is work space. A row with e = 0 passes nothing on.
    """
    n = e.size
    middle = n // 2
    # w holds the reduced right-hand sides until they are replaced by the solution.
    s_lo, g_lo = 0.0, 0.0
    if middle > 0:
        s_lo = e[0] / first
        g_lo = -r[0]
        s[0], w[0] = s_lo, g_lo
    s_hi, g_hi = 0.0, 0.0
    if middle < n - 1:
        s_hi = e[n - 1] / last
        g_hi = -r[n - 1]
        s[n - 1], w[n - 1] = s_hi, g_hi
    both = min(middle - 1, n - 2 - middle)
    # Two rows at a time: s_{j+1} = e' (D − e s) / (D' (D − e s) − e' e), so the chain waits for one division, not two.
    # The bracket is at least 1 + e + 2 e' + e e', so nothing cancels.
    j = 1
    while j < both:
        k = n - 1 - j
        e1, e2, f1, f2 = e[j], e[j + 1], e[k], e[k - 1]
        d1, d2 = 1.0 + 2.0 * e1, 1.0 + 2.0 * e2
        h1, h2 = 1.0 + 2.0 * f1, 1.0 + 2.0 * f2
        pivot_lo, pivot_hi = d1 - e1 * s_lo, h1 - f1 * s_hi
        g_lo = s_lo * g_lo - r[j]
        g_hi = s_hi * g_hi - r[k]
        next_lo = (e2 * d1 - (e2 * e1) * s_lo) / ((d2 * d1 - e2 * e1) - (d2 * e1) * s_lo)
        next_hi = (f2 * h1 - (f2 * f1) * s_hi) / ((h2 * h1 - f2 * f1) - (h2 * f1) * s_hi)
        s_lo, s_hi = e1 / pivot_lo, f1 / pivot_hi
        s[j], w[j] = s_lo, g_lo
        s[k], w[k] = s_hi, g_hi
        g_lo = s_lo * g_lo - r[j + 1]
        g_hi = s_hi * g_hi - r[k - 1]
        s_lo, s_hi = next_lo, next_hi
        s[j + 1], w[j + 1] = s_lo, g_lo
        s[k - 1], w[k - 1] = s_hi, g_hi
        j += 2
    for i in range(j, both + 1):
        k = n - 1 - i
        g_lo = s_lo * g_lo - r[i]
        g_hi = s_hi * g_hi - r[k]
        s_lo = e[i] / (1.0 + e[i] * (2.0 - s_lo))
        s_hi = e[k] / (1.0 + e[k] * (2.0 - s_hi))
        s[i], w[i] = s_lo, g_lo
        s[k], w[k] = s_hi, g_hi
    # For even n the lower half is longer by one.
    for j in range(both + 1, middle):
        g_lo = s_lo * g_lo - r[j]
        s_lo = e[j] / (1.0 + e[j] * (2.0 - s_lo))
        s[j], w[j] = s_lo, g_lo
    diagonal = 1.0 + 2.0 * e[middle]
    if middle == 0:
        diagonal = first
    elif middle == n - 1:
        diagonal = last
    g = (s_lo * g_lo + s_hi * g_hi) - r[middle]
    w[middle] = e[middle] * (g / (diagonal - e[middle] * (s_lo + s_hi)))
    lower = w[middle]
    upper = lower
    for j in range(1, min(middle, n - 1 - middle) + 1):
        lower = s[middle - j] * (w[middle - j] + lower)
        upper = s[middle + j] * (w[middle + j] + upper)
        w[middle - j] = lower
        w[middle + j] = upper
    for j in range(n - 1 - middle + 1, middle + 1):
        lower = s[middle - j] * (w[middle - j] + lower)
        w[middle - j] = lower


@compiled
def _corrections(r: FloatArray, w: FloatArray, tolerance: float, delta: FloatArray) -> int:
    """δ_i = −r_i + (w_{i−1} − w_i) − (w_i − w_{i+1}) in all rows but the end ones; how many exceed the tolerance."""
    left, mid, right, row, out = w[:-2], w[1:-1], w[2:], r[1:-1], delta[1:-1]
    count = 0
    for i in range(row.size):
        change = ((left[i] - mid[i]) - (mid[i] - right[i])) - row[i]
        out[i] = change
        count += 0 if abs(change) <= tolerance else 1
    return count


@compiled
def _residuals(u: FloatArray, b: FloatArray, phi: FloatArray, c: float, e: FloatArray, r: FloatArray) -> None:
    """r = u + c (2Φ_i − Φ_{i−1} − Φ_{i+1}) − b in all rows but the end ones, and e, until now k, times c in all."""
    left, mid, right = phi[:-2], phi[1:-1], phi[2:]
    state, target, k, out = u[1:-1], b[1:-1], e[1:-1], r[1:-1]
    for i in range(out.size):
        out[i] = (state[i] - target[i]) + c * ((mid[i] - left[i]) - (right[i] - mid[i]))
        k[i] = c * k[i]
    e[0], e[e.size - 1] = c * e[0], c * e[e.size - 1]


@compiled
def _count_large(delta: FloatArray, tolerance: float) -> int:
    count = 0
    for i in range(delta.size):
        count += 0 if abs(delta[i]) <= tolerance else 1
    return count


@compiled
def _moved(u: FloatArray, delta: FloatArray) -> None:
    for i in range(u.size):
        u[i] += delta[i]


@compiled
def _moved_within(u: FloatArray, delta: FloatArray, low: float, high: float) -> None:
    for i in range(u.size):
        u[i] = min(max(u[i] + delta[i], low), high)


@compiled
def _between_walls(
    e: FloatArray,
    r: FloatArray,
    first: float,
    last: float,
    tolerance: float,
    s: FloatArray,
    w: FloatArray,
    delta: FloatArray,
) -> int:
    """δ of a system whose end rows have diagonals `first` and `last`; how many exceed the tolerance."""
    n = e.size
    # Where nothing conducts and nothing is out of balance, a stretch of rows at an end answers nothing.
    stop = n
    while stop > 3 and e[stop - 1] == 0.0 and r[stop - 1] == 0.0 and last == 1.0:
        stop -= 1
    start = 0
    while start < stop - 3 and e[start] == 0.0 and r[start] == 0.0 and first == 1.0:
        start += 1
    inner_first = first if start == 0 else 1.0 + 2.0 * e[start]
    inner_last = last if stop == n else 1.0 + 2.0 * e[stop - 1]
    w[:start] = 0.0
    w[stop:] = 0.0
    _eliminate(e[start:stop], r[start:stop], inner_first, inner_last, s[start:stop], w[start:stop])
    large = _corrections(r, w, tolerance, delta)
    delta[0] = (w[1] - r[0]) / first
    delta[n - 1] = (w[n - 2] - r[n - 1]) / last
    return large + _count_large(delta[:1], tolerance) + _count_large(delta[n - 1 :], tolerance)


@compiled
def _around_a_period(
    e: FloatArray, r: FloatArray, tolerance: float, s: FloatArray, w: FloatArray, delta: FloatArray
) -> int:
    """δ where the two ends are neighbours: a tridiagonal system plus a matrix of rank one (Sherman-Morrison)."""
    n = e.size
    corner = 1.0 + 2.0 * e[0]
    first, last = 2.0 * corner, (1.0 + 2.0 * e[n - 1]) + e[0] * e[n - 1] / corner
    # A = T + p qᵀ, p = (−corner, …, −e₀), q = (1, …, e_{n−1} / corner).
    other, answer = np.zeros(n), np.empty(n)
    other[0], other[n - 1] = corner, e[0]
    for right, found in ((r, delta), (other, answer)):
        _eliminate(e, right, first, last, s, w)
        _corrections(right, w, tolerance, found)
        found[0] = (w[1] - right[0]) / first
        found[n - 1] = (w[n - 2] - right[n - 1]) / last
    share = e[n - 1] / corner
    factor = (delta[0] + share * delta[n - 1]) / (1.0 + (answer[0] + share * answer[n - 1]))
    for i in range(n):
        delta[i] -= factor * answer[i]
    return _count_large(delta, tolerance)


@compiled
def _wall_row(
    coefficient: Coefficient,
    kind: int,
    transfer: float,
    value: float,
    width: float,
    c: float,
    u: FloatArray,  # (2,) the cell at the wall and its neighbour, as all that follows
    b: FloatArray,
    phi: FloatArray,
    k: FloatArray,
) -> tuple[float, float, float]:
    """What enters through a wall, what that loses as u of the cell rises, and the residual of the cell."""
    enters = entering(coefficient, kind, transfer, value, u[0], phi[0], width)
    yields = resistance(coefficient, kind, transfer, value, u[0], phi[0], k[0], width)
    return enters, yields, (u[0] - b[0]) + c * ((phi[0] - phi[1]) - enters)


@compiled
def solve_stage(
    coefficient: Coefficient,
    kinds: IntArray,  # (2,) of wall_flux's codes
    transfers: FloatArray,  # (2,)
    values: FloatArray,  # (2,) wall values at the time of the stage
    width: float,
    c: float,  # γ Δt / h²
    b: FloatArray,  # (n,)
    low: float,  # iterates are kept in [low, high], where the solution is known to be
    high: float,
    tolerance: float,
    u: FloatArray,  # (n,) guess, replaced by the solution
    fluxes: FloatArray,  # (2,) out: what enters through each wall, times width
    work: FloatArray,  # (6, n)
) -> int:
    """Solve u_i + c (2Φ_i − Φ_{i−1} − Φ_{i+1}) = b_i with the walls' fluxes at the ends; n ≥ 3.

    Returns the number of Newton steps, or −1 if they do not settle. The last step is a full Newton step, and
    `fluxes` are linearised with it: Σu = Σb + c Σ fluxes up to rounding, whatever the tolerance.
    """
    n = u.size
    phi, e, r, s, w, delta = work[0], work[1], work[2], work[3], work[4], work[5]
    for iteration in range(_MOST_ITERATIONS):
        fill_both(coefficient, u, phi, e)
        if kinds[0] == PERIODIC:
            seam = phi[n - 1] - phi[0]
            r[0] = (u[0] - b[0]) + c * ((phi[0] - phi[1]) - seam)
            r[n - 1] = (u[n - 1] - b[n - 1]) + c * ((phi[n - 1] - phi[n - 2]) + seam)
            _residuals(u, b, phi, c, e, r)
            large = _around_a_period(e, r, tolerance, s, w, delta)
            seam += (e[n - 1] * delta[n - 1] - e[0] * delta[0]) / c
            fluxes[0], fluxes[1] = seam, -seam
        else:
            fluxes[0], yields_lo, r[0] = _wall_row(
                coefficient, kinds[0], transfers[0], values[0], width, c, u, b, phi, e
            )
            fluxes[1], yields_hi, r[n - 1] = _wall_row(
                coefficient, kinds[1], transfers[1], values[1], width, c, u[::-1], b[::-1], phi[::-1], e[::-1]
            )
            _residuals(u, b, phi, c, e, r)
            first, last = 1.0 + e[0] + c * yields_lo, 1.0 + e[n - 1] + c * yields_hi
            large = _between_walls(e, r, first, last, tolerance, s, w, delta)
            fluxes[0] -= yields_lo * delta[0]
            fluxes[1] -= yields_hi * delta[n - 1]
        if large == 0:
            _moved(u, delta)
            return iteration + 1
        _moved_within(u, delta, low, high)
    return -1
