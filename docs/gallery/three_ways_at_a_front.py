"""
A front, three ways: projected, conditioned, moved
===================================================

ProbConserv's released network on Stefan's problem, u* = 0.5, which is outside what it was trained on. Its total is too small, and all
three repairs make it exact. They differ in where they put the missing heat: everywhere (HardC), where the network is unsure
(ProbConserv), or behind a front that is moved until the total is right (``displace``).
"""

import matplotlib.pyplot as plt
import numpy as np

import lawbound as lb
from lawbound.constraints.displacement import Displace
from lawbound.constraints.enforcement import Project
from lawbound.ink import GREY, INK, PALETTE
from lawbound.reproduce import FALLING, MASS, frozen_data
from lawbound.surrogates.prediction import from_moments

# %%
# The network's outputs ship with the package: 50 choices of context points, one truth. The tables use all, the picture the
# first.
data = frozen_data("stefan")
data = data.isel(sample=np.flatnonzero(data.u_star.values == 0.5))
free = from_moments(data)
truth, x = data.u.values[:, 0], data.x.values

# %%
# Moving a front needs to know that there is one: that u falls along x, and its bounds. Both follow from the walls.
falling = MASS & FALLING & lb.constraints.Bounds(0.0, 1.0)
repaired = {
    "network": free,
    "projected (HardC)": lb.enforce(free, MASS, Project(covariance="kept")).prediction,
    "conditioned (ProbConserv)": lb.enforce(free, MASS, "condition").prediction,
    "moved (displace)": lb.enforce(free, falling, Displace(otherwise="nearest")).prediction,
}

figure, all_axes = plt.subplots(1, 4, figsize=(11.0, 3.3), sharex=True, sharey=True)
for axes, (name, prediction), colour in zip(
    all_axes, repaired.items(), (GREY, *PALETTE), strict=False
):
    mean, std = prediction.mean[:, 0].numpy(), prediction.std[:, 0].numpy()
    error = ((mean - truth) ** 2).mean()
    gap = np.abs(mean @ data.x_weights.values - data.law_conservation_rhs.values[:, 0]).max()
    print(f"{name:26s} MSE {1e4 * error:6.1f}e-4    the total is off by at most {gap:.0e}")
    axes.fill_between(
        x, mean[0] - 2 * std[0], mean[0] + 2 * std[0], color=colour, alpha=0.25, linewidth=0
    )
    axes.plot(x, mean[0], color=colour)
    axes.plot(x, truth[0], color=INK, linewidth=1.0)
    axes.set_title(name, fontsize=10, color=INK)
    axes.set_xlabel("$x$")
    axes.text(
        0.97,
        0.9,
        f"MSE {1e4 * error:.0f}·10⁻⁴",
        transform=axes.transAxes,
        ha="right",
        fontsize=9,
    )
all_axes[0].set(xlim=(0.0, 0.5), ylim=(-0.25, 1.2), ylabel="$u(t = 0.05, x)$")
all_axes[0].annotate(
    "solver",
    (0.262, 0.62),
    (0.33, 0.68),
    color=INK,
    fontsize=9,
    arrowprops={"arrowstyle": "-", "color": GREY},
)
plt.show()

# %%
# Conditioning puts a bump where the variance is largest, which is where the network believes the front to be: too far to the left.
# The moved front is a shape that occurs.
