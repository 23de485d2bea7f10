"""Weights of exponential multistep methods for y' = −λ y + N(t): exact for N a polynomial through its last values.

y(t + θh) = e^{−θλh} y(t) + h ∫₀^θ e^{−(θ−s)λh} p(s) ds, with p through N at steps of any lengths. A. Nørsett, 1969; M. Hochbruck,
A. Ostermann, Exponential multistep methods of Adams-type, BIT 51, 2011, (2.7); unlike in Runge–Kutta methods of this kind no
order is lost where N does not vanish at walls. The integrals are those of monomials, j! φ_{j+1}(z) (M. Hochbruck, A. Ostermann,
Exponential integrators, Acta Numerica 19, 2010, (2.10)).
"""

from typing import Any

import numpy as np

from lawbound.solvers.compiled import compiled

#: The most values of N that a polynomial goes through, and the tables that `weigh` fills: one for each, and three more.
MOST_VALUES = 6
TABLES = MOST_VALUES + 3
# Where those three stand: e^{−λh}, the corrector's share of N − its extrapolation, the same for the error estimate.
DECAY, CORRECTION, ESTIMATE = MOST_VALUES, MOST_VALUES + 1, MOST_VALUES + 2

_TERMS = 18
_INVERSE_FACTORIALS = np.cumprod(np.concatenate([[1.0], 1.0 / np.arange(1.0, MOST_VALUES + _TERMS + 4)]))
_FACTORIALS = np.cumprod(np.concatenate([[1.0], np.arange(1.0, MOST_VALUES + 4)]))


@compiled
def fill_phi(z: Any, count: Any, phi: Any) -> None:
    """phi[j] = φ_j(z) for j ≤ count and z ≤ 0, z (n,) falling: φ_0 = e^z, φ_{j+1} = (φ_j − 1/j!) / z, without cancellation.

    Where −z < 1 the last is summed and the others follow downwards; elsewhere the recursion upwards loses nothing.
    """
    small = 0
    while small < z.size and z[small] > -1.0:
        small += 1
    for i in range(small, z.size):
        phi[0, i] = np.exp(z[i])
    for j in range(count):
        up, at, into = phi[j, small:], z[small:], phi[j + 1, small:]
        for i in range(up.size):
            into[i] = (up[i] - _INVERSE_FACTORIALS[j]) / at[i]
    last, at = phi[count, :small], z[:small]
    last[:] = 0.0
    for term in range(_TERMS, -1, -1):
        for i in range(last.size):
            last[i] = last[i] * at[i] + _INVERSE_FACTORIALS[count + term]
    for j in range(count - 1, -1, -1):
        down, into = phi[j + 1, :small], phi[j, :small]
        for i in range(down.size):
            into[i] = at[i] * down[i] + _INVERSE_FACTORIALS[j]


@compiled
def _polynomial(roots: Any, but: Any, scale: Any, out: Any) -> None:
    """out = coefficients of scale · Π (s − roots[i]), i ≠ but, rising powers; the i-th times i!, the rest 0."""
    out[:] = 0.0
    out[0], degree = scale, 0
    for i in range(roots.size):
        if i != but:
            degree += 1
            for k in range(degree, 0, -1):
                out[k] = out[k - 1] - roots[i] * out[k]
            out[0] = -roots[i] * out[0]
    for k in range(degree + 1):
        out[k] *= _FACTORIALS[k]


@compiled
def lagrange(nodes: Any, at: Any, out: Any) -> None:
    """out[j] = the j-th Lagrange polynomial of the nodes at a point."""
    for j in range(nodes.size):
        share = 1.0
        for i in range(nodes.size):
            if i != j:
                share *= (at - nodes[i]) / (nodes[j] - nodes[i])
        out[j] = share


@compiled
def _combine(polynomial: Any, terms: Any, h: Any, phi: Any, out: Any) -> None:
    """out = h Σ_i polynomial[i] φ_{i+1}: the integral of a polynomial whose coefficients carry factorials."""
    out[:] = 0.0
    for i in range(terms):
        share, of = h * polynomial[i], phi[i + 1]
        for k in range(out.size):
            out[k] += share * of[k]


@compiled
def weigh_values(nodes: Any, h: Any, phi: Any, tables: Any) -> None:
    """tables[j] = h ∫₀¹ e^{(1−s)z} ℓ_j(s) ds for the Lagrange polynomials ℓ_j of the nodes, (nodes, n)."""
    polynomial = np.empty(MOST_VALUES + 2)
    for j in range(nodes.size):
        scale = 1.0
        for i in range(nodes.size):
            if i != j:
                scale /= nodes[j] - nodes[i]
        _polynomial(nodes, j, scale, polynomial)
        _combine(polynomial, nodes.size, h, phi, tables[j])


@compiled
def weigh(nodes: Any, h: Any, phi: Any, tables: Any) -> None:
    """Weights of a step h from s = 0 to 1 with N known at `nodes` ≤ 0, the latest first: tables (TABLES, n).

    Prediction: e^z y + Σ_j tables[j] N_j. With D = N(prediction) − its extrapolation, the corrector adds
    tables[CORRECTION] · D, which makes it exact for one degree more; it differs by tables[ESTIMATE] · D from the one
    that forgets the oldest value.
    """
    count = nodes.size
    polynomial = np.empty(MOST_VALUES + 2)
    tables[:MOST_VALUES] = 0.0
    weigh_values(nodes, h, phi, tables)
    scale = 1.0
    for i in range(count):
        scale /= 1.0 - nodes[i]
    _polynomial(nodes, -1, scale, polynomial)
    _combine(polynomial, count + 1, h, phi, tables[CORRECTION])
    ended = nodes.copy()
    ended[count - 1] = 1.0
    _polynomial(ended, -1, scale, polynomial)
    _combine(polynomial, count + 1, h, phi, tables[ESTIMATE])
    tables[DECAY] = phi[0]
