"""Clawpack through PyClaw with its Fortran kernels: classic with van Leer's limiter, SharpClaw with WENO5."""

import time
from typing import Any

from clawpack import pyclaw, riemann

from peers.timing import Answer, measured
from peers.workloads import WORKLOADS, Workload


def run(workload: str, method: str, cfl: float | None = None) -> dict[str, Any]:
    case = WORKLOADS[workload]()
    return measured(lambda: _solve(case, workload, method, cfl), case, least=5)


class _Timed:
    """A Fortran module whose steps are timed: what Clawpack would take without Python between the steps."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def step1(self, *arguments: Any) -> Any:
        return self._call(self._module.step1, arguments)

    def flux1(self, *arguments: Any) -> Any:
        return self._call(self._module.flux1, arguments)

    def _call(self, kernel: Any, arguments: tuple[Any, ...]) -> Any:
        start = time.perf_counter()
        result = kernel(*arguments)
        self.seconds += time.perf_counter() - start
        return result


def _solver(law: str, method: str, cfl: float | None) -> Any:
    kernel = riemann.advection_1D if law == "advection" else riemann.burgers_1D
    if method == "classic":
        solver = pyclaw.ClawSolver1D(kernel)
        solver.limiters = pyclaw.limiters.tvd.vanleer
    else:
        solver = pyclaw.SharpClawSolver1D(kernel)
        solver.weno_order, solver.time_integrator = 5, method
    if cfl is not None:
        solver.cfl_desired, solver.cfl_max = cfl, 1.1 * cfl
    solver.kernel_language = "Fortran"
    solver.bc_lower[0] = solver.bc_upper[0] = pyclaw.BC.periodic
    return solver


def _solve(case: Workload, law: str, method: str, cfl: float | None) -> Answer:
    solver = _solver(law, method, cfl)
    domain = pyclaw.Domain(
        pyclaw.Dimension(float(case.grid.faces[0]), float(case.grid.faces[-1]), case.grid.n, name="x")
    )
    state = pyclaw.State(domain, 1)
    state.problem_data["u"], state.problem_data["efix"] = 1.0, True
    state.q[0] = case.start
    solution = pyclaw.Solution(state, domain)
    solver.setup(solution)
    solver.fmod = _Timed(solver.fmod)
    solver.evolve_to_time(solution, case.end)
    return Answer(solution.state.q[0].copy(), solver.status["numsteps"], solver.fmod.seconds)
