"""FiPy: k = u³ in cells, its arithmetic mean at faces, backward Euler with sweeps; its harmonic mean locks."""

import os
import sys
from typing import Any

os.environ.setdefault("FIPY_SOLVERS", "scipy")
sys.argv = sys.argv[:1]  # FiPy reads the command line
import fipy  # noqa: E402

from peers.timing import Answer, measured  # noqa: E402
from peers.workloads import WORKLOADS, Workload  # noqa: E402


def run(workload: str, steps: int, sweeps: int) -> dict[str, Any]:
    case = WORKLOADS[workload]()
    return measured(
        lambda: _solve(case, steps, sweeps), case, least=1 if steps > 100 else 2, most=2, seconds=0.0
    )


def _solve(case: Workload, steps: int, sweeps: int) -> Answer:
    mesh = fipy.Grid1D(nx=case.grid.n, dx=case.grid.width)
    u = fipy.CellVariable(mesh=mesh, value=case.start, hasOld=True)
    equation = fipy.TransientTerm() == fipy.DiffusionTerm(coeff=(u**3).arithmeticFaceValue)
    for _ in range(steps):
        u.updateOld()
        for _ in range(sweeps):
            equation.sweep(var=u, dt=(case.end - case.begin) / steps)
    return Answer(u.value, steps)
