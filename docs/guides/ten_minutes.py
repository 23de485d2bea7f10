"""
Ten minutes: generate, train, constrain, compare
=================================================

One way through, in Python. The same words work on the command line: ``lawbound generate``, ``train``, ``predict``, ``compare``.
"""

from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np

import lawbound as lb
from lawbound.ink import GREY, INK, PALETTE
from lawbound.surrogates.gaussian_process import GaussianProcess

# %%
# Generate
# --------
# Stefan's problem: ice that melts from one wall. Its one parameter u* decides where the front is. ``generate`` draws 40 problems, solves them by
# finite volumes and labels the answer; everything that is needed later – weights, walls, the law's right-hand side, the
# solver's own residual – is in the dataset. Sample i is the same whatever the number of samples, so a run can be made longer later.
data = lb.generate("stefan", 40, seed=0, nx=60, nt=21)
lb.check(data).raise_if_failed()
print(data[["u", "u_star", "law_conservation_rhs", "law_conservation_residual"]])

# %%
# The solver keeps the law to round-off against its own ledger of wall fluxes. Against the closed form's total, which is the right-hand
# side here, it is off by what its grid allows, and the dataset says how much.
print("largest residual of the law: ", float(abs(data.law_conservation_residual).max()))
print("allowed by grid and storage: ", float(data.law_conservation_tolerance.max()))

# %%
# Train
# -----
# A Gaussian process regresses each function on 10 × 10 of its points; its parameters are learned on the split ``train`` and chosen on
# ``valid``. Any other surrogate takes its place: ``anp``, ``fno``, ``deeponet``, or your own.
gp = lb.fit(GaussianProcess(kernel="matern-5/2", functions=8, iterations=15), data)
test = data.isel(sample=data.split == 2)  # held out
free = gp.predict(test)
print("means:", tuple(free.means.shape), "= (draw, sample, t, x)")
print("covariance:", type(free.covariance).__name__)

# %%
# Constrain
# ---------
# The total is known, and nothing leaves the range of initial and wall data. Stacked with ``&``, both are imposed at once, on the mean and
# on every sample.
laws = lb.constraints.Conservation("u") & lb.constraints.MaximumPrinciple("u")
lawful, report = lb.enforce(free, laws)
print(report)
samples = lawful.sample(100, seed=0).numpy()
print(f"100 joint samples lie between {samples.min():.6f} and {samples.max():.6f}")

# %%
# What it did: multipliers say which law was broken, and when; the share of points on a bound says where bounds were needed.
time = int(np.abs(data.t.values - 0.05).argmin())
x, truth = test.x.values, test.u.values[0, time]
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), sharey=True)
for axes, prediction, colour, title in (
    (left, free, GREY, "As predicted"),
    (right, lawful, PALETTE[1], "Lawful"),
):
    draws = prediction.sample(25, seed=1)[:, 0, time].numpy()
    axes.plot(x, draws.T, color=colour, linewidth=0.5, alpha=0.5)
    axes.plot(x, prediction.mean[0, time], color=colour, linewidth=2.5)
    axes.plot(x, truth, color=INK, linewidth=1.0)
    axes.set(xlabel="$x$", xlim=(0.0, 0.5), title=title)
left.set_ylabel("$u(t = 0.05, x)$")
plt.show()

# %%
# Compare
# -------
# All on samples held out from training, judged against the solver; the solver's own row comes first.
table = lb.compare(
    {"gp": gp},
    data,
    ["conservation:project", "conservation:condition", "conservation&maximum-principle"],
    times=3,
)
case = table.cases[0].name
for method in table.methods:
    values = [table.value(method, case, metric) for metric in ("ce", "mse", "crps")]
    print(
        f"{method:42s}",
        *("      –   " if value is None else f"{value:10.1e}" for value in values),
    )
print(fill(table.verdict, 86))

# %%
# Where next: :ref:`your own model <sphx_glr_auto_guides_bring_your_own_model.py>`, :ref:`your own law
# <sphx_glr_auto_guides_bring_your_own_law.py>`, :ref:`your own solver's data <sphx_glr_auto_guides_bring_your_own_solver.py>`;
# or the same as a report to open in a browser: ``lawbound compare … -o report.html``.
