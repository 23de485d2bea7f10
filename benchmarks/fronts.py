"""How well fronts are followed: Stefan's with each mean of k, and Barenblatt's dome with implicit steps.

    python benchmarks/fronts.py [--markdown FILE]

Stefan: the largest error of `Trajectory.front` in cells, over 40 output times after the fifth cell; the fitted L1 order
over the grids; and the staircase, the total variation of u(t) − exact in cells 5 and 10 of 50 once the front has passed,
with the largest fall of u between two of 2000 output times, where the exact solution never falls. Barenblatt: the L1 order
over eight grids, and the foot of the front in cells. Half a minute.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from lawbound.solvers import (
    Barenblatt,
    Cells,
    Dirichlet,
    ExplicitDiffusion,
    ImplicitDiffusion,
    Neumann,
    Power,
    Problem,
    StefanSimilarity,
    Step,
    Trajectory,
    Walls,
    cell_averages,
)
from lawbound.solvers.exact import ExactSolution

FloatArray = NDArray[np.float64]
Rows = Iterator[tuple[str, ...]]

STEFAN_GRIDS = [25, 35, 50, 71, 100, 141, 200, 283, 400]
DOME_GRIDS = [30, 45, 64, 90, 128, 180, 256, 360]


def stefan(n: int, u_star: float, times: FloatArray, mean: str) -> Trajectory:
    walls = Walls(Dirichlet(1.0), Dirichlet(0.0))
    return ExplicitDiffusion(mean=mean).solve(
        Problem("stefan", Step(u_star), Cells(0.0, 1.0, n), walls, 0.0, times)
    )


def mean_l1(run: Trajectory, exact: ExactSolution, first: int = 1) -> float:
    grid = run.problem.grid
    pairs = zip(run.problem.times[first:], run.state[first:], strict=True)
    return float(
        np.mean([abs(u - cell_averages(exact, float(t), grid.faces)) @ grid.weights for t, u in pairs])
    )


def order(grids: list[int], errors: list[float]) -> str:
    return f"{-np.polyfit(np.log(grids), np.log(errors), 1)[0]:.2f}"


def stefan_fronts() -> Rows:
    times = 0.1 * np.linspace(0.0, 1.0, 41) ** 2
    for u_star in (0.5, 0.6, 0.7):
        exact = StefanSimilarity(u_star)
        truth = np.array([exact.front(float(t)) for t in times])
        for mean in ("integral", "sub-cell", "shock"):
            runs = [stefan(n, u_star, times, mean) for n in STEFAN_GRIDS]
            worst = {
                n: n * abs(run.front - truth)[truth * n > 5.0].max()
                for n, run in zip(STEFAN_GRIDS, runs, strict=True)
            }
            shown = (f"{worst[n]:.3f}" for n in (25, 50, 100, 400))
            yield f"{u_star:g}", mean, *shown, order(STEFAN_GRIDS, [mean_l1(run, exact, 5) for run in runs])


def staircase() -> Rows:
    exact, times = StefanSimilarity(0.5), np.linspace(0.0, 0.1, 2001)
    truth = np.array([cell_averages(exact, float(t), Cells(0.0, 1.0, 50).faces) for t in times])
    for mean in ("integral", "sub-cell", "shock", "arithmetic"):
        run = stefan(50, 0.5, times, mean)
        wobble = []
        for cell in (5, 10):
            passed = int(np.argmax(truth[:, cell] > 0.5)) + 100
            wobble.append(f"{abs(np.diff((run.state - truth)[passed:, cell])).sum():.4f}")
        yield mean, *wobble, f"{max(0.0, -np.diff(run.state, axis=0).min()):.1e}"


def domes() -> Rows:
    times, insulated = np.linspace(1.0, 4.0, 11), Walls(Neumann(), Neumann())
    for m in (2.0, 3.0, 6.0):
        exact, errors, feet = Barenblatt.with_front(m, radius=1.0, t=1.0), [], []
        for n in DOME_GRIDS:
            grid = Cells(-2.0, 2.0, n)
            problem = Problem("dome", Power(m), grid, insulated, cell_averages(exact, 1.0, grid.faces), times)
            run = ImplicitDiffusion(tolerance=1e-6).solve(problem)
            errors.append(mean_l1(run, exact))
            last = [grid.centres[np.flatnonzero(u > 1e-3)[-1]] for u in run.state]
            feet.append(
                max(abs(x - exact.front(float(t))) / grid.width for x, t in zip(last, times, strict=True))
            )
        yield f"{m:g}", f"{errors[0]:.1e}", f"{errors[-1]:.1e}", order(DOME_GRIDS, errors), f"{max(feet):.2f}"


TABLES = (
    (
        "Stefan's front, error in cells",
        ("u*", "mean", "25 cells", "50", "100", "400", "L1 order"),
        stefan_fronts,
    ),
    ("The staircase, u* = 0.5, 50 cells", ("mean", "cell 5", "cell 10", "largest fall of u"), staircase),
    ("Barenblatt's dome, implicit", ("m", "L1 coarsest", "finest", "L1 order", "foot, cells"), domes),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the tables to FILE")
    asked = parser.parse_args()
    console, written = Console(), []
    for title, headings, made in TABLES:
        rows, table = list(made()), Table(*headings, title=title)
        for row in rows:
            table.add_row(*row)
        console.print(table)
        written += ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
        written += ["| " + " | ".join(row) + " |" for row in rows] + [""]
    if asked.markdown is not None:
        asked.markdown.write_text("\n".join(written), encoding="utf-8")


if __name__ == "__main__":
    main()
