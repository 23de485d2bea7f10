"""From cell averages to the two values at the edges of each cell: pointwise formulas, and the loops over a row of cells.

None            both edges hold the average: first order
MUSCL           average ± σ/2, with a slope σ limited by the differences a to the left and b to the right neighbour:
                minmod     the smaller of a and b where they agree in sign, else 0 (Roe, 1986)
                van Leer   2 a b / (a + b), the harmonic mean, where they agree in sign (van Leer, 1974)
                superbee   the larger of minmod(2a, b) and minmod(a, 2b) (Roe, 1986)
WENO5-Z         three parabolas through five averages, weighted so that none crosses a jump: Borges, Carmona, Costa,
                Don, J. Comput. Phys. 227, 2008, pp. 3191-3211, with exponent q = 2, which keeps fifth order where u_x = 0

Every slope obeys |σ| ≤ 2 min(|a|, |b|), so that edge values lie between the averages of neighbours: with a step that
`fluxes.py` derives from that, no average ever leaves the range of the data. WENO5-Z is of high order and makes no
such promise: where two jumps are a few cells apart it overshoots by some per cent.
"""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled import compiled, compiled_with_fused_products

FloatArray = NDArray[np.float64]

NONE, MINMOD, VAN_LEER, SUPERBEE, WENO5_Z = 0, 1, 2, 3, 4

#: Names by which a user asks for a reconstruction.
RECONSTRUCTIONS = {
    "none": NONE,
    "minmod": MINMOD,
    "van-leer": VAN_LEER,
    "superbee": SUPERBEE,
    "weno5-z": WENO5_Z,
}

#: Averages that must be known beyond each end of a row whose edge values are wanted.
GHOSTS = 2

# Borges et al. (2008) take 1e-40, so small that it only guards the division, and the formula stays free of units.
_TINY = 1e-40


@compiled
def minmod(a: float, b: float) -> float:
    """The smaller in size of two numbers that agree in sign, else 0."""
    # Without a branch: one of the two terms is 0.
    return max(min(a, b), 0.0) + min(max(a, b), 0.0)


@compiled
def van_leer(a: float, b: float) -> float:
    """2 a b / (a + b) for numbers that agree in sign, else 0."""
    product = a * b
    slope = 2.0 * product / (a + b)
    return slope if product > 0.0 else 0.0


@compiled
def superbee(a: float, b: float) -> float:
    """The larger in size of minmod(2a, b) and minmod(a, 2b)."""
    one, other = minmod(2.0 * a, b), minmod(a, 2.0 * b)
    return max(max(one, other), 0.0) + min(min(one, other), 0.0)


@compiled
def _fill_none(u: FloatArray, low: FloatArray, high: FloatArray) -> None:
    for i in range(low.size):
        low[i] = u[i + 2]
        high[i] = u[i + 2]


@compiled
def _fill_minmod(u: FloatArray, low: FloatArray, high: FloatArray) -> None:
    for i in range(low.size):
        half = 0.5 * minmod(u[i + 2] - u[i + 1], u[i + 3] - u[i + 2])
        low[i] = u[i + 2] - half
        high[i] = u[i + 2] + half


@compiled
def _fill_van_leer(u: FloatArray, low: FloatArray, high: FloatArray) -> None:
    for i in range(low.size):
        half = 0.5 * van_leer(u[i + 2] - u[i + 1], u[i + 3] - u[i + 2])
        low[i] = u[i + 2] - half
        high[i] = u[i + 2] + half


@compiled
def _fill_superbee(u: FloatArray, low: FloatArray, high: FloatArray) -> None:
    for i in range(low.size):
        half = 0.5 * superbee(u[i + 2] - u[i + 1], u[i + 3] - u[i + 2])
        low[i] = u[i + 2] - half
        high[i] = u[i + 2] + half


@compiled_with_fused_products
def _fill_weno5_z(u: FloatArray, low: FloatArray, high: FloatArray) -> None:
    """Both edges share smoothness indicators and their reciprocals: two divisions a cell.

    In differences d of neighbours the parabolas need no large numbers, and a constant stays constant bit for bit.
    """
    for i in range(low.size):
        d1 = u[i + 1] - u[i]
        d2 = u[i + 2] - u[i + 1]
        d3 = u[i + 3] - u[i + 2]
        d4 = u[i + 4] - u[i + 3]
        # Jiang and Shu's indicators β₀, β₁, β₂ (left, middle, right parabola), each plus ε.
        bend, lean = d2 - d1, 3.0 * d2 - d1
        b0 = (13.0 / 12.0) * bend * bend + 0.25 * lean * lean
        bend, lean = d3 - d2, d3 + d2
        b1 = (13.0 / 12.0) * bend * bend + 0.25 * lean * lean + _TINY
        bend, lean = d4 - d3, d4 - 3.0 * d3
        b2 = (13.0 / 12.0) * bend * bend + 0.25 * lean * lean
        tau = abs(b0 - b2)
        b0 += _TINY
        b2 += _TINY
        shared = tau / (b0 * b1 * b2)
        r0, r1, r2 = shared * (b1 * b2), shared * (b0 * b2), shared * (b0 * b1)
        c0, c1, c2 = 1.0 + r0 * r0, 6.0 * (1.0 + r1 * r1), 1.0 + r2 * r2
        # The ideal weights are 1 : 6 : 3 towards the right edge and 3 : 6 : 1 towards the left one.
        to_high, to_low = c0 + c1 + 3.0 * c2, 3.0 * c0 + c1 + c2
        both = (1.0 / 6.0) / (to_high * to_low)
        up = c0 * (5.0 * d2 - 2.0 * d1) + c1 * (d2 + 2.0 * d3) + 3.0 * c2 * (4.0 * d3 - d4)
        down = 3.0 * c0 * (4.0 * d2 - d1) + c1 * (d3 + 2.0 * d2) + c2 * (5.0 * d3 - 2.0 * d4)
        high[i] = u[i + 2] + up * (both * to_low)
        low[i] = u[i + 2] - down * (both * to_high)


@compiled
def reconstruct(kind: int, u: FloatArray, low: FloatArray, high: FloatArray) -> None:
    """Values at the low and the high edge of cells, (n,), from their averages and those of two more at each end, (n + 4,)."""
    # One loop a kind: a choice inside the loop would keep it from using vector instructions.
    if kind == NONE:
        _fill_none(u, low, high)
    elif kind == MINMOD:
        _fill_minmod(u, low, high)
    elif kind == VAN_LEER:
        _fill_van_leer(u, low, high)
    elif kind == SUPERBEE:
        _fill_superbee(u, low, high)
    else:
        _fill_weno5_z(u, low, high)
