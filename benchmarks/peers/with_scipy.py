"""The strongest peer on small grids: `scipy.integrate.solve_ivp`, LSODA with a banded Jacobian, and our face flux."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from peers.timing import Answer, measured
from peers.workloads import WORKLOADS, Workload

FloatArray = NDArray[np.float64]


def run(workload: str, rtol: float) -> dict[str, Any]:
    case = WORKLOADS[workload]()
    rate = _stefan_rate if workload.startswith("w3") else _porous_medium_rate
    # The first call of a slow case warms nothing up, so two more suffice.
    return measured(lambda: _solve(case, rate, rtol), case, least=2 if workload.startswith("w3") else 5)


def _solve(case: Workload, rate: Any, rtol: float) -> Answer:
    result = solve_ivp(
        rate, (case.begin, case.end), case.start, method="LSODA", t_eval=[case.end], rtol=rtol, atol=1e-3 * rtol,
        lband=1, uband=1, args=(1.0 / case.grid.width**2,),
    )  # fmt: skip
    return Answer(result.y[:, -1])


def _porous_medium_rate(t: float, u: FloatArray, scale: float) -> FloatArray:
    squares = u * u  # u**4 would call pow
    fluxes = np.diff((0.25 * scale) * (squares * squares))
    rate = np.zeros_like(u)
    rate[:-1] += fluxes
    rate[1:] -= fluxes
    return rate


def _stefan_rate(t: float, u: FloatArray, scale: float) -> FloatArray:
    phi = scale * np.maximum(u - 0.5, 0.0)
    fluxes = np.diff(phi)
    rate = np.zeros_like(u)
    rate[:-1] += fluxes
    rate[1:] -= fluxes
    rate[0] += 2.0 * (0.5 * scale - phi[0])  # the wall is half a cell away, and Φ(1) = 1/2 there
    return rate
