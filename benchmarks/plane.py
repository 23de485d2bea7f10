"""How fast the solvers on a rectangle converge to closed forms, and how long a square of 128² boxes takes.

    python benchmarks/plane.py [--quick] [--markdown FILE]

Errors are those of box averages against integrated closed forms, each the mean over five output times. `diffusion` is
e^{−2t} sin x cos y with given values and fluxes at the walls; `pme` a Barenblatt dome of radius 0.4 at t = 0.01 that spreads
on [−1, 1]² until t = 1. Orders are least-squares slopes over all grids. The ledger is the worst residual of all runs. Times are the best of three
warm runs from the start to the end with no output between, on one thread. A minute on one core; --quick takes seconds.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lawbound.solvers import (
    Barenblatt,
    Boxes,
    Cells,
    Dirichlet,
    ExplicitPlaneDiffusion,
    ImplicitPlaneDiffusion,
    Neumann,
    Power,
    Problem,
    Solver,
    Step,
    Walls,
    box_averages,
)

FloatArray = NDArray[np.float64]
Averages = Callable[[float], FloatArray]

LINEAR = Step(0.0, 1.0, 1.0)  # k = 1 on either side
SPREADING = np.array([0.01, 0.03, 0.1, 0.2, 0.5, 1.0])


def smooth(n: int, times: FloatArray) -> tuple[Problem, Averages]:
    grid = Boxes(Cells(0.3, 2.0, n), Cells(0.1, 1.4, n))

    def averages(t: float) -> FloatArray:
        along_x, along_y = -np.diff(np.cos(grid.x.faces)), np.diff(np.sin(grid.y.faces))
        return np.asarray(np.exp(-2.0 * t) * np.outer(along_y, along_x) / (grid.x.width * grid.y.width))

    def at(x: float) -> Dirichlet:
        return Dirichlet(lambda t, y: np.exp(-2.0 * t) * np.sin(x) * np.cos(y))

    def through(y: float, sign: float) -> Neumann:
        return Neumann(lambda t, x: -sign * np.exp(-2.0 * t) * np.sin(x) * np.sin(y))

    walls = Walls(at(0.3), at(2.0), through(0.1, -1.0), through(1.4, 1.0))
    return Problem("diffusion", LINEAR, grid, walls, averages(float(times[0])), times), averages


def dome(m: float, n: int, times: FloatArray) -> tuple[Problem, Averages]:
    exact, side = Barenblatt.with_front(m, 0.4, 0.01, dimension=2), Cells(-1.0, 1.0, n)

    def averages(t: float) -> FloatArray:
        return box_averages(exact, t, side.faces, side.faces)

    walls = Walls(Neumann(), Neumann(), Neumann(), Neumann())
    return Problem("pme", Power(m), Boxes(side, side), walls, averages(float(times[0])), times), averages


def errors(solver: Solver, problem: Problem, averages: Averages) -> tuple[FloatArray, float]:
    """Mean over the output times of the relative L1, L2 and maximum errors, and the worst ledger residual."""
    answer, found = solver.solve(problem), []
    for t, state in zip(problem.times[1:], answer.state[1:], strict=True):
        exact = averages(float(t))
        e = np.abs(state - exact)
        found.append([e.sum() / exact.sum(), np.sqrt((e**2).sum() / (exact**2).sum()), e.max() / exact.max()])
    return np.mean(found, axis=0), float(np.abs(answer.ledger_residual).max())


def cases(quick: bool) -> Iterator[tuple[str, list[int], Callable[[int], tuple[Problem, Averages]]]]:
    ends = 3 if quick else 7
    grids = [round(16 * 2 ** (i / 2)) for i in range(ends)]
    yield "diffusion", grids, lambda n: smooth(n, np.linspace(0.0, 0.5, 6))
    for m in (2.0, 3.0, 6.0):
        yield f"pme m={m:g}", grids, lambda n, m=m: dome(m, n, SPREADING)  # type: ignore[misc]


def convergence(quick: bool) -> Iterator[str]:
    yield "| case | solver | grids | L1 finest | order L1 | order L2 | order max | ledger |"
    yield "|---|---|---|---|---|---|---|---|"
    solvers: list[Solver] = [ExplicitPlaneDiffusion(), ImplicitPlaneDiffusion(tolerance=1e-6)]
    for name, grids, make in cases(quick):
        for solver in solvers:
            measured = [errors(solver, *make(n)) for n in grids]
            table = np.array([norms for norms, _ in measured])
            l1, l2, most = -np.polyfit(np.log(grids), np.log(table), 1)[0]
            ledger = max(residual for _, residual in measured)
            yield (
                f"| {name} | {type(solver).__name__} | {grids[0]}² to {grids[-1]}² | {table[-1, 0]:.1e} | {l1:.2f} | {l2:.2f} "
                f"| {most:.2f} | {ledger:.0e} |"
            )


def speed(quick: bool) -> Iterator[str]:
    n = 32 if quick else 128
    yield f"| pme on {n}² boxes, t = 0.01 to 1 | m | steps | seconds | relative L1 |"
    yield "|---|---|---|---|---|"
    solvers: list[Solver] = [
        ExplicitPlaneDiffusion(),
        ImplicitPlaneDiffusion(tolerance=1e-4),
        ImplicitPlaneDiffusion(),
        ImplicitPlaneDiffusion(tolerance=1e-6),
        ImplicitPlaneDiffusion(order=1, tolerance=1e-4),
    ]
    for m in (2.0, 2.5, 6.0):
        problem, averages = dome(m, n, SPREADING[[0, -1]])
        for solver in solvers:
            took = []
            for _ in range(4):
                began = time.perf_counter()
                answer = solver.solve(problem)
                took.append(time.perf_counter() - began)
            exact = averages(1.0)
            error = np.abs(answer.state[-1] - exact).sum() / exact.sum()
            yield f"| {answer.solver} | {m:g} | {answer.steps} | {min(took[1:]):.2f} | {error:.1e} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="convergence and speed on a rectangle")
    parser.add_argument("--quick", action="store_true", help="coarse grids only")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file too")
    arguments = parser.parse_args()
    lines = []
    for table in (convergence, speed):
        for line in table(arguments.quick):
            print(line, flush=True)
            lines.append(line)
        print()
        lines.append("")
    if arguments.markdown:
        arguments.markdown.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
