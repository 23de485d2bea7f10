"""Explicit conservative time stepping over cells, with a ledger of wall fluxes and source: compiled."""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Coefficient
from lawbound.solvers.compiled import compiled
from lawbound.solvers.face_mean import ARITHMETIC, HARMONIC, INTEGRAL, fill_face_fluxes, wall_face_flux
from lawbound.solvers.ledger import Ledger, enter, ledger_of_sample, produce
from lawbound.solvers.potential import fill_potential_of_sum, of_sample, potential
from lawbound.solvers.wall_flux import DIRICHLET, NEUMANN, PERIODIC, entering

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: The stretch of cells at work is looked up once in so many steps; information moves one cell a step.
BLOCK = 16


@compiled
def _raise(more: FloatArray, left: FloatArray, phi: FloatArray, right: FloatArray, ratio: float) -> None:
    """more[i] += ratio · (Φ_{i−1} − 2 Φ_i + Φ_{i+1}) for a row of inner cells."""
    # phi[i] - right[i] is computed twice with the same bits: what leaves one cell enters the next.
    for i in range(more.size):
        more[i] += ratio * ((left[i] - phi[i]) - (phi[i] - right[i]))


@compiled
def _raise_between(more: FloatArray, enters: FloatArray, leaves: FloatArray, ratio: float) -> None:
    """more[i] += ratio · (enters − leaves) for a row of cells."""
    for i in range(more.size):
        more[i] += ratio * (enters[i] - leaves[i])


@compiled
def _raise_by_source(more: FloatArray, source: FloatArray, dt: float) -> float:
    total = 0.0
    for i in range(more.size):
        more[i] += dt * source[i]
        total += source[i]
    return dt * total


@compiled
def _settle(state: FloatArray, more: FloatArray) -> None:
    """state += more, keeping in `more` what rounding left out (Kahan).

    Increments shrink like h², and rounding them into the state is a bias, not noise: after 10⁶ steps it would
    show in the ledger. They are summed apart, where they are large, and settled once in a while.
    """
    for i in range(state.size):
        old = state[i]
        new = old + more[i]
        more[i] = more[i] - (new - old)
        state[i] = new


@compiled
def _at_work(phi: FloatArray, wall_lo: bool, wall_hi: bool) -> tuple[int, int]:
    """The stretch of cells whose Φ differs from a neighbour's or that border on a wall at work."""
    n = phi.size
    first, last = 0, n
    if not wall_lo:
        while first < n - 1 and phi[first] == phi[first + 1]:
            first += 1
    if not wall_hi:
        while last > first and phi[last - 1] == phi[last - 2] and last > 1:
            last -= 1
    return first, last


@compiled
def _any_enters(
    coefficient: Coefficient, kind: int, transfer: float, values: FloatArray, u: float, phi: float
) -> bool:
    """Whether a wall lets anything in during the steps to come, or could once its neighbour has changed."""
    for i in range(values.size):
        if i == 0 or values[i] != values[i - 1]:
            if kind == NEUMANN:
                if values[i] != 0.0:
                    return True
            elif entering(coefficient, kind, transfer, values[i], u, phi, 1.0) != 0.0:
                return True
    return False


@compiled
def _outside(state: FloatArray, low: float, high: float) -> bool:
    count = 0
    for i in range(state.size):
        count += 0 if low <= state[i] <= high else 1
    return count > 0


@compiled
def _march(
    coefficient: Coefficient,
    mean: int,
    kinds: IntArray,  # (2,)
    transfers: FloatArray,  # (2,)
    lower: FloatArray,  # (steps,) wall values at the start of each step
    upper: FloatArray,
    source: FloatArray,  # (0, nx) none, (1, nx) steady, (steps, nx) at the start of each step
    guard: FloatArray,  # (2,) the range that the length of the steps allows for
    steps: int,
    dt: float,
    width: float,
    state: FloatArray,  # (nx,), changed in place, as all that follows
    more: FloatArray,  # (nx,) what is not yet settled into state
    ledger: Ledger,
) -> bool:
    """Forward Euler, first order in time, which for Δt ~ h² is second order in h; False where `guard` was left.

    The flux is the difference of Φ = ∫k du, that is k averaged over [left, right]: a harmonic mean locks
    where k = 0, an arithmetic one is far less exact at a front. The other means are there for comparison.
    """
    n = state.size
    phi, faces, at_walls = np.empty(n), np.empty(n + 1), np.empty(2)
    ratio = dt / (width * width)
    scale = dt / width
    periodic = kinds[0] == PERIODIC
    first, last = 0, n
    fill_potential_of_sum(coefficient, state, more, phi)
    for step in range(steps):
        if step % BLOCK == 0:
            _settle(state[first:last], more[first:last])
            if _outside(state[first:last], guard[0], guard[1]):
                return False
            block = slice(step, min(step + BLOCK, steps))
            wall_lo = _any_enters(coefficient, kinds[0], transfers[0], lower[block], state[0], phi[0])
            wall_hi = _any_enters(coefficient, kinds[1], transfers[1], upper[block], state[n - 1], phi[n - 1])
            first, last = _at_work(phi, wall_lo, wall_hi)
            first, last = max(first - BLOCK, 0), min(last + BLOCK, n)
            # Two cells with one Φ may differ in u, and these means then see a flux.
            if mean in (ARITHMETIC, HARMONIC):
                first, last = 0, n
            if source.shape[0] > 0 or (periodic and (first == 0 or last == n or phi[0] != phi[n - 1])):
                first, last = 0, n
        u_lo, u_hi = state[0] + more[0], state[n - 1] + more[n - 1]
        if periodic:
            enters_lo = phi[n - 1] - phi[0]
            enters_hi = -enters_lo
        elif mean == INTEGRAL:
            enters_lo = entering(coefficient, kinds[0], transfers[0], lower[step], u_lo, phi[0], width)
            enters_hi = entering(coefficient, kinds[1], transfers[1], upper[step], u_hi, phi[n - 1], width)
        else:
            enters_lo = wall_face_flux(
                coefficient, mean, kinds[0], transfers[0], lower[step], u_lo, phi[0], phi[1], width
            )
            enters_hi = wall_face_flux(
                coefficient, mean, kinds[1], transfers[1], upper[step], u_hi, phi[n - 1], phi[n - 2], width
            )
        if mean == INTEGRAL:
            begin, end = max(first, 1), min(last, n - 1)
            if first == 0:
                more[0] += ratio * (enters_lo - (phi[0] - phi[1]))
            if last == n:
                more[n - 1] += ratio * ((phi[n - 2] - phi[n - 1]) + enters_hi)
            if end > begin:
                _raise(
                    more[begin:end], phi[begin - 1 : end - 1], phi[begin:end], phi[begin + 1 : end + 1], ratio
                )
        else:
            at_walls[0] = potential(coefficient, lower[step]) if kinds[0] == DIRICHLET else 0.0
            at_walls[1] = potential(coefficient, upper[step]) if kinds[1] == DIRICHLET else 0.0
            _settle(state, more)
            fill_face_fluxes(coefficient, mean, at_walls, first, last, state, phi, faces)
            faces[0], faces[n] = enters_lo, -enters_hi
            _raise_between(more[first:last], faces[first:last], faces[first + 1 : last + 1], ratio)
        if source.shape[0] > 0:
            row = source[min(step, source.shape[0] - 1)]
            produce(ledger, width * _raise_by_source(more, row, dt))
        fill_potential_of_sum(coefficient, state[first:last], more[first:last], phi[first:last])
        enter(ledger, 0, scale * enters_lo, scale * abs(enters_lo))
        enter(ledger, 1, scale * enters_hi, scale * abs(enters_hi))
    _settle(state, more)
    return not _outside(state, guard[0], guard[1])


@compiled
def march(
    first: int,
    last: int,
    coefficient: Coefficient,  # arrays over samples
    mean: int,
    kinds: IntArray,  # (sample, 2)
    transfers: FloatArray,  # (sample, 2)
    lower: FloatArray,  # (sample, most steps)
    upper: FloatArray,
    source: FloatArray,  # (sample, 0 or 1 or most steps, nx)
    guard: FloatArray,  # (sample, 2)
    steps: IntArray,  # (sample,)
    dt: FloatArray,  # (sample,)
    width: float,
    state: FloatArray,  # (sample, nx), changed in place, as all that follows
    more: FloatArray,  # (sample, nx)
    ledger: Ledger,
    kept: NDArray[np.bool_],  # (sample,) whether the guard held
) -> None:
    """Advance samples first … last − 1, each by its own number of equal steps of its own length."""
    for i in range(first, last):
        kept[i] = _march(
            of_sample(coefficient, i), mean, kinds[i], transfers[i], lower[i], upper[i], source[i], guard[i], steps[i],
            dt[i], width, state[i], more[i], ledger_of_sample(ledger, i),
        )  # fmt: skip
