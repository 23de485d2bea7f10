"""Draw docs/stefan_means.png: how the mean of k at a face decides what a Stefan problem looks like.

    python tools/draw_stefan_figure.py

Left: u(x) at t = 0.1 on 50 cells, u* = 0.5. Right: u(t) − exact in one cell that the front has passed: the staircase
that the filling of the front cell leaves with the integral mean, and what following the front inside its cell makes of it.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from lawbound.solvers import (
    Cells,
    Dirichlet,
    ExplicitDiffusion,
    Problem,
    StefanSimilarity,
    Step,
    Walls,
    cell_averages,
)

MEANS = {
    "integral": "#1f77b4",
    "sub-cell": "#2ca02c",
    "shock": "#9467bd",
    "arithmetic": "#ff7f0e",
    "harmonic": "#d62728",
}
CELL = 8


def main() -> None:
    exact, grid, times = StefanSimilarity(0.5), Cells(0.0, 1.0, 50), np.linspace(0.0, 0.1, 1001)
    problem = Problem("stefan", Step(0.5), grid, Walls(Dirichlet(1.0), Dirichlet(0.0)), 0.0, times)
    truth = np.array([cell_averages(exact, float(t), grid.faces)[CELL] for t in times])
    passed = int(np.argmax(truth > 0.55))
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.0, 3.8), layout="constrained")
    x = np.linspace(0.0, 0.6, 2000)
    left.plot(x, exact(0.1, x), color="black", linewidth=1.0, label="exact")
    for mean, color in MEANS.items():
        state = ExplicitDiffusion(mean=mean).solve(problem).state
        left.plot(grid.centres, state[-1], ".", markersize=5, color=color, label=mean)
        if mean != "harmonic":
            right.plot(
                times[passed:], (state[:, CELL] - truth)[passed:], color=color, linewidth=1.2, label=mean
            )
    left.set(
        xlim=(0.0, 0.6), xlabel="x", ylabel="u at t = 0.1", title="Harmonic locks, arithmetic runs ahead"
    )
    right.axhline(0.0, color="black", linewidth=0.6)
    right.set(
        xlabel="t", ylabel=f"u − exact at x = {grid.centres[CELL]:g}", title="The staircase, and without it"
    )
    left.legend(frameon=False)
    right.legend(frameon=False)
    figure.savefig(Path(__file__).parents[1] / "docs" / "stefan_means.png", dpi=130)


if __name__ == "__main__":
    main()
