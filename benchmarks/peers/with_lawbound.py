"""Our own solvers: whole solves, the rates of their kernels, memory of a batch."""

import resource
from pathlib import Path
from typing import Any

import numpy as np

import lawbound.solvers as solvers
from lawbound.solvers import (
    Advection,
    Cells,
    Constant,
    Dirichlet,
    InviscidBurgers,
    Neumann,
    Periodic,
    Power,
    Problem,
    Step,
    Trajectory,
    Walls,
)
from lawbound.solvers.compiled import use_threads
from peers.timing import Answer, measured, timed
from peers.workloads import PME_M, PME_SCALE, STEFAN, WORKLOADS, Workload, porous_medium

INSULATED = Walls(Neumann(0.0), Neumann(0.0))
ROUND = Walls(Periodic(), Periodic())


def run(workload: str, threads: int, **options: Any) -> dict[str, Any]:
    use_threads(threads)
    kind, _, rest = workload.partition(" ")
    if kind == "batch":
        return _batch(rest, **options)
    if kind == "kernel":
        return _kernel(rest)
    if kind == "memory":
        return _memory(**options)
    if kind == "cold":
        return _cold(rest, **options)
    case = WORKLOADS[workload]()
    solver, problem = _solver(**options), _problem(workload, case)
    return measured(lambda: _answer(solver.solve(problem)), case, least=5)


def _solver(solver: str, **options: Any) -> Any:
    return getattr(solvers, solver)(**options)


def _answer(trajectory: Trajectory) -> Answer:
    return Answer(trajectory.state[-1], trajectory.steps)


def _problem(workload: str, case: Workload) -> Problem:
    law: Any = {"w2": Power(PME_M), "w3": Step(STEFAN.u_star), "ad": Advection(1.0), "bu": InviscidBurgers()}
    walls = {"w2": INSULATED, "w3": Walls(Dirichlet(1.0), Neumann(0.0)), "ad": ROUND, "bu": ROUND}
    key = workload[:2]
    return Problem(workload, law[key], case.grid, walls[key], case.start, [case.begin, case.end])


def _batch(workload: str, size: int, **options: Any) -> dict[str, Any]:
    """Domes of different heights, the first that of the single workload; seconds are those of one sample."""
    draw = np.random.default_rng(0)
    scales = [PME_SCALE, *(PME_SCALE * draw.uniform(0.9, 1.1, size - 1))]
    cases = [porous_medium(512, float(scale)) for scale in scales]
    problems = [_problem(workload, case) for case in cases]
    solver = _solver(**options)
    answers: list[Trajectory] = []

    def solve() -> Answer:
        answers[:] = solver.solve_batch(problems)
        return _answer(answers[0])

    result = measured(solve, cases[0], least=2, most=5, seconds=3.0)
    result["cold"] /= size
    result["warm"] = [seconds / size for seconds in result["warm"]]
    # The error falls and rises with where the front stands in its cell, so the mean counts.
    errors = [case.error(answer.state[-1]) for case, answer in zip(cases, answers, strict=True)]
    return result | {"error": float(np.mean(errors)), "steps": round(np.mean([a.steps for a in answers]))}


def _cold(law: str, solver: str, **options: Any) -> dict[str, Any]:
    """The first solve in this process, of a small problem: imports, done by now, are not counted."""
    equation, walls = {
        "constant": (Constant(1.0), Walls(Dirichlet(1.0), Neumann(0.0))),
        "power": (Power(2.5), Walls(Dirichlet(1.0), Neumann(0.0))),
        "step": (Step(0.5), Walls(Dirichlet(1.0), Neumann(0.0))),
        "advection": (Advection(1.0), ROUND),
        "burgers": (InviscidBurgers(), ROUND),
    }[law]
    start = np.sin(np.linspace(0.0, np.pi, 64))
    problem = Problem(law, equation, Cells(0.0, 1.0, 64), walls, start, [0.0, 1e-3])
    _, seconds = timed(lambda: _solver(solver, **options).solve(problem))
    return {"cold": seconds}


def _memory(size: int, **options: Any) -> dict[str, Any]:
    """By how much a batch makes this process grow at most, and the size of its answers."""
    case, times = porous_medium(512), np.linspace(1.0, 1.01, 201)
    problem = Problem("memory", Power(PME_M), case.grid, INSULATED, case.start, times)
    solver = _solver(**options)
    solver.solve(problem)
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    answers = solver.solve_batch([problem] * size)
    held = sum(a.nbytes for t in answers for a in (t.state, t.walls, t.inflow, t.traffic, t.produced))
    most = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"grown": most - before, "held": held}


def _kernel(kind: str) -> dict[str, Any]:
    """Cell updates (explicit) or rows of Newton systems solved (implicit) per second on one thread."""
    if kind == "implicit":
        return _implicit_rows()
    idle = kind.endswith(" workload")
    grid = Cells(0.0, 1.0, 512)
    # Every cell is at work: the kernels skip stretches where Φ is flat, and a rate that counts them would flatter.
    wavy = 0.75 + 0.2 * np.cos(np.pi * grid.centres)
    equation: Any = {"integer": Power(3.0), "stefan": Step(0.5), "real": Power(2.5)}[kind.split()[0]]
    if idle:
        name = "w3-512" if kind.startswith("stefan") else "w2-512"
        case = WORKLOADS[name]()
        problem = _with_equation(_problem(name, case), equation)
    else:
        problem = Problem(kind, equation, grid, INSULATED, wavy, [0.0, 0.04])
    solver = _solver("ExplicitDiffusion")
    answer = solver.solve(problem)
    seconds = min(timed(lambda: solver.solve(problem))[1] for _ in range(9))
    return {"rate": answer.steps * problem.grid.n / seconds}


def _with_equation(problem: Problem, equation: Any) -> Problem:
    """The same problem with another equation."""
    return Problem(problem.name, equation, problem.grid, problem.walls, problem.initial, problem.times)


def _implicit_rows(size: int = 64) -> dict[str, Any]:
    problems = [_problem("w2-512", porous_medium(512))] * size
    solver = _solver("ImplicitDiffusion")
    systems = sum(answer.diagnostics["newton_steps"][-1] for answer in solver.solve_batch(problems))
    seconds = min(timed(lambda: solver.solve_batch(problems))[1] for _ in range(5))
    return {"rate": int(systems) * 512 / seconds}
