"""
A solver, measured against its closed form
==========================================

Data are no better than the solver that made them. Errors against integrated closed forms, from a smooth problem to a front that is
infinitely steep: the order that theory promises is the slope.
"""

import matplotlib.pyplot as plt
import numpy as np

from lawbound.datasets.plugins import find
from lawbound.ink import GREY, PALETTE
from lawbound.solvers import ExplicitDiffusion, cell_averages

COUNTS = (25, 35, 50, 71, 100, 141, 200)
CASES = {
    "diffusion": ("diffusion", 1.0),
    "porous medium, m = 1": ("pme", 1.0),
    "porous medium, m = 3": ("pme", 3.0),
    "Stefan, u* = 0.6": ("stefan", 0.6),
}


def errors(name: str, value: float) -> np.ndarray:
    """Mean of |cell average − exact| on each grid, averaged over ten output times."""
    family = find("problems", name)
    draw = family.of(value)
    exact, times = family.exact(draw), np.linspace(*family.times, 11)
    found = []
    for count in COUNTS:
        grid = family.grid(family.domain, count)
        state = ExplicitDiffusion().solve(family.build(draw, grid, times)).state
        off = [
            np.abs(u - cell_averages(exact, t, grid.faces)).mean()
            for t, u in zip(times[1:], state[1:], strict=True)
        ]
        found.append(np.mean(off))
    return np.array(found)


# %%
# One solver for all four: an explicit finite-volume scheme whose face flux is the difference of Φ(u) = ∫ k du.
figure, axes = plt.subplots(figsize=(7.0, 4.2))
h = 1.0 / np.array(COUNTS)
for (title, (name, value)), colour in zip(CASES.items(), PALETTE, strict=False):
    found = errors(name, value)
    order = np.polyfit(np.log(h), np.log(found), 1)[0]
    print(f"{title:22s} order {order:.2f}")
    axes.loglog(COUNTS, found, "o-", color=colour, markersize=4)
    axes.text(
        COUNTS[-1] * 1.06,
        found[-1],
        f"{title}: {order:.2f}",
        color=colour,
        va="center",
        fontsize=9,
    )
axes.loglog(COUNTS, 1.2e-3 * (COUNTS[0] * h) ** 2, ":", color=GREY, linewidth=1.2)
axes.text(COUNTS[4] * 1.02, 8.2e-5, "order 2", color=GREY, fontsize=9)
axes.set(
    xlabel="cells",
    ylabel="mean error",
    xlim=(22, 520),
    title="Errors of cell averages, and their orders",
)
axes.set_xticks([25, 50, 100, 200], ["25", "50", "100", "200"])
axes.minorticks_off()
plt.show()

# %%
# Behind an infinitely steep front the order is 1 + 1/m at best. The full tables, with fronts and ledgers: ``benchmarks/convergence.py``.
