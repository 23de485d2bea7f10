"""Our spectral solvers on the workloads that exponax and Dedalus are timed on."""

from typing import Any

import numpy as np

from lawbound.solvers import (
    Constant,
    Dirichlet,
    Nodes,
    Periodic,
    PeriodicNodes,
    Problem,
    SpectralBurgers,
    SpectralHeat,
    SpectralWave,
    ViscousBurgers,
    Walls,
    Wave,
)
from lawbound.solvers.compiled import use_threads
from peers.spectral_workloads import Spectral
from peers.timing import timed


def run(work: Spectral, n: int, batch: int = 1, threads: int = 1, **options: Any) -> dict[str, Any]:
    use_threads(threads)
    problem, solver = _case(work, n, options)
    if batch > 1:
        # Arrays, as the peers are given them, and each sample its own.
        shifts = np.linspace(0.0, 1.0, batch, endpoint=False) * (work.name != "w5")
        problems = [
            Problem(
                problem.name,
                problem.equation,
                problem.grid,
                problem.walls,
                _shifted(work, problem, s),
                [0.0, work.end],
            )
            for s in shifts
        ]
        solve = lambda: solver.solve_batch(problems)[0].state[-1]  # noqa: E731
    else:
        solve = lambda: solver.solve(problem).state[-1]  # noqa: E731
    answer, cold = timed(solve)
    warm = []
    while len(warm) < 5 or (sum(warm) * batch < 2.0 and len(warm) < 2000):
        answer, took = timed(solve)
        warm.append(took / batch)
    return {"cold": cold, "warm": warm, "error": work.error(answer)}


def _case(work: Spectral, n: int, options: dict[str, Any]) -> tuple[Problem, Any]:
    circle, times = PeriodicNodes(0.0, work.length, n), [0.0, work.end]
    round_, held = Walls(Periodic(), Periodic()), Walls(Dirichlet(0.0), Dirichlet(0.0))
    if work.name == "w1":
        return Problem("w1", Constant(1.0), circle, round_, work.start, times), SpectralHeat()
    if work.name == "w5":
        return Problem("w5", Wave(1.0), Nodes(0.0, 1.0, n + 1), held, work.start, times), SpectralWave()
    return Problem("w4", ViscousBurgers(work.nu), circle, round_, work.start, times), SpectralBurgers(
        **options
    )


def _shifted(work: Spectral, problem: Problem, share: float) -> np.ndarray:
    grid = problem.grid
    assert isinstance(grid, Nodes | PeriodicNodes)
    # The first sample is the workload itself, which is judged.
    return np.asarray(work.start(grid.points - share * work.length))
