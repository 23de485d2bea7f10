"""
Bring your own solver
=====================

Your solver, our laws: plain arrays become a dataset that every command takes. Or your equation in one of our solvers, with a ledger of
what crossed its walls.
"""

from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np

import lawbound as lb
from lawbound.ink import PALETTE
from lawbound.solvers import (
    Cells,
    Dirichlet,
    ImplicitDiffusion,
    Neumann,
    Power,
    Problem,
    Walls,
)
from lawbound.surrogates.gaussian_process import GaussianProcess

# %%
# Arrays from anywhere
# --------------------
# Fisher's equation u_t = D u_xx + r u (1 − u), by the simplest of schemes. What it knows beside u is what a law needs: how much there is.
x, t = np.linspace(0.0, 1.0, 81), np.linspace(0.0, 1.0, 21)
growth = np.random.default_rng(0).uniform(6.0, 12.0, 20)


def fisher(
    rate: np.ndarray, diffusivity: float = 2e-3, substeps: int = 40
) -> tuple[np.ndarray, np.ndarray]:
    """u (sample, t, x), and ∫u dx that the scheme accounted for (sample, t)."""
    h, dt = x[1] - x[0], (t[1] - t[0]) / substeps
    weights = np.full(x.size, h)
    weights[[0, -1]] /= 2
    u = np.tile(np.exp(-((x / 0.1) ** 2)), (rate.size, 1))
    total = u @ weights
    states, totals = [u], [total]
    for _ in t[1:]:
        for _ in range(substeps):
            source = rate[:, None] * u * (1.0 - u)
            flux = -diffusivity * np.diff(u, axis=1) / h  # none through the walls
            change = np.zeros_like(u)
            change[:, :-1] -= flux
            change[:, 1:] += flux
            u = u + dt * (change / weights + source)
            total = total + dt * source @ weights
        states.append(u)
        totals.append(total)
    return np.stack(states, axis=1), np.stack(totals, axis=1)


u, mass = fisher(growth)
data = lb.from_arrays(
    u,
    t=t,
    x=x,
    mass=mass,
    mass_source="ledger",  # it was read off the solution; every table will say so
    parameters={"growth": growth},
    split=["train"] * 14 + ["valid"] * 3 + ["test"] * 3,
    problem="fisher",
)
lb.check(data).raise_if_failed()

# %%
# From here on nothing differs from a family of ours.
gp = lb.fit(GaussianProcess(kernel="matern-5/2", functions=6, iterations=10), data)
laws = lb.constraints.Conservation() & lb.constraints.Bounds(0.0, 1.0)
test = data.isel(sample=data.split == 2)
lawful, report = lb.enforce(gp.predict(test), laws)
print(report)
print(
    fill(
        lb.compare(
            {"gp": gp}, data, ["conservation:condition", "conservation&bounds"], times=3
        ).verdict,
        86,
    )
)

# %%
# To disk, and to the command line: ``write(data, "fisher.nc")`` from ``lawbound.datasets.store``, then ``lawbound train gp fisher.nc -o runs/gp``.
#
# Your equation in our solver
# ---------------------------
# A conductivity k(u) = u⁴, a heater at one wall that swings, and a cold other one. The ledger closes whatever the tolerance. Any k(u) that numba
# compiles goes in as ``Custom(lambda u: 0.1 + u**4)``, at the price of compiling for ten seconds.
problem = Problem(
    "mine",
    Power(4.0),
    Cells(0.0, 1.0, 100),
    Walls(Neumann(lambda t: 1.0 + np.sin(20.0 * t)), Dirichlet(0.0)),
    0.0,
    np.linspace(0.0, 1.0, 41),
)
answer = ImplicitDiffusion(tolerance=1e-6).solve(problem)
print("largest gap of the ledger:", float(np.abs(answer.ledger_residual).max()))

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6))
for i in range(0, 21, 4):
    left.plot(x, u[0, i], color=PALETTE[1], alpha=0.25 + 0.75 * i / 20, linewidth=1.6)
left.set(xlabel="$x$", ylabel="$u$", xlim=(0, 1), title="Your solver: Fisher's front")
for i in range(1, 41, 5):
    right.plot(
        problem.grid.centres,
        answer.state[i],
        color=PALETTE[0],
        alpha=0.25 + 0.75 * i / 40,
        linewidth=1.6,
    )
right.set(xlabel="$x$", xlim=(0, 1), title="Ours: $k(u) = u^4$, a heater that swings")
plt.show()
