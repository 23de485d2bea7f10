"""Steps of the strong-stability-preserving Runge–Kutta method of third order over a row of cells: compiled."""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled import compiled
from lawbound.solvers.conservation_law import ConservationLaw
from lawbound.solvers.fluxes import fill_fluxes, godunov, law_of_sample, speed
from lawbound.solvers.ledger import Ledger, enter, ledger_of_sample, produce
from lawbound.solvers.reconstruction import GHOSTS, reconstruct

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DIRICHLET, NEUMANN, OUTFLOW, PERIODIC = 0, 1, 2, 3

#: Averages kept beyond each wall: an edge value at the wall comes from a cell outside and two more beyond it.
OUTSIDE = 3

_STAGES = 3

#: Faces that are worked on at once, so that the edge values between two loops stay in the nearest cache.
_TILE = 512


@compiled
def _continue_beyond(
    law: ConservationLaw, kinds: IntArray, lower: FloatArray, upper: FloatArray, u: FloatArray
) -> None:
    """Fill the averages beyond the walls: the other end of a period, what flows in, or the wall's cell once more."""
    n = u.size - 2 * OUTSIDE
    first, last = OUTSIDE, OUTSIDE + n - 1
    inflow_lo = kinds[0] == DIRICHLET and speed(law, lower[0]) > 0.0
    inflow_hi = kinds[1] == DIRICHLET and speed(law, upper[0]) < 0.0
    for j in range(1, OUTSIDE + 1):
        if kinds[0] == PERIODIC:
            u[first - j] = u[first + (n - j) % n]
            u[last + j] = u[first + (j - 1) % n]
        else:
            # Where the characteristics leave, the wall's value must not enter the slopes.
            u[first - j] = lower[j] if inflow_lo else u[first]
            u[last + j] = upper[j] if inflow_hi else u[last]


@compiled
def _fill_faces(
    law: ConservationLaw,
    flux: int,
    reconstruction: int,
    kinds: IntArray,
    lower: FloatArray,
    upper: FloatArray,
    u: FloatArray,
    faces: FloatArray,
) -> None:
    """Fluxes to the right through all faces, from averages with room beyond the walls, which is filled first."""
    n = faces.size - 1
    low, high = np.empty(_TILE + 1), np.empty(_TILE + 1)
    _continue_beyond(law, kinds, lower, upper, u)
    wall_lo, wall_hi = 0.0, 0.0
    for start in range(0, n + 1, _TILE):
        size = min(_TILE, n + 1 - start)
        # The cells left and right of these faces, and two more at each end.
        around = u[start : start + size + 1 + 2 * GHOSTS]
        reconstruct(reconstruction, around, low[: size + 1], high[: size + 1])
        fill_fluxes(flux, law, high[:size], low[1 : size + 1], faces[start : start + size])
        if start == 0:
            wall_lo = low[1]
        wall_hi = high[size - 1]
    # At a wall the Riemann problem is solved exactly, whatever the flux inside: what leaves never feels the wall.
    if kinds[0] == DIRICHLET:
        faces[0] = godunov(law, lower[0], wall_lo)
    elif kinds[0] == NEUMANN:
        faces[0] = lower[0]
    if kinds[1] == DIRICHLET:
        faces[n] = godunov(law, wall_hi, upper[0])
    elif kinds[1] == NEUMANN:
        faces[n] = -upper[0]
    if kinds[0] == PERIODIC:
        faces[n] = faces[0]


# The three stages, each for rows of fluxes that enter cells and that leave them.


@compiled
def _first_stage(
    u: FloatArray, ratio: float, enters: FloatArray, leaves: FloatArray, new: FloatArray
) -> None:
    for i in range(new.size):
        new[i] = u[i] + ratio * (enters[i] - leaves[i])


@compiled
def _second_stage(
    u: FloatArray,
    ratio: float,
    enters: FloatArray,
    leaves: FloatArray,
    enters_1: FloatArray,
    leaves_1: FloatArray,
    new: FloatArray,
) -> None:
    for i in range(new.size):
        new[i] = u[i] + 0.25 * ratio * ((enters[i] + enters_1[i]) - (leaves[i] + leaves_1[i]))


@compiled
def _third_stage(
    u: FloatArray,
    carry: FloatArray,
    ratio: float,
    faces: FloatArray,
    faces_1: FloatArray,
    faces_2: FloatArray,
) -> None:
    """The step itself, remembering in `carry` what rounding left out (Kahan).

    Rounding small gains is a bias, not noise: after 10⁶ steps it would show in the ledger.
    """
    for i in range(u.size):
        enters = (faces[i] + faces_1[i]) + 4.0 * faces_2[i]
        leaves = (faces[i + 1] + faces_1[i + 1]) + 4.0 * faces_2[i + 1]
        wanted = ratio * (1.0 / 6.0) * (enters - leaves) + carry[i]
        old = u[i]
        new = old + wanted
        u[i] = new
        carry[i] = wanted - (new - old)


@compiled
def _raise_by_source(
    state: FloatArray, carry: FloatArray, first: FloatArray, second: FloatArray, third: FloatArray, dt: float
) -> float:
    total = 0.0
    for i in range(state.size):
        rate = (first[i] + second[i] + 4.0 * third[i]) * (1.0 / 6.0)
        wanted = dt * rate + carry[i]
        old = state[i]
        state[i] = old + wanted
        carry[i] = wanted - (state[i] - old)
        total += rate
    return dt * total


@compiled
def _within(state: FloatArray, low: float, high: float) -> bool:
    count = 0
    for i in range(state.size):
        count += 1 if low <= state[i] <= high else 0
    return count == state.size


@compiled
def _row(table: FloatArray, step: int, stage: int) -> FloatArray:
    row: FloatArray = table[min(_STAGES * step + stage, table.shape[0] - 1)]
    return row


@compiled
def _march_one(
    law: ConservationLaw,
    flux: int,
    reconstruction: int,
    kinds: IntArray,  # (2,)
    lower: FloatArray,  # (1 or 3 · steps, 4) at each stage: the wall's value and averages beyond it, outwards
    upper: FloatArray,
    source: FloatArray,  # (0, nx) none, (1, nx) steady, (3 · steps, nx) at each stage
    guard: FloatArray,  # (2,) the range of states that the length of the steps allows for
    steps: int,
    dt: float,
    width: float,
    state: FloatArray,  # (nx,), changed in place, as all that follows
    carry: FloatArray,  # (nx,) low-order part of state
    ledger: Ledger,
) -> int:
    """Shu and Osher's three stages; how many steps were taken before the state left `guard`.

    (J. Comput. Phys. 77, 1988, pp. 439-471, the optimal third-order scheme.) Written with L the gain of a cell per time, the stages are
    u + Δt L₀, u + ¼ Δt (L₀ + L₁) and u + ⅙ Δt (L₀ + L₁ + 4 L₂), so that a step moves one flux through each face,
    (F₀ + F₁ + 4 F₂)/6, and the ledger takes down the same number.
    """
    n = state.size
    u, stage = np.empty(n + 2 * OUTSIDE), np.empty(n + 2 * OUTSIDE)
    inner, inner_stage = u[OUTSIDE : OUTSIDE + n], stage[OUTSIDE : OUTSIDE + n]
    faces, faces_1, faces_2 = np.empty(n + 1), np.empty(n + 1), np.empty(n + 1)
    ratio = dt / width
    sourced = source.shape[0] > 0
    taken = 0
    inner[:] = state
    while taken < steps and _within(inner, guard[0], guard[1]):
        at_lower, at_upper = _row(lower, taken, 0), _row(upper, taken, 0)
        _fill_faces(law, flux, reconstruction, kinds, at_lower, at_upper, u, faces)
        _first_stage(inner, ratio, faces[:n], faces[1:], inner_stage)
        if sourced:
            first = _row(source, taken, 0)
            for i in range(n):
                inner_stage[i] += dt * first[i]
        at_lower, at_upper = _row(lower, taken, 1), _row(upper, taken, 1)
        _fill_faces(law, flux, reconstruction, kinds, at_lower, at_upper, stage, faces_1)
        _second_stage(inner, ratio, faces[:n], faces[1:], faces_1[:n], faces_1[1:], inner_stage)
        if sourced:
            first, second = _row(source, taken, 0), _row(source, taken, 1)
            for i in range(n):
                inner_stage[i] += 0.25 * dt * (first[i] + second[i])
        at_lower, at_upper = _row(lower, taken, 2), _row(upper, taken, 2)
        _fill_faces(law, flux, reconstruction, kinds, at_lower, at_upper, stage, faces_2)
        _third_stage(inner, carry, ratio, faces, faces_1, faces_2)
        if sourced:
            first, second, third = (_row(source, taken, 0), _row(source, taken, 1), _row(source, taken, 2))
            gain = _raise_by_source(inner, carry, first, second, third, dt)
            produce(ledger, width * gain)
        enters_lo = dt * (1.0 / 6.0) * ((faces[0] + faces_1[0]) + 4.0 * faces_2[0])
        enters_hi = -dt * (1.0 / 6.0) * ((faces[n] + faces_1[n]) + 4.0 * faces_2[n])
        enter(ledger, 0, enters_lo, abs(enters_lo))
        enter(ledger, 1, enters_hi, abs(enters_hi))
        taken += 1
    state[:] = inner
    return taken


@compiled
def march_all(
    first: int,
    last: int,
    law: ConservationLaw,  # arrays over samples
    flux: int,
    reconstruction: int,
    kinds: IntArray,  # (sample, 2)
    lower: FloatArray,  # (sample, 1 or 3 · most steps, 4)
    upper: FloatArray,
    source: FloatArray,  # (sample, 0 or 1 or 3 · most steps, nx)
    guard: FloatArray,  # (sample, 2)
    steps: IntArray,  # (sample,)
    dt: FloatArray,  # (sample,)
    width: float,
    state: FloatArray,  # (sample, nx), changed in place, as all that follows
    carry: FloatArray,  # (sample, nx)
    ledger: Ledger,
    taken: IntArray,  # (sample,) steps until the end, or until the guard was left
) -> None:
    """Advance samples first … last − 1, each by its own number of equal steps of its own length."""
    for i in range(first, last):
        taken[i] = _march_one(
            law_of_sample(law, i), flux, reconstruction, kinds[i], lower[i], upper[i], source[i], guard[i], steps[i],
            dt[i], width, state[i], carry[i], ledger_of_sample(ledger, i),
        )  # fmt: skip
