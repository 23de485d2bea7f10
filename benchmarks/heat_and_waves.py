"""How exact the spectral solvers of heat and waves are, and what a sample of each family costs.

    python benchmarks/heat_and_waves.py

Errors are the largest over all points, against closed forms; the rod's start and heater do not fit each other, so its
error grows as t → 0. Where there is no closed form, the answer is set beside one with twice the modes. Costs are
medians over the samples of a split, one thread, with a family's own grid and output times. One minute.
"""

import time
import warnings
from dataclasses import replace
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from lawbound.datasets.plugins import find
from lawbound.solvers import (
    AtPoint,
    AtTime,
    Constant,
    Dirichlet,
    HeatedRod,
    Neumann,
    Nodes,
    Problem,
    ResolutionWarning,
    SineOfTime,
    SpectralHeat,
    StokesLayer,
    Walls,
)

CONSOLE = Console(width=120)
GRID = Nodes(0.0, 1.0, 256, order=8)


def stokes() -> Table:
    table = Table(
        "ν", "largest error, t in [0, 2]", "worst ledger residual", title="Stokes' second problem, ω = 3.7"
    )
    for nu in (0.1, 0.02, 0.005, 0.002, 0.001):
        layer = StokesLayer(nu, 3.7)
        walls = Walls(*(Dirichlet(AtPoint(layer, y)) for y in (0.0, 1.0)))
        times = np.linspace(0.0, 2.0, 101)
        run = SpectralHeat().solve(Problem("stokes", Constant(nu), GRID, walls, AtTime(layer, 0.0), times))
        error = abs(run.state - layer(times[:, None], GRID.points)).max()
        table.add_row(f"{nu:g}", f"{error:.1e}", f"{abs(run.ledger_residual).max():.1e}")
    return table


def rod() -> Table:
    times = np.array([0.0, 1e-4, 1e-3, 1e-2, 0.1, 0.5, 2.0])
    table = Table(
        "modes", *(f"t = {t:g}" for t in times[1:]), title="Heated rod, k = 0.01, ω = 2.37: largest error"
    )
    exact = HeatedRod(2.37)
    walls = Walls(Neumann(0.0), Neumann(SineOfTime(0.05, np.pi)))
    problem = Problem("rod", Constant(0.01), GRID, walls, AtTime(exact, 0.0), times)
    truth = exact(times, GRID.points)
    for modes in (48, 96, 192, 384):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResolutionWarning)
            error = abs(SpectralHeat(modes=modes).solve(problem).state - truth).max(axis=1)
        table.add_row(str(modes), *(f"{e:.0e}" for e in error[1:]))
    return table


def families() -> Table:
    table = Table(
        "family",
        "samples",
        "largest error",
        "against",
        "energy or ledger",
        "ms a sample",
        title="Families, split train",
    )
    for name in ("heat-neumann", "stokes", "heat-dirichlet", "heat-robin", "wave", "wave-2d"):
        family = find("problems", name)
        times = np.linspace(*family.times, family.nt)
        draws = [family.draw(0, "train", i) for i in range(20)]
        problems = [family.build(draw, family.grid(family.domain, family.nx), times) for draw in draws]
        family.solver.solve(problems[0])  # the modes of equal walls are kept
        seconds, runs = [], []
        for problem in problems:
            began = time.perf_counter()
            runs.append(family.solver.solve(problem))
            seconds.append(time.perf_counter() - began)
        if name.startswith("heat-") and family.exact is None:
            against, doubled = "384 modes", replace(family.solver, modes=384)
            truth = [doubled.solve(problem).state for problem in problems]
        elif family.exact is not None:
            against = "closed form"
            truth = [
                truth_of(family.exact(draw), times, p.grid.points)
                for draw, p in zip(draws, problems, strict=True)
            ]
        else:
            against, truth = "", []
        error = max(
            (abs(run.state - u)[1:].max() for run, u in zip(runs, truth, strict=False)), default=np.nan
        )
        kept = max(
            float(np.ptp(e) / e[0])
            if (e := run.diagnostics.get("energy")) is not None
            else abs(run.ledger_residual).max()
            for run in runs
        )
        shown = "–" if np.isnan(error) else f"{error:.1e}"
        table.add_row(name, str(len(runs)), shown, against, f"{kept:.1e}", f"{1e3 * median(seconds):.1f}")
    return table


def truth_of(exact, times: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.stack([exact(float(t), points) for t in times])


if __name__ == "__main__":
    for part in (stokes, rod, families):
        CONSOLE.print(part())
