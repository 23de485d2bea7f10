"""Explicit conservative time stepping over cells, with a ledger of the wall fluxes."""

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers.coefficient import Coefficient
from lawbound.solvers.potential import of_sample, potential
from lawbound.solvers.compiled import compiled, compiled_over_samples, samples_in_parallel

FloatArray = NDArray[np.float64]


@compiled
def _add(sums: FloatArray, lost: FloatArray, side: int, term: float) -> None:
    """sums[side] += term with Neumaier's compensation: 10⁶ steps must not cost the ledger six digits."""
    total = sums[side] + term
    if abs(sums[side]) >= abs(term):
        lost[side] += (sums[side] - total) + term
    else:
        lost[side] += (term - total) + sums[side]
    sums[side] = total


@compiled
def _raise(state: FloatArray, carry: FloatArray, cell: int, change: float) -> None:
    """state[cell] += change, remembering in `carry` what rounding left out."""
    wanted = change + carry[cell]
    old = state[cell]
    state[cell] = old + wanted
    carry[cell] = wanted - (state[cell] - old)


@compiled
def _march(
    coefficient: Coefficient,
    state: FloatArray,  # (nx,), changed in place
    lower: FloatArray,  # (steps,) wall values at the start of each step
    upper: FloatArray,
    steps: int,
    dt: float,
    width: float,
    inflow: FloatArray,  # (2,)
    traffic: FloatArray,  # (2,)
    lost: FloatArray,  # (2,) low-order part of inflow
    carry: FloatArray,  # (nx,) low-order part of state
) -> None:
    """Forward Euler with the face flux F = −(Φ(right) − Φ(left)) / distance.

    The flux is the difference of Φ = ∫k du, that is k averaged over [left, right]: a harmonic mean locks
    where k = 0, an arithmetic one is far less exact at a front.
    """
    n = state.size
    phi = np.empty(n)
    # Increments shrink like h², and rounding them is a bias, not noise: after 10⁶ steps it would show in the
    # ledger. `carry` holds what each addition rounded away (Kahan). It is the caller's, so that where a run is
    # cut into blocks changes no bit.
    ratio = dt / (width * width)
    for step in range(steps):
        for cell in range(n):
            phi[cell] = potential(coefficient, state[cell])
        # Outward unit distances are half a cell at the walls, hence the factor 2.
        enters_lo = 2.0 * (potential(coefficient, lower[step]) - phi[0])
        enters_hi = 2.0 * (potential(coefficient, upper[step]) - phi[n - 1])
        # phi[i] - phi[i + 1] is computed twice with the same bits: what leaves one cell enters the next.
        _raise(state, carry, 0, ratio * (enters_lo - (phi[0] - phi[1])))
        for cell in range(1, n - 1):
            _raise(state, carry, cell, ratio * ((phi[cell - 1] - phi[cell]) - (phi[cell] - phi[cell + 1])))
        _raise(state, carry, n - 1, ratio * ((phi[n - 2] - phi[n - 1]) + enters_hi))
        scale = dt / width
        _add(inflow, lost, 0, scale * enters_lo)
        _add(inflow, lost, 1, scale * enters_hi)
        traffic[0] += scale * abs(enters_lo)
        traffic[1] += scale * abs(enters_hi)


@compiled_over_samples
def march(
    coefficient: Coefficient,  # arrays over samples
    state: FloatArray,  # (sample, nx), changed in place
    lower: FloatArray,  # (sample, most steps)
    upper: FloatArray,
    steps: NDArray[np.int64],  # (sample,)
    dt: FloatArray,  # (sample,)
    width: float,
    inflow: FloatArray,  # (sample, 2), changed in place
    traffic: FloatArray,  # (sample, 2), changed in place
    lost: FloatArray,  # (sample, 2), changed in place
    carry: FloatArray,  # (sample, nx), changed in place
) -> None:
    """Advance each sample by its own number of equal steps of its own length."""
    for sample in samples_in_parallel(state.shape[0]):
        _march(
            of_sample(coefficient, sample),
            state[sample],
            lower[sample],
            upper[sample],
            steps[sample],
            dt[sample],
            width,
            inflow[sample],
            traffic[sample],
            lost[sample],
            carry[sample],
        )
