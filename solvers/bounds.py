"""The range that a step on a row of cells cannot leave, and the blend of two schemes that keeps it: compiled.

Where the accurate scheme leaves the range, its fluxes are blended with those of a bounded one, as far as needed and
no further (Zalesak, J. Comput. Phys. 31, 1979, (10)-(14)).
"""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.compiled import compiled
from lawbound.solvers.wall_flux import DIRICHLET, NEUMANN, PERIODIC, ROBIN

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@compiled
def range_of(u: FloatArray) -> tuple[float, float]:
    """Least and largest value."""
    # Four at a time: a single running extreme would wait for each comparison.
    low = low_1 = low_2 = low_3 = u[0]
    high = high_1 = high_2 = high_3 = u[0]
    quarter = u.size // 4
    a, b, c, d = u[:quarter], u[quarter : 2 * quarter], u[2 * quarter : 3 * quarter], u[3 * quarter :]
    for i in range(quarter):
        low, low_1, low_2, low_3 = min(low, a[i]), min(low_1, b[i]), min(low_2, c[i]), min(low_3, d[i])
        high, high_1, high_2, high_3 = (
            max(high, a[i]), max(high_1, b[i]), max(high_2, c[i]), max(high_3, d[i]),
        )  # fmt: skip
    for i in range(quarter, d.size):
        low_3, high_3 = min(low_3, d[i]), max(high_3, d[i])
    return min(min(low, low_1), min(low_2, low_3)), max(max(high, high_1), max(high_2, high_3))


@compiled
def allowed(
    low: float,
    high: float,
    kinds: IntArray,  # (2,)
    shown: FloatArray,  # (2, 2) stage, side: wall values
    source: FloatArray,  # (0 or more stages, n)
) -> tuple[float, float]:
    """The range that a step cannot leave: what was there and what the walls show, unless something pours in."""
    for side in range(2):
        least, most = min(shown[0, side], shown[1, side]), max(shown[0, side], shown[1, side])
        if kinds[side] == DIRICHLET or kinds[side] == ROBIN:
            low, high = min(low, least), max(high, most)
        elif kinds[side] == NEUMANN:
            low, high = -np.inf if least < 0.0 else low, np.inf if most > 0.0 else high
    for i in range(source.size):
        if source.flat[i] > 0.0:
            high = np.inf
        elif source.flat[i] < 0.0:
            low = -np.inf
    return low, high


@compiled
def brought(kinds: IntArray, values: FloatArray, source: FloatArray, dt: float, width: float) -> float:
    """How large u may become in a step by what walls and source bring, where it was nothing before."""
    size = 0.0
    for side in range(2):
        if kinds[side] == NEUMANN:
            size = max(size, abs(values[side]) * dt / width)
        elif kinds[side] != PERIODIC:
            size = max(size, abs(values[side]))
    for s in source.flat:
        size = max(size, dt * abs(s))
    return size


@compiled
def blend(
    u: FloatArray,  # (n,) the bounded solution, replaced by the blend
    wanted: FloatArray,  # (n,) the accurate one
    low: float,
    high: float,
    entered: FloatArray,  # (2,) what the bounded one let in through the walls, per cell width; replaced
    wanted_entered: FloatArray,  # (2,)
    periodic: bool,
    flux: FloatArray,  # (n + 1,) work
    gain: FloatArray,  # (n,) work
    loss: FloatArray,  # (n,) work
) -> None:
    """u + what limited differences of the two schemes' face fluxes bring; conservative, within [low, high]."""
    n = u.size
    flux[0] = wanted_entered[0] - entered[0]
    for i in range(n):
        flux[i + 1] = flux[i] - (wanted[i] - u[i])
    if not periodic:
        flux[n] = -(wanted_entered[1] - entered[1])
    _shares(u, flux, low, high, gain, loss)
    _limit(flux, gain, loss, periodic)
    for i in range(n):
        u[i] += flux[i] - flux[i + 1]
    entered[0] += flux[0]
    entered[1] -= flux[n]


@compiled
def _shares(
    u: FloatArray, flux: FloatArray, low: float, high: float, gain: FloatArray, loss: FloatArray
) -> None:
    """How much of all that would raise, and of all that would lower each cell there is room for, from 0 to 1."""
    enters, leaves = flux[:-1], flux[1:]
    for i in range(u.size):
        rises = max(enters[i], 0.0) + max(-leaves[i], 0.0)
        falls = max(-enters[i], 0.0) + max(leaves[i], 0.0)
        gain[i] = min(1.0, max(high - u[i], 0.0) / rises) if rises > 0.0 else 1.0
        loss[i] = min(1.0, max(u[i] - low, 0.0) / falls) if falls > 0.0 else 1.0


@compiled
def _limit(flux: FloatArray, gain: FloatArray, loss: FloatArray, periodic: bool) -> None:
    """Cut each flux to what the cells on both sides have room for; beyond a wall there is room for all."""
    n = gain.size
    for i in range(1, n):
        flux[i] *= min(gain[i], loss[i - 1]) if flux[i] > 0.0 else min(loss[i], gain[i - 1])
    into, out_of = (gain[n - 1], loss[n - 1]) if periodic else (1.0, 1.0)
    flux[0] *= min(gain[0], out_of) if flux[0] > 0.0 else min(loss[0], into)
    if periodic:
        flux[n] = flux[0]
    else:
        flux[n] *= loss[n - 1] if flux[n] > 0.0 else gain[n - 1]
