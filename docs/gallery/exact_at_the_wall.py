"""
Exact at the wall: lifted or overwritten
========================================

A network's field misses a wall's value. Overwriting the last point makes it exact and leaves a jump of the whole miss between the wall and
its neighbour, however fine the grid. A lift, u = v + C Lᵀ (L C Lᵀ)⁻¹ (β − L v), carries the correction into the domain over a
length that is learned; here it is given.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.ticker import NullFormatter

from lawbound.constraints.operator import KernelLift
from lawbound.ink import GREY, INK, PALETTE


def said(points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, the true profile, and what a network that is too low near the wall says."""
    x = np.linspace(0.0, 1.0, points)
    truth = np.cos(3.0 * x) * np.exp(-2.0 * x)
    return x, truth, truth - 0.25 * np.exp(-((x / 0.18) ** 2))


def lifted(x: np.ndarray, v: np.ndarray, value: float, length: float) -> np.ndarray:
    """The field with u(0) = value."""
    row = np.zeros((1, len(x)))
    row[0, 0] = 1.0
    lift = KernelLift(row, [x], length=length)
    with torch.no_grad():
        return lift(torch.tensor(v)[None, None], torch.tensor([[[value]]]))[0, 0].numpy()


def overwritten(v: np.ndarray, value: float) -> np.ndarray:
    """The same by assignment."""
    return np.concatenate([[value], v[1:]])


# %%
# The jump between the wall and its neighbour, as the grid is refined.
counts = [17, 33, 65, 129, 257, 513]
jumps = []
for points in counts:
    x, _, v = said(points)
    u, w = lifted(x, v, 1.0, 0.15), overwritten(v, 1.0)
    jumps.append((abs(w[1] - w[0]), abs(u[1] - u[0])))
    assert u[0] == w[0] == 1.0 or abs(u[0] - 1.0) < 1e-15
    print(f"{points:4d} points: overwritten {jumps[-1][0]:.4f}, lifted {jumps[-1][1]:.4f}")

# %%
x, truth, v = said(33)
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6), width_ratios=(1.5, 1))
left.plot(x, truth, color=INK, linewidth=1.0, label="solver")
left.plot(x, v, color=GREY, label="network")
left.plot(x, overwritten(v, 1.0), ".-", color=PALETTE[0], linewidth=1.2, label="overwritten")
left.plot(x, lifted(x, v, 1.0, 0.15), ".-", color=PALETTE[1], linewidth=1.2, label="lifted")
left.plot(0.0, 1.0, "o", color=INK, markersize=7, clip_on=False, zorder=5)
left.annotate("u(0) = 1", (0.01, 1.0), (0.08, 1.0), va="center", fontsize=10)
left.set(xlim=(0.0, 0.7), xlabel="$x$", ylabel="$u$", title="33 points")
left.legend(loc="upper right")
h = 1.0 / (np.array(counts) - 1)
right.loglog(h, [jump[0] for jump in jumps], ".-", color=PALETTE[0])
right.loglog(h, [jump[1] for jump in jumps], ".-", color=PALETTE[1])
right.loglog(h, 2.0 * h, ":", color=GREY)
right.text(
    h[-1], 0.30, "overwritten: the whole miss", color=PALETTE[0], fontsize=9, va="bottom"
)
right.text(h[2], jumps[2][1] * 0.42, "lifted", color=PALETTE[1], fontsize=9)
right.text(h[-2], 2.4 * h[-2] * 0.35, "order 1", color=GREY, fontsize=9)
right.xaxis.set_minor_formatter(NullFormatter())
right.set(xlabel="mesh width", title="Jump beside the wall", ylim=(1e-3, 1.0))
plt.show()
