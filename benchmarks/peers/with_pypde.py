"""py-pde in the form it solves best, u_t = ∇²Φ(u); the natural one, ∇·(k ∇u), is far less exact or stands still."""

from typing import Any

import numpy as np
import pde

from peers.timing import Answer, measured
from peers.workloads import WORKLOADS, Workload

FORMS = {
    "w2": ("laplace(u**4) / 4", {"derivative": 0}),
    # The condition is one on what the Laplacian is applied to: Φ(1) = 1/2.
    "w3": ("laplace(heaviside(u - 0.5, 0) * (u - 0.5))", {"x-": {"value": 0.5}, "x+": {"derivative": 0}}),
}


def run(workload: str, adaptive: bool) -> dict[str, Any]:
    case = WORKLOADS[workload]()
    form, walls = FORMS[workload[:2]]
    # Up to 0.45 h²/k: closer to 1/2 the half cell at a wall makes the scheme oscillate.
    fastest = float(case.start.max()) ** 3 if workload.startswith("w2") else 1.0
    count = int(np.ceil((case.end - case.begin) * fastest / (0.45 * case.grid.width**2)))
    # A step that does not divide the time would overshoot the end.
    dt = (case.end - case.begin) / count
    return measured(lambda: _solve(case, form, walls, dt, adaptive), case, least=2, most=3)


def _solve(case: Workload, form: str, walls: dict[str, Any], dt: float, adaptive: bool) -> Answer:
    grid = pde.CartesianGrid([[case.grid.faces[0], case.grid.faces[-1]]], case.grid.n, periodic=False)
    choice = {"tolerance": 1e-4} if adaptive else {}
    result, told = pde.PDE({"u": form}, bc=walls).solve(
        pde.ScalarField(grid, case.start), t_range=(case.begin, case.end), dt=dt, solver="euler", backend="numba",
        adaptive=adaptive, tracker=None, ret_info=True, **choice,
    )  # fmt: skip
    return Answer(result.data, told["solver"]["steps"], told["controller"]["profiler"]["solver"])
